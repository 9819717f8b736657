"""The local socket on which `serve` asks `screen`: who may, what comes back, and what nobody can do to it."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest

from ask_servers import AskServer, PlainClient, call, held_roaming, until
from engines import ABROAD
from hutong.calls import attempt, board
from hutong.calls.asking import edge as ask_edge
from hutong.calls.asking import wire as asking
from hutong.calls.record import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.model import Verdict

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AskServer]:
    with AskServer(tmp_path / "data") as it:
        yield it


def verdict(answer: asking.Answer) -> Verdict:
    return decode(answer.seq, memoryview(answer.record)[8:], lambda _digest, _rule: -1)


def test_calls_are_judged_and_on_record_before_they_are_answered(server: AskServer) -> None:
    with PlainClient(server.path) as client:
        answers = client.ask(call("a"), call("b", "4008123456"), ticket=77)
        assert [(it.at, it.status, it.seq) for it in answers] == [(0, asking.JUDGED, 1), (1, asking.JUDGED, 2)]
        assert [(verdict(it).action, verdict(it).code, verdict(it).call_id) for it in answers] == [
            ("pass", 302, "a"),
            ("block", 608, "b"),
        ]
        assert server.keeper.batches == [(1, b"".join(it.record for it in answers))]
        cells = server.bench.engine.cells
        assert cells[[board.ASK_REQUESTS, board.ASK_CALLS, board.ASK_REFUSED, board.ATTEMPTS]].tolist() == [1, 2, 0, 2]


def test_only_this_user_may_open_it(server: AskServer) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert [it.name for it in server.path.parent.iterdir()] == ["screen.sock"]


def test_what_a_killed_process_left_is_replaced_and_the_end_takes_it_away(tmp_path: Path) -> None:
    path = tmp_path / "run" / "screen.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(path))
    with AskServer(tmp_path / "data", path=path), PlainClient(path) as client:
        assert client.ask(call("a"))[0].status == asking.JUDGED
    assert not path.exists()


def test_a_long_path_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / "run" / "screen.sock"
    with AskServer(tmp_path / "data", path=path), PlainClient(path) as client:
        assert client.ask(call("a"))[0].status == asking.JUDGED


def test_several_clients_are_served_side_by_side_and_may_be_idle(server: AskServer) -> None:
    with PlainClient(server.path), PlainClient(server.path) as one, PlainClient(server.path) as other:
        for turn in range(3):
            one.send(call(f"one{turn}"), ticket=turn)
            other.send(call(f"other{turn}"), ticket=turn + 10)
            for client, ticket in ((other, turn + 10), (one, turn)):
                frame = client.frame()
                assert frame is not None
                assert (frame.ticket, frame.rows) == (ticket, 1)


def test_requests_may_come_in_pieces_and_in_heaps(server: AskServer) -> None:
    with PlainClient(server.path) as client:
        data = b"".join(asking.encode_request(n, [call(f"p{n}")]) for n in range(20))
        for byte in range(90):
            client.socket.sendall(data[byte : byte + 1])
        client.socket.sendall(data[90:])
        tickets = []
        for _ in range(20):
            frame = client.frame()
            assert frame is not None
            tickets.append(frame.ticket)
        assert tickets == list(range(20))


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: screen.sock\r\n\r\n",
        b"\0" * 64,
        asking.HEADER.pack(asking.MAGIC, 9, asking.REQUEST, 0, 1, 1),
        asking.HEADER.pack(asking.MAGIC, asking.VERSION, asking.REQUEST, 2**32 - 1, 1, 1),
        asking.encode_frame(asking.REQUEST, 1, 1, b""),
        asking.encode_frame(asking.REQUEST, 0, 1, b""),
        asking.encode_frame(asking.REQUEST, asking.MAX_CALLS + 1, 1, b"\0" * 40 * (asking.MAX_CALLS + 1)),
        asking.encode_frame(asking.REQUEST, 1, 1, asking.encode_request(1, [call("x")])[24:-1]),
        asking.encode_frame(asking.REQUEST, 1, 1, asking.encode_request(1, [call("x")])[24:] + b"y"),
        asking.encode_frame(asking.REPLY, 0, 1, b""),
        asking.encode_frame(77, 0, 1, b""),
    ],
    ids=range(11),
)
def test_junk_ends_its_own_connection_only(server: AskServer, junk: bytes) -> None:
    with PlainClient(server.path) as other, PlainClient(server.path) as client:
        client.socket.sendall(junk)
        frame = client.frame()
        assert frame is not None
        assert frame.kind == asking.REFUSAL
        assert frame.body
        assert client.frame() is None
        assert other.ask(call("after"))[0].status == asking.JUDGED
        assert server.bench.engine.cells[board.ASK_REFUSED] == 1
        assert server.bench.engine.cells[board.ATTEMPTS] == 1


def test_a_client_that_goes_in_the_middle_of_a_request_leaves_nothing(server: AskServer) -> None:
    with PlainClient(server.path) as client:
        client.socket.sendall(asking.encode_request(1, [call("cut")])[:-3])
    with PlainClient(server.path) as client:
        assert client.ask(call("after"))[0].seq == 1


def test_a_client_that_never_reads_is_dropped(server: AskServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_edge, "MAX_UNSENT", 100_000)
    with PlainClient(server.path) as deaf, PlainClient(server.path) as other:
        batch = [call(f"deaf{n}") for n in range(asking.MAX_CALLS)]
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            deaf.socket.sendall(asking.encode_request(1, batch) * 10_000)
        assert other.ask(call("after"))[0].status == asking.JUDGED


def test_more_clients_than_there_is_room_for_are_turned_away(server: AskServer) -> None:
    clients = [PlainClient(server.path) for _ in range(ask_edge.MAX_CLIENTS + 1)]
    try:
        assert [client.ask(call("x"))[0].seq for client in clients[:-1]] == [1] * ask_edge.MAX_CLIENTS
        assert clients[-1].frame() is None
    finally:
        for client in clients:
            client.socket.close()


def test_nothing_is_told_of_a_verdict_that_was_not_kept(server: AskServer) -> None:
    with PlainClient(server.path) as client:
        assert client.ask(call("before"))[0].seq == 1
        server.keeper.full = True
        refused = client.ask(call("a"), call("b", "4008123456"))
        assert refused == [asking.Answer(at, asking.UNAVAILABLE, 0, b"") for at in range(2)]
        assert server.trouble
        server.keeper.full = False
        assert [(it.status, it.seq) for it in client.ask(call("a"), call("before"))] == [
            (asking.JUDGED, 2),
            (asking.REPEATED, 1),
        ]


def test_a_late_call_passes_unjudged(server: AskServer) -> None:
    now_ms = server.clock.wall() // 10**6
    late = call("late", "4008123456")
    with PlainClient(server.path) as client:
        (answer,) = client.ask(asking.Attempt(late.call_id, late.caller, late.callee, now_ms - 51, source=late.source))
        assert (verdict(answer).action, verdict(answer).flags) == ("pass", ("fail-open",))
        (answer,) = client.ask(asking.Attempt(b"in time", late.caller, late.callee, now_ms - 50, source=late.source))
        assert verdict(answer).action == "block"


def test_a_call_that_is_looked_up_waits_and_others_do_not(tmp_path: Path) -> None:
    with (
        held_roaming() as roaming,
        AskServer(tmp_path, roaming=roaming) as server,
        PlainClient(server.path) as client,
        PlainClient(server.path) as gone,
    ):
        roams, other = call("roams", "+8613612340000", source=ABROAD), call("other")
        assert [(it.at, it.status) for it in client.ask(roams, other)] == [(1, asking.JUDGED)]
        until(lambda: roaming.asked)
        assert [number for _, number in roaming.asked] == ["8613612340000"]
        assert client.ask(call("meanwhile"))[0].status == asking.JUDGED
        assert client.ask(roams, ticket=9) == [], "its repetition waits for the same look-up"
        assert gone.ask(roams) == []
        assert len(roaming.asked) == 1
        gone.socket.close()
        roaming.answer(attempt.ROAMING_UNCONFIRMED)
        first, again = client.frame(), client.frame()
        assert first is not None
        assert again is not None
        (one,), (same,) = asking.decode_reply(first), asking.decode_reply(again)
        assert (first.ticket, again.ticket) == (1, 9)
        assert one == same
        assert (one.at, verdict(one).action) == (0, "block")
        assert client.ask(roams)[0][1:3] == (asking.REPEATED, one.seq)
        assert server.bench.engine.cells[[board.ATTEMPTS, board.ROAMING_ASKED]].tolist() == [3, 1]


def test_a_look_up_that_is_refused_is_unknown_at_once(tmp_path: Path) -> None:
    with held_roaming() as roaming, AskServer(tmp_path, roaming=roaming) as server:
        roaming.refuse = True
        with PlainClient(server.path) as client:
            client.send(call("roams", "+8613612340000", source=ABROAD), call("other"))
            found = client.answers() + client.answers()
            assert sorted((it.at, it.status) for it in found) == [(0, asking.JUDGED), (1, asking.JUDGED)]
            assert {verdict(it).action for it in found} == {"warn", "pass"}


def test_a_look_up_whose_verdict_cannot_be_kept_is_unavailable(tmp_path: Path) -> None:
    with held_roaming() as roaming, AskServer(tmp_path, roaming=roaming) as server, PlainClient(server.path) as client:
        roams = call("roams", "+8613612340000", source=ABROAD)
        assert client.ask(roams) == []
        server.keeper.full = True
        until(lambda: roaming.asked)
        roaming.answer(attempt.ROAMING_CONFIRMED)
        assert client.answers()[0].status == asking.UNAVAILABLE
        server.keeper.full = False
        assert client.ask(roams) == []
        until(lambda: roaming.asked)
        roaming.answer(attempt.ROAMING_CONFIRMED)
        assert client.answers()[0].status == asking.JUDGED
