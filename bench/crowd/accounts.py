"""What a round came to. Pure: outcomes and processor times in, shares and times out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence  # noqa: TC003  # annotations of a NamedTuple
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from hutong.kernel.overload.classes import Kind

#: served: within patience. late: an answer that nobody waited for any more. broken: the connection, or a status that
#: is neither served nor refused.
End = Literal["served", "refused", "late", "broken"]
S: Final = 1_000_000_000
_BUCKET_NS: Final = 100_000_000
#: A bucket of ordinary load is as before when so many are served.
_AS_BEFORE: Final = 0.99


class Outcome(NamedTuple):
    """One try: when it was due and how long it took (ns), how it ended, whether it was the crowd's."""

    kind: Kind
    due_ns: int
    took_ns: int
    end: End
    crowd: bool


class Spent(NamedTuple):
    """Processor time of a round in s: what served, by part, what generated, and what others took on the core."""

    seconds: float
    service: Mapping[str, float]
    generator: float
    others: float

    @property
    def total(self) -> float:
        """Of all that serves."""
        return sum(self.service.values())


class Round(NamedTuple):
    """A round: the outcomes, processor time, from when to when it counts (ns), the generator's greatest delay."""

    outcomes: Sequence[Outcome]
    spent: Spent
    begin_ns: int
    end_ns: int
    behind_ns: int = 0

    def ended(self, kind: Kind, end: End) -> int:
        """How many tries of a class that were due within the round ended so."""
        return sum(it.kind is kind and it.end == end for it in self._due())

    def came(self, kind: Kind) -> int:
        """How many tries of a class were due within the round."""
        return sum(it.kind is kind for it in self._due())

    def success(self, kind: Kind) -> float:
        """Part of these that were served; 1 where nobody came."""
        return self.ended(kind, "served") / (self.came(kind) or 1) if self.came(kind) else 1.0

    def refused(self) -> int:
        """How many were refused, of all classes."""
        return sum(it.end == "refused" for it in self._due())

    def took_ms(self, kind: Kind, part: float) -> float:
        """The time that this part of the served of a class took at most; nan where none was."""
        times = sorted(it.took_ns for it in self._due() if it.kind is kind and it.end == "served")
        return times[min(int(len(times) * part), len(times) - 1)] / 1e6 if times else math.nan

    def useful(self, costs: Mapping[Kind, float]) -> float:
        """Work a second, in s of processor time, that went into answers within the round that somebody waited for."""
        within = (self.end_ns - self.begin_ns) / S
        done = (
            costs[it.kind]
            for it in self.outcomes
            if it.end == "served" and self.begin_ns <= it.due_ns + it.took_ns < self.end_ns
        )
        return sum(done) / within

    def _due(self) -> list[Outcome]:
        return [it for it in self.outcomes if self.begin_ns <= it.due_ns < self.end_ns]


def cost(spent: float, served: int) -> float:
    """Processor time of one, in s."""
    return spent / served if served else math.nan


def refusal_cost(spent: float, served: int, cost_served: float, refused: int) -> float:
    """Of a refusal, in s, where the served beside it cost so much each; never below nothing."""
    return max(spent - served * cost_served, 0.0) / refused if refused else math.nan


def mean_cost(counts: Mapping[Kind, int], costs: Mapping[Kind, float]) -> float:
    """Of a request as they were asked, in s."""
    return sum(costs[kind] * count for kind, count in counts.items()) / (sum(counts.values()) or 1)


def recovery_s(outcomes: Sequence[Outcome], from_ns: int, until_ns: int, slow_ns: int) -> float:
    """How long after the crowd's end ordinary load is served as before: 99 of 100, none slower than `slow_ns`.

    In steps of 100 ms, by when they were due; the whole time where it never is.
    """
    buckets = [[0, 0] for _ in range(max((until_ns - from_ns) // _BUCKET_NS, 1))]
    for it in outcomes:
        at = (it.due_ns - from_ns) // _BUCKET_NS
        if not it.crowd and 0 <= at < len(buckets):
            buckets[at][0] += 1
            buckets[at][1] += it.end == "served" and it.took_ns <= slow_ns
    bad = [at for at, (came, well) in enumerate(buckets) if came and well < came * _AS_BEFORE]
    return (bad[-1] + 1) * _BUCKET_NS / S if bad else 0.0
