"""The one reader of the live counters for all who watch: a look a second, the same view for everybody.

Belongs here: the beat, the frames of the stream, the bounds on watchers and on a stream's life. Not here: routes,
headers, markup (`console.live`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from msgspec import Struct

from hutong.calls.live.view import LiveHistory, LiveView
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hutong.calls.live.figures import LiveSnapshot
    from hutong.kernel.clock import Clock

MAX_WATCHERS = 64
"""Each costs some 15 kB a second; a console room has a few, the rest are somebody's forgotten tabs."""
MOST_OF_ONE = 5
"""Of these for one person, never everybody's. Browsers have six connections to a site: one is left for other pages."""
BEAT_S = 1.0
WHOLE_EVERY = 5
"""Beats from one frame with everything to the next: maps and tables of minutes need not move by the second."""
STREAM_BEATS = 60
"""Beats after which a stream ends and its page begins another: no connection is for ever."""

Refusal = Literal["", "full", "yours"]
"""Why no further watcher is taken on: all places are taken, or all that one person may have; "": one is."""


class Audience(Struct, frozen=True):
    """For whom a frame is drawn: all of one audience share it."""

    language: str
    verdicts: bool
    """They may read single verdicts."""
    page: Literal["wall", "alerts"] = "wall"
    """What they look at."""


class Draw(Protocol):
    """Makes the data of one event of a view."""

    def __call__(self, view: LiveView, audience: Audience, *, whole: bool) -> object:
        """The data, for JSON; not `whole`: without what changes slowly."""


class SnapshotSource(Protocol):
    """Where the counters come from: `live.figures.LiveSource` in production, `live.memory.MemoryLive` in tests."""

    def snapshot(self) -> LiveSnapshot:
        """The counters now.

        Raises:
            HutongError: they cannot be read; its message says why and what to do.
        """


class Watcher(Struct, frozen=True):
    """Who watches, and as what.

    Attributes:
        name: the person, whose places are counted together.
        still: asked before every frame whether this person may still have what `audience` says.
    """

    name: str
    audience: Audience
    still: Callable[[], Awaitable[bool]]


def event(name: str, data: object, number: int) -> bytes:
    """One server-sent event (WHATWG HTML §9.2.6) with JSON data, which holds no line break."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), msgspec.json.encode(data))


class LiveFeed:
    """Looks at the source once a second and hands each view to every watcher; a slow one skips views.

    Args:
        source: the counters.
        clock: for the age of what was read.
        draw: makes the data of an event.
    """

    def __init__(self, source: SnapshotSource, clock: Clock, draw: Draw) -> None:
        self._source = source
        self._clock = clock
        self._draw = draw
        self._history = LiveHistory()
        self._number = 0
        self._frames: dict[tuple[Audience, bool], bytes] = {}
        self._next_beat = asyncio.Event()
        self._closed = asyncio.Event()
        self._places: Counter[str] = Counter()
        self.view: LiveView = self._history.view(0)

    def look(self) -> None:
        """Read the counters once and wake every watcher."""
        trouble = ""
        try:
            self._history.add(self._source.snapshot())
        except (HutongError, OSError) as error:
            trouble = str(error)
        self.view = self._history.view(self._clock.wall(), trouble)
        self._number += 1
        self._frames.clear()
        self._wake()

    async def run(self) -> None:
        """Look once a second until `close`."""
        while not self._closed.is_set():
            self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._closed.wait()

    def close(self) -> None:
        """End `run` and every stream."""
        self._closed.set()
        self._wake()

    def _wake(self) -> None:
        beat, self._next_beat = self._next_beat, asyncio.Event()
        beat.set()

    @property
    def watchers(self) -> int:
        """Open streams."""
        return self._places.total()

    def refusal(self, name: str) -> Refusal:
        """Why this person gets no further stream; "" where there is a place."""
        if self._places[name] >= MOST_OF_ONE:
            return "yours"
        return "full" if self.watchers >= MAX_WATCHERS else ""

    async def watch(self, watcher: Watcher) -> AsyncIterator[bytes]:
        """The stream for one watcher: the present view at once, then every new one that it has time for.

        Ends with an event `over` when the watcher may not see it any more.
        """
        if self.refusal(watcher.name):  # several came at once
            yield b"retry: 10000\n\n"
            return
        self._places[watcher.name] += 1
        phase = -1
        try:
            yield b"retry: 500\n\n"
            for _ in range(STREAM_BEATS):
                if self._closed.is_set():
                    break
                if not await watcher.still():
                    yield event("over", None, self._number)
                    break
                next_beat, before = self._next_beat, phase
                phase = self._number // WHOLE_EVERY
                yield self._frame(watcher.audience, whole=phase != before)
                await next_beat.wait()
        finally:
            self._leave(watcher.name)

    def _leave(self, name: str) -> None:
        self._places[name] -= 1
        if not self._places[name]:
            del self._places[name]

    def _frame(self, audience: Audience, *, whole: bool) -> bytes:
        kind = (audience, whole)
        if kind not in self._frames:
            self._frames[kind] = event("live", self._draw(self.view, audience, whole=whole), self._number)
        return self._frames[kind]
