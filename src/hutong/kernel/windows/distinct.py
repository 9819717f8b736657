"""How many distinct things hit a set of bins: the tables that turn bins hit into an estimate.

Linear counting (Whang, Vander-Zanden, Taylor 1990) with two sampling rates as in the multiresolution bitmap (Estan,
Varghese, Fisk 2003): n things hit bin j, which owns the share p of the hash space, with probability 1 - exp(-n p).
The estimate is the most likely n given how many bins of each rate were hit, found once for every pair of counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hutong.kernel.windows.layout import AREA_BINS, COMMON_BINS, SAMPLED_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLED_SHARE: Final = 1 / 8
_BISECTIONS: Final = 50
_BEYOND: Final = 1e5


def _most_likely(common: int, sampled: int, share: float) -> NDArray[np.float64]:
    """Estimates, whole numbers, for 0..common bins hit by the one and 0..sampled bins hit by the other part."""
    p = (1 - share) / common
    q = share / sampled if sampled else 0.0
    hits = np.arange(common + 1.0)[:, None].repeat(sampled + 1, axis=1)
    rare = np.arange(sampled + 1.0)[None, :].repeat(common + 1, axis=0)
    # With every bin hit there is no most likely n; half a bin short of that is where counting ends.
    if sampled:
        rare[-1, -1] -= 0.5
    else:
        hits[-1, -1] -= 0.5
    low, high = np.full_like(hits, 1e-9), np.full_like(hits, _BEYOND)
    for _ in range(_BISECTIONS):
        n = (low + high) / 2
        # The derivative of the log-likelihood: sum over bins hit of p / (1 - exp(-n p)) = sum over all bins of p = 1.
        slope = hits * p / -np.expm1(-n * p) + (rare * q / -np.expm1(-n * q) if sampled else 0.0)
        low, high = np.where(slope > 1, n, low), np.where(slope > 1, high, n)
    return np.maximum(np.rint(high), hits + rare).round()


CALLEES: Final = _most_likely(COMMON_BINS, SAMPLED_BINS, _SAMPLED_SHARE)
AREAS: Final = _most_likely(AREA_BINS, 0, 0.0)[:, 0]
