"""SIP over UDP, on real sockets: what is answered, where to, how often (RFC 3261 §8.3, §17.2, §18.2.2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, IPV6, ScreenNode
from sip_clients import FORGED, UdpPeer, code_of, header_of, new_call

from e2e.processes import hutong, running
from engines import COMPANY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("udp"), hosts=(IPV4, IPV6))
    with running(it):
        it.start()
        yield it


@pytest.fixture(params=[IPV4, IPV6])
def peer(node: ScreenNode, request: pytest.FixtureRequest) -> Iterator[UdpPeer]:
    with UdpPeer((request.param, node.port)) as it:
        yield it


# The answer and where it goes


def test_a_call_is_redirected_or_rejected(peer: UdpPeer) -> None:
    passed = peer.ask(peer.invite(callee="+8613900139000"))
    assert code_of(passed) == 302
    assert header_of(passed, "Contact") == "<sip:+8613900139000@192.0.2.249:5080>"
    blocked = peer.ask(peer.invite(FORGED))
    assert code_of(blocked) == 608
    assert header_of(blocked, "Call-Info").endswith(";purpose=jwscard")


def test_the_answer_says_and_goes_to_the_port_of_the_via(peer: UdpPeer) -> None:
    with UdpPeer(peer.server) as other:
        peer.send(peer.invite(via_port=other.port))
        answer = other.receive()
        assert code_of(answer) == 302
        assert f":{other.port};branch=" in header_of(answer, "Via")
        # The next answer is the first thing that the sender's own port gets.
        assert header_of(peer.ask(peer.invite(call="own-port")), "Call-ID").startswith("call-own-port@")


def test_with_rport_the_answer_goes_to_where_the_request_came_from(peer: UdpPeer) -> None:
    with UdpPeer(peer.server) as other:
        answer = peer.ask(peer.invite(via_port=other.port, rport=True))
        via = header_of(answer, "Via")
        assert f";rport={peer.port}" in via
        assert f";received={peer.server[0]}" in via
        assert other.pending() == []


def test_a_request_that_only_the_full_codec_reads_is_answered_to_the_same_places(peer: UdpPeer) -> None:
    with UdpPeer(peer.server) as other:
        peer.send(peer.invite(via_port=other.port, extra="Subject: hello"))
        assert code_of(other.receive()) == 302
        assert f";rport={peer.port}" in header_of(peer.ask(peer.invite(rport=True, extra="Subject: hello")), "Via")


def test_the_trunk_is_that_of_the_true_source(peer: UdpPeer) -> None:
    answer = peer.ask(peer.invite("02161230001", source=COMPANY))
    assert header_of(answer, "Contact") == "<sip:13900139000@192.0.2.250:5062>"
    assert code_of(peer.ask(peer.invite("02161230001", source="2001:db8::7"))) == 302
    assert code_of(peer.ask(peer.invite("13800138000", source="2001:db8::7"))) == 608


def test_other_requests_get_their_proper_answer(peer: UdpPeer) -> None:
    assert code_of(peer.ask(peer.request("OPTIONS"))) == 200
    assert code_of(peer.ask(peer.request("CANCEL"))) == 481
    assert code_of(peer.ask(peer.request("REGISTER"))) == 405
    assert code_of(peer.ask(peer.request("BYE", to_tag=";tag=x"))) == 481
    assert code_of(peer.ask(peer.request("PURR"))) == 501


# Once is once


@pytest.mark.parametrize("extra", ["", "Subject: through the full codec"])
def test_a_retransmission_gets_the_same_bytes_and_counts_once(node: ScreenNode, peer: UdpPeer, extra: str) -> None:
    before = node.figures
    call = new_call()
    data = peer.invite(FORGED, call=call, extra=extra)
    answers = {peer.ask(data) for _ in range(4)}
    assert len(answers) == 1
    peer.send(peer.ack(answers.pop(), call))
    told = json.loads(hutong("calls", "explain", f"call-{call}@192.0.2.99", "--data", str(node.data), "--json"))
    assert (told["code"], told["earlier"]) == (608, [])
    figures = node.figures
    assert figures.attempts - before.attempts == 1
    assert figures.retransmits - before.retransmits == 3


def test_two_attempts_under_one_call_id_are_two_verdicts_and_both_are_told(node: ScreenNode, peer: UdpPeer) -> None:
    call = new_call()
    first = peer.invite(FORGED, call=call)
    assert code_of(peer.ask(first)) == 608
    assert code_of(peer.ask(first.replace(b"z9hG4bK-", b"z9hG4bK-again-"))) == 608
    told = json.loads(hutong("calls", "explain", f"call-{call}@192.0.2.99", "--data", str(node.data), "--json"))
    assert len(told["earlier"]) == 1
    assert told["earlier"][0] < told["seq"]


# Repeating until it is acknowledged


def test_an_unacknowledged_answer_is_repeated_and_an_ack_ends_that(peer: UdpPeer) -> None:
    with UdpPeer(peer.server) as acknowledging:
        call = new_call()
        answer = acknowledging.ask(acknowledging.invite(call=call))
        acknowledging.send(acknowledging.ack(answer, call))
        assert code_of(acknowledging.ask(acknowledging.request("OPTIONS"))) == 200  # the ACK was read before it

        first = peer.ask(peer.invite())
        assert [peer.receive(), peer.receive()] == [first, first]  # after T1 and after 3 T1
        # The acknowledged answer was older: it would have been repeated twice by now.
        assert acknowledging.pending() == []


def test_a_repeated_answer_goes_where_the_first_one_went(peer: UdpPeer) -> None:
    with UdpPeer(peer.server) as other:
        peer.send(peer.invite(via_port=other.port))
        assert other.receive() == other.receive()
        assert peer.pending() == []


def test_a_burst_is_answered_whole_whichever_way_each_call_is_read(node: ScreenNode) -> None:
    with UdpPeer((IPV4, node.port)) as peer:
        calls = [new_call() for _ in range(400)]
        burst = [
            peer.invite(FORGED if at % 5 == 0 else f"138{at:08d}", call=call, extra="Subject: x" if at % 3 == 0 else "")
            for at, call in enumerate(calls)
        ]
        peer.send(*burst)
        codes: dict[str, int] = {}
        while len(codes) < len(calls):
            answer = peer.receive()
            codes[header_of(answer, "Call-ID")] = code_of(answer)
        assert codes == {f"call-{call}@192.0.2.99": 608 if at % 5 == 0 else 302 for at, call in enumerate(calls)}
