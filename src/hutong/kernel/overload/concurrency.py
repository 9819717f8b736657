"""How many requests are at work at once: follows measured time at work and throughput. Pure.

Belongs here: the limit alone. Not here: who gets a place (`admission`).

Nothing is sent away to find out how fast the service could be when idle. Two things are measured under load: the time
that requests spend at work, which has a target, and what a change of the limit did to throughput. Where throughput
followed the limit, requests wait for something elsewhere (a commit, another service) and more of them at once is
right, however long each takes. Where it did not, they wait for each other, and fewer at once serve as many.
"""

from __future__ import annotations

import math
from typing import Final

from hutong.kernel.overload.classes import Kind

INTERVAL_NS: Final = 100_000_000
#: Requests that have to end before a look says something, unless an interval ten times as long has passed.
ENOUGH: Final = 16
#: A look moves the limit by this part of it: one interval is not the truth.
_STEP: Final = 8
_LONGEST_NS: Final = 10 * INTERVAL_NS
#: The limit before anything is measured.
FIRST: Final = 8
#: From which share of a change that came back as throughput more places pay.
_PAYS: Final = 0.5
#: Share of the newest look in what is believed of it.
_FRESH: Final = 0.2


class Concurrency:
    """The limit.

    Args:
        target_ns: time at work that is aimed at where requests wait for each other.
        least, most: bounds of the limit. first: what it is before anything is measured.

    Attributes:
        limit: how many may be at work at once.
    """

    def __init__(self, target_ns: int, least: int = 2, most: int = 256, first: int = FIRST) -> None:
        self._target_ns, self._least, self._most = target_ns, least, most
        self.limit = min(max(first, least), most)
        self._since = 0
        self._slowest_ns = 0.0
        self._counts = [0] * len(Kind)
        self._spent_ns = [0] * len(Kind)
        self._pressed = False
        self._last: tuple[int, list[float]] | None = None
        self._pays = 0.0

    def ended(self, kind: Kind, spent_ns: int, now_ns: int) -> None:
        """A request has left after so long at work."""
        if now_ns >= self._since:
            self._counts[kind] += 1
            self._spent_ns[kind] += spent_ns

    def pressed(self) -> None:
        """Somebody found no place: the limit is what holds things up."""
        self._pressed = True

    def look(self, now_ns: int) -> int:
        """Judge the interval if it is long enough; gives the limit from now on."""
        elapsed, ended = now_ns - self._since, sum(self._counts)
        if elapsed < max(INTERVAL_NS, self._slowest_ns) or (ended < ENOUGH and elapsed < _LONGEST_NS):
            return self.limit
        before = self.limit
        if self._pressed and ended:
            means = [spent / count if count else 0.0 for spent, count in zip(self._spent_ns, self._counts, strict=True)]
            mean = max(sum(self._spent_ns) / ended, 1.0)
            self._slowest_ns = min(max(means), _LONGEST_NS)
            self._steer(means, mean)
        else:
            self._last = None
        # What ends soon after a change began before it. Not to count what began before would leave the quick ones
        # alone, and the slow ones would be seen the less the slower they get.
        self._since = now_ns + int(self._slowest_ns if self.limit != before else 0)
        self._counts, self._spent_ns = [0] * len(Kind), [0] * len(Kind)
        self._pressed = False
        return self.limit

    def _steer(self, means_ns: list[float], mean_ns: float) -> None:
        limit = self.limit
        if self._last is not None and self._last[0] != limit:
            before, means_before = self._last
            # Full as it is, throughput is the limit by the time at work (Little), and that time is measured better:
            # the share of a change that came back as throughput is the share that did not go into the time. Class by
            # class, for a request of one may take a hundred times that of another, and which ones came is chance.
            # Both ways alike beyond what is possible, so that noise adds up to nothing.
            pairs = zip(self._counts, means_ns, means_before, strict=True)
            both = [(count * now, count * then) for count, now, then in pairs if now and then]
            if both:
                slower = sum(now for now, _ in both) / sum(then for _, then in both)
                share = 1 - math.log(slower) / math.log(limit / before)
                self._pays += _FRESH * (min(max(share, -1.0), 1.0) - self._pays)
        self._last = (limit, means_ns)
        step = max(1, limit // _STEP)
        wanted = limit + step if mean_ns <= self._target_ns or self._pays > _PAYS else limit - step
        self.limit = min(max(wanted, self._least), self._most)
