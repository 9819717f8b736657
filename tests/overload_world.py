"""A service, its crowd and its stations as discrete events: one processor, on which refusing costs too.

A request that is let in takes its turn on the processor (first come, first served among those at work), then waits for
a commit that takes no processor. Refusing takes precedence over serving, as it does where an edge or a kernel stands
before the application, and costs `rho` of the mean request. Nothing here reads a clock or draws from outside the seed.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from itertools import count
from typing import NamedTuple

from hutong.kernel.overload.admission import TICK_NS, Admission, Place, State
from hutong.kernel.overload.classes import Kind
from hutong.kernel.overload.places import Places

S = 1_000_000_000
MS = 1_000_000
MEAN_NS = 2 * MS
COMMIT_NS = 6 * MS
#: What a request of each class costs, in means; scans are cheap, history is dear.
COST = {Kind.CRITICAL: 1.0, Kind.SCAN: 0.7, Kind.ISSUE: 1.5, Kind.HISTORY: 2.1}
#: What the crowd asks for.
CROWD = {Kind.SCAN: 0.7, Kind.ISSUE: 0.2, Kind.HISTORY: 0.1}
STATIONS = 0.2
PATIENT_NS = 1 * S


class Answer(NamedTuple):
    """How one try ended: when it came, how long it took, what it cost the processor, whether a ticket came with it."""

    kind: Kind
    came_ns: int
    took_ns: int
    work_ns: float
    served: bool
    crowd: bool
    ticket: bool


class Try:
    """One request on its way."""

    __slots__ = ("came", "crowd", "due_ms", "kind", "left", "place", "whole", "work")

    def __init__(
        self, kind: Kind, came: int, work: float, *, crowd: bool, left: int = 0, due_ms: int | None = None
    ) -> None:
        self.kind, self.came, self.work, self.crowd, self.left, self.due_ms = kind, came, work, crowd, left, due_ms
        self.whole = work
        self.place: Place | None = None


class World:
    """Everything that happens in `seconds`.

    Args:
        load: offered by the crowd and the stations together while the crowd is there, in capacities of the processor.
            Whoever comes back when told is a part of it; what a storm tries again comes on top.
        crowd_s: from when to when the crowd is there. after: what is offered when it is not.
        rho: cost of a refusal. commit_ns: how long a commit takes.
        storm: the refused try three times more, 100 ms apart, instead of coming when told.
    """

    def __init__(
        self, load: float, *, seconds: float = 4.0, crowd_s: tuple[float, float] = (0.0, 99.0), after: float = 0.5,
        rho: float = 0.02, storm: bool = False, seed: int = 1, guarded: bool = True, commit_ns: int = COMMIT_NS,
    ) -> None:  # fmt: skip
        self.random = random.Random(seed)
        self.admission = Admission(30 * MS) if guarded else None
        self.places = Places(window_ms=10_000, horizon_ms=60_000)
        self.answers: list[Answer] = []
        self.levels: list[tuple[int, int, int]] = []
        self.tries = 0
        self.worked_ns = 0.0
        self._load, self._after, self._rho, self._storm = load, after, rho * MEAN_NS, storm
        self._end, self._crowd = int(seconds * S), (int(crowd_s[0] * S), int(crowd_s[1] * S))
        self._commit = commit_ns
        self._now = 0
        self._events: list[tuple[int, int, object, Try | None]] = []
        self._order = count()
        self._debt = 0.0
        self._back = 0
        self._runs: deque[Try] = deque()
        mean = sum(share * COST[kind] for kind, share in CROWD.items())
        self._per_request_ns = mean * MEAN_NS

    def run(self) -> World:
        self._at(0, self._station)
        self._at(0, self._person)
        self._at(TICK_NS, self._tick)
        while self._events:
            at, _, what, who = self._events[0]
            done = self._now + self._debt + self._runs[0].work if self._runs else None
            if done is not None and done <= at:
                self._pass(int(done) + 1)
                self._ready(self._runs.popleft())
                continue
            if at > self._end:
                break
            heapq.heappop(self._events)
            self._pass(at)
            what(who)  # type: ignore[operator]
        return self

    # --- what is asked of it ---

    def goodput(self, begin_s: float, end_s: float) -> float:
        """Share of the processor's time that went into requests which were answered in time."""
        return sum(
            it.work_ns
            for it in self.answers
            if it.served and begin_s * S <= it.came_ns + it.took_ns < end_s * S and it.took_ns <= PATIENT_NS
        ) / ((end_s - begin_s) * S)

    def of(self, kind: Kind, begin_s: float = 0.0, end_s: float = 1e9) -> list[Answer]:
        return [it for it in self.answers if it.kind is kind and begin_s * S <= it.came_ns < end_s * S]

    # --- the processor ---

    def _at(self, when: int, what: object, who: Try | None = None) -> None:
        heapq.heappush(self._events, (when, next(self._order), what, who))

    def _pass(self, now: int) -> None:
        spare = now - self._now
        self._now = now
        paid = min(self._debt, spare)
        self._debt -= paid
        spare -= paid
        if self._runs:
            self._runs[0].work -= spare

    def _ready(self, one: Try) -> None:
        self._at(self._now + self._commit, self._committed, one)

    def _committed(self, one: Try) -> None:
        self._answer(one, served=True)
        if self.admission is not None and one.place is not None:
            self._changed(self.admission.finish(one.place, self._now))

    # --- the service ---

    def _come(self, one: Try) -> None:
        self.tries += 1
        one.came = self._now
        if self.admission is None:
            self._runs.append(one)
            return
        due = one.due_ms is not None and one.due_ms <= self._now // MS
        one.place, gave_way = self.admission.arrive(one.kind, self._now, due=due)
        one.place.context = one
        self._changed([*gave_way, one.place])

    def _changed(self, places: list[Place]) -> None:
        for place in places:
            one = place.context
            assert isinstance(one, Try)
            if place.state is State.AT_WORK:
                self._runs.append(one)
            elif place.state is State.REFUSED:
                self._refused(one)

    def _refused(self, one: Try) -> None:
        assert self.admission is not None
        self._debt += self._rho
        self._answer(one, served=False)
        if not one.crowd or self._now >= self._crowd[1]:
            return
        if self._storm:
            if one.left:
                again = Try(one.kind, 0, self._work(one.kind), crowd=True, left=one.left - 1)
                self._at(self._now + 100 * MS, self._return, again)
            return
        now_ms = self._now // MS
        due = self.places.take(one.kind, self.admission.pace(one.kind), now_ms)
        wait = self.places.retry_after_s(due, now_ms, self.random.random())
        self._at(self._now + wait * S, self._return, Try(one.kind, 0, self._work(one.kind), crowd=True, due_ms=due))

    def _return(self, one: Try) -> None:
        if self._now < self._crowd[1]:
            self._back += not self._storm
            self._come(one)

    def _answer(self, one: Try, *, served: bool) -> None:
        took = self._now - one.came
        self.answers.append(Answer(one.kind, one.came, took, one.whole, served, one.crowd, one.due_ms is not None))

    def _tick(self, _: object) -> None:
        if self.admission is not None:
            self._changed(self.admission.tick(self._now))
            self.levels.append((self._now, self.admission.level, self.admission.limit))
        self._at(self._now + TICK_NS, self._tick)

    # --- who asks ---

    def _work(self, kind: Kind) -> float:
        return COST[kind] * MEAN_NS * self.random.uniform(0.5, 1.5)

    def _station(self, _: object) -> None:
        if self._now:
            self._come(Try(Kind.CRITICAL, 0, self._work(Kind.CRITICAL), crowd=False))
        self._at(self._now + int(self.random.expovariate(STATIONS / MEAN_NS)) + 1, self._station)

    def _person(self, _: object) -> None:
        crowd = self._crowd[0] <= self._now < self._crowd[1]
        rate = (self._load if crowd else self._after) - STATIONS
        if self._back:
            self._back -= 1
        elif self._now:
            kind = self.random.choices(list(CROWD), list(CROWD.values()))[0]
            self._come(Try(kind, 0, self._work(kind), crowd=crowd, left=3))
        self._at(self._now + int(self.random.expovariate(rate / self._per_request_ns)) + 1, self._person)
