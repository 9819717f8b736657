"""A batch of call records through the judgement, and their outcomes through the windows, in order. Compiled, pure.

Calls go by in blocks. While those of one block are judged by `weighing.weigh`, exactly as live, the memory that the
next will touch is asked for bit by bit: its numbers were read before, and the outcomes due by then are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.answers import NO_RULE
from hutong.calls.attempt import (
    ANONYMOUS,
    DIVERTER,
    FAIL_OPEN,
    FLAGS,
    FROM,
    HOUR,
    NIGHT,
    ROAMING,
    ROAMING_UNKNOWN,
    TIME_MS,
    TRUNK,
    V_ACTION,
    V_FIRED,
    V_RULE,
    Judge,
    Scratch,
)
from hutong.calls.model import ACTION_PASS, FLAG_FAIL_OPEN, FLAG_MIRRORED
from hutong.calls.replay.batch import CALLED
from hutong.calls.replay.outcomes import ASKED, BOUND, CALLS, COUNTS, DUES, Due, follow, note_until
from hutong.calls.replay.pending import (
    CALLEE,
    CALLER,
    MAX_ORDER,
    Pending,
    advance,
    first_key,
    key_bound,
    take_first,
)
from hutong.calls.trunks import KIND_INTERNATIONAL
from hutong.calls.weighing import weigh
from hutong.kernel import scores
from hutong.kernel.compiled import compiled, inlined
from hutong.kernel.numbering import NUMBER_FIELDS, read_number
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.rules.gates import WORD
from hutong.kernel.windows import (
    note_inbound,
    prefetch_counts,
    prefetch_index,
    prefetch_link,
    prefetch_order,
    prefetch_row,
    table_at,
    touch_near,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.replay.batch import CallBatch, Judged, Texts
    from hutong.kernel.numbering import PlanArrays
    from hutong.kernel.windows import WindowArrays

#: Calls of a block, and outcomes noted among them at most.
BLOCK, DUE = 32, 96
_HOUR_S, _DAY_HOURS = 3600, 24


class Hours(NamedTuple):
    """Local time.

    begins: int64[k], ms since 1970 UTC from which on the zone is `ahead` of UTC, int64[k], seconds. night: uint8[24].
    """

    begins: NDArray[np.int64]
    ahead: NDArray[np.int64]
    night: NDArray[np.uint8]


class Block(NamedTuple):
    """Working memory of a block: numbers read, outcomes due.

    rows: int64[BLOCK, 2], where in the windows caller and callee most likely are. abroad: int64[BLOCK], 1 where a call
    comes in from abroad; home: zeros. counts: that of `due`.
    """

    callers: NDArray[np.int64]
    callees: NDArray[np.int64]
    rows: NDArray[np.int64]
    abroad: NDArray[np.int64]
    home: NDArray[np.int64]
    due: Due
    counts: NDArray[np.int64]


class Player(NamedTuple):
    """All that a replay consults and changes, in the order of `play`'s arguments.

    weights: float64[rules], what a fired rule adds to the score. scores: int64[n, 2], learned scores (`kernel.scores`).
    trunk_rows: int64[trunks], where in the windows they are. exact: 1 when events come in the order of `CallBatch.seq`.
    """

    judge: Judge
    scratch: Scratch
    call: NDArray[np.int64]
    pending: Pending
    hours: Hours
    block: Block
    following: Block
    trunk_rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    scores: NDArray[np.int64]
    exact: int


def new_block() -> Block:
    """Working memory of a block."""
    counts = np.zeros(COUNTS, dtype=np.int64)
    return Block(
        callers=np.zeros((BLOCK, NUMBER_FIELDS), dtype=np.int64),
        callees=np.zeros((BLOCK, NUMBER_FIELDS), dtype=np.int64),
        rows=np.zeros((BLOCK, 2), dtype=np.int64),
        abroad=np.zeros(BLOCK, dtype=np.int64),
        home=np.zeros(BLOCK, dtype=np.int64),
        due=Due(
            keys=np.zeros(DUE, dtype=np.int64),
            entries=np.zeros(DUE, dtype=np.int64),
            rows=np.zeros((DUE, 2), dtype=np.int64),
            counts=counts,
        ),
        counts=counts,
    )


@compiled
def _order(orders: NDArray[np.int64], i: int) -> int:
    return int(min(max(orders[i], 0), MAX_ORDER))


@compiled
def _gather(pending: Pending, block: Block, orders: NDArray[np.int64], at: int) -> int:
    """Take up to a block of calls from `at` on and the outcomes due before the last of them; gives one past that call.

    Where too many outcomes are due the block ends early, perhaps before its first call.
    """
    end = int(min(at + BLOCK, orders.shape[0]))
    last = 0
    for i in range(at, end):
        last = max(last, _order(orders, i))
    advance(pending, last)
    bound, count = key_bound(last), 0
    while count < DUE and first_key(pending) <= bound:
        block.due.keys[count] = first_key(pending)
        block.due.entries[count] = take_first(pending)
        count += 1
    block.counts[DUES] = count
    block.counts[ASKED] = 0
    block.counts[BOUND] = bound
    if count == DUE:
        block.counts[BOUND] = block.due.keys[DUE - 1]
        stop = at
        while stop < end and key_bound(_order(orders, stop)) < block.due.keys[DUE - 1]:
            stop += 1
        return int(stop)
    return end


@compiled
def _read_block(
    w: WindowArrays,
    plan: PlanArrays,
    texts: Texts,
    abroad: NDArray[np.int64],
    at: int,
    end: int,
    out: NDArray[np.int64],
) -> None:
    for i in range(at, end):
        read_number(plan, texts.data, texts.offsets[i], texts.offsets[i + 1], abroad[i - at], out[i - at])
        prefetch_index(w, out[i - at, KEY])


@compiled
def _ask_index(w: WindowArrays, entries: NDArray[np.int64], block: Block) -> None:
    """Ask for where the windows of outcomes due are written down."""
    for n in range(block.counts[DUES]):
        prefetch_index(w, entries[block.due.entries[n], CALLER])
        prefetch_index(w, entries[block.due.entries[n], CALLEE])


@compiled
def _ask_until(w: WindowArrays, entries: NDArray[np.int64], block: Block, until: int) -> None:
    """Ask for what a block touches, up to piece `until`: rows of outcomes, rows of calls, their places in order."""
    due, calls = block.counts[DUES], block.counts[CALLS]
    for piece in range(block.counts[ASKED], min(until, due + 2 * calls)):
        if piece < due:
            ref = block.due.entries[piece]
            block.due.rows[piece, 0] = prefetch_counts(w, entries[ref, CALLER])
            block.due.rows[piece, 1] = prefetch_counts(w, entries[ref, CALLEE])
        elif piece < due + calls:
            i = piece - due
            caller, callee = prefetch_row(w, block.callers[i, KEY]), prefetch_counts(w, block.callees[i, KEY])
            prefetch_link(w, caller)
            prefetch_link(w, callee)
            block.rows[i, 0], block.rows[i, 1] = caller, callee
        else:
            i = piece - due - calls
            prefetch_order(w, block.rows[i, 0])
            prefetch_order(w, block.rows[i, 1])
    block.counts[ASKED] = until


@compiled
def _set_time(call: NDArray[np.int64], hours: Hours, start: int) -> None:
    at = hours.begins.shape[0] - 1
    while at > 0 and hours.begins[at] > start:
        at -= 1
    hour = ((start // 1000 + hours.ahead[at]) // _HOUR_S) % _DAY_HOURS
    call[TIME_MS] = start
    call[HOUR] = hour
    call[NIGHT] = hours.night[hour]


@compiled
def _score(
    scratch_fired: NDArray[np.uint8],
    weights: NDArray[np.float64],
    learned: NDArray[np.int64],
    caller: int,
    fired: NDArray[np.uint64],
) -> float:
    """One factor for each fired rule, which is marked in `fired`, and one for the number's learned score."""
    innocent = 1.0
    for rule in range(weights.shape[0]):
        if scratch_fired[rule]:
            innocent *= 1.0 - weights[rule]
            fired[rule // WORD] |= np.uint64(1) << np.uint64(rule % WORD)
    found = scores.look_up(learned, caller) if learned.shape[0] > 1 else scores.NO_SCORE
    if found != scores.NO_SCORE:
        innocent *= 1.0 - scores.score_of(found)
    return 1.0 - innocent


@inlined
def _prepare(
    w: WindowArrays,
    judge: Judge,
    pending: Pending,
    block: Block,
    b: CallBatch,
    orders: NDArray[np.int64],
    at: int,
) -> int:
    """Make a block of the calls from `at` on and of the outcomes due; gives one past its last call."""
    end = _gather(pending, block, orders, at)
    block.counts[CALLS] = end - at
    for i in range(at, end):
        block.abroad[i - at] = judge.trunks.kinds[b.trunk[i]] == KIND_INTERNATIONAL
    _ask_index(w, pending.entries, block)
    _read_block(w, judge.plan, b.caller, block.abroad, at, end, block.callers)
    _read_block(w, judge.plan, b.callee, block.home, at, end, block.callees)
    return end


@inlined
def _set_call(
    judge: Judge,
    scratch: Scratch,
    call: NDArray[np.int64],
    hours: Hours,
    block: Block,
    b: CallBatch,
    i: int,
    place: int,
) -> None:
    """Make `call` and the numbers in `scratch` those of call `i`, which stands at `place` of the block."""
    _set_time(call, hours, b.start_ms[i])
    call[TRUNK] = b.trunk[i]
    call[ANONYMOUS] = b.anonymous[i]
    call[ROAMING] = b.roaming[i]
    call[FAIL_OPEN] = b.flags[i] & FLAG_FAIL_OPEN
    call[FLAGS] = b.flags[i] & FLAG_MIRRORED
    call[FROM + 1] = b.from_.offsets[i + 1] - b.from_.offsets[i]
    call[DIVERTER + 1] = b.diverter.offsets[i + 1] - b.diverter.offsets[i]
    for field in range(NUMBER_FIELDS):
        scratch.caller[field] = block.callers[place, field]
        scratch.callee[field] = block.callees[place, field]
    if call[FROM + 1] > 0:
        start, stop, abroad = b.from_.offsets[i], b.from_.offsets[i + 1], block.abroad[place]
        read_number(judge.plan, b.from_.data, start, stop, abroad, scratch.other)
    if call[DIVERTER + 1] > 0:
        start, stop = b.diverter.offsets[i], b.diverter.offsets[i + 1]
        read_number(judge.plan, b.diverter.data, start, stop, 0, scratch.diverter)


@inlined
def note_called(w: WindowArrays, call: NDArray[np.int64], scratch: Scratch, near: int) -> None:
    """Count a call that is judged elsewhere for its callee alone; `near`: see `windows.find_near`."""
    scratch.verdict[V_ACTION] = ACTION_PASS
    if not call[FAIL_OPEN]:
        now = call[TIME_MS] // 1000
        note_inbound(w, touch_near(w, scratch.callee[KEY], near, now), now)


@compiled
def play(  # noqa: PLR0913, PLR0917  # one tuple of all that is copied whole for every use
    judge: Judge,
    scratch: Scratch,
    call: NDArray[np.int64],
    pending: Pending,
    hours: Hours,
    block: Block,
    following: Block,
    trunk_rows: NDArray[np.int64],
    weights: NDArray[np.float64],
    learned: NDArray[np.int64],
    exact: int,
    b: CallBatch,
    out: Judged,
) -> None:
    """Judge a batch.

    Args:
        judge … exact: a Player; outcomes that are due after the batch stay pending.
        b: the calls, of which those marked CALLED are not judged; offsets int64, all arrays read-only (one version of
            the compiled code then serves all).
        out: all zero; written.
    """
    w, keys, orders = table_at(judge.windows), judge.trunks.keys, b.seq if exact else b.start_ms
    at, end = 0, 0
    block.counts[:] = 0
    # The first turn has no block to judge yet, the last one none to prepare.
    while end < b.n or block.counts[CALLS] + block.counts[DUES] > 0:
        following.counts[:] = 0
        following_end = end
        # What came in since must be noted among this block's calls, and so is not for the next block to take.
        nothing = block.counts[CALLS] + block.counts[DUES] == 0
        if end < b.n and (nothing or first_key(pending) > block.counts[BOUND]):
            following_end = _prepare(w, judge, pending, following, b, orders, end)
        pieces = following.counts[DUES] + 2 * following.counts[CALLS]
        a_call = 1 + pieces // max(end - at, 1)
        done = 0
        for i in range(at, end):
            _ask_until(w, pending.entries, following, following.counts[ASKED] + a_call)
            done = note_until(w, keys, trunk_rows, pending, block.due, done, key_bound(_order(orders, i)))
            _set_call(judge, scratch, call, hours, block, b, i, i - at)
            if b.flags[i] & CALLED:
                note_called(w, call, scratch, block.rows[i - at, 1])
            else:
                scratch.rows[0], scratch.rows[1] = block.rows[i - at, 0], block.rows[i - at, 1]
                scratch.rows[2] = trunk_rows[b.trunk[i]]
                while not weigh(judge, call, scratch):
                    # Whoever was to be asked then cannot be asked now.
                    call[ROAMING] = ROAMING_UNKNOWN
                trunk_rows[b.trunk[i]] = scratch.rows[2]
                verdict = scratch.verdict
                out.action[i] = verdict[V_ACTION]
                out.decided[i] = verdict[V_RULE] if verdict[V_RULE] != NO_RULE else -1
                if verdict[V_FIRED] or learned.shape[0] > 1:
                    out.score[i] = _score(scratch.fired, weights, learned, scratch.caller[KEY], out.fired[i])
            follow(pending, scratch, b, i, exact)
        if done < block.counts[DUES]:
            note_until(w, keys, trunk_rows, pending, block.due, done, block.due.keys[block.counts[DUES] - 1])
        _ask_until(w, pending.entries, following, pieces)
        at, end = end, following_end
        block, following = following, block
