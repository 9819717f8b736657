"""Who is served now, who waits a moment, who is refused. Pure: time comes in as ns that do not go back.

Belongs here: strict priority of classes, short queues, deadlines, the figures that the rest is judged by. Not here: the
limit itself (`concurrency`), the level's hysteresis (`levels`), what the refused are told (`places`, `tickets`).

The gate asks `arrive` for each request, `finish` when it has been answered, and `tick` at least every `TICK_NS` while
anything is under way. Each gives the requests that were waiting and whose state changed by it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

from hutong.kernel.overload.classes import CLASSES, Kind, Level
from hutong.kernel.overload.concurrency import FIRST, Concurrency
from hutong.kernel.overload.levels import Ladder

if TYPE_CHECKING:
    from collections.abc import Iterator

Why = Literal["full", "late", "level"]

TICK_NS: Final = 25_000_000
_LOOK_NS: Final = 100_000_000
_NS_IN_MS: Final = 1_000_000
_NS: Final = 1_000_000_000
#: Share of a new value in a running mean.
_FRESH: Final = 0.1
#: Share of the limit at work from which the service is called busy.
_BUSY_FROM: Final = 0.9


class State(Enum):
    """Where a request is."""

    WAITING = 0
    AT_WORK = 1
    ENDED = 2
    REFUSED = 3


class Place:
    """One request.

    Attributes:
        kind: its class. due: whether a ticket that is due came with it. state: where it is.
        why: for what reason it was refused: no place was free, it could not have been served in time, the level.
        context: whatever the caller keeps with it.
    """

    __slots__ = ("arrived_ns", "context", "deadline_ns", "due", "kind", "started_ns", "state", "why")

    def __init__(self, kind: Kind, due: bool, arrived_ns: int, deadline_ns: int) -> None:  # noqa: FBT001  # a fact
        self.kind, self.due, self.arrived_ns, self.deadline_ns = kind, due, arrived_ns, deadline_ns
        self.started_ns = 0
        self.state = State.WAITING
        self.why: Why | None = None
        self.context: object = None


class Admission:
    """The figures of one process, and its decisions.

    Args:
        target_ns, most, first: of `Concurrency`.

    Attributes:
        asked, served: requests by class since the start. refused: likewise, by reason.
    """

    def __init__(self, target_ns: int, most: int = 256, first: int = FIRST) -> None:
        self._concurrency = Concurrency(target_ns, most=most, first=first)
        self._ladder = Ladder()
        self._at_work = 0
        self._due: list[deque[Place]] = [deque() for _ in CLASSES]
        self._plain: list[deque[Place]] = [deque() for _ in CLASSES]
        self._work_ns = [0.0] * len(CLASSES)
        self._mean_ns = 0.0
        self._lag_ns = 0
        self._looked_ns = 0
        self._turned_away = [0] * len(CLASSES)
        self._started = [0] * len(CLASSES)
        self._paces = [0.0] * len(CLASSES)
        self.asked = [0] * len(CLASSES)
        self.served = [0] * len(CLASSES)
        self.refused: list[dict[Why, int]] = [{"full": 0, "late": 0, "level": 0} for _ in CLASSES]

    @property
    def level(self) -> Level:
        """How much is kept back."""
        return self._ladder.level

    @property
    def limit(self) -> int:
        """How many may be at work at once."""
        return self._concurrency.limit

    @property
    def at_work(self) -> int:
        """How many are."""
        return self._at_work

    def room(self, kind: Kind) -> int:
        """As far as which requests of this class may fill the places at work; one at least."""
        return max(1, int(self._concurrency.limit * CLASSES[kind].share))

    def waiting(self, kind: Kind) -> int:
        """How many of this class wait."""
        return len(self._due[kind]) + len(self._plain[kind])

    def pace(self, kind: Kind) -> float:
        """Requests of this class that are let to work a second."""
        return self._paces[kind]

    def idle(self) -> bool:
        """Nobody is at work or waits, and there is no level to fall."""
        return not self._at_work and not self._ladder.level and not any(map(self.waiting, Kind))

    def arrive(self, kind: Kind, now_ns: int, *, due: bool = False) -> tuple[Place, list[Place]]:
        """A request is here. Its place, which may be refused already; and those that had to make room for it."""
        one = CLASSES[kind]
        place = Place(kind, due, now_ns, now_ns + one.deadline_ms * _NS_IN_MS - self._lag_ns)
        self.asked[kind] += 1
        if self.level > one.enters:
            self._refuse(place, "level")
        elif self._at_work < self.room(kind):
            self._start(place, now_ns)
        else:
            self._concurrency.pressed()
            return place, self._queue(place, now_ns)
        return place, []

    def finish(self, place: Place, now_ns: int) -> list[Place]:
        """A request that was at work has been answered, or has failed."""
        spent = now_ns - place.started_ns
        place.state = State.ENDED
        self._at_work -= 1
        self.served[place.kind] += 1
        self._concurrency.ended(place.kind, spent, now_ns)
        self._work_ns[place.kind] = _closer(self._work_ns[place.kind], spent)
        self._mean_ns = _closer(self._mean_ns, spent)
        return list(self._serve_waiting(now_ns))

    def withdraw(self, place: Place) -> None:
        """Whoever waited has gone."""
        if place.state is State.WAITING:
            (self._due if place.due else self._plain)[place.kind].remove(place)
            place.state = State.ENDED

    def told(self, kind: Kind, refused: int) -> None:
        """So many requests of this class were refused before they came here (by the edge)."""
        self._turned_away[kind] += refused

    def tick(self, now_ns: int, lag_ns: int = 0) -> list[Place]:
        """Time has passed.

        Args:
            now_ns: the time. lag_ns: how much later than it was due this call came: as late are requests seen.
        """
        self._lag_ns = min(lag_ns, _NS)
        changed = list(self._expire(now_ns))
        if now_ns - self._looked_ns >= _LOOK_NS:
            self._look(now_ns)
        changed += self._serve_waiting(now_ns)
        if self.idle():
            self._lag_ns = 0  # nobody may tick from here on: what comes later was not held up by this
        return changed

    # --- queues ---

    def _queue(self, place: Place, now_ns: int) -> list[Place]:
        """Let it wait, if it may and if that is not in vain."""
        kind, one = place.kind, CLASSES[place.kind]
        if self.level > one.waits and not place.due:
            self._refuse(place, "full")
            return []
        before = sum(self.waiting(better) for better in Kind if better < kind)
        before += len(self._due[kind]) if place.due else self.waiting(kind)
        # Full as it is, one place becomes free in the time at work by the number of places.
        wait_ns = self._mean_ns / self._concurrency.limit * (before + 1)
        if now_ns + wait_ns + self._work_ns[kind] > place.deadline_ns:
            self._refuse(place, "late")
            return []
        gave_way = []
        if self.waiting(kind) >= one.queue:
            if not place.due or not self._plain[kind]:
                self._refuse(place, "full")
                return []
            last = self._plain[kind].pop()
            self._refuse(last, "full")
            gave_way.append(last)
        (self._due if place.due else self._plain)[kind].append(place)
        return gave_way

    def _serve_waiting(self, now_ns: int) -> Iterator[Place]:
        for kind in Kind:
            room = self.room(kind)
            for queue in (self._due[kind], self._plain[kind]):
                while queue and self._at_work < room:
                    place = queue.popleft()
                    if now_ns + self._work_ns[kind] > place.deadline_ns:
                        self._refuse(place, "late")
                    else:
                        self._start(place, now_ns)
                    yield place
            if self.waiting(kind):
                return

    def _expire(self, now_ns: int) -> Iterator[Place]:
        """Whoever is late is told so at once; not only heads, for lag makes those who came later due sooner."""
        for kind in Kind:
            latest = now_ns + self._work_ns[kind]
            for queue in (self._due[kind], self._plain[kind]):
                for place in [it for it in queue if latest > it.deadline_ns]:
                    queue.remove(place)
                    self._refuse(place, "late")
                    yield place

    def _start(self, place: Place, now_ns: int) -> None:
        place.state, place.started_ns = State.AT_WORK, now_ns
        self._at_work += 1
        self._started[place.kind] += 1

    def _refuse(self, place: Place, why: Why) -> None:
        place.state, place.why = State.REFUSED, why
        self.refused[place.kind][why] += 1
        self._turned_away[place.kind] += 1

    # --- looks ---

    def _look(self, now_ns: int) -> None:
        elapsed_s = (now_ns - self._looked_ns) / _NS
        fresh = min(1.0, elapsed_s)
        for kind in Kind:
            self._paces[kind] += fresh * (self._started[kind] / elapsed_s - self._paces[kind])
        self._ladder.see(self._trouble(), now_ns)
        self._concurrency.look(now_ns)
        self._looked_ns = now_ns
        self._turned_away = [0] * len(CLASSES)
        self._started = [0] * len(CLASSES)

    def _trouble(self) -> Level:
        """The level that the last interval called for: named for the best class that somebody of was turned away."""
        away = self._turned_away
        if away[Kind.CRITICAL]:
            return Level.CRITICAL_ONLY
        if away[Kind.SCAN] or away[Kind.ISSUE]:
            return Level.CROWDED
        full = self._at_work >= _BUSY_FROM * self._concurrency.limit
        return Level.BUSY if full or away[Kind.HISTORY] else Level.NORMAL


def _closer(mean: float, value: int) -> float:
    return mean + _FRESH * (value - mean) if mean else float(value)
