"""SIP over TCP, over real sockets: framing however the bytes are cut, and peers that misbehave (RFC 3261 §18.3)."""

from __future__ import annotations

import contextlib
import itertools
import random
import resource
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, IPV6, PATIENCE, ScreenNode, until
from sip_clients import FORGED, TcpPeer, UdpPeer, code_of, header_of, new_call

from e2e.processes import running
from hutong.calls.streams import MAX_CONNECTIONS
from hutong.protocols.sip.message import MAX_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

PING, PONG = b"\r\n\r\n", b"\r\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("tcp"), hosts=(IPV4, IPV6))
    with running(it):
        it.start()
        yield it


@pytest.fixture
def server(node: ScreenNode) -> tuple[str, int]:
    return IPV4, node.port


@pytest.fixture
def peer(server: tuple[str, int]) -> Iterator[TcpPeer]:
    with TcpPeer(server) as it:
        yield it


@pytest.fixture
def bystander(server: tuple[str, int]) -> Iterator[TcpPeer]:
    """Another connection, which nothing that happens to the first one may disturb."""
    with TcpPeer(server) as it:
        assert code_of(it.ask(it.invite())) == 302
        yield it
        assert code_of(it.ask(it.invite(FORGED))) == 608


def call_id(response: bytes) -> str:
    return header_of(response, "Call-ID").partition("@")[0]


# Answers


@pytest.mark.parametrize("host", [IPV4, IPV6])
def test_a_call_is_redirected_or_rejected_on_its_connection(node: ScreenNode, host: str) -> None:
    with TcpPeer((host, node.port)) as peer:
        passed = peer.ask(peer.invite(callee="+8613900139000"))
        assert code_of(passed) == 302
        assert header_of(passed, "Contact") == "<sip:+8613900139000@192.0.2.249:5080>"
        blocked = peer.ask(peer.invite(FORGED))
        assert code_of(blocked) == 608
        assert header_of(blocked, "Call-Info").endswith(";purpose=jwscard")
        assert code_of(peer.ask(peer.request("OPTIONS"))) == 200


def test_a_request_sent_again_is_answered_alike_and_counts_once(node: ScreenNode, peer: TcpPeer) -> None:
    before = node.figures.attempts
    data = peer.invite(FORGED)
    assert peer.ask(data) == peer.ask(data)
    assert node.figures.attempts - before == 1


def test_nothing_is_repeated_over_tcp(server: tuple[str, int], peer: TcpPeer) -> None:
    assert code_of(peer.ask(peer.invite())) == 302
    with UdpPeer(server) as datagrams:
        first = datagrams.ask(datagrams.invite())
        assert datagrams.receive() == first  # so the older answer over TCP would have come again as well
    assert peer.ask(PING) == PONG  # and here it would have come first


# Framing


def test_pipelined_requests_are_answered_in_order(peer: TcpPeer) -> None:
    calls = [new_call() for _ in range(200)]
    requests = [peer.invite(FORGED if at % 4 == 0 else f"138{at:08d}", call=call) for at, call in enumerate(calls)]
    peer.send(b"".join(requests))
    answers = [peer.receive() for _ in calls]
    assert [call_id(answer) for answer in answers] == [f"call-{call}" for call in calls]
    assert [code_of(answer) for answer in answers] == [608 if at % 4 == 0 else 302 for at in range(200)]


def _wide(peer: TcpPeer, call: str) -> bytes:
    """A request with characters of several bytes in its headers and its body."""
    from_ = f'From: "张三 🙂" <sip:{FORGED}@192.0.2.99>;tag=a{call}'
    return peer.invite(FORGED, call=call, from_=from_, extra="Subject: 您好", body="").replace(
        b"Content-Length: 0\r\n\r\n", b"Content-Length: 9\r\n\r\n" + "你好吗".encode()
    )


def test_one_byte_at_a_time(peer: TcpPeer) -> None:
    calls = [new_call(), new_call()]
    data = b"".join(_wide(peer, call) for call in calls)
    peer.send_in_pieces(data[at : at + 1] for at in range(len(data)))
    answers = [peer.receive() for _ in calls]
    assert [(call_id(answer), code_of(answer)) for answer in answers] == [(f"call-{call}", 608) for call in calls]
    assert '"张三 🙂"' in header_of(answers[0], "From")


@pytest.mark.parametrize("inside", [b"\r\n", "张".encode(), "好".encode(), "🙂".encode()])
def test_split_inside_what_belongs_together(peer: TcpPeer, inside: bytes) -> None:
    calls = [new_call() for _ in range(3)]
    rest = b"".join(_wide(peer, call) for call in calls)
    pieces = []
    while inside in rest:
        at = rest.index(inside) + 1
        pieces.append(rest[:at])
        rest = rest[at:]
    peer.send_in_pieces([*pieces, rest])
    assert [call_id(peer.receive()) for _ in calls] == [f"call-{call}" for call in calls]


def test_random_pieces(peer: TcpPeer) -> None:
    rng = random.Random(4475)
    calls = [new_call() for _ in range(60)]
    data = b"".join(_wide(peer, call) if at % 2 else peer.invite(call=call) for at, call in enumerate(calls))
    cuts = [0, *sorted(rng.sample(range(1, len(data)), 500)), len(data)]
    peer.send_in_pieces(data[start:end] for start, end in itertools.pairwise(cuts))
    assert [call_id(peer.receive()) for _ in calls] == [f"call-{call}" for call in calls]


def test_a_keep_alive_is_answered_between_messages_and_within_none(peer: TcpPeer) -> None:
    assert peer.ask(PING) == PONG
    first, second = peer.invite(call=new_call()), peer.invite(call=new_call())
    peer.send(first + PING + second)
    answers = [peer.receive() for _ in range(3)]
    assert answers.count(PONG) == 1  # it may overtake an answer, but comes between two
    assert [code_of(answer) for answer in answers if answer != PONG] == [302, 302]
    peer.send_in_pieces([b"\r", b"\n\r", b"\n", first[:40], first[40:]])
    assert [peer.receive(), code_of(peer.receive())] == [PONG, 302]


# Peers that misbehave


def test_a_message_that_cannot_be_framed_is_answered_and_its_connection_closed(
    peer: TcpPeer, bystander: TcpPeer
) -> None:
    unframed = peer.invite(drop=("Content-Length",))
    peer.send(peer.invite() + unframed + peer.invite())
    assert [code_of(answer) for answer in peer.rest()] == [302, 400]  # what follows could be smuggled in
    assert code_of(bystander.ask(bystander.request("OPTIONS"))) == 200


def test_a_malformed_message_of_known_length_costs_only_itself(peer: TcpPeer) -> None:
    bad = peer.invite(drop=("Call-ID",))
    peer.send(peer.invite() + bad + peer.invite(FORGED))
    assert [code_of(peer.receive()) for _ in range(3)] == [302, 400, 608]


def test_a_message_that_announces_too_much_is_refused_at_its_head(peer: TcpPeer, bystander: TcpPeer) -> None:
    peer.send(peer.invite(body="").replace(b"Content-Length: 0", b"Content-Length: %d" % MAX_MESSAGE))
    assert [code_of(answer) for answer in peer.rest()] == [513]
    assert code_of(bystander.ask(bystander.request("OPTIONS"))) == 200


def test_headers_without_end_are_given_up(peer: TcpPeer, bystander: TcpPeer) -> None:
    head = peer.invite(body="")[:-2]
    peer.send_in_pieces([head, *([b"X: " + b"y" * 8000 + b"\r\n"] * (2 * MAX_MESSAGE // 8000))])
    assert [code_of(answer) for answer in peer.rest() if code_of(answer) != 513] == []
    assert code_of(bystander.ask(bystander.request("OPTIONS"))) == 200


def test_junk_on_a_connection_closes_it_and_is_counted(node: ScreenNode, peer: TcpPeer, bystander: TcpPeer) -> None:
    before = node.figures.malformed
    peer.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert peer.rest() == []
    assert node.figures.malformed == before + 1
    assert code_of(bystander.ask(bystander.request("OPTIONS"))) == 200


def test_a_peer_that_has_said_everything_still_hears_every_answer(peer: TcpPeer) -> None:
    calls = [new_call() for _ in range(100)]
    peer.send(b"".join(peer.invite(call=call) for call in calls))
    peer.half_close()
    assert [call_id(answer) for answer in peer.rest()] == [f"call-{call}" for call in calls]


def test_a_peer_that_leaves_in_the_middle_of_a_message_leaves_no_trace(
    node: ScreenNode, server: tuple[str, int]
) -> None:
    before = node.figures
    for cut in (1, 40, 200):
        with TcpPeer(server) as leaving:
            leaving.send(leaving.invite()[:cut])
    with TcpPeer(server) as it:
        assert code_of(it.ask(it.invite())) == 302
    assert node.figures.attempts - before.attempts == 1
    assert node.figures.malformed == before.malformed


_SMALL_WINDOW = 4096
#: So many that the kernel does not hold all their answers, and so few that the node does not give up.
_MANY = 6000


def _requests(peer: TcpPeer, count: int) -> bytes:
    return b"".join(peer.invite(call=new_call()) for _ in range(count))


def test_a_slow_reader_delays_nobody_and_gets_everything(server: tuple[str, int], bystander: TcpPeer) -> None:
    with TcpPeer(server, receive_buffer=_SMALL_WINDOW) as slow:
        slow.send(_requests(slow, 300))
        assert code_of(bystander.ask(bystander.invite())) == 302
        assert [code_of(slow.receive()) for _ in range(300)] == [302] * 300


def test_a_slow_reader_that_has_said_everything_gets_everything(node: ScreenNode, bystander: TcpPeer) -> None:
    server, before = bystander.server, node.figures.attempts
    with TcpPeer(server, receive_buffer=_SMALL_WINDOW) as slow:
        slow.send(_requests(slow, _MANY))
        slow.half_close()
        node.await_figures(lambda figures: figures.attempts - before >= _MANY)
        assert code_of(bystander.ask(bystander.request("OPTIONS"))) == 200
        assert len(slow.rest()) == _MANY


def test_a_peer_that_never_reads_is_given_up(node: ScreenNode, bystander: TcpPeer) -> None:
    given_up = pytest.raises((BrokenPipeError, ConnectionResetError))
    with TcpPeer(bystander.server, receive_buffer=_SMALL_WINDOW) as mute, given_up:
        mute.socket.sendall(_requests(mute, 500) * 100)  # far more answers than may wait
    assert node.child.poll() is None


def test_one_connection_too_many_is_closed_and_counted_and_the_others_stay(
    node: ScreenNode, server: tuple[str, int]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_CONNECTIONS + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this user may open {hard} files at most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    before = node.figures.dropped
    with contextlib.ExitStack() as stack:
        peers = []
        for _ in range(MAX_CONNECTIONS):
            peers.append(stack.enter_context(TcpPeer(server)))
            assert peers[-1].ask(PING) == PONG
        with TcpPeer(server) as refused:
            assert refused.rest() == []
        assert node.figures.dropped == before + 1
        assert code_of(peers[0].ask(peers[0].invite(FORGED))) == 608
        assert code_of(peers[-1].ask(peers[-1].invite())) == 302
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def accepted_again() -> bool:
        with TcpPeer(server) as peer:
            peer.send_in_pieces([PING])
            peer.half_close()
            return peer.rest() == [PONG]

    until(accepted_again, PATIENCE, "a new connection is served once others are closed")


def test_connections_never_take_the_files_that_the_journal_needs(tmp_path: Path) -> None:
    limited = ScreenNode(tmp_path)
    limited.command = ["sh", "-c", 'ulimit -n 160 && exec "$@"', "sh", *limited.command]
    with running(limited), contextlib.ExitStack() as stack:
        limited.start()
        server = (IPV4, limited.port)
        peers = [stack.enter_context(TcpPeer(server)) for _ in range(100)]
        # The first record of all: the journal begins a file for it.
        assert code_of(peers[0].ask(peers[0].invite(FORGED))) == 608
        with UdpPeer(server) as datagrams:
            assert code_of(datagrams.ask(datagrams.invite())) == 302
        assert peers[-1].rest() == []
        assert limited.figures.dropped > 0
