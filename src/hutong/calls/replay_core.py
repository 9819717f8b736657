"""A batch of call records through the judgement, and their outcomes through the windows, in order. Compiled, pure.

Calls go by in blocks: first all numbers of a block are read and the memory that they will touch is asked for, together
with that of the outcomes due by then; after that each is judged by `weighing.weigh`, exactly as live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls import replay_pending as pending_
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
from hutong.calls.model import ACTION_BLOCK, FLAG_FAIL_OPEN, FLAG_MIRRORED
from hutong.calls.outcomes import PHASE_ANSWERED, PHASE_ENDED, PHASE_LOST, note_outcome_at
from hutong.calls.replay_batch import DERIVE
from hutong.calls.replay_pending import (
    ANSWERED,
    CALLEE,
    CALLER,
    LAST_AT,
    LAST_ORDER,
    LOST,
    MAX_ORDER,
    NEXT_ANSWER,
    NOTED,
    RING,
    TALK,
    TIMES,
    TRUNK_MASK,
    Pending,
    advance,
    drop_entry,
    first_key,
    key_bound,
    new_entry,
    put_in,
    take_first,
)
from hutong.calls.trunks import KIND_INTERNATIONAL
from hutong.calls.weighing import weigh
from hutong.kernel import scores
from hutong.kernel.compiled import compiled, inlined, signed
from hutong.kernel.numbering import NUMBER_FIELDS, read_number
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.rules.gates import WORD
from hutong.kernel.windows import (
    find_near,
    prefetch_counts,
    prefetch_index,
    prefetch_link,
    prefetch_order,
    prefetch_row,
    table_at,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.replay_batch import CallBatch, Judged, Texts
    from hutong.kernel.numbering import PlanArrays
    from hutong.kernel.windows import WindowArrays

#: Calls of a block, and outcomes noted among them at most.
BLOCK, DUE = 32, 96
_HOUR_S, _DAY_HOURS = 3600, 24
_LONGEST_MS = 7 * 24 * 3_600_000
_LAST_KEY = (1 << 63) - 1


class Hours(NamedTuple):
    """Local time.

    begins: int64[k], ms since 1970 UTC from which on the zone is `ahead` of UTC, int64[k], seconds. night: uint8[24].
    """

    begins: NDArray[np.int64]
    ahead: NDArray[np.int64]
    night: NDArray[np.uint8]


class Block(NamedTuple):
    """Working memory: numbers read, outcomes due (keys and entries; due[DUE] is how many).

    rows: int64[BLOCK, 2] and due_rows: int64[DUE, 2], where in the windows caller and callee most likely are;
    trunk_rows: int64[trunks], where trunks are. abroad: int64[BLOCK], 1 where a call comes in from abroad; home: zeros.
    """

    callers: NDArray[np.int64]
    callees: NDArray[np.int64]
    rows: NDArray[np.int64]
    trunk_rows: NDArray[np.int64]
    due_rows: NDArray[np.int64]
    abroad: NDArray[np.int64]
    home: NDArray[np.int64]
    due_keys: NDArray[np.int64]
    due: NDArray[np.int64]


class Player(NamedTuple):
    """All that a replay consults and changes, in the order of `play`'s arguments.

    weights: float64[rules], what a fired rule adds to the score. scores: int64[n, 2], learned scores (`kernel.scores`).
    exact: 1 when events come in the order of `CallBatch.seq`.
    """

    judge: Judge
    scratch: Scratch
    call: NDArray[np.int64]
    pending: Pending
    hours: Hours
    block: Block
    weights: NDArray[np.float64]
    scores: NDArray[np.int64]
    exact: int


def new_block(trunks: int) -> Block:
    """Working memory of a player with so many trunks."""
    return Block(
        callers=np.zeros((BLOCK, NUMBER_FIELDS), dtype=np.int64),
        callees=np.zeros((BLOCK, NUMBER_FIELDS), dtype=np.int64),
        rows=np.zeros((BLOCK, 2), dtype=np.int64),
        trunk_rows=np.full(trunks, -1, dtype=np.int64),
        due_rows=np.zeros((DUE, 2), dtype=np.int64),
        abroad=np.zeros(BLOCK, dtype=np.int64),
        home=np.zeros(BLOCK, dtype=np.int64),
        due_keys=np.zeros(DUE, dtype=np.int64),
        due=np.zeros(DUE + 1, dtype=np.int64),
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
        block.due_keys[count] = first_key(pending)
        block.due[count] = take_first(pending)
        count += 1
    block.due[DUE] = count
    if count == DUE:
        stop = at
        while stop < end and key_bound(_order(orders, stop)) < block.due_keys[DUE - 1]:
            stop += 1
        return int(stop)
    return end


@compiled
def _read_block(
    plan: PlanArrays, texts: Texts, abroad: NDArray[np.int64], at: int, end: int, out: NDArray[np.int64]
) -> None:
    for i in range(at, end):
        read_number(plan, texts.data, texts.offsets[i], texts.offsets[i + 1], abroad[i - at], out[i - at])


@compiled
def _ask_ahead(w: WindowArrays, entries: NDArray[np.int64], block: Block, count: int) -> None:
    """Ask for the memory of all that a block of `count` calls touches."""
    due = block.due[DUE]
    for n in range(due):
        prefetch_index(w, entries[block.due[n], CALLER])
        prefetch_index(w, entries[block.due[n], CALLEE])
    for i in range(count):
        prefetch_index(w, block.callers[i, KEY])
        prefetch_index(w, block.callees[i, KEY])
    for n in range(due):
        block.due_rows[n, 0] = prefetch_counts(w, entries[block.due[n], CALLER])
        block.due_rows[n, 1] = prefetch_counts(w, entries[block.due[n], CALLEE])
    for i in range(count):
        caller, callee = prefetch_row(w, block.callers[i, KEY]), prefetch_counts(w, block.callees[i, KEY])
        prefetch_link(w, caller)
        prefetch_link(w, callee)
        block.rows[i, 0], block.rows[i, 1] = caller, callee
    for i in range(count):
        prefetch_order(w, block.rows[i, 0])
        prefetch_order(w, block.rows[i, 1])


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
    note_outcome_at(w, find_near(w, entry[CALLER], near[0]), phase, answered, ring, talk, now)
    note_outcome_at(w, find_near(w, entry[CALLEE], near[1]), phase, answered, ring, talk, now)
    note_outcome_at(w, find_near(w, keys[place], trunk_rows[place]), phase, answered, ring, talk, now)
    pending.state[NOTED] += 1
    if first and entry[LAST_ORDER] >= 0:
        entry[pending_.TRUNK] = trunk & ~NEXT_ANSWER
        entry[TIMES] = entry[LAST_AT]
        put_in(pending, ref, entry[LAST_ORDER])
    else:
        drop_entry(pending, ref)


@compiled
def _note_until(w: WindowArrays, keys: NDArray[np.int64], pending: Pending, block: Block, done: int, bound: int) -> int:
    """Note what is due by `bound`: of the block's outcomes from place `done` on, and what came in since."""
    while True:
        mine = block.due_keys[done] if done < block.due[DUE] else _LAST_KEY
        other = first_key(pending)
        if min(mine, other) > bound:
            return done
        if other < mine:
            _note(w, keys, block.trunk_rows, pending, take_first(pending), (-1, -1))
        elif done < block.due[DUE]:
            near = (block.due_rows[done, 0], block.due_rows[done, 1])
            _note(w, keys, block.trunk_rows, pending, int(block.due[done]), near)
            done += 1
        else:
            return done


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
def _follow(pending: Pending, scratch: Scratch, b: CallBatch, i: int, exact: int) -> None:
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
    entry[TIMES] = answered_at if first else ended_at
    entry[RING], entry[TALK] = ring, talk
    entry[LAST_ORDER], entry[LAST_AT] = last_order, ended_at
    put_in(pending, ref, first_order if first else last_order)


@compiled
def play(  # noqa: PLR0913, PLR0917  # one tuple of all that is copied whole for every use
    judge: Judge,
    scratch: Scratch,
    call: NDArray[np.int64],
    pending: Pending,
    hours: Hours,
    block: Block,
    weights: NDArray[np.float64],
    learned: NDArray[np.int64],
    exact: int,
    b: CallBatch,
    out: Judged,
) -> None:
    """Judge a batch.

    Args:
        judge … exact: a Player; outcomes that are due after the batch stay pending.
        b: the calls; offsets int64, all arrays read-only (one version of the compiled code then serves all).
        out: all zero; written.
    """
    w, keys, kinds, orders = (
        table_at(judge.windows),
        judge.trunks.keys,
        judge.trunks.kinds,
        b.seq if exact else b.start_ms,
    )
    at = 0
    while at < b.n:
        end = _gather(pending, block, orders, at)
        for i in range(at, end):
            block.abroad[i - at] = kinds[b.trunk[i]] == KIND_INTERNATIONAL
        _read_block(judge.plan, b.caller, block.abroad, at, end, block.callers)
        _read_block(judge.plan, b.callee, block.home, at, end, block.callees)
        _ask_ahead(w, pending.entries, block, end - at)
        done = 0
        for i in range(at, end):
            done = _note_until(w, keys, pending, block, done, key_bound(_order(orders, i)))
            _set_time(call, hours, b.start_ms[i])
            call[TRUNK] = b.trunk[i]
            call[ANONYMOUS] = b.anonymous[i]
            call[ROAMING] = b.roaming[i]
            call[FAIL_OPEN] = b.flags[i] & FLAG_FAIL_OPEN
            call[FLAGS] = b.flags[i] & FLAG_MIRRORED
            call[FROM + 1] = b.from_.offsets[i + 1] - b.from_.offsets[i]
            call[DIVERTER + 1] = b.diverter.offsets[i + 1] - b.diverter.offsets[i]
            for field in range(NUMBER_FIELDS):
                scratch.caller[field] = block.callers[i - at, field]
                scratch.callee[field] = block.callees[i - at, field]
            if call[FROM + 1] > 0:
                start, stop, abroad = b.from_.offsets[i], b.from_.offsets[i + 1], block.abroad[i - at]
                read_number(judge.plan, b.from_.data, start, stop, abroad, scratch.other)
            if call[DIVERTER + 1] > 0:
                start, stop = b.diverter.offsets[i], b.diverter.offsets[i + 1]
                read_number(judge.plan, b.diverter.data, start, stop, 0, scratch.diverter)
            scratch.rows[0], scratch.rows[1] = block.rows[i - at, 0], block.rows[i - at, 1]
            scratch.rows[2] = block.trunk_rows[b.trunk[i]]
            while not weigh(judge, call, scratch):
                # Whoever was to be asked then cannot be asked now.
                call[ROAMING] = ROAMING_UNKNOWN
            block.trunk_rows[b.trunk[i]] = scratch.rows[2]
            verdict = scratch.verdict
            out.action[i] = verdict[V_ACTION]
            out.decided[i] = verdict[V_RULE] if verdict[V_RULE] != NO_RULE else -1
            if verdict[V_FIRED] or learned.shape[0] > 1:
                out.score[i] = _score(scratch.fired, weights, learned, scratch.caller[KEY], out.fired[i])
            _follow(pending, scratch, b, i, exact)
        if done < block.due[DUE]:
            _note_until(w, keys, pending, block, done, block.due_keys[block.due[DUE] - 1])
        at = end
