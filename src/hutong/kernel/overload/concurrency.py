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

INTERVAL_NS: Final = 100_000_000
#: Requests that have to end before a look says something, unless an interval ten times as long has passed.
ENOUGH: Final = 16
#: A look moves the limit by this part of it: one interval is not the truth.
_STEP: Final = 8
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
        least, most: bounds of the limit.

    Attributes:
        limit: how many may be at work at once.
    """

    def __init__(self, target_ns: int, least: int = 2, most: int = 256) -> None:
        self._target_ns, self._least, self._most = target_ns, least, most
        self.limit = min(max(FIRST, least), most)
        self._since = 0
        self._ended = 0
        self._spent_ns = 0
        self._pressed = False
        self._last: tuple[int, float] | None = None
        self._pays = 0.0

    def ended(self, spent_ns: int, now_ns: int) -> None:
        """A request has left after so long at work. One that began before the last look says nothing of its limit."""
        if now_ns - spent_ns >= self._since:
            self._ended += 1
            self._spent_ns += spent_ns

    def pressed(self) -> None:
        """Somebody found no place: the limit is what holds things up."""
        self._pressed = True

    def look(self, now_ns: int) -> int:
        """Judge the interval if it is long enough; gives the limit from now on."""
        elapsed = now_ns - self._since
        if elapsed < INTERVAL_NS or (self._ended < ENOUGH and elapsed < 10 * INTERVAL_NS):
            return self.limit
        if self._pressed and self._ended:
            self._steer(max(self._spent_ns / self._ended, 1.0))
        else:
            self._last = None
        self._since, self._ended, self._spent_ns, self._pressed = now_ns, 0, 0, False
        return self.limit

    def _steer(self, mean_ns: float) -> None:
        limit = self.limit
        if self._last is not None and self._last[0] != limit:
            before, mean_before = self._last
            # Full as it is, throughput is the limit by the time at work (Little), and that time is measured better:
            # the share of a change that came back as throughput is the share that did not go into the time. Both
            # ways alike beyond what is possible, so that noise adds up to nothing.
            share = 1 - math.log(mean_ns / mean_before) / math.log(limit / before)
            self._pays += _FRESH * (min(max(share, -1.0), 1.0) - self._pays)
        self._last = (limit, mean_ns)
        step = max(1, limit // _STEP)
        wanted = limit + step if mean_ns <= self._target_ns or self._pays > _PAYS else limit - step
        self.limit = min(max(wanted, self._least), self._most)
