"""95 % intervals for a share of calls: exact for independent calls, and one that knows that callers call again. Pure.

Sources: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404; E. L. Korn and B. I. Graubard, Survey Methodology
24 (1998) 193: Clopper and Pearson with the effective number of calls, its design effect by Taylor linearisation of a
ratio over clusters (W. G. Cochran, Sampling Techniques, 1977, 6.3); W. D. Parker and others, Vital Health Stat
2-175 (2017): the effective number is never above the number itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from hutong.calls.evidence.model import Rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
MILLION: Final = 1_000_000


def clopper_pearson(hits: float, calls: float) -> tuple[float, float]:
    """The interval of a share; both may be fractions (an effective number). (0, 1) without calls."""
    from scipy.stats import beta  # noqa: PLC0415  # slow to load; only who counts needs it

    if calls <= 0:
        return 0.0, 1.0
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, hits, calls - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, calls - hits)) if hits < calls else 1.0
    return low, high


def design_effect(hits: NDArray[np.int64], calls: NDArray[np.int64]) -> float:
    """How many times the variance of independent calls the variance over callers is, at least 1.

    Args:
        hits, calls: of each caller that made any; same length.
    """
    callers, made = len(calls), int(calls.sum())
    share = float(hits.sum()) / made if made else 0.0
    if callers < 2 or not 0 < share < 1:  # noqa: PLR2004  # one caller has no variance
        return 1.0
    rest = hits - share * calls
    variance = callers / (callers - 1) * float((rest * rest).sum()) / made**2
    return max(1.0, variance / (share * (1 - share) / made))


def effective(calls: int, callers: int, effect: float) -> float:
    """Independent calls that tell as much as these, after Korn and Graubard's correction for few callers."""
    from scipy.stats import t  # noqa: PLC0415  # as above

    if calls < 2 or callers < 2:  # noqa: PLR2004  # no freedom left
        return min(float(calls), float(callers))
    tail = (1 - CONFIDENCE) / 2
    correction = (float(t.ppf(tail, calls - 1)) / float(t.ppf(tail, callers - 1))) ** 2
    return min(float(calls), calls / effect * correction)


def rate(hits: NDArray[np.int64], calls: NDArray[np.int64]) -> Rate:
    """The rate of false positives with both intervals.

    Args:
        hits, calls: legitimate calls of each legitimate caller, those hit and all; same length.
    """
    hit, made = int(hits.sum()), int(calls.sum())
    low, high = clopper_pearson(hit, made)
    effect = design_effect(hits, calls)
    # Without a hit nothing tells how alike the calls of a caller are: the exact interval stands for both.
    number = effective(made, len(calls), effect) if hit else float(made)
    clustered = clopper_pearson(number * hit / made, number) if made else (0.0, 1.0)
    return Rate(
        hits=hit,
        calls=made,
        numbers=len(calls),
        per_million=hit / made * MILLION if made else None,
        low=low * MILLION,
        high=high * MILLION,
        clustered_low=clustered[0] * MILLION,
        clustered_high=clustered[1] * MILLION,
        design_effect=effect,
    )


def least_calls(limit: float) -> int:
    """Legitimate calls without one hit from which on the interval's end lies at or below a limit per million."""
    tail = (1 - CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log1p(-min(limit, MILLION - 1) / MILLION))
