"""The screening loop: one thread that serves every edge in turn, ticks them, and keeps what they judged.

An edge is a way in (`sip_server`, and whatever else asks for judgement). Belongs here: waiting, turns, timers, the
journal before the answer. Not here: sockets, protocols, judgement.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Protocol

from hutong.calls import board
from hutong.kernel.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.calls.engine import Engine
    from hutong.kernel.clock import Clock

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
BROKEN = select.EPOLLHUP | select.EPOLLERR
#: How long the loop waits before it looks at timers and changes, ms.
_TICK_MS = 25
#: How often lasting trouble is told again, ns.
_TELL_EVERY = 10_000_000_000
_MS = 1_000_000


class Edge(Protocol):
    """A way in. It registers its descriptors with `ScreeningLoop.watch` and is called back."""

    def open(self) -> None:
        """Bind and begin to watch.

        Raises:
            ConfigError: it cannot.
        """

    def serve(self, descriptor: int, events: int) -> None:
        """Something happened on one of its descriptors; serves a bounded amount, never waits."""

    def tick(self, now: int) -> None:
        """Every 25 ms, `now` in ns since 1970: timers, counters."""

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""


class Keeper(Protocol):
    """Who keeps what the loop judged (`node`)."""

    def begin(self) -> int:
        """Open a batch; gives the sequence number of its first record."""

    def commit(self, end: int, records: int, now_ns: int) -> None:
        """Journal the first `end` bytes of the records buffer and close the batch. Raises JournalError."""

    def abandon(self) -> None:
        """Undo the open batch."""

    def tick(self, now_ns: int) -> None:
        """Look for changes of rules and lists, publish figures."""


class ScreeningLoop:
    """Serves its edges until `stop`.

    Args:
        engine: judges. keeper: journals. clock: the time.
        log_trouble: told of each kind of trouble, with what to do, and again every ten seconds while it lasts.
    """

    def __init__(self, engine: Engine, keeper: Keeper, clock: Clock, log_trouble: Callable[[str, str], None]) -> None:
        self.engine, self.keeper, self.clock = engine, keeper, clock
        self._log_trouble = log_trouble
        self._edges: list[Edge] = []
        self._by_descriptor: dict[int, Edge] = {}
        self._poll: select.epoll | None = None
        self._trouble: dict[str, int] = {}
        self._stopped = False

    def add(self, edge: Edge) -> None:
        """Serve this edge too; before `open`."""
        self._edges.append(edge)

    def open(self) -> None:
        """Open every edge.

        Raises:
            ConfigError: one of them cannot be opened; then none is.
        """
        self._poll = select.epoll()
        try:
            for edge in self._edges:
                edge.open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every edge."""
        for edge in self._edges:
            edge.close()
        if self._poll is not None:
            self._poll.close()
            self._poll = None
        self._by_descriptor.clear()

    @property
    def _open_poll(self) -> select.epoll:
        assert self._poll is not None  # noqa: S101  # edges watch within `open` and afterwards
        return self._poll

    def watch(self, descriptor: int, edge: Edge, events: int = READ) -> None:
        """Call `edge.serve` when one of `events` (READ, WRITE) happens; again for a change of events."""
        if descriptor in self._by_descriptor:
            self._open_poll.modify(descriptor, events)
        else:
            self._open_poll.register(descriptor, events)
        self._by_descriptor[descriptor] = edge

    def unwatch(self, descriptor: int) -> None:
        """Call nobody any more; before the descriptor is closed."""
        self._open_poll.unregister(descriptor)
        del self._by_descriptor[descriptor]

    def keep(self, end: int, records: int, now: int) -> bool:
        """Journal what was judged since `keeper.begin`; False when that failed, and then nothing may be answered."""
        try:
            self.keeper.commit(end, records, now)
        except JournalError as error:
            # Unanswered calls pass at the proxy after its timer: losing a record would be worse.
            self.keeper.abandon()
            self.engine.forget_transactions()
            self.engine.cells[board.JOURNAL_REFUSED] += 1
            self.tell("journal", str(error), now)
            return False
        return True

    def tell(self, kind: str, text: str, now: int) -> None:
        """Log trouble, but not once for each batch: the disk that fills up may be the log's as well."""
        if not self._trouble.get(kind, 0) - _TELL_EVERY < now < self._trouble.get(kind, 0):
            self._trouble[kind] = now + _TELL_EVERY
            self._log_trouble(kind, text)

    def stop(self) -> None:
        """Let `run` return after its present turn, or at once where it has not begun."""
        self._stopped = True

    def run(self) -> None:
        """Serve until `stop`."""
        next_tick = 0
        poll = self._open_poll
        while not self._stopped:
            for descriptor, events in poll.poll(_TICK_MS / 1000):
                # An edge that was served before in this turn may have closed the descriptor.
                edge = self._by_descriptor.get(descriptor)
                if edge is not None:
                    edge.serve(descriptor, events)
            now = self.clock.wall()
            # A clock that was set back must not put the timers off.
            if not next_tick - _TICK_MS * _MS < now < next_tick:
                next_tick = now + _TICK_MS * _MS
                for edge in self._edges:
                    edge.tick(now)
                self.keeper.tick(now)
