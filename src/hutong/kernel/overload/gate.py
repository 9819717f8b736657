"""The gate before an application: admission before anything is read, parsed, authenticated or looked up. ASGI.

Belongs here: requests to and from `admission`, what the refused are sent, figures. Not here: any decision.

A refusal costs a look at the path and the headers, a decision in memory and a small answer. The level goes out on each
answer (`Hutong-Level`) and onto the board. An edge in front says in `Hutong-Edge-Refused` how many requests it has
refused since it last did: `CRITICAL,SCAN,ISSUE,HISTORY`.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel.metrics import OVERLOAD_BOARD_FAILURES
from hutong.kernel.overload.admission import TICK_NS, State
from hutong.kernel.overload.answers import filled, problem
from hutong.kernel.overload.board import Board, write_board
from hutong.kernel.overload.classes import CLASSES, LEVELS, Kind
from hutong.kernel.overload.figures import publish
from hutong.kernel.overload.tickets import ID_BYTES, holder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from hutong.kernel.clock import Clock
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.overload.admission import Admission, Place
    from hutong.kernel.overload.desk import Desk, Told

LEVEL_HEADER: Final = "hutong-level"
TICKET_HEADER: Final = "hutong-ticket"
HOLDER_HEADER: Final = "hutong-holder"
EDGE_HEADER: Final = "hutong-edge-refused"
HOLDER_COOKIE: Final = "hutong_holder"
TICKET_COOKIES: Final = tuple(f"hutong_ticket_{one.name}" for one in CLASSES)

_NS: Final = 1_000_000_000
_NS_IN_MS: Final = 1_000_000
_BOARD_NS: Final = 100_000_000
#: So often an idle process says that it is there: its edge tells it from a dead one by that.
_BEAT_S: Final = 1.0
_LONGEST_HOLDER: Final = 64
_MOST_TOLD: Final = 1_000_000
_LEVELS: Final = [name.encode() for name in LEVELS]


class _Asked(NamedTuple):
    """What the headers say that matters here."""

    ticket: str
    holder: str
    edge: str
    html: bool


class Gate:
    """Lets requests through to an application.

    Args:
        application: what is behind it. admission, desk: the decisions. classify: the class of a path, None for what is
            never refused. clock: the time. metrics: where figures go.
        board: file for the edge; None for no edge. With an edge its header is believed, from this machine only.
        name: of the process, in figures. https: whether cookies are for HTTPS only. draw: random numbers from [0, 1).
    """

    def __init__(  # noqa: PLR0913  # everything that it is wired to
        self,
        application: ASGIApp,
        admission: Admission,
        desk: Desk,
        classify: Callable[[str], Kind | None],
        clock: Clock,
        metrics: Metrics,
        *,
        board: Path | None,
        name: str,
        https: bool,
        draw: Callable[[], float],
    ) -> None:
        self._application, self._admission, self._desk = application, admission, desk
        self._classify, self._clock, self._metrics, self._board = classify, clock, metrics, board
        self._name = name
        self._secure, self._draw = "; Secure" if https else "", draw
        self._timer: asyncio.TimerHandle | None = None
        self._beating = False
        self._expected_ns = self._noted_ns = 0
        self._edge_refused = [0] * len(CLASSES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; or what is none, which passes."""
        if not self._beating:  # with the server's own beginning
            self._beating = True
            self._beat()
        kind = self._classify(scope["path"]) if str(scope["type"]) == "http" else None
        if kind is None:
            await self._application(scope, receive, send)
            return
        asked = _read(scope["headers"], TICKET_COOKIES[kind])
        if asked.edge and self._board is not None and _from_here(scope):
            self._hear(asked.edge)
        now_ms = self._clock.wall() // _NS_IN_MS
        shown = self._desk.show(asked.ticket, asked.holder, kind, now_ms)
        place, gave_way = self._admission.arrive(kind, self._clock.monotonic(), due=shown.due)
        self._wake(gave_way)
        self._watch()
        if place.state is not State.REFUSED:
            self._desk.take(shown, now_ms)
        if place.state is State.WAITING:
            await self._wait(place)
        if place.state is State.REFUSED:
            holder = asked.holder or secrets.token_hex(16)
            told = self._desk.refuse(
                shown,
                kind,
                self._admission.pace(kind),
                holder_of(holder),
                now_ms,
                self._draw(),
                secrets.token_hex(ID_BYTES),
            )
            await self._refuse(send, kind, told, "" if asked.holder else holder, place.why or "", html=asked.html)
            return
        try:
            # Requests that came in the same turn of the event loop are asked in first. Else work that never waits would
            # end one by one before the next is seen, nobody would ever find a place taken, and the queue would be the
            # loop's own, without classes or end.
            await asyncio.sleep(0)
            await self._application(scope, receive, self._with_level(send))
        finally:
            self._wake(self._admission.finish(place, self._clock.monotonic()))

    async def _wait(self, place: Place) -> None:
        """Until it has a place, or is refused; whoever goes meanwhile leaves no trace."""
        turn = place.context = asyncio.get_running_loop().create_future()
        try:
            await turn
        except asyncio.CancelledError:
            if place.state is State.AT_WORK:
                self._wake(self._admission.finish(place, self._clock.monotonic()))
            self._admission.withdraw(place)
            raise

    @staticmethod
    def _wake(places: Iterable[Place]) -> None:
        for place in places:
            if isinstance(place.context, asyncio.Future) and not place.context.done():
                place.context.set_result(None)

    def _hear(self, told: str) -> None:
        counts = told.split(",")
        if len(counts) != len(CLASSES) or not all(it.isdecimal() for it in counts):
            return
        for kind, count in zip(Kind, counts, strict=True):
            refused = min(int(count[:9]), _MOST_TOLD)
            self._edge_refused[kind] += refused
            if refused:
                self._admission.told(kind, refused)

    def _with_level(self, send: Send) -> Send:
        async def send_with_level(message: Message) -> None:
            if message["type"] == "http.response.start":
                level = (LEVEL_HEADER.encode(), _LEVELS[self._admission.level])
                message["headers"] = [*message["headers"], level]
            await send(message)

        return send_with_level

    async def _refuse(  # all that is on the answer
        self, send: Send, kind: Kind, told: Told, new_holder: str, why: str, *, html: bool
    ) -> None:
        seconds = told.retry_after_s
        if html:
            body, content = filled("busy", place=bool(told.ticket), seconds=seconds), "text/html; charset=utf-8"
        else:
            body, content = problem(told.status, why, seconds), "application/problem+json"
        headers = {
            "content-type": content,
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "retry-after": str(seconds),
            LEVEL_HEADER: LEVELS[self._admission.level],
        }
        if html:
            # Browsers take no notice of Retry-After; this one has the page come back by itself, when it is due.
            headers["refresh"] = str(seconds)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        if told.ticket:
            raw.append((TICKET_HEADER.encode(), told.ticket.encode()))
            raw.append(self._cookie(TICKET_COOKIES[kind], told.ticket, seconds + self._desk.window_s))
            if new_holder:
                raw.append((HOLDER_HEADER.encode(), new_holder.encode()))
                raw.append(self._cookie(HOLDER_COOKIE, new_holder, 86_400))
        await send({"type": "http.response.start", "status": told.status, "headers": raw})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _cookie(self, name: str, value: str, seconds: int) -> tuple[bytes, bytes]:
        text = f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{self._secure}"
        return b"set-cookie", text.encode()

    # --- time ---

    def _watch(self) -> None:
        """Begin to tick where nothing ticks."""
        if self._timer is None:
            self._tick_later()

    def _tick_later(self) -> None:
        self._expected_ns = self._clock.monotonic() + TICK_NS
        self._timer = asyncio.get_running_loop().call_later(TICK_NS / _NS, self._tick)

    def _tick(self) -> None:
        now_ns = self._clock.monotonic()
        self._timer = None
        self._wake(self._admission.tick(now_ns, max(now_ns - self._expected_ns, 0)))
        idle = self._admission.idle()
        if idle or now_ns - self._noted_ns >= _BOARD_NS:
            self._noted_ns = now_ns
            self._note()
        if not idle:
            self._tick_later()

    def _beat(self) -> None:
        """While requests come the board is written by their ticks."""
        if self._timer is None:
            self._note()
        asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _note(self) -> None:
        publish(self._metrics, self._admission, self._edge_refused, self._name)
        if self._board is not None:
            now_ms = self._clock.wall() // _NS_IN_MS
            told = [self._desk.outstanding(kind, self._admission.pace(kind), now_ms) for kind in Kind]
            try:
                write_board(self._board, Board.of(self._admission, self._edge_refused, told, now_ms))
            except OSError:
                # The edge goes on with what it read last, and we with admission: a full disk must not end either.
                self._metrics.add(OVERLOAD_BOARD_FAILURES)


def _from_here(scope: Scope) -> bool:
    """Whether it came from this machine, as the edge does, which reads the board: anybody may write the header."""
    client, server = scope.get("client"), scope.get("server")
    return client is None or server is None or client[0] == server[0]


def _read(headers: Iterable[tuple[bytes, bytes]], ticket_cookie: str) -> _Asked:
    """Headers come before cookies: programs send those, browsers these."""
    ticket = holder = edge = accept = cookies = ""
    for name, value in headers:
        match name:
            case b"hutong-ticket":
                ticket = value.decode("latin-1")
            case b"hutong-holder":
                holder = value.decode("latin-1")
            case b"hutong-edge-refused":
                edge = value.decode("latin-1")
            case b"accept":
                accept = value.decode("latin-1")
            case b"cookie":
                cookies = f"{cookies};{value.decode('latin-1')}"
    for pair in cookies.split(";"):
        name_text, _, value_text = pair.strip().partition("=")
        if name_text == ticket_cookie:
            ticket = ticket or value_text
        elif name_text == HOLDER_COOKIE:
            holder = holder or value_text
    return _Asked(ticket, holder if len(holder) <= _LONGEST_HOLDER else "", edge, "text/html" in accept)
