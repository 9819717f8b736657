"""What became of replayed calls: put down when a call was judged, noted in the windows in its time. Compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.calls.attempt import V_ACTION, Scratch
from hutong.calls.model import ACTION_BLOCK
from hutong.calls.replay.batch import CALLED, DERIVE, CallBatch
from hutong.calls.replay.owed import (
    ANSWER,
    FOR_CALLEE,
    LAST,
    LOST,
    OF_CALLEE,
    SHORT,
    TAKEN,
    TELL_CALLEE,
    TELL_CALLER,
    Owed,
    note_next,
    owe,
    settle,
)
from hutong.calls.replay.pending import (
    AMOUNT_BITS,
    MAX_ORDER,
    Entry,
    Pending,
    drop_entry,
    new_entry,
    put_in,
    take_due,
)
from hutong.kernel.compiled import compiled, inlined, signed
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.windows import WindowArrays, find, find_near, is_short, nth, tenths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST_MS = 7 * 24 * 3_600_000
_LAST_SECOND = (1 << 32) - 1


@compiled
def _tell(w: WindowArrays, slot: int, entry: Entry) -> int:
    facts, first, last = signed(entry.facts), entry.first, entry.last
    return note_next(w, slot, facts, first, last, signed(entry.first_s), signed(entry.last_s))


@compiled
def _tell_party(w: WindowArrays, owed: Owed, key: int, entry: Entry, order: int) -> None:
    slot = find(w, key)
    settle(w, owed, slot, order)
    _tell(w, slot, entry)


@inlined
def note_until(
    w: WindowArrays,
    owed: Owed,
    keys: NDArray[np.int64],
    trunk_rows: NDArray[np.int64],
    pending: Pending,
    order: int,
) -> None:
    """Let the windows of trunks, and of numbers that are owed nothing, see what happened by `order`."""
    while True:
        ref = take_due(pending, order)
        if ref < 0:
            return
        entry = nth(pending.entries, ref)
        told, due, place = signed(entry.facts), entry.order, signed(entry.trunk)
        if told & TELL_CALLER:
            _tell_party(w, owed, entry.caller, entry, due)
        if told & TELL_CALLEE:
            _tell_party(w, owed, entry.callee, entry, due)
        left = _tell(w, -1 if told & FOR_CALLEE else find_near(w, keys[place], trunk_rows[place]), entry)
        pending.wheel.noted += 1
        if left & LAST:
            entry.facts = left
            put_in(pending, ref, entry.last >> AMOUNT_BITS)
        else:
            drop_entry(pending, ref)


@compiled
def _word(order: int, amount: int) -> int:
    return (min(max(order, 0), MAX_ORDER) << AMOUNT_BITS) | amount


@compiled
def _second(milliseconds: int) -> int:
    return min(max(milliseconds // 1000, 0), _LAST_SECOND)


@inlined
def follow(pending: Pending, owed: Owed, scratch: Scratch, b: CallBatch, i: int, exact: int) -> None:
    """Let what became of the call be seen in time; of a refused call there is nothing to see.

    `scratch.rows` are the rows that caller and callee have now.
    """
    if scratch.verdict[V_ACTION] == ACTION_BLOCK or b.answered[i] < 0:
        return
    taken = b.answered[i] == 1
    answered_at, ended_at = b.answered_at[i], b.ended_at[i]
    ring = min(max(b.ring_ms[i], 0), _LONGEST_MS)
    talk = min(max(b.talk_ms[i], 0), _LONGEST_MS) if taken else signed(0)
    first_order, last_order = b.answered_seq[i], b.ended_seq[i]
    if not exact:
        answered_at = b.start_ms[i] + ring if answered_at == DERIVE else answered_at
        ended_at = b.start_ms[i] + ring + talk if ended_at == DERIVE else ended_at
        first_order, last_order = answered_at, ended_at
    facts = (ANSWER if taken and first_order >= 0 else 0) | (LAST if last_order >= 0 else 0)
    if facts == 0:
        return
    ref = new_entry(pending)
    if ref < 0:
        return
    if taken:
        facts |= TAKEN | (SHORT if is_short(talk) else 0)
    facts |= LOST if b.lost[i] else 0
    entry = nth(pending.entries, ref)
    entry.caller, entry.callee, entry.trunk = scratch.caller[KEY], scratch.callee[KEY], signed(b.trunk[i])
    entry.first, entry.last = _word(first_order, tenths(ring)), _word(last_order, tenths(talk))
    entry.first_s, entry.last_s = _second(answered_at), _second(ended_at)
    entry.facts = facts
    facts |= FOR_CALLEE if b.flags[i] & CALLED else owe(owed, pending, scratch.rows[0], ref, 0)
    facts |= owe(owed, pending, scratch.rows[1], ref, OF_CALLEE)
    entry.facts = facts
    put_in(pending, ref, (entry.first if facts & ANSWER else entry.last) >> AMOUNT_BITS)
