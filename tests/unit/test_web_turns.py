"""Turns at the threads that all people share: one person's many requests keep nobody else waiting."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from litestar import Request, get
from litestar.response import Stream

from access_site import HOST, AccessSite
from hutong.kernel.metrics import REQUESTS_PUT_OFF, Metrics
from hutong.kernel.web.guard import OPEN, requires
from hutong.kernel.web.turns import AT_ONCE, LINE, TooManyAtOnceError, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 20


class Slow:
    """Pages that take until they are let go, and an export that does."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.at_work: list[str] = []
        self.most = 0

        @get("/slow", sync_to_thread=True, opt=requires("live.read"))
        def slow(request: Request[Any, Any, Any]) -> str:
            self._work(request.user.name)
            return "done"

        @get("/export", sync_to_thread=True, opt=requires("live.read"))
        def export(request: Request[Any, Any, Any]) -> Stream:
            return Stream(self._parts(request.user.name), media_type="text/csv")

        @get("/quick", sync_to_thread=True, opt=requires("live.read"))
        def quick() -> str:
            return "quick"

        @get("/open", sync_to_thread=True, opt=OPEN)
        def open_() -> str:
            return "open"

        self.routes = [slow, export, quick, open_]

    def _work(self, name: str) -> None:
        self.at_work.append(name)
        self.most = max(self.most, len(self.at_work))
        self.begun.release()
        assert self.go.wait(PATIENCE)
        self.at_work.remove(name)

    def _parts(self, name: str) -> Iterator[bytes]:
        yield b"head\n"
        self._work(name)
        yield b"row\n"


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def site(data_folder: Path, slow: Slow) -> Iterator[AccessSite]:
    site = AccessSite(data_folder, more=slow.routes)
    for name in ("ann", "bob"):
        site.person(name, "operator")
    yield site
    site.database.close()


def client(site: AccessSite, name: str) -> httpx.AsyncClient:
    way = httpx.ASGITransport(site.application)  # type: ignore[arg-type]
    cookies = {site.guard.cookie_name: site.cookie(name)}
    return httpx.AsyncClient(transport=way, base_url=f"http://{HOST}", cookies=cookies, timeout=PATIENCE)


@pytest.mark.parametrize("path", ["/slow", "/export"])
def test_many_heavy_requests_of_one_person_keep_nobody_else_waiting(site: AccessSite, slow: Slow, path: str) -> None:
    async def attack() -> None:
        async with client(site, "ann") as ann, client(site, "bob") as bob:
            heavy = [asyncio.create_task(ann.get(path)) for _ in range(10)]
            for _ in range(AT_ONCE):
                assert await asyncio.to_thread(slow.begun.acquire, timeout=PATIENCE)
            async with asyncio.timeout(PATIENCE):
                assert (await bob.get("/quick")).text == "quick"
                assert (await ann.get("/open")).text == "open", "what is open to all takes nobody's turn"
            assert slow.at_work == ["ann"] * AT_ONCE
            slow.go.set()
            assert {it.status_code for it in await asyncio.gather(*heavy)} == {200}
        assert slow.most == AT_ONCE

    asyncio.run(attack())


def test_who_asks_without_end_is_told_so_and_counted(site: AccessSite, slow: Slow) -> None:
    async def attack() -> list[httpx.Response]:
        async with client(site, "ann") as ann:
            asked = [asyncio.create_task(ann.get("/slow")) for _ in range(AT_ONCE + LINE + 5)]
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
            assert waiting
            refused = [*done]
            while len(refused) < 5:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
                refused += done
            slow.go.set()
            assert {it.status_code for it in await asyncio.gather(*waiting)} == {200}
            return [it.result() for it in refused]

    refused = asyncio.run(attack())
    assert [(it.status_code, it.headers["retry-after"]) for it in refused] == [(429, "5")] * 5


def test_a_turn_that_does_not_come_is_given_up() -> None:
    metrics = Metrics()

    async def wait() -> None:
        turns = Turns(metrics, at_once=1, patience_s=0.0)
        async with turns.turn("ann"):
            with pytest.raises(TooManyAtOnceError):
                async with turns.turn("ann"):
                    raise AssertionError
            async with turns.turn("bob"):
                pass
        async with turns.turn("ann"):
            pass

    asyncio.run(wait())
    assert metrics.value(REQUESTS_PUT_OFF) == 1


def test_nobody_is_remembered_who_asks_for_nothing() -> None:
    turns = Turns(Metrics(), at_once=1, line=1)

    async def come_and_go() -> None:
        for number in range(100):
            with pytest.raises(ZeroDivisionError):
                async with turns.turn(str(number)):
                    raise ZeroDivisionError

    asyncio.run(come_and_go())
    assert turns.people == 0
