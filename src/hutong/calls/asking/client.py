"""Asking the screening process from asyncio: one connection, many requests under way, a frame for what comes together.

Nothing is delayed to fill a frame: what is asked in one turn of the event loop goes out together, and while FRAMES
requests are unanswered the next calls gather in one. When screening is away, so says the answer, at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

from hutong.calls.asking import wire as asking
from hutong.calls.asking.edge import short_path
from hutong.kernel.errors import CodecError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Requests that may be unanswered at once: one is judged while the next is read.
FRAMES = 4
#: Calls that may be queued or under way; what is beyond that is refused at once.
MAX_WAITING = 20_000
_PASS = "Let the call pass, and ask again for the next one."  # noqa: S105  # what to do, no secret


class Unavailable(StateError):  # noqa: N818  # a state of things, not somebody's error
    """The screening process cannot be asked now. Whoever asked lets the call pass (fail open)."""


class Judged(NamedTuple):
    """What became of one call: see `asking.Answer`."""

    status: int
    seq: int
    record: bytes


class _Question:
    """Some calls that were asked about together."""

    def __init__(self, count: int, future: asyncio.Future[list[Judged]]) -> None:
        self.answers: list[Judged] = [Judged(asking.UNAVAILABLE, 0, b"")] * count
        self.missing = count
        self.future = future

    def put(self, at: int, answer: Judged) -> None:
        self.answers[at] = answer
        self.missing -= 1
        if self.missing == 0 and not self.future.done():
            self.future.set_result(self.answers)

    def fail(self, error: Unavailable) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Item(NamedTuple):
    """A call of a question."""

    question: _Question
    at: int
    call: tuple[bytes, bytes]


class _Sent:
    """A frame under way: its calls by index (None = answered), and whether a first reply has come."""

    def __init__(self, items: list[_Item], sent: float) -> None:
        self.items: list[_Item | None] = [*items]
        self.missing = len(items)
        self.replied = False
        self.sent = sent


class _Wire(asyncio.Protocol):
    """The connection: bytes in, frames out."""

    def __init__(self, client: AskClient) -> None:
        self._client = client
        self._reader = asking.FrameReader()
        self.transport: asyncio.Transport | None = None
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream socket has no other kind; uvloop's do not inherit from it.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._client.take(frame)
        except CodecError as error:
            self._client.lose(str(error))

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._client.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(self, str(exc or "it closed the connection"))


class AskClient:
    """Asks the screening process behind one socket. Used by one event loop.

    Args:
        path: the socket.
        patience_s: a request that has no answer after so long means that the process hangs: the connection is dropped.
    """

    def __init__(self, path: Path, *, patience_s: float) -> None:
        self._path, self._patience = path, patience_s
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._queue: deque[_Item] = deque()
        self._sent: dict[int, _Sent] = {}
        self._ticket = 0
        self._unreplied = 0
        self._calls = 0
        self._due = False
        self._watch: asyncio.TimerHandle | None = None
        self._why = "nobody has asked it yet"

    async def ask(self, attempts: Sequence[asking.Attempt]) -> list[Judged]:
        """What became of these calls, in their order; returns when all are answered.

        Raises:
            Unavailable: the process cannot be reached, hangs, or too many calls are under way.
            CodecError: a call does not fit the wire (`asking.encode_call`); nothing was asked.
        """
        loop = asyncio.get_running_loop()
        if self._calls + len(attempts) > MAX_WAITING:
            raise Unavailable(f"{self._calls} calls are under way already.", where=str(self._path), fix=_PASS)
        if not attempts:
            return []
        calls = [asking.encode_call(attempt) for attempt in attempts]
        # Counted from here on: while a connection is made, calls pile up as well.
        self._calls += len(calls)
        try:
            if self._wire is None:
                await self._connect()
            question = _Question(len(calls), loop.create_future())
            self._queue.extend(_Item(question, at, call) for at, call in enumerate(calls))
            if not self._due:
                self._due = True
                loop.call_soon(self.flush)
            return await question.future
        finally:
            self._calls -= len(calls)

    async def close(self) -> None:
        """End the connection; calls under way are told that nobody answers."""
        if self._connecting is not None:
            self._connecting.cancel()
        self.lose("it was told to stop asking")

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._wire is not None

    async def _connect(self) -> None:
        """Join whoever is connecting, or begin."""
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._open())
            self._connecting.add_done_callback(self._opened)
        # One asker who gives up must not take the connection from the others.
        await asyncio.shield(self._connecting)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            with short_path(self._path) as name:
                _, wire = await asyncio.wait_for(loop.create_unix_connection(lambda: _Wire(self), name), self._patience)
        except (OSError, TimeoutError) as error:
            raise self._unavailable(getattr(error, "strerror", None) or "it does not answer") from error
        self._wire = wire

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # whoever waited has it; without a waiter there is nobody to tell

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"the screening process cannot be asked: {why}.", where=str(self._path), fix=_PASS)

    def flush(self) -> None:
        """Send what is queued, as far as the number of requests under way allows."""
        self._due = False
        wire = self._wire
        if wire is None or wire.transport is None:
            while self._queue:
                self._queue.popleft().question.fail(self._unavailable(self._why))
            return
        while self._queue and self._unreplied < FRAMES and not wire.full:
            items = [self._queue.popleft() for _ in range(min(len(self._queue), asking.MAX_CALLS))]
            self._ticket += 1
            self._sent[self._ticket] = _Sent(items, asyncio.get_running_loop().time())
            self._unreplied += 1
            wire.transport.write(asking.join_request(self._ticket, [it.call for it in items]))
        if self._sent and self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(self._patience, self._look)

    def take(self, frame: asking.Frame) -> None:
        """A frame came.

        Raises:
            CodecError: it is no reply to anything.
        """
        if frame.kind == asking.REFUSAL:
            raise CodecError(frame.body.decode("utf-8", "replace"))
        sent = self._sent.get(frame.ticket)
        if frame.kind != asking.REPLY or sent is None:
            raise CodecError("it answers what nobody asked")
        if not sent.replied:
            sent.replied = True
            self._unreplied -= 1
        for answer in asking.decode_reply(frame):
            item = sent.items[answer.at] if answer.at < len(sent.items) else None
            if item is None:
                raise CodecError("it answers a call twice")
            sent.items[answer.at] = None
            sent.missing -= 1
            item.question.put(item.at, Judged(answer.status, answer.seq, answer.record))
        if sent.missing == 0:
            del self._sent[frame.ticket]
        if self._queue:
            self.flush()

    def lose(self, why: str) -> None:
        """Drop the connection; everything under way fails."""
        wire = self._wire
        if wire is not None:
            if wire.transport is not None:
                wire.transport.abort()
            self.lost(wire, why)

    def lost(self, wire: _Wire, why: str) -> None:
        """The connection is gone: whoever waits for it is told, and the next question makes a new one."""
        if self._wire is not wire:
            return
        self._wire, self._why, self._unreplied = None, why, 0
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        error = self._unavailable(why)
        sent, self._sent = self._sent, {}
        for it in sent.values():
            for item in it.items:
                if item is not None:
                    item.question.fail(error)
        while self._queue:
            self._queue.popleft().question.fail(error)

    def _look(self) -> None:
        """Is a request overdue? Then the process hangs, and no later one would fare better."""
        self._watch = None
        now = asyncio.get_running_loop().time()
        oldest = min((it.sent for it in self._sent.values()), default=now)
        if now - oldest >= self._patience:
            self.lose(f"it has not answered for {self._patience:g} s")
        elif self._sent:
            self._watch = asyncio.get_running_loop().call_later(oldest + self._patience - now, self._look)
