"""How many requests are at work at once: follows measured time at work and throughput. Pure.

Belongs here: the limit alone. Not here: who gets a place (`admission`).

Nothing is sent away to find out how fast the service could be when idle. Two things are measured under load: the time
that requests spend at work, which has a target, and what a change of the limit did to throughput. Where throughput
followed the limit, requests wait for something elsewhere (a commit, another service) and more of them at once is
right, however long each takes. Where it did not, they wait for each other, and fewer at once serve as many.
"""

from __future__ import annotations

from typing import Final

INTERVAL_NS: Final = 100_000_000
#: Requests that have to end before a look says something, unless an interval ten times as long has passed.
ENOUGH: Final = 16
#: One look lowers the limit to this share of it at most: one slow interval is not the truth.
_LOWEST_STEP: Final = 0.7
_RAISE: Final = 8
#: The limit before anything is measured.
FIRST: Final = 8
#: From which share of a change that came back as throughput more places pay.
_PAYS: Final = 0.5


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

    def ended(self, spent_ns: int) -> None:
        """A request has left after so long at work."""
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
            self._steer(self._spent_ns / self._ended, self._ended / elapsed)
        else:
            self._last = None
        self._since, self._ended, self._spent_ns, self._pressed = now_ns, 0, 0, False
        return self.limit

    def _steer(self, mean_ns: float, rate: float) -> None:
        limit = self.limit
        if self._last is not None and self._last[0] != limit:
            before, rate_before = self._last
            share = (rate / rate_before - 1) / (limit / before - 1)
            self._pays = (self._pays + min(max(share, 0.0), 1.0)) / 2
        self._last = (limit, rate)
        if mean_ns <= self._target_ns or self._pays > _PAYS:
            self.limit = min(limit + max(1, limit // _RAISE), self._most)
        else:
            step = max(_LOWEST_STEP, self._target_ns / mean_ns)
            self.limit = max(min(limit - 1, int(limit * step)), self._least)
