"""Moving one row's clock forward: buckets shift, stamps of bins age out. What is counted is none of its business.

A span S has two buckets, cut at multiples of S: the current one and the one before. All spans are multiples of a
minute, so within a minute nothing moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.layout import BINS, PREVIOUS, SPANS

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import Row

MINUTE: Final = 60
TEN_MINUTES: Final = 600
HOUR: Final = 3600
DAY: Final = 86400

BIN_SECONDS: Final = 2
# The age, in units of BIN_SECONDS, at which a bin no longer counts for any span. A 16-bit stamp wraps after 36 h;
# dead bins are re-stamped to this age whenever a row's clock enters another quarter of a day, so no age is ever
# ambiguous: none gets beyond 30 h.
DEAD_AGE: Final = DAY // BIN_SECONDS
_AGEING: Final = DAY // 4
_STAMP: Final = 0xFFFF


@compiled
def stamp_of(now: int) -> int:
    """The 16-bit stamp of a moment."""
    return (now // BIN_SECONDS) & _STAMP


@compiled
def clear_timed(row: Row, now: int) -> None:
    """Forget all that the spans, runs and active calls knew; the key and `first` stay."""
    row.callee = 0
    row.active = 0
    row.sequential = 0
    row.same = 0
    row.direction = 0
    for i in range(2 * SPANS):
        row.attempts[i] = 0
        row.inbound[i] = 0
        row.night[i] = 0
        row.ring[i] = 0
        row.talk[i] = 0
        row.ended[i] = 0
        row.answered[i] = 0
        row.short[i] = 0
    dead = np.uint16((now // BIN_SECONDS - DEAD_AGE) & _STAMP)
    for i in range(BINS):
        row.bins[i] = dead


@compiled
def _age_bins(row: Row, then: int, now: int) -> None:
    """Re-stamp the bins that are dead at `now`; both moments in units of BIN_SECONDS, less than a day apart."""
    dead = np.uint16((now - DEAD_AGE) & _STAMP)
    moment = np.uint16(then & _STAMP)
    oldest = np.uint16(DEAD_AGE - (now - then))
    for i in range(BINS):
        age = np.uint16(moment - row.bins[i])
        if age >= oldest:
            row.bins[i] = dead


@compiled
def _shift_span(row: Row, span: int, seconds: int, rolled: int, now: int) -> None:
    if now // seconds == rolled // seconds:
        return
    # After a whole span without activity nothing of the old bucket can lie within the span.
    keep = np.uint32(0xFFFFFFFF if now - rolled < seconds else 0)
    before = span + PREVIOUS
    row.attempts[before] = row.attempts[span] & keep
    row.inbound[before] = row.inbound[span] & keep
    row.night[before] = row.night[span] & keep
    row.ring[before] = row.ring[span] & keep
    row.talk[before] = row.talk[span] & keep
    row.ended[before] = row.ended[span] & keep
    row.answered[before] = row.answered[span] & keep
    row.short[before] = row.short[span] & keep
    row.attempts[span] = 0
    row.inbound[span] = 0
    row.night[span] = 0
    row.ring[span] = 0
    row.talk[span] = 0
    row.ended[span] = 0
    row.answered[span] = 0
    row.short[span] = 0


@compiled
def roll(row: Row, now: int) -> int:
    """Bring a (saved) row to `now`; a `now` before the row's own clock counts as that clock.

    Returns:
        The row's clock: the later of the two.
    """
    rolled = signed(row.rolled)
    if now <= rolled:
        return rolled
    row.rolled = now
    if now - rolled >= DAY:
        clear_timed(row, now)
        return now
    if now // _AGEING != rolled // _AGEING:
        _age_bins(row, rolled // BIN_SECONDS, now // BIN_SECONDS)
    if now // MINUTE != rolled // MINUTE:
        _shift_span(row, 0, MINUTE, rolled, now)
        _shift_span(row, 1, TEN_MINUTES, rolled, now)
        _shift_span(row, 2, HOUR, rolled, now)
        _shift_span(row, 3, DAY, rolled, now)
    return now
