"""The values that rules see: their names in order, and the compiled reader of one row. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hutong.kernel.compiled import compiled
from hutong.kernel.windows.distinct import AREAS, CALLEES
from hutong.kernel.windows.layout import AREA_BINS, COMMON_BINS, PREVIOUS, SAMPLED_BINS, wide
from hutong.kernel.windows.notes import RUN_SECONDS
from hutong.kernel.windows.rolling import BIN_SECONDS, DAY, HOUR, MINUTE, TEN_MINUTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.kernel.windows.layout import Row, WindowArrays

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


_PER_SPAN: Final = len(SPAN_FEATURES)
_LENGTH: Final = len(WINDOW_FEATURES)
_TENTH: Final = 0.1


@compiled
def _sum(buckets: NDArray[Any], span: int, current: float, previous: float) -> float:
    return np.float64(buckets[span]) * current + np.float64(buckets[span + PREVIOUS]) * previous


@compiled
def _hits(bins: NDArray[np.uint16], first: int, count: int, then: int, limit: int) -> int:
    """How many of `count` bins from `first` were stamped less than `limit` units before `then`."""
    hit = np.uint16(0)
    moment = np.uint16(then & 0xFFFF)
    below = np.uint16(limit)
    for i in range(first, first + count):
        hit = np.uint16(hit + np.uint16(np.uint16(moment - bins[i]) < below))
    return wide(hit)


@compiled
def _read_counts(
    row: Row, span: int, current: float, previous: float, out: NDArray[np.float64], at: int
) -> None:
    attempts = _sum(row.attempts, span, current, previous)
    inbound = _sum(row.inbound, span, current, previous)
    ended = _sum(row.ended, span, current, previous)
    answered = _sum(row.answered, span, current, previous)
    out[at] = attempts
    out[at + 1] = inbound
    out[at + 4] = answered / ended if ended > 0 else 0.0
    out[at + 5] = _sum(row.short, span, current, previous) / answered if answered > 0 else 0.0
    out[at + 6] = _TENTH * _sum(row.ring, span, current, previous) / ended if ended > 0 else 0.0
    out[at + 7] = _TENTH * _sum(row.talk, span, current, previous) / answered if answered > 0 else 0.0
    out[at + 8] = _sum(row.night, span, current, previous) / attempts if attempts > 0 else 0.0
    out[at + 9] = attempts / (attempts + inbound) if attempts > 0 else 0.0
    out[at + 10] = ended


@compiled
def _read_distinct(row: Row, limit: int, out: NDArray[np.float64], at: int) -> None:
    """A bin hit is a fact and attempts are counted: estimates stay between them. A callee has one area."""
    then = wide(row.rolled) // BIN_SECONDS
    common = _hits(row.callees, 0, COMMON_BINS, then, limit)
    sampled = _hits(row.callees, COMMON_BINS, SAMPLED_BINS, then, limit)
    areas = _hits(row.areas, 0, AREA_BINS, then, limit)
    distinct = max(min(CALLEES[common, sampled], np.ceil(out[at])), common + sampled, areas)
    out[at + 2] = distinct
    out[at + 3] = max(min(AREAS[areas], distinct), areas)


@compiled
def _read_span(row: Row, span: int, seconds: int, now: int, out: NDArray[np.float64], at: int) -> None:
    """Both buckets weighted by how much of them lies in the span; see docs/windows.md for the bounds."""
    rolled = wide(row.rolled)
    current, previous = 1.0, (seconds - now % seconds) / seconds
    if now // seconds != rolled // seconds:
        current, previous = previous, 0.0
    if now - rolled >= seconds:
        current = previous = 0.0
    _read_counts(row, span, current, previous, out, at)
    passed = now // BIN_SECONDS - rolled // BIN_SECONDS
    _read_distinct(row, max(seconds // BIN_SECONDS - passed, 0), out, at)


@compiled
def read_features(w: WindowArrays, slot: int, now: int, out: NDArray[np.float64], at: int) -> None:
    """Write the len(WINDOW_FEATURES) values of one number to out[at:].

    Args:
        w: the table; not changed.
        slot: the number's row; -1 (never seen) writes zeros.
        now: seconds since 1970; before the row's own clock it counts as that clock.
        out: float64, at least at + len(WINDOW_FEATURES) long.
        at: where to begin.
    """
    if slot < 0:
        for i in range(_LENGTH):
            out[at + i] = 0.0
        return
    row = w.rows[slot]
    rolled = wide(row.rolled)
    moment = max(now, rolled)
    _read_span(row, 0, MINUTE, moment, out, at)
    _read_span(row, 1, TEN_MINUTES, moment, out, at + _PER_SPAN)
    _read_span(row, 2, HOUR, moment, out, at + 2 * _PER_SPAN)
    _read_span(row, 3, DAY, moment, out, at + 3 * _PER_SPAN)
    rest = at + 4 * _PER_SPAN
    running = moment - wide(row.attempted) <= RUN_SECONDS
    out[rest] = np.float64(row.sequential) if running else 0.0
    out[rest + 1] = np.float64(row.same) if running else 0.0
    out[rest + 2] = np.float64(row.active) if moment - rolled < DAY else 0.0
    out[rest + 3] = np.float64(moment - wide(row.first))
    out[rest + 4] = np.float64(moment - wide(row.before))
