"""Hostile bytes on every port: the node answers the next caller, never redirects what is broken, and never restarts."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, IPV6, ScreenNode
from sip_clients import FORGED, TcpPeer, UdpPeer, code_of, header_of, new_call

from e2e.processes import running
from sip_vectors import fill, needs_protos, needs_torture, protos_cases, torture_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket

#: What one UDP datagram over IPv4 carries at most.
MAX_UDP = 65_507


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("hostile"), hosts=(IPV4, IPV6))
    with running(it):
        it.start()
        yield it


@pytest.fixture
def node(started: ScreenNode) -> Iterator[ScreenNode]:
    """The node, which must be the same process before and after, and must not have complained."""
    pid = started.pid
    said = started.said
    yield started
    assert started.child.poll() is None
    assert started.pid == pid
    assert "Traceback" not in started.read_log(said)


@pytest.fixture
def peer(node: ScreenNode) -> Iterator[UdpPeer]:
    with UdpPeer((IPV4, node.port)) as it:
        yield it


@pytest.fixture
def steady(node: ScreenNode) -> Iterator[TcpPeer]:
    """A connection that stays open beside those that are abused."""
    with TcpPeer((IPV4, node.port)) as it:
        yield it


def is_served(peer: UdpPeer) -> list[bytes]:
    """Require the right answers to a valid call and to a question; gives what else arrived before the latter."""
    call = new_call()
    answer, before = peer.answer_to(peer.invite(call=call))
    assert code_of(answer) == 302
    peer.send(peer.ack(answer, call))
    # An ordinary call may overtake what the full codec reads; what is asked after its answer overtakes nothing.
    answer, between = peer.answer_to(peer.request("OPTIONS"))
    assert code_of(answer) == 200
    return before + between


def is_served_over_tcp(peer: TcpPeer) -> None:
    assert code_of(peer.ask(peer.invite(FORGED))) == 608


def in_pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """Cut at odd places: after the first byte, before the last, inside a CRLF, at random."""
    inside = data.find(b"\r\n") + 1
    cuts = {1, inside, len(data) - 1, *(rng.randrange(len(data)) for _ in range(4))}
    places = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


# Published vectors


@needs_torture
def test_the_torture_messages_over_udp(peer: UdpPeer) -> None:
    for name, data in torture_messages().items():
        peer.send(data)
        before = is_served(peer)
        assert len({header_of(answer, "Call-ID") for answer in before}) <= 1, name


@needs_torture
def test_the_torture_messages_over_tcp_byte_by_byte(node: ScreenNode, steady: TcpPeer) -> None:
    for data in torture_messages().values():
        with TcpPeer((IPV4, node.port)) as abused:
            abused.send_in_pieces(data[at : at + 1] for at in range(len(data)))
            is_served_over_tcp(steady)
            abused.half_close()
            abused.rest()


@needs_protos
def test_the_protos_cases_over_udp(node: ScreenNode, peer: UdpPeer) -> None:
    codes: dict[str, set[int]] = {"pass": set(), "either": set(), "fail": set()}
    known: set[bytes] = set()  # an answer that was seen before is a repetition (Timer G)
    for case in protos_cases():
        data = fill(case.invite, case.case, port=peer.port)
        if len(data) <= MAX_UDP:
            peer.send(data)
        fresh = set(is_served(peer)) - known
        known |= fresh
        codes[case.verdict] |= {code_of(answer) for answer in fresh}
        assert case.verdict != "fail" or 302 not in codes["fail"], case.case
    assert 302 in codes["pass"]
    assert 400 in codes["fail"]
    _no_failing_case_was_passed(node)


@needs_protos
def test_the_protos_cases_over_tcp_in_odd_pieces(node: ScreenNode, steady: TcpPeer) -> None:
    rng = random.Random(2197)
    answered = 0
    for case in protos_cases():
        with TcpPeer((IPV4, node.port)) as abused:
            data = fill(case.invite, f"t{case.case}", port=abused.port)
            abused.send_in_pieces(in_pieces(data, rng))
            is_served_over_tcp(steady)
            abused.half_close()
            codes = [code_of(answer) for answer in abused.rest()]
            assert case.verdict != "fail" or 302 not in codes, case.case
            answered += codes == [302]
    assert answered > 1_500
    _no_failing_case_was_passed(node)


def _no_failing_case_was_passed(node: ScreenNode) -> None:
    """Wherever an answer went that a broken Via asked for: the record knows."""
    passed = " ".join(verdict.call_id for verdict in node.verdicts() if verdict.code == 302)
    assert [case.case for case in protos_cases() if case.verdict == "fail" and f"protos-{case.case}" in passed] == []
    assert [case.case for case in protos_cases() if case.verdict == "fail" and f"protos-t{case.case}" in passed] == []


@needs_protos
def test_the_teardowns_of_the_protos_cases(peer: UdpPeer) -> None:
    for case in protos_cases()[::20]:
        for method in ("CANCEL", "ACK", "BYE"):
            peer.send(fill(case.teardown, case.case, port=peer.port, method=method)[:MAX_UDP])
        is_served(peer)


# Junk


def _junk() -> dict[str, list[bytes]]:
    rng = random.Random(3261)
    sample = UdpPeer.sample()
    return {
        "random": [rng.randbytes(rng.randrange(1, 2000)) for _ in range(200)],
        "empty": [b""] * 20,
        "NULs": [b"\0" * size for size in (1, 2, 100, 1400, MAX_UDP)],
        "line ends": [b"\r\n", b"\r\n\r\n", b"\r\n" * 500, b"\n" * 500, b"\r" * 500],
        "as long as can be": [bytes([byte]) * MAX_UDP for byte in b"A \n:;\xff"],
        "truncated": [sample[:cut] for cut in range(1, len(sample), 7)],
        "one bit wrong": [_flipped(sample, rng) for _ in range(400)],
        "one byte gone": [sample[:at] + sample[at + 1 :] for at in range(0, len(sample), 3)],
        "NUL within": [sample[:at] + b"\0" + sample[at:] for at in range(0, len(sample), 5)],
        "long headers": [sample.replace(b"Max-Forwards: 69", b"X: " + b"a,;" * 15_000 + b"\r\nMax-Forwards: 69")],
        "many headers": [sample.replace(b"Max-Forwards: 69", b"X: y\r\n" * 9_000 + b"Max-Forwards: 69")],
        "many Vias": [sample.replace(b"Max-Forwards: 69", b"Via: SIP/2.0/UDP a;branch=z9\r\n" * 1_500)],
        "deep quotes": [sample.replace(b"From: ", b'From: "' + b"\\" * 30_000 + b'" ')],
    }  # fmt: skip


def _flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


@pytest.mark.parametrize("kind", list(_junk()))
def test_junk_over_udp_is_answered_or_dropped_and_the_next_caller_served(peer: UdpPeer, kind: str) -> None:
    for data in _junk()[kind]:
        peer.send(data)
        is_served(peer)


@pytest.mark.parametrize("kind", list(_junk()))
def test_junk_over_tcp_costs_its_own_connection_at_most(node: ScreenNode, steady: TcpPeer, kind: str) -> None:
    rng = random.Random(7)
    for data in _junk()[kind][:60]:
        with TcpPeer((IPV4, node.port)) as abused:
            abused.send_in_pieces(in_pieces(data, rng) if data else [])
            is_served_over_tcp(steady)
            abused.half_close()
            abused.rest()


def test_junk_over_ipv6(node: ScreenNode) -> None:
    with UdpPeer((IPV6, node.port)) as peer:
        for kind in ("random", "empty", "truncated"):
            for data in _junk()[kind][:40]:
                peer.send(data)
                is_served(peer)


def test_what_is_no_message_is_counted(node: ScreenNode, peer: UdpPeer) -> None:
    before = node.figures
    peer.send(*[b"\x00\xff junk"] * 50)
    is_served(peer)
    figures = node.figures
    assert figures.malformed - before.malformed == 50
    assert figures.attempts - before.attempts == 1


def test_a_malformed_request_is_told_what_is_wrong(peer: UdpPeer) -> None:
    answer = peer.ask(peer.invite(drop=("CSeq",)))
    assert code_of(answer) == 400
    assert "CSeq" in header_of(answer, "Warning")


def test_an_answer_to_a_port_that_nobody_holds_troubles_no_other(node: ScreenNode, peer: UdpPeer) -> None:
    with UdpPeer(peer.server) as gone:
        dead = [gone.invite(call=new_call()) for _ in range(20)]
    peer.send(*dead)
    peer.send(*(peer.invite(via_port=port) for port in (1, 65535)))
    peer.send(peer.invite().replace(b":%d;branch" % peer.port, b":0;branch"))
    for _ in range(5):
        is_served(peer)
    assert node.child.poll() is None
