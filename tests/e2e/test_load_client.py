"""The benchmarks' client sends what it says: calls and acknowledgements that a strict codec reads as such."""

from __future__ import annotations

import numpy as np
from bench.packets import mix, read_reply, write_ack, write_invite
from bench.wire import ROW

from hutong.protocols.sip import Request, build_response, parse_datagram

CALLS = range(1, 301)


def _calls(*, distinct: bool) -> list[Request]:
    load = mix("127.0.0.1:40000", distinct=distinct)
    row = np.zeros(ROW, np.uint8)
    calls = [parse_datagram(row[: write_invite(load, row, number)].tobytes()) for number in CALLS]
    assert all(isinstance(call, Request) and call.method == "INVITE" for call in calls)
    return [call for call in calls if isinstance(call, Request)]


def test_calls_are_well_formed_and_each_its_own() -> None:
    calls = _calls(distinct=False)
    assert all(len(call.vias) == 2 and call.content_length == len(call.body) for call in calls)
    assert len({call.call_id for call in calls}) == len({call.vias[0].branch for call in calls}) == len(CALLS)
    forged = [call for call in calls if call.from_.uri.user.startswith(b"400")]
    assert 0 < len(forged) < len(CALLS) // 10


def test_distinct_calls_have_nobody_twice() -> None:
    calls = _calls(distinct=True)
    assert len({call.from_.uri.user for call in calls} | {call.uri.user for call in calls}) == 2 * len(CALLS)


def test_an_acknowledgement_belongs_to_its_answer() -> None:
    load = mix("127.0.0.1:40000", distinct=False)
    row, reply = np.zeros(ROW, np.uint8), np.zeros(ROW, np.uint8)
    for number, call in zip(CALLS, _calls(distinct=False), strict=True):
        answer = build_response(call.heads, 302, "Moved Temporarily", to_tag="answer")
        reply[: len(answer)] = np.frombuffer(answer, np.uint8)
        assert read_reply(reply, len(answer)) == (302, number)
        ack = parse_datagram(row[: write_ack(load, row, reply, len(answer), number)].tobytes())
        assert isinstance(ack, Request)
        assert ack.method == ack.cseq.method == "ACK"
        assert (ack.call_id, ack.vias[0].branch, ack.from_) == (call.call_id, call.vias[0].branch, call.from_)
        assert (ack.uri, ack.to.tag) == (call.uri, "answer")
