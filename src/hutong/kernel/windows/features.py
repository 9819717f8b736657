"""The values that rules see: names in order, and the compiled reader of one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hutong.kernel.windows.layout import WindowArrays

SPAN_NAMES: Final = ("1m", "10m", "1h", "24h")
SPAN_FEATURES: Final = (
    "attempts",
    "inbound",
    "distinct_callees",
    "areas",
    "answer_share",
    "short_share",
    "mean_ring",
    "mean_talk",
    "night_share",
    "out_share",
    "ended",
)
WINDOW_FEATURES: Final[tuple[str, ...]] = (
    *(f"{feature}_{span}" for span in SPAN_NAMES for feature in SPAN_FEATURES),
    "run_sequential",
    "run_same",
    "active_calls",
    "age",
    "idle",
)


@compiled
def read_features(w: WindowArrays, slot: int, now: int, out: NDArray[np.float64], at: int) -> None:
    """Write len(WINDOW_FEATURES) values of one number to out[at:]; slot -1 (never seen) writes zeros."""
    out[at] = 0.0
