"""Asking from asyncio: what comes together goes out together, and when nobody answers the asker learns it at once."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from ask_servers import AskServer, call, held_roaming, until
from engines import ABROAD
from hutong.calls import attempt, board
from hutong.calls.asking import client as ask_client
from hutong.calls.asking import wire as asking
from hutong.calls.asking.client import AskClient, Unavailable
from hutong.calls.asking.edge import short_path
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

PATIENCE = 20.0


class Loop:
    """Makes the event loop of a test."""

    make = staticmethod(asyncio.new_event_loop)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"], autouse=True)
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs on both kinds of event loop; `serve` uses uvloop."""
    monkeypatch.setattr(Loop, "make", staticmethod(request.param))


def asking_of(path: Path, work: Callable[[AskClient], Awaitable[Any]], *, patience_s: float = PATIENCE) -> Any:  # noqa: ANN401
    """Run `work` with a client of this socket."""

    async def run() -> Any:  # noqa: ANN401  # whatever the work gives
        client = AskClient(path, patience_s=patience_s)
        try:
            return await work(client)
        finally:
            await client.close()

    with asyncio.Runner(loop_factory=Loop.make) as runner:
        return runner.run(run())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AskServer]:
    with AskServer(tmp_path / "data") as it:
        yield it


def test_what_is_asked_at_once_goes_out_in_one_request(server: AskServer) -> None:
    async def work(client: AskClient) -> list[list[ask_client.Judged]]:
        await client.ask([call("first")])
        return await asyncio.gather(*(client.ask([call(f"c{n}")]) for n in range(200)))

    found = asking_of(server.path, work)
    assert [answers[0].seq for answers in found] == list(range(2, 202))
    assert server.bench.engine.cells[[board.ASK_REQUESTS, board.ASK_CALLS]].tolist() == [2, 201]


def test_while_requests_are_under_way_the_next_calls_gather(server: AskServer) -> None:
    async def work(client: AskClient) -> None:
        async def asker(name: int) -> None:
            for turn in range(20):
                (answer,) = await client.ask([call(f"{name}-{turn}")])
                assert answer.status == asking.JUDGED

        await asyncio.gather(*(asker(name) for name in range(100)))

    asking_of(server.path, work)
    requests, calls = server.bench.engine.cells[[board.ASK_REQUESTS, board.ASK_CALLS]].tolist()
    assert calls == 2000
    assert requests < 500


def test_many_calls_are_answered_in_their_order(server: AskServer) -> None:
    async def work(client: AskClient) -> list[ask_client.Judged]:
        assert await client.ask([]) == []
        return await client.ask([call(f"c{n}") for n in range(1000)])

    found = asking_of(server.path, work)
    assert [answer.seq for answer in found] == list(range(1, 1001))
    assert all(f"c{n}1380013".encode() in answer.record for n, answer in enumerate(found))


def test_a_call_that_waits_holds_nobody_else_up(tmp_path: Path) -> None:
    with held_roaming() as roaming, AskServer(tmp_path, roaming=roaming) as server:

        async def work(client: AskClient) -> tuple[list[ask_client.Judged], ...]:
            slow = [
                asyncio.create_task(client.ask([call(f"r{n}", "+8613612340000", source=ABROAD), call(f"o{n}")]))
                for n in range(2 * ask_client.FRAMES)
            ]
            for n in range(20):
                (answer,) = await client.ask([call(f"c{n}")])
                assert answer.status == asking.JUDGED
            assert not any(task.done() for task in slow)
            await asyncio.to_thread(until, lambda: len(roaming.asked) == len(slow))
            roaming.answer(attempt.ROAMING_CONFIRMED)
            return tuple(await asyncio.gather(*slow))

        found = asking_of(server.path, work)
        assert all(answer.status == asking.JUDGED for answers in found for answer in answers)


def test_when_nobody_is_there_it_says_so_and_what_to_do(tmp_path: Path) -> None:
    async def work(client: AskClient) -> None:
        with pytest.raises(Unavailable, match="cannot be asked") as told:
            await client.ask([call("x")])
        assert "pass" in told.value.fix

    (tmp_path / "run").mkdir()
    asking_of(tmp_path / "run" / "screen.sock", work)
    asking_of(tmp_path / "never" / "screen.sock", work)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead, short_path(tmp_path / "run" / "s") as name:
        dead.bind(name)
    asking_of(tmp_path / "run" / "s", work)


def test_it_finds_the_next_process_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "screen.sock"

    async def work(client: AskClient) -> None:
        for turn in range(3):
            with AskServer(tmp_path / f"data{turn}", path=path):
                assert (await client.ask([call("x")]))[0].status == asking.JUDGED
            await asyncio.to_thread(until, lambda: not client.connected)
            with pytest.raises(Unavailable):
                await client.ask([call("y")])

    asking_of(path, work)


def _odd_server(path: Path, work: Callable[[socket.socket], None]) -> Callable[[AskClient], Awaitable[str]]:
    """Asks somebody who does `work` with the connection instead of answering; gives what the client was told."""

    async def asks(client: AskClient) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            with short_path(path) as name:
                listener.bind(name)
            listener.listen()
            asked = asyncio.create_task(client.ask([call("x"), call("y")]))
            accepted, _ = await asyncio.to_thread(listener.accept)
            with accepted:
                await asyncio.to_thread(accepted.recv, 10)
                work(accepted)
                with pytest.raises(Unavailable) as told:
                    await asked
            return str(told.value)

    return asks


def test_a_process_that_hangs_is_given_up(tmp_path: Path) -> None:
    hung = _odd_server(tmp_path / "s", lambda _: None)
    assert "has not answered" in asking_of(tmp_path / "s", hung, patience_s=0.05)


@pytest.mark.parametrize(
    "said",
    [
        b"SIP/2.0 200 OK\r\n\r\n----------",
        asking.encode_reply(99, []),
        asking.encode_reply(1, [asking.Answer(5, asking.JUDGED, 1, b"")]),
        asking.encode_reply(1, [asking.Answer(0, asking.JUDGED, 1, b"r")] * 2),
        asking.encode_frame(asking.REPLY, 3, 1, b""),
        asking.encode_frame(asking.REFUSAL, 0, 0, "另一个版本".encode()),
    ],
    ids=["no frame", "another ticket", "no such call", "twice", "cut", "refusal"],
)
def test_a_process_that_talks_nonsense_is_given_up(tmp_path: Path, said: bytes) -> None:
    assert "cannot be asked" in asking_of(tmp_path / "s", _odd_server(tmp_path / "s", lambda it: it.sendall(said)))


def test_one_call_that_does_not_fit_spoils_no_other(server: AskServer) -> None:
    async def work(client: AskClient) -> None:
        good = asyncio.create_task(client.ask([call("good")]))
        with pytest.raises(CodecError):
            await client.ask([call("x" * (asking.MAX_FIELD + 1))])
        assert (await good)[0].status == asking.JUDGED

    asking_of(server.path, work)


def test_too_many_calls_under_way_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_client, "MAX_WAITING", 3)
    with held_roaming() as roaming, AskServer(tmp_path, roaming=roaming) as server:

        async def work(client: AskClient) -> None:
            slow = asyncio.create_task(client.ask([call(f"r{n}", "+8613612340000", source=ABROAD) for n in range(3)]))
            await asyncio.to_thread(until, lambda: len(roaming.asked) == 3)
            with pytest.raises(Unavailable, match="under way already"):
                await client.ask([call("x")])
            roaming.answer(attempt.ROAMING_CONFIRMED)
            await slow
            assert (await client.ask([call("x")]))[0].status == asking.JUDGED

        asking_of(server.path, work)


def test_calls_that_wait_for_the_connection_count_as_under_way(
    server: AskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask_client, "MAX_WAITING", 3)

    async def work(client: AskClient) -> None:
        asked = (client.ask([call(f"c{n}")]) for n in range(5))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(it) for it in found] == [list, list, list, Unavailable, Unavailable]
        assert (await client.ask([call("x")]))[0].status == asking.JUDGED

    asking_of(server.path, work)


def test_an_asker_who_gives_up_harms_nobody(tmp_path: Path) -> None:
    with held_roaming() as roaming, AskServer(tmp_path, roaming=roaming) as server:

        async def work(client: AskClient) -> None:
            slow = asyncio.create_task(client.ask([call("r", "+8613612340000", source=ABROAD)]))
            await asyncio.to_thread(until, lambda: roaming.asked)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            roaming.answer(attempt.ROAMING_CONFIRMED)
            assert (await client.ask([call("x")]))[0].status == asking.JUDGED

        asking_of(server.path, work)
