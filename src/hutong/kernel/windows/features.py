"""The values that rules see: their names in order, and the compiled reader of one row. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.distinct import AREAS, CALLEES
from hutong.kernel.windows.layout import BINS, CALLEE_BINS, COMMON_BINS, PREVIOUS, SPANS
from hutong.kernel.windows.notes import RUN_SECONDS
from hutong.kernel.windows.records import nth, overlay
from hutong.kernel.windows.rolling import BIN_SECONDS, DAY, HOUR, MINUTE, TEN_MINUTES

if TYPE_CHECKING:
    from collections.abc import Callable

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


class _Span(Protocol):
    """The values of one span, in the order of SPAN_FEATURES."""

    attempts: float
    inbound: float
    distinct_callees: float
    areas: float
    answer_share: float
    short_share: float
    mean_ring: float
    mean_talk: float
    night_share: float
    out_share: float
    ended: float


_span_at: Callable[[NDArray[np.float64], int], _Span] = overlay(
    np.dtype([(name, np.float64) for name in SPAN_FEATURES])
)
_NONE: Final = np.uint32(0)
_COMMON: Final = np.uint32(1)
_SAMPLED: Final = np.uint32(1 << 8)
_AREA: Final = np.uint32(1 << 16)


@compiled
def _sum(buckets: NDArray[Any], span: int, current: float, previous: float) -> float:
    return np.float64(buckets[span]) * current + np.float64(buckets[span + PREVIOUS]) * previous


@compiled
def _limit(seconds: int, passed: int) -> np.uint16:
    """Units of age, at the row's clock, below which a bin still counts `passed` units later."""
    return np.uint16(max(seconds // BIN_SECONDS - passed, 0))


@compiled
def _hits(row: Row, passed: int) -> tuple[int, int, int, int]:
    """Bins hit within each span as common | sampled << 8 | areas << 16: one pass, one vector load for all spans."""
    then = np.uint16((signed(row.rolled) // BIN_SECONDS) & 0xFFFF)
    minute, ten, hour, day = (
        _limit(MINUTE, passed),
        _limit(TEN_MINUTES, passed),
        _limit(HOUR, passed),
        _limit(DAY, passed),
    )
    in_minute = in_ten = in_hour = in_day = np.uint32(0)
    for i in range(BINS):
        one = _COMMON if i < COMMON_BINS else (_SAMPLED if i < CALLEE_BINS else _AREA)
        age = np.uint16(then - row.bins[i])
        in_minute = np.uint32(in_minute + (one if age < minute else _NONE))
        in_ten = np.uint32(in_ten + (one if age < ten else _NONE))
        in_hour = np.uint32(in_hour + (one if age < hour else _NONE))
        in_day = np.uint32(in_day + (one if age < day else _NONE))
    return signed(in_minute), signed(in_ten), signed(in_hour), signed(in_day)


@compiled
def _read_counts(row: Row, span: int, current: float, previous: float, to: _Span) -> None:
    attempts = _sum(row.attempts, span, current, previous)
    inbound = _sum(row.inbound, span, current, previous)
    ended = _sum(row.ended, span, current, previous)
    answered = _sum(row.answered, span, current, previous)
    to.attempts = attempts
    to.inbound = inbound
    to.answer_share = answered / ended if ended > 0 else 0.0
    to.short_share = _sum(row.short, span, current, previous) / answered if answered > 0 else 0.0
    to.mean_ring = _TENTH * _sum(row.ring, span, current, previous) / ended if ended > 0 else 0.0
    to.mean_talk = _TENTH * _sum(row.talk, span, current, previous) / answered if answered > 0 else 0.0
    to.night_share = _sum(row.night, span, current, previous) / attempts if attempts > 0 else 0.0
    to.out_share = attempts / (attempts + inbound) if attempts > 0 else 0.0
    to.ended = ended


@compiled
def _read_distinct(hits: int, to: _Span) -> None:
    """A bin hit is a fact and attempts are counted: estimates stay between them. A callee has one area."""
    common, sampled, areas = hits & 0xFF, (hits >> 8) & 0xFF, hits >> 16
    distinct = max(min(CALLEES[common, sampled], np.ceil(to.attempts)), common + sampled, areas)
    to.distinct_callees = distinct
    to.areas = max(min(AREAS[areas], distinct), areas)


@compiled
def _read_span(row: Row, span: int, seconds: int, now: int, hits: int, to: _Span) -> None:
    """Both buckets weighted by how much of them lies in the span; see docs/windows.md for the bounds."""
    rolled = signed(row.rolled)
    current, previous = 1.0, (seconds - now % seconds) / seconds
    if now // seconds != rolled // seconds:
        current, previous = previous, 0.0
    if now - rolled >= seconds:
        current = previous = 0.0
    _read_counts(row, span, current, previous, to)
    _read_distinct(hits, to)


@compiled
def _read_row(row: Row, now: int, out: NDArray[np.float64], at: int) -> None:
    rolled = signed(row.rolled)
    moment = max(now, rolled)
    in_minute, in_ten, in_hour, in_day = _hits(row, moment // BIN_SECONDS - rolled // BIN_SECONDS)
    _read_span(row, 0, MINUTE, moment, in_minute, _span_at(out, at))
    _read_span(row, 1, TEN_MINUTES, moment, in_ten, _span_at(out, at + _PER_SPAN))
    _read_span(row, 2, HOUR, moment, in_hour, _span_at(out, at + 2 * _PER_SPAN))
    _read_span(row, 3, DAY, moment, in_day, _span_at(out, at + 3 * _PER_SPAN))
    rest = at + SPANS * _PER_SPAN
    running = moment - signed(row.attempted) <= RUN_SECONDS
    out[rest] = np.float64(row.sequential) if running else 0.0
    out[rest + 1] = np.float64(row.same) if running else 0.0
    out[rest + 2] = np.float64(row.active) if moment - rolled < DAY else 0.0
    out[rest + 3] = np.float64(moment - signed(row.first))
    out[rest + 4] = np.float64(moment - signed(row.before))


@compiled
def _read_nothing(out: NDArray[np.float64], at: int) -> None:
    for i in range(at, at + _LENGTH):
        out[i] = 0.0


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
    # No loop may stand here: Numba would then count the arrays in and out, which doubles the time.
    if slot >= 0:
        _read_row(nth(w.rows, slot), now, out, at)
    else:
        _read_nothing(out, at)


@compiled
def day_counts(w: WindowArrays, slot: int) -> tuple[int, int]:
    """Attempts made and calls received by a number just touched, today and yesterday (UTC).

    No attempts, distinct callees or areas of any span exceed the first, no inbound calls the second: the two buckets of
    the longest span hold all that any span still counts.
    """
    row = nth(w.rows, slot)
    made = signed(row.attempts[SPANS - 1]) + signed(row.attempts[SPANS - 1 + PREVIOUS])
    return made, signed(row.inbound[SPANS - 1]) + signed(row.inbound[SPANS - 1 + PREVIOUS])
