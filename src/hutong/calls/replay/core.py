"""A batch of call records through the judgement, and their outcomes through the windows, in order. Compiled, pure.

Calls go by in blocks. While those of one block are judged by `weighing.weigh`, exactly as live, the memory that the
next will touch is asked for bit by bit: its numbers were read before. Outcomes take care of themselves (`owed`).
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
from hutong.calls.replay.outcomes import follow, note_until
from hutong.calls.replay.owed import Owed, claim, settle
from hutong.calls.replay.pending import MAX_ORDER, Pending
from hutong.calls.trunks import KIND_INTERNATIONAL
from hutong.calls.weighing import weigh
from hutong.kernel import scores
from hutong.kernel.compiled import compiled, inlined
from hutong.kernel.numbering import NUMBER_FIELDS, read_number
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.rules.gates import WORD
from hutong.kernel.windows import (
    find,
    find_near,
    note_inbound,
    nth,
    prefetch,
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

#: Calls of a block, and the most numbers that they may be the first to bring.
BLOCK = 32
_MOST_NEW = 3 * BLOCK
# Of a block: its calls.
CALLS = 0
# Calls from asking for a row's place in order until that is there, and its neighbours can be asked for.
_LATER = 6
_HOUR_S, _DAY_HOURS = 3600, 24


class Hours(NamedTuple):
    """Local time.

    begins: int64[k], ms since 1970 UTC from which on the zone is `ahead` of UTC, int64[k], seconds. night: uint8[24].
    """

    begins: NDArray[np.int64]
    ahead: NDArray[np.int64]
    night: NDArray[np.uint8]


class Block(NamedTuple):
    """Working memory of a block: numbers read.

    rows: int64[BLOCK, 2], where in the windows caller and callee most likely are. abroad: int64[BLOCK], 1 where a call
    comes in from abroad; home: zeros. counts: int64[1], see CALLS.
    """

    callers: NDArray[np.int64]
    callees: NDArray[np.int64]
    rows: NDArray[np.int64]
    abroad: NDArray[np.int64]
    home: NDArray[np.int64]
    counts: NDArray[np.int64]


class Player(NamedTuple):
    """All that a replay consults and changes, in the order of `play`'s arguments.

    owed: the first of what is kept beside the windows' rows. weights: float64[rules], what a fired rule adds to the
    score. scores: int64[n, 2], learned scores (`kernel.scores`). trunk_rows: int64[trunks], where in the windows they
    are. exact: 1 when events come in the order of `CallBatch.seq`.
    """

    judge: Judge
    scratch: Scratch
    call: NDArray[np.int64]
    pending: Pending
    owed: Owed
    hours: Hours
    block: Block
    following: Block
    trunk_rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    scores: NDArray[np.int64]
    exact: int


def new_block() -> Block:
    """Working memory of a block."""
    return Block(
        callers=np.zeros((BLOCK, NUMBER_FIELDS), dtype=np.int64),
        callees=np.zeros((BLOCK, NUMBER_FIELDS), dtype=np.int64),
        rows=np.zeros((BLOCK, 2), dtype=np.int64),
        abroad=np.zeros(BLOCK, dtype=np.int64),
        home=np.zeros(BLOCK, dtype=np.int64),
        counts=np.zeros(1, dtype=np.int64),
    )


@compiled
def _order(orders: NDArray[np.int64], i: int) -> int:
    return int(min(max(orders[i], 0), MAX_ORDER))


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
def _ask_caller(w: WindowArrays, block: Block, piece: int) -> None:
    if piece < block.counts[CALLS]:
        block.rows[piece, 0] = prefetch_row(w, block.callers[piece, KEY])


@compiled
def _ask_callee(w: WindowArrays, block: Block, piece: int) -> None:
    if piece < block.counts[CALLS]:
        block.rows[piece, 1] = prefetch_counts(w, block.callees[piece, KEY])


@compiled
def _ask_rest(w: WindowArrays, owed: Owed, block: Block, piece: int) -> None:
    """What stands beside rows that were asked for; later their neighbours in order, where that is kept."""
    if piece < block.counts[CALLS]:
        _ask_beside(w, owed, block.rows[piece, 0])
        _ask_beside(w, owed, block.rows[piece, 1])
    if w.head.touches == 0 and _LATER <= piece < block.counts[CALLS] + _LATER:
        prefetch_order(w, block.rows[piece - _LATER, 0])
        prefetch_order(w, block.rows[piece - _LATER, 1])


@compiled
def _ask_beside(w: WindowArrays, owed: Owed, slot: int) -> None:
    if slot >= 0:
        prefetch_link(w, slot)
        prefetch(nth(owed, slot), 0)


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
def _prepare(w: WindowArrays, judge: Judge, block: Block, b: CallBatch, at: int) -> int:
    """Make a block of the calls from `at` on; gives one past its last call."""
    end = int(min(at + BLOCK, b.n))
    block.counts[CALLS] = end - at
    for i in range(at, end):
        block.abroad[i - at] = judge.trunks.kinds[b.trunk[i]] == KIND_INTERNATIONAL
    _read_block(w, judge.plan, b.caller, block.abroad, at, end, block.callers)
    _read_block(w, judge.plan, b.callee, block.home, at, end, block.callees)
    return end


@compiled
def _settled(w: WindowArrays, owed: Owed, key: int, near: int, order: int) -> int:
    """The row of a number about to call or be called, with all noted that happened before; -1 where it has none."""
    slot = find_near(w, key, near)
    settle(w, owed, slot, order)
    return slot


@compiled
def _claimed(w: WindowArrays, owed: Owed, pending: Pending, key: int, slot: int, order: int) -> int:
    """The row of a number that was just counted; `slot` is where it is, -1 = not told."""
    slot = slot if slot >= 0 else find(w, key)
    claim(owed, pending, slot, key, order)
    return slot


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
    owed: Owed,
    hours: Hours,
    block: Block,
    following: Block,
    trunk_rows: NDArray[np.int64],
    weights: NDArray[np.float64],
    learned: NDArray[np.int64],
    exact: int,
    b: CallBatch,
    at: int,
    out: Judged,
) -> int:
    """Judge a batch, from a place in it on.

    Args:
        judge … exact: a Player; outcomes that are due after the batch stay pending.
        b: the calls, of which those marked CALLED are not judged; offsets int64, all arrays read-only (one version of
            the compiled code then serves all).
        at: the place.
        out: all zero; written.

    Returns:
        One past the last call judged. It stops early where numbers might run out of room while their order is deferred:
        `windows.settle_order`, then go on.
    """
    w, keys, orders = table_at(judge.windows), judge.trunks.keys, b.seq if exact else b.start_ms
    end = at
    block.counts[:] = 0
    # The first turn has no block to judge yet, the last one none to prepare.
    while at < b.n:
        if w.head.touches != 0 and w.head.used + _MOST_NEW > w.head.capacity:
            return at
        following.counts[:] = 0
        following_end = end
        if end < b.n:
            following_end = _prepare(w, judge, following, b, end)
        for i in range(at, end):
            order, place, trunk = _order(orders, i), i - at, b.trunk[i]
            caller, callee, rows = block.callers[place, KEY], block.callees[place, KEY], scratch.rows
            # Each waits for the page that it is in to be found: spread out, there is other work to do meanwhile.
            _ask_caller(w, following, place)
            note_until(w, owed, keys, trunk_rows, pending, order)
            _set_call(judge, scratch, call, hours, block, b, i, place)
            _ask_callee(w, following, place)
            rows[1] = _settled(w, owed, callee, block.rows[place, 1], order)
            if b.flags[i] & CALLED:
                note_called(w, call, scratch, rows[1])
            else:
                rows[0] = _settled(w, owed, caller, block.rows[place, 0], order)
                rows[2] = find_near(w, keys[trunk], trunk_rows[trunk])
                while not weigh(judge, call, scratch):
                    # Whoever was to be asked then cannot be asked now.
                    call[ROAMING] = ROAMING_UNKNOWN
                rows[0] = _claimed(w, owed, pending, caller, rows[0], order)
                trunk_rows[trunk] = _claimed(w, owed, pending, keys[trunk], rows[2], order)
                verdict = scratch.verdict
                out.action[i] = verdict[V_ACTION]
                out.decided[i] = verdict[V_RULE] if verdict[V_RULE] != NO_RULE else -1
                if verdict[V_FIRED] or learned.shape[0] > 1:
                    out.score[i] = _score(scratch.fired, weights, learned, scratch.caller[KEY], out.fired[i])
            _ask_rest(w, owed, following, place)
            rows[1] = _claimed(w, owed, pending, callee, rows[1], order)
            follow(pending, owed, scratch, b, i, exact)
        for place in range(end - at, following.counts[CALLS] + _LATER):
            _ask_caller(w, following, place)
            _ask_callee(w, following, place)
            _ask_rest(w, owed, following, place)
        at, end = end, following_end
        block, following = following, block
    return at
