"""What became of replayed calls: put in when a call was judged, noted in the windows when it was seen. Compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hutong.calls.attempt import V_ACTION, Scratch
from hutong.calls.model import ACTION_BLOCK
from hutong.calls.outcomes import PHASE_ANSWERED, PHASE_ENDED, PHASE_LOST, note_outcome_at
from hutong.calls.replay import pending as pending_
from hutong.calls.replay.batch import CALLED, DERIVE, CallBatch
from hutong.calls.replay.pending import (
    ANSWERED,
    CALLEE,
    CALLER,
    FOR_CALLEE,
    LAST_AT,
    LAST_ORDER,
    LOST,
    NEXT_ANSWER,
    NOTED,
    RING,
    TALK,
    TIMES,
    TRUNK_MASK,
    Pending,
    drop_entry,
    first_key,
    new_entry,
    put_in,
    take_first,
)
from hutong.kernel.compiled import compiled, inlined, signed
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.windows import WindowArrays, find_near

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST_MS = 7 * 24 * 3_600_000
_LAST_KEY = (1 << 63) - 1


# Of a block: its calls, its outcomes due, how much of its memory was asked for, the greatest key that it may note.
CALLS, DUES, ASKED, BOUND = 0, 1, 2, 3
COUNTS = 4


class Due(NamedTuple):
    """Outcomes taken out to be noted among a block's calls, in order.

    keys: int64[DUE]. entries: int64[DUE]. rows: int64[DUE, 2], where in the windows caller and callee most likely are.
    counts: int64[COUNTS], see CALLS.
    """

    keys: NDArray[np.int64]
    entries: NDArray[np.int64]
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]


@compiled
def _note(
    w: WindowArrays,
    keys: NDArray[np.int64],
    trunk_rows: NDArray[np.int64],
    pending: Pending,
    ref: int,
    near: tuple[int, int],
) -> None:
    """Let the windows see an outcome, and put in what follows it; `near`: see `windows.find_near`."""
    entry = pending.entries[ref]
    trunk = entry[pending_.TRUNK]
    answered = 1 if trunk & ANSWERED else 0
    first = trunk & NEXT_ANSWER != 0
    phase = PHASE_ANSWERED if first else (PHASE_LOST if trunk & LOST else PHASE_ENDED)
    now = entry[TIMES] // 1000
    ring, talk, place = entry[RING], entry[TALK], trunk & TRUNK_MASK
    note_outcome_at(w, find_near(w, entry[CALLEE], near[1]), phase, answered, ring, talk, now)
    if trunk & FOR_CALLEE == 0:
        note_outcome_at(w, find_near(w, entry[CALLER], near[0]), phase, answered, ring, talk, now)
        note_outcome_at(w, find_near(w, keys[place], trunk_rows[place]), phase, answered, ring, talk, now)
    pending.state[NOTED] += 1
    if first and entry[LAST_ORDER] >= 0:
        entry[pending_.TRUNK] = trunk & ~NEXT_ANSWER
        entry[TIMES] = entry[LAST_AT]
        put_in(pending, ref, entry[LAST_ORDER])
    else:
        drop_entry(pending, ref)


@compiled
def note_until(
    w: WindowArrays,
    keys: NDArray[np.int64],
    trunk_rows: NDArray[np.int64],
    pending: Pending,
    due: Due,
    done: int,
    bound: int,
) -> int:
    """Note what is due by `bound`: of the block's outcomes from place `done` on, and what came in since."""
    while True:
        mine = due.keys[done] if done < due.counts[DUES] else _LAST_KEY
        other = first_key(pending)
        if min(mine, other) > bound:
            return done
        if other < mine:
            _note(w, keys, trunk_rows, pending, take_first(pending), (-1, -1))
        elif done < due.counts[DUES]:
            near = (due.rows[done, 0], due.rows[done, 1])
            _note(w, keys, trunk_rows, pending, int(due.entries[done]), near)
            done += 1
        else:
            return done


@inlined
def follow(pending: Pending, scratch: Scratch, b: CallBatch, i: int, exact: int) -> None:
    """Let what became of the call be seen in time; of a refused call there is nothing to see."""
    if scratch.verdict[V_ACTION] == ACTION_BLOCK or b.answered[i] < 0:
        return
    taken = 1 if b.answered[i] == 1 else 0
    answered_at, ended_at = b.answered_at[i], b.ended_at[i]
    ring = min(max(b.ring_ms[i], 0), _LONGEST_MS)
    talk = min(max(b.talk_ms[i], 0), _LONGEST_MS) if taken else signed(0)
    first_order, last_order = b.answered_seq[i], b.ended_seq[i]
    if not exact:
        answered_at = b.start_ms[i] + ring if answered_at == DERIVE else answered_at
        ended_at = b.start_ms[i] + ring + talk if ended_at == DERIVE else ended_at
        first_order, last_order = answered_at, ended_at
    first = taken == 1 and first_order >= 0
    if not first and last_order < 0:
        return
    ref = new_entry(pending)
    if ref < 0:
        return
    entry = pending.entries[ref]
    entry[CALLER], entry[CALLEE] = scratch.caller[KEY], scratch.callee[KEY]
    entry[pending_.TRUNK] = (
        signed(b.trunk[i]) | (NEXT_ANSWER if first else 0) | (ANSWERED if taken else 0) | (LOST if b.lost[i] else 0)
    )
    if b.flags[i] & CALLED:
        entry[pending_.TRUNK] |= FOR_CALLEE
    entry[TIMES] = answered_at if first else ended_at
    entry[RING], entry[TALK] = ring, talk
    entry[LAST_ORDER], entry[LAST_AT] = last_order, ended_at
    put_in(pending, ref, first_order if first else last_order)
