"""The queue that nobody stands in: which time a refused request is told to come back at. Pure.

Of each class it is counted how many have been told a time that has not come. That number, by the pace at which the
class is served now, is the next time. It is a number and not a clock time because the pace is not known in the first
moments of a crowd: times given then would stay far off for everybody who comes later. Whoever does not come back leaves
a gap, which goes to whoever is there.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from hutong.kernel.overload.classes import Kind

_S_IN_MS: Final = 1000.0
#: The rest goes to whoever is there: a promise that cannot be kept costs two refusals, and who comes without a ticket
#: and is let in costs none. Simulated at 5 ×: .9 keeps 92 % of promises, .7 keeps 99 % and serves more.
PROMISED: Final = 0.7
#: Requests a second that are promised however slow a class is served; without it a class that stands still would
#: promise nothing, and nobody would know when to come.
LEAST_PACE: Final = 0.2
#: Nobody is told to come back sooner.
SOONEST_MS: Final = 1000


class Places:
    """The times of each class.

    Args:
        window_ms: how long a ticket is good from its time on.
        horizon_ms: farther ahead no time is promised.
    """

    def __init__(self, window_ms: int, horizon_ms: int) -> None:
        self.window_ms, self._horizon_ms = window_ms, horizon_ms
        self._told = [0.0] * len(Kind)
        self._at_ms = [0] * len(Kind)

    def take(self, kind: Kind, pace: float, now_ms: int) -> int | None:
        """The next time, in ms since 1970 UTC; None where it is beyond the horizon.

        Args:
            kind: the class. pace: requests of it that are served a second. now_ms: ms since 1970 UTC.
        """
        promised = PROMISED * max(pace, LEAST_PACE) / _S_IN_MS
        passed = max(now_ms - self._at_ms[kind], 0)
        ahead = max(self._told[kind] - passed * promised, 0.0)
        wait = SOONEST_MS + ahead / promised
        self._at_ms[kind] = now_ms
        self._told[kind] = ahead + (wait <= self._horizon_ms)
        return now_ms + int(wait) if wait <= self._horizon_ms else None

    def outstanding(self, kind: Kind, pace: float, now_ms: int) -> int:
        """How many of a class were told a time that has not come; arguments as above."""
        promised = PROMISED * max(pace, LEAST_PACE) / _S_IN_MS
        return math.ceil(max(self._told[kind] - max(now_ms - self._at_ms[kind], 0) * promised, 0.0))

    def retry_after_s(self, due_ms: int | None, now_ms: int, draw: float) -> int:
        """Whole seconds for the Retry-After header (RFC 9110 §10.2.3), never before `due_ms`.

        Args:
            due_ms: time of the ticket; None where there is none.
            draw: from [0, 1), spreads those who were refused together: over a third of the window, so that the ticket
                is still good when a clock or a network is slow; without a ticket over half of the horizon.
        """
        wait = due_ms - now_ms + draw * self.window_ms / 3 if due_ms is not None else self._horizon_ms * (1 + draw) / 2
        return max(1, -int(-wait // _S_IN_MS))


class Spent:
    """Ids of tickets that have been let in, for as long as they would be good again.

    Bounded: beyond `most` the oldest is forgotten, which lets a copy of a ticket in once more, and nothing worse.
    """

    def __init__(self, most: int = 65_536) -> None:
        self._most = most
        self._until: OrderedDict[str, int] = OrderedDict()

    def __contains__(self, number: str) -> bool:
        """Whether this ticket has been let in."""
        return number in self._until

    def add(self, number: str, until_ms: int, now_ms: int) -> None:
        """This one is let in now and would be good until then."""
        while self._until and (len(self._until) >= self._most or next(iter(self._until.values())) <= now_ms):
            self._until.popitem(last=False)
        self._until[number] = until_ms

    def drop(self, number: str) -> None:
        """It was not served after all."""
        self._until.pop(number, None)
