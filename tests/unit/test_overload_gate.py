"""The gate before an application: what reaches it, what the others are told, what the edge and the console see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hutong.kernel.clock import ManualClock
from hutong.kernel.metrics import (
    OVERLOAD_AT_WORK,
    OVERLOAD_EDGE_REFUSED,
    OVERLOAD_LEVEL,
    OVERLOAD_REFUSED,
    OVERLOAD_SERVED,
    Metrics,
)
from hutong.kernel.overload.admission import Admission
from hutong.kernel.overload.board import read_board
from hutong.kernel.overload.classes import CLASSES, Kind, Level
from hutong.kernel.overload.desk import Desk
from hutong.kernel.overload.gate import Gate
from hutong.kernel.overload.places import Places, Spent
from hutong.kernel.overload.routes import Route, Routes
from hutong.kernel.overload.tickets import Key, Keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MS = 1_000_000
KEYS = Keys(Key("00000001", 0, b"k" * 32))
ROUTES = (
    Route("/v1/sampling", Kind.CRITICAL),
    Route("/scan", Kind.SCAN),
    Route("/codes/issue", Kind.ISSUE),
    Route("/health", None),
)


class Answer(msgspec.Struct):
    status: int = 0
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    body: bytes = b""


class House:
    """An application whose requests stay until told, behind a gate with two places."""

    def __init__(self, board: Path | None = None, best: Kind = Kind.CRITICAL) -> None:
        self.clock = ManualClock(wall=1_000_000 * MS)
        self.clock.advance(1000 * MS)
        self.metrics = Metrics()
        self.admission = Admission(20 * MS, most=2)
        desk = Desk(lambda: KEYS, Places(9000, 60_000), Spent())
        kind = Routes(ROUTES, best).kind
        self.gate = Gate(
            self._application, self.admission, desk, kind, self.clock, self.metrics,
            board=board, name="public-1", https=True, draw=lambda: 0.5,
        )  # fmt: skip
        self.reached: list[str] = []
        self.never_waits = False
        self._open: dict[str, asyncio.Event] = {}

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG002
        self.reached.append(scope["path"])
        if not self.never_waits:
            self._open[scope["path"]] = asyncio.Event()
            await self._open[scope["path"]].wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def release(self, path: str) -> None:
        self._open[path].set()

    async def ask(self, path: str, **headers: str) -> Answer:
        answer = Answer(headers={}, cookies={})

        async def send(message: Any) -> None:  # noqa: ANN401
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                for name, value in message["headers"]:
                    if name == b"set-cookie":
                        cookie, _, rest = value.decode().partition("=")
                        answer.cookies[cookie] = rest
                    else:
                        answer.headers[name.decode()] = value.decode()
            else:
                answer.body += message["body"]

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await self.gate({"type": "http", "path": path, "headers": raw}, None, send)  # type: ignore[arg-type, typeddict-item]
        return answer

    def begin(self, *paths: str, **headers: str) -> list[asyncio.Task[Answer]]:
        return [asyncio.create_task(self.ask(path, **headers)) for path in paths]


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _run(story: Callable[[], Any]) -> None:
    asyncio.run(story())


def test_the_refused_are_told_in_both_languages_and_do_not_reach_the_application() -> None:
    house = House()

    async def story() -> None:
        # Two places; scans may fill one of them, history waits in a queue of eight.
        held = house.begin("/scan/1", *(f"/history/{at}" for at in range(8)))
        await _settled()
        answer = await house.ask("/history/9", accept="text/html,*/*")
        assert answer.status == 503
        assert answer.headers["retry-after"] == answer.headers["refresh"] == "3"
        assert answer.headers["hutong-level"] == "normal"
        assert answer.headers["cache-control"] == "no-store"
        for said in ("请稍后再来", "约 3 秒后", "Try again in about 3 seconds"):
            assert said in answer.body.decode()
        ticket, holder = answer.headers["hutong-ticket"], answer.headers["hutong-holder"]
        assert answer.cookies["hutong_ticket_history"].startswith(f"{ticket}; Path=/; Max-Age=12; HttpOnly")
        assert answer.cookies["hutong_holder"].startswith(f"{holder}; ")
        assert all(it.endswith("; Secure") for it in answer.cookies.values())

        early = await house.ask("/history/9", hutong_ticket=ticket, hutong_holder=holder)
        assert (early.status, early.headers["hutong-ticket"]) == (429, ticket)
        assert msgspec.json.decode(early.body) == {
            "type": "/problems/overload", "title": "Too Many Requests", "status": 429, "why": "full",
            "retry_after": int(early.headers["retry-after"]),
        }  # fmt: skip
        assert house.reached == ["/scan/1"]
        for task in held:
            task.cancel()

    _run(story)


def test_who_waits_is_served_as_soon_as_a_place_is_free_best_class_first() -> None:
    house = House()

    async def story() -> None:
        at_work = house.begin("/scan/1", "/v1/sampling/1")
        await _settled()
        house.begin("/scan/2", "/codes/issue/1", "/v1/sampling/2")
        await _settled()
        assert house.reached == ["/scan/1", "/v1/sampling/1"]
        house.release("/v1/sampling/1")
        await _settled()
        assert house.reached[2:] == ["/v1/sampling/2"]
        house.release("/scan/1")
        house.release("/v1/sampling/2")
        await _settled()
        assert house.reached[3:] == ["/scan/2"]
        assert [(await it).status for it in at_work] == [200, 200]
        assert (await at_work[0]).headers["hutong-level"] == "normal"

    _run(story)


def test_a_ticket_that_is_due_goes_before_those_without() -> None:
    house = House()

    async def story() -> None:
        house.begin("/scan/0", *(f"/codes/issue/{at}" for at in range(CLASSES[Kind.ISSUE].queue)))
        await _settled()
        told = await house.ask("/codes/issue/mine")
        house.clock.advance(int(told.headers["retry-after"]) * 1000 * MS)
        cookies = f"hutong_ticket_issue={told.headers['hutong-ticket']}; hutong_holder={told.headers['hutong-holder']}"
        others = house.begin(*(f"/codes/issue/other-{at}" for at in range(CLASSES[Kind.ISSUE].queue)))
        mine = house.begin("/codes/issue/mine", cookie=cookies)
        await _settled()
        house.release("/scan/0")
        await _settled()
        assert house.reached[-1] == "/codes/issue/mine"
        house.release("/codes/issue/mine")
        assert (await mine[0]).status == 200
        assert len(others) == CLASSES[Kind.ISSUE].queue

    _run(story)


def test_who_gives_up_while_waiting_or_at_work_leaves_no_trace() -> None:
    house = House()

    async def story() -> None:
        at_work, waiting = house.begin("/scan/1", "/scan/2")
        await _settled()
        assert house.admission.waiting(Kind.SCAN) == 1
        waiting.cancel()
        await _settled()
        assert house.admission.waiting(Kind.SCAN) == 0
        at_work.cancel()
        await _settled()
        assert house.admission.at_work == 0

    _run(story)


def test_work_that_never_waits_is_seen_to_take_places_too() -> None:
    """Of 60 scans that come at the same moment one is at work and 32 wait; the rest is refused."""
    house = House()
    house.never_waits = True

    async def story() -> None:
        answers = await asyncio.gather(*house.begin(*(f"/scan/{at}" for at in range(60))))
        statuses = [it.status for it in answers]
        assert statuses == [200] * 33 + [503] * 27

    _run(story)


def test_what_is_never_refused_passes_and_nothing_is_critical_outside_stations() -> None:
    house = House(best=Kind.SCAN)

    async def story() -> None:
        held = house.begin("//v1//sampling/1", "/v1/sampling/2", "/health", "/healthy")
        await _settled()
        assert house.reached == ["/health", "//v1//sampling/1"]
        assert (house.admission.waiting(Kind.SCAN), house.admission.waiting(Kind.HISTORY)) == (1, 1)
        for task in held:
            task.cancel()

    _run(story)


def test_the_edge_sees_the_board_and_the_console_what_the_edge_refused(tmp_path: Path) -> None:
    file = tmp_path / "public.board"
    house = House(file)

    async def story() -> None:
        for _ in range(3):
            held = house.begin("/scan/1", hutong_edge_refused="0,7,0,2")
            await _settled()
            house.clock.advance(100 * MS)
            house.gate._tick()  # noqa: SLF001  # the timer's work, without its time
            if house.metrics.value(OVERLOAD_SERVED, process="public-1", **{"class": "scan"}) < 2:
                house.release("/scan/1")
                await held[0]
        board = read_board(file.read_text())
        assert (board.level, board.limit, board.at_work) == (Level.CROWDED, 2, 1)
        assert board.rooms == [2, 1, 1, 1]
        assert board.queues == [one.queue for one in CLASSES]
        assert board.made_ms == house.clock.wall() // MS
        assert (board.waiting[Kind.SCAN], board.edge_refused[Kind.SCAN], sum(board.refused)) == (0, 21, 0)
        assert file.stat().st_mode & 0o777 == 0o644
        assert house.metrics.value(OVERLOAD_LEVEL, process="public-1") == Level.CROWDED
        assert house.metrics.value(OVERLOAD_AT_WORK, process="public-1") == 1
        assert house.metrics.value(OVERLOAD_EDGE_REFUSED, process="public-1", **{"class": "scan"}) == 21
        assert house.metrics.value(OVERLOAD_REFUSED, process="public-1", **{"class": "scan", "why": "full"}) == 0

    _run(story)


def test_without_an_edge_nobody_is_believed_to_be_one() -> None:
    house = House()

    async def story() -> None:
        held = house.begin("/scan/1", hutong_edge_refused="9,9,9,9")
        await _settled()
        house.clock.advance(200 * MS)
        house.gate._tick()  # noqa: SLF001
        assert house.metrics.value(OVERLOAD_EDGE_REFUSED, process="public-1", **{"class": "critical"}) == 0
        held[0].cancel()

    _run(story)


NUMBERS = "8 0 8 7 7 4 64 32 16 8 0 0 0 0" + 16 * " 0"


@pytest.mark.parametrize("line", ["", f"1 0 0 {NUMBERS}", "2 0 0 8 0 8 7 7", f"2 0 9 {NUMBERS}"])
def test_a_line_that_is_no_board_is_not_read_as_one(line: str) -> None:
    with pytest.raises(ValueError, match=r"board|values|Level|unpack"):
        read_board(line)
