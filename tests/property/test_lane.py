"""The fast lane gives the answer of the full codec, byte for byte, or declines."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import ABROAD, COMPANY, HOME, NEIGHBOUR, Bench, invite, status
from sip_vectors import fill, needs_protos, needs_torture, protos_cases, torture_messages

_RELAXED = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Bench]:
    """Two engines with the same state: one is fed through the lane, the other through the full codec."""

    def make(name: str) -> Bench:
        bench = Bench(tmp_path_factory.mktemp(name))
        bench.list("13700001111", respond=603)
        bench.list("13700002222", respond=607)
        bench.list("139*", "allow")
        return bench

    return make("lane"), make("codec")


def _same(pair: tuple[Bench, Bench], data: bytes, **where: object) -> bool:
    """Whether the lane took it; where it did, both answers and both records are alike."""
    lane, codec = pair
    answer = lane.lane(data, **where)  # type: ignore[arg-type]
    if answer is None:
        return False
    responses = codec.full(data, **where)  # type: ignore[arg-type]
    assert [answer] == (responses or [b""])
    assert len(lane.records) == len(codec.records)
    if lane.records and status(answer):
        mine, theirs = bytearray(lane.records[-1]), bytearray(codec.records[-1])
        # The flag that says who read the request is the one difference that may be.
        theirs[83] &= ~128 & 0xFF
        assert mine == theirs
    return True


numbers = st.one_of(
    st.sampled_from(["13800138000", "13700001111", "13700002222", "+8613800138000", "008613800138000", "110", "12345"]),
    st.sampled_from(
        ["4008123456", "95588", "+14155550100", "0014155550100", "02161230001", "62345678", "alice", "a.b-c"]
    ),
    st.from_regex(r"\A1[3-9][0-9]{9}\Z"),
    st.from_regex(r"\A\+?[0-9]{1,18}\Z"),
)
tokens = st.from_regex(r"\A[a-zA-Z0-9.!%*_+`'~-]{1,20}\Z")
hosts = st.sampled_from(["127.0.0.1", "192.0.2.7", "10.0.0.1:5060", "gw.example.net", "gw-1.example.net:5070", "h"])
vias = st.builds(
    lambda host, branch, tail: f"Via: SIP/2.0/UDP {host};branch=z9hG4bK{branch}{tail}",
    hosts,
    tokens,
    st.sampled_from(["", ";rport"]),
)
froms = st.builds(
    lambda display, user, host, tail, tag: f"From: {display}<sip:{user}@{host}{tail}>;tag={tag}",
    st.sampled_from(["", '"Zhang San" ', '"Zhang San"', "Bob ", '"" ']),
    numbers,
    hosts,
    st.sampled_from(["", ";user=phone", ";transport=udp", ";user=phone;user=phone", ";ttl=999", ";a=1;b=2;c=3;d"]),
    tokens,
)
extras = st.lists(
    st.sampled_from(
        [
            "P-Asserted-Identity: <sip:13800138001@192.0.2.99>",
            'P-Asserted-Identity: "A" <sip:+8613800138000@192.0.2.99;user=phone>',
            "User-Agent: gateway/2.1",
            "Allow: INVITE, ACK, BYE",
            "Supported: timer, 100rel",
            "Supported: timer,100rel",
            "Privacy: id",
            "Diversion: <sip:02161230001@192.0.2.99>;reason=unconditional",
            "Require: 100rel",
            "Expires: 120",
            "Subject: hello",
            "Record-Route: <sip:192.0.2.1;lr=on;ftag=9.1-a>",
            "Record-Route: <sip:192.0.2.1;r2=on;lr;ftag=x>",
            "Record-Route: <sip:192.0.2.1;lr;lr>",
            "Record-Route: <sip:192.0.2.1;lr=>",
            "User-Agent:    spaced",
            "Supported:timer",
            "X-Anything: goes",
        ]
    ),
    max_size=3,
    unique=True,
)
invites = st.builds(
    lambda callee, source, call, extra, via, from_, body: invite(
        callee=callee, source=source, call=call, extra="\n".join(extra), via=via, from_=from_, body=body
    ),
    numbers,
    st.sampled_from([ABROAD, NEIGHBOUR, HOME, COMPANY, "203.0.113.9", ""]),
    st.from_regex(r"\A[0-9a-f]{1,12}\Z"),
    extras,
    vias,
    froms,
    st.sampled_from(["", "v=0\r\n"]),
)


@_RELAXED
@given(data=invites, source=st.sampled_from(["127.0.0.1", "192.0.2.65", "198.51.100.7"]), port=st.integers(1, 65535))
def test_both_ways_give_the_same_answer(pair: tuple[Bench, Bench], data: bytes, source: str, port: int) -> None:
    _same(pair, data, source=source, port=port)


@_RELAXED
@given(
    data=invites,
    cuts=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3),
)
def test_a_damaged_request_is_declined_or_answered_alike(
    pair: tuple[Bench, Bench], data: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    for at, removed, added in cuts:
        data = data[:at] + added + data[at + removed :]
    _same(pair, data)


@_RELAXED
@given(data=invites, other=invites)
def test_a_retransmission_is_answered_alike(pair: tuple[Bench, Bench], data: bytes, other: bytes) -> None:
    for one in (data, other, data):
        _same(pair, one)


def test_the_ordinary_invite_is_taken(pair: tuple[Bench, Bench]) -> None:
    assert _same(pair, invite(call="ordinary"))
    assert _same(pair, invite(call="asserted", extra="P-Asserted-Identity: <sip:+8613800138000@192.0.2.99>"))
    assert _same(pair, invite("4008123456", call="blocked"))
    assert _same(pair, invite("13700001111", callee="13812341234", call="listed"))


@needs_torture
def test_the_torture_messages_are_declined_or_answered_alike(pair: tuple[Bench, Bench]) -> None:
    for data in torture_messages().values():
        _same(pair, data)


@needs_protos
def test_the_protos_cases_are_declined_or_answered_alike(pair: tuple[Bench, Bench]) -> None:
    # Without Expires, which the lane does not read, the suite's frame is ordinary enough to be taken.
    taken = sum(_same(pair, fill(case.invite, case.case).replace(b"Expires: 1200\r\n", b"")) for case in protos_cases())
    assert taken > 500
    for case in protos_cases():
        _same(pair, fill(case.invite, case.case))
