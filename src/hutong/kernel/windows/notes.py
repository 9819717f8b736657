"""What happened to a number: an attempt, an inbound call, an answer, an end, a loss. Reading is in `features`.

Every function takes a slot from `touch` or `find`; slot -1 (not tracked any more) is let pass without effect, because
a call may end long after its number made room for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.layout import AREA_BINS, CALLEE_BINS, COMMON_BINS, SAMPLED_BINS, SPANS
from hutong.kernel.windows.records import nth
from hutong.kernel.windows.rolling import roll, stamp_of
from hutong.kernel.windows.table import mixed
from hutong.kernel.windows.undo import save_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.kernel.windows.layout import Row, WindowArrays

SHORT_CALL_MS: Final = 15_000
RUN_SECONDS: Final = 600
_MAX32: Final = 0xFFFFFFFF
_MAX16: Final = 0xFFFF
# A ring or talk time above a day is a broken report; it must not eat the sums of a whole bucket.
_MAX_TENTHS: Final = 864_000
_UP: Final = 1
_DOWN: Final = 2
_SAMPLED: Final = np.uint64(7)  # these three hash bits all set: the sampled eighth
_MIDDLE: Final = np.uint64(16)
_WORD: Final = np.uint64(0xFFFF)


@compiled
def _add_one(counter: NDArray[np.uint32]) -> None:
    for span in range(SPANS):
        counter[span] = min(signed(counter[span]) + 1, _MAX32)


@compiled
def _scaled(h: np.uint64, bins: int) -> int:
    """16 middle bits of a hash to 0..bins-1."""
    return signed((((h >> _MIDDLE) & _WORD) * np.uint64(bins)) >> _MIDDLE)


@compiled
def callee_bin(callee: int, salt: int) -> int:
    """The bin of a callee: 7/8 of all callees share COMMON_BINS, the rest SAMPLED_BINS."""
    h = mixed(callee, salt)
    if (h & _SAMPLED) != _SAMPLED:
        return _scaled(h, COMMON_BINS)
    return COMMON_BINS + _scaled(h, SAMPLED_BINS)


@compiled
def area_bin(area: int, salt: int) -> int:
    """The bin of a callee area."""
    return _scaled(mixed(area, salt), AREA_BINS)


@compiled
def _follow_run(row: Row, callee: int, now: int) -> None:
    """Lengthen or restart the runs; retrying the same callee neither lengthens nor breaks a numeric run."""
    stale = now - signed(row.attempted) > RUN_SECONDS or row.callee == 0
    step = callee - row.callee
    row.callee = callee
    row.attempted = now
    if stale or step < -1 or step > 1:
        row.same = 1
        row.sequential = 1
        row.direction = 0
        return
    if step == 0:
        row.same = min(signed(row.same) + 1, _MAX16)
        return
    direction = _UP if step == 1 else _DOWN
    turned = row.direction not in (0, direction)
    row.same = 1
    row.sequential = 2 if turned else min(signed(row.sequential) + 1, _MAX16)
    row.direction = direction


@compiled
def note_attempt(w: WindowArrays, slot: int, callee: int, area: int, now: int, night: int) -> None:
    """A call attempt by this number.

    Args:
        w: the table.
        slot: the caller's (or the trunk's) row; -1 has no effect.
        callee: key of the number called; 0 = none, an attempt to nobody.
        area: the callee's area index; 0 = unknown, not counted as an area.
        now: seconds since 1970.
        night: 1 when the attempt falls in the configured night hours.
    """
    if slot < 0:
        return
    save_row(w, slot)
    row = nth(w.rows, slot)
    moment = roll(row, now)
    _add_one(row.attempts)
    if night != 0:
        _add_one(row.night)
    stamp = stamp_of(moment)
    if callee != 0:
        row.bins[callee_bin(callee, w.head.salt_bins)] = stamp
    if area != 0:
        row.bins[CALLEE_BINS + area_bin(area, w.head.salt_bins)] = stamp
    _follow_run(row, callee, moment)


@compiled
def note_inbound(w: WindowArrays, slot: int, now: int) -> None:
    """A call attempt to this number; slot -1 has no effect."""
    if slot < 0:
        return
    save_row(w, slot)
    row = nth(w.rows, slot)
    roll(row, now)
    _add_one(row.inbound)


@compiled
def note_answered(w: WindowArrays, slot: int, now: int) -> None:
    """A call of this number was answered and goes on; slot -1 has no effect."""
    if slot < 0:
        return
    save_row(w, slot)
    row = nth(w.rows, slot)
    roll(row, now)
    row.active = min(signed(row.active) + 1, _MAX32)


@compiled
def note_lost(w: WindowArrays, slot: int, now: int) -> None:
    """An answered call of this number is given up, its end never seen: it goes on no more; slot -1 has no effect."""
    if slot < 0:
        return
    save_row(w, slot)
    row = nth(w.rows, slot)
    roll(row, now)
    if row.active > 0:
        row.active = signed(row.active) - 1


@compiled
def forget_active(w: WindowArrays) -> None:
    """No call of any number goes on: for when nobody knows any more which calls were under way.

    Outside the undo area, which has no room for every row: done twice it does no harm, so whoever must do it again may.
    """
    for slot in range(w.head.used):
        nth(w.rows, slot).active = 0


@compiled
def tenths(milliseconds: int) -> int:
    """A ring or talk time in tenths of a second, below 2**20."""
    return min(max((milliseconds + 50) // 100, 0), _MAX_TENTHS)


@compiled
def is_short(talk_ms: int) -> bool:
    """Whether a call that talked so long was a short one."""
    return talk_ms <= SHORT_CALL_MS


@compiled
def _add_outcome(row: Row, span: int, ring: int, talk: int, taken: int, short: int) -> None:
    """A full bucket is halved whole: its shares and means stay, and later calls still weigh in."""
    full = signed(row.ended[span]) == _MAX16
    if full or signed(row.ring[span]) + ring > _MAX32 or signed(row.talk[span]) + talk > _MAX32:
        row.ended[span] >>= np.uint16(1)
        row.answered[span] >>= np.uint16(1)
        row.short[span] >>= np.uint16(1)
        row.ring[span] >>= np.uint32(1)
        row.talk[span] >>= np.uint32(1)
    row.ended[span] += np.uint16(1)
    row.answered[span] += np.uint16(taken)
    row.short[span] += np.uint16(short)
    row.ring[span] += np.uint32(ring)
    row.talk[span] += np.uint32(talk)


@compiled
def note_ended(w: WindowArrays, slot: int, now: int, answered: int, ring_ms: int, talk_ms: int) -> None:
    """A call of this number ended.

    Args:
        w: the table.
        slot: the caller's, callee's or trunk's row; -1 has no effect.
        now: seconds since 1970, when it ended.
        answered: 1 when it had been answered (and noted so), else 0.
        ring_ms: from the attempt to the answer or the end, in milliseconds.
        talk_ms: from the answer to the end, in milliseconds; ignored when not answered.
    """
    taken = 1 if answered != 0 else 0
    short = 1 if taken == 1 and is_short(talk_ms) else 0
    note_end(w, slot, now, taken, short, tenths(ring_ms), tenths(talk_ms) * taken)


@compiled
def note_end(w: WindowArrays, slot: int, now: int, taken: int, short: int, ring: int, talk: int) -> None:
    """As `note_ended`, for who has worked out before what is counted.

    Args:
        w, slot, now: see there.
        taken: 1 when it had been answered, else 0.
        short: 1 when it had been answered and `is_short`, else 0.
        ring, talk: `tenths`; 0 of talk when not answered.
    """
    if slot < 0:
        return
    save_row(w, slot)
    row = nth(w.rows, slot)
    roll(row, now)
    for span in range(SPANS):
        _add_outcome(row, span, ring, talk, taken, short)
    if taken == 1 and row.active > 0:
        row.active = signed(row.active) - 1
