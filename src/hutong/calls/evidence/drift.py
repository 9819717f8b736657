"""Whether a rule's false positives have drifted above its limit, from counts in order of time. Pure.

E. S. Page's cumulative sum (Biometrika 41 (1954) 100) of the log-likelihood ratios of A. Wald's sequential test (Annals
of Mathematical Statistics 16 (1945) 117) for a rate per call: held at 0 from below, so that good years hide no bad
day. A rate at its limit pulls it down, one RATIO times as high pushes it up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The rate that counts as drifted, in limits; between one and two of them it takes longer to tell.
RATIO: Final = 2.0
#: Chance of a false alarm of each single test that the sum is made of.
FALSE_ALARM: Final = 0.001

_MILLION: Final = 1_000_000


class Step(NamedTuple):
    """A stretch of time: its beginning (ms since 1970 UTC), calls judged, those of them that were hit and rightful."""

    at_ms: int
    calls: int
    wrong: int


class Drift(NamedTuple):
    """How a rule stands: the sum and where it alarms, all calls and false positives, and since when it has drifted."""

    total: float
    alarm: float
    calls: int
    wrong: int
    since_ms: int | None

    @property
    def drifted(self) -> bool:
        """Whether it did."""
        return self.since_ms is not None


def drift_of(steps: Iterable[Step], limit: float) -> Drift:
    """Follow a rule through steps in order of time.

    Args:
        steps: hours, days; a step with more false positives than calls counts as if all its calls were such.
        limit: false positives per million calls that are allowed.
    """
    allowed = min(limit, _MILLION / (2 * RATIO)) / _MILLION
    hit, missed = math.log(RATIO), math.log1p(-RATIO * allowed) - math.log1p(-allowed)
    alarm = -math.log(FALSE_ALARM)
    total, calls, wrong, since = 0.0, 0, 0, None
    for step in steps:
        bad = min(step.wrong, step.calls)
        calls, wrong = calls + step.calls, wrong + bad
        total = max(0.0, total + bad * hit + (step.calls - bad) * missed)
        if since is None and total >= alarm:
            since = step.at_ms
    return Drift(total, alarm, calls, wrong, since)
