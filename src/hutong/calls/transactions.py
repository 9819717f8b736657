"""INVITE server transactions: one answer per call attempt, repeated until it is acknowledged.

RFC 3261 §17.2.1 and RFC 6026: a final non-2xx response over UDP is sent again after T1, 2·T1, … at most T2 apart
(Timer G) until an ACK arrives or 64·T1 have passed (Timer H); a retransmitted INVITE gets the same answer. Everything
is fixed in size, so a flood cannot grow it: the table forgets the transaction that ends first, and an answer that finds
no room in the pool is not repeated by us (the caller's own retransmission still gets it). Both are counted.

Compiled, pure: the shell passes `now` in milliseconds and sends what comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled, copy_bytes, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

T1_MS = 500
T2_MS = 4000
TIMER_H_MS = 64 * T1_MS
#: T4, the longest a message stays in the network: how long an acknowledged transaction still absorbs ACKs (Timer I).
T4_MS = 5000

_WAYS = 4
_TABLE = 1 << 20
_POOL = 8192
#: Longest answer that is kept for repetition, bytes.
POOL_BYTES = 2048
_TICK_MS = 50
_WHEEL = 128

# Columns of the table.
_BRANCH, _CALL, _ENDS, _SEQ, _SLOT = 0, 1, 2, 3, 4
_COLUMNS = 5

# Cells of the header.
_FREE, _TICK = 0, 1
FORGOTTEN, UNREPEATED, REPEATED, CONFIRMED = 2, 3, 4, 5
_CELLS = 6

# Columns of the pool.
_NEXT, _PREVIOUS, _DUE, _INTERVAL, _STOP, _ENTRY = 0, 1, 2, 3, 4, 5
_POOL_COLUMNS = 6

NONE = -1


class TransactionArrays(NamedTuple):
    """Fixed state of all transactions.

    table: int64[2^20, 5] of (branch hash, call hash, ends at ms, verdict sequence, pool slot or -1).
    answers: int64[2^20] packed verdicts (see `answers.pack`).
    header: int64 cells (free list head, last tick, counters).
    pool: int64[slots, 6] timer links and deadlines; heads: int64[wheel] of timer lists.
    bytes_: uint8[slots, POOL_BYTES] answers to repeat; lengths: int64[slots]; to: uint8[slots, 32] socket addresses as
    `batch.ADDRESS` says.
    """

    table: NDArray[np.int64]
    answers: NDArray[np.int64]
    header: NDArray[np.int64]
    pool: NDArray[np.int64]
    heads: NDArray[np.int64]
    bytes_: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    to: NDArray[np.uint8]


def new_transactions(*, table: int = _TABLE, pool: int = _POOL) -> TransactionArrays:
    """Empty state; `table` is a power of two. All its memory is there at once, lest the first calls wait for it."""
    arrays = TransactionArrays(
        table=np.full((table, _COLUMNS), 0, dtype=np.int64),
        answers=np.full(table, 0, dtype=np.int64),
        header=np.zeros(_CELLS, dtype=np.int64),
        pool=np.full((pool, _POOL_COLUMNS), 0, dtype=np.int64),
        heads=np.full(_WHEEL, NONE, dtype=np.int64),
        bytes_=np.full((pool, POOL_BYTES), 0, dtype=np.uint8),
        lengths=np.zeros(pool, dtype=np.int64),
        to=np.zeros((pool, 32), dtype=np.uint8),
    )
    arrays.pool[:, _NEXT] = np.arange(1, pool + 1)
    arrays.pool[-1, _NEXT] = NONE
    arrays.header[_TICK] = NONE
    return arrays


_PRIME = np.uint64(1099511628211)
_LEFT, _RIGHT = np.uint64(29), np.uint64(35)
_CASE = np.uint8(0x20)


@compiled
def _stir(value: np.uint64, word: np.uint64, salt: np.uint64) -> np.uint64:
    """One step of the keyed hash: the rotation and the secret addend keep differences from cancelling to order.

    Unsigned, because only unsigned arithmetic may overflow in compiled code.
    """
    mixed = value ^ word
    mixed = (mixed << _LEFT) | (mixed >> _RIGHT)
    return mixed * _PRIME + salt


@compiled
def hash_branch(data: NDArray[np.uint8], start: int, end: int, value: int, salt: int) -> int:
    """Keyed 64-bit hash of bytes, letters without case, continued from `value`."""
    mixed, key = np.uint64(value), np.uint64(salt)
    for place in range(np.uint64(start), np.uint64(end)):
        mixed = _stir(mixed, np.uint64(data[place] | _CASE), key)
    return signed(mixed ^ (mixed >> _LEFT))


@compiled
def hash_message(words: NDArray[np.int64], data: NDArray[np.uint8], length: int, salt: int) -> int:
    """Keyed 64-bit hash of a whole message; `words` views the same memory as `data`, 8 bytes each.

    A retransmission repeats its request byte for byte (RFC 3261 §17.1.1.2), so this tells it from another request that
    merely claims the same branch. The salt is secret: nobody can make two messages meet.
    """
    key = np.uint64(salt)
    mixed = np.uint64(length) ^ key
    whole = np.uint64(length // 8)
    for place in range(whole):
        mixed = _stir(mixed, np.uint64(words[place]), key)
    for place in range(whole * np.uint64(8), np.uint64(length)):
        mixed = _stir(mixed, np.uint64(data[place]), key)
    mixed = _stir(mixed, mixed >> np.uint64(32), key)
    return signed(mixed ^ (mixed >> _LEFT))


@compiled
def find(state: TransactionArrays, branch: int, call: int, now: int) -> int:
    """The entry of the live transaction with this branch and call hash, NONE when there is none."""
    table = state.table
    mask = table.shape[0] // _WAYS - 1
    base = (branch & mask) * _WAYS
    for way in range(_WAYS):
        entry = base + way
        if table[entry, _BRANCH] == branch and table[entry, _CALL] == call and table[entry, _ENDS] > now:
            return int(entry)
    return NONE


@compiled
def find_branch(state: TransactionArrays, branch: int, now: int) -> int:
    """The entry of a live transaction with this branch: what an ACK or CANCEL names. NONE when there is none."""
    table = state.table
    mask = table.shape[0] // _WAYS - 1
    base = (branch & mask) * _WAYS
    for way in range(_WAYS):
        entry = base + way
        if table[entry, _BRANCH] == branch and table[entry, _ENDS] > now:
            return int(entry)
    return NONE


@compiled
def open_transaction(state: TransactionArrays, branch: int, call: int, answer: int, seq: int, now: int) -> int:
    """Record an answered INVITE; gives its entry. Forgets the transaction that ends first when its place is taken."""
    table = state.table
    mask = table.shape[0] // _WAYS - 1
    base = (branch & mask) * _WAYS
    chosen = base
    for way in range(_WAYS):
        entry = base + way
        if table[entry, _ENDS] < table[chosen, _ENDS]:
            chosen = entry
    if table[chosen, _ENDS] > now:
        state.header[FORGOTTEN] += 1
    if table[chosen, _ENDS] != 0 and table[chosen, _SLOT] != NONE:
        _release(state, table[chosen, _SLOT])
    table[chosen, _BRANCH] = branch
    table[chosen, _CALL] = call
    table[chosen, _ENDS] = now + TIMER_H_MS
    table[chosen, _SEQ] = seq
    table[chosen, _SLOT] = NONE
    state.answers[chosen] = answer
    return int(chosen)


@compiled
def confirm(state: TransactionArrays, entry: int, now: int) -> None:
    """An ACK arrived: stop repeating the answer, absorb further ACKs for T4 (RFC 3261 §17.2.1, Confirmed)."""
    if state.table[entry, _SLOT] != NONE:
        _release(state, state.table[entry, _SLOT])
        state.table[entry, _SLOT] = NONE
        state.table[entry, _ENDS] = now + T4_MS
        state.header[CONFIRMED] += 1


@compiled
def _unlink(state: TransactionArrays, slot: int) -> None:
    pool = state.pool
    after, before = pool[slot, _NEXT], pool[slot, _PREVIOUS]
    if before == NONE:
        state.heads[(pool[slot, _DUE] // _TICK_MS) % _WHEEL] = after
    else:
        pool[before, _NEXT] = after
    if after != NONE:
        pool[after, _PREVIOUS] = before


@compiled
def _link(state: TransactionArrays, slot: int, due: int) -> None:
    pool = state.pool
    pool[slot, _DUE] = due
    at = (due // _TICK_MS) % _WHEEL
    first = state.heads[at]
    pool[slot, _NEXT] = first
    pool[slot, _PREVIOUS] = NONE
    if first != NONE:
        pool[first, _PREVIOUS] = slot
    state.heads[at] = slot


@compiled
def _release(state: TransactionArrays, slot: int) -> None:
    _unlink(state, slot)
    state.pool[slot, _NEXT] = state.header[_FREE]
    state.header[_FREE] = slot


@compiled
def repeat_until_acknowledged(
    state: TransactionArrays,
    entry: int,
    response: NDArray[np.uint8],
    length: int,
    address: NDArray[np.uint8],
    now: int,
) -> None:
    """Start Timer G for an answer sent over UDP; not kept, but counted, when there is no room."""
    slot = state.header[_FREE]
    if slot == NONE or length > POOL_BYTES:
        state.header[UNREPEATED] += 1
        return
    state.header[_FREE] = state.pool[slot, _NEXT]
    copy_bytes(state.bytes_[slot], 0, response, 0, length)
    copy_bytes(state.to[slot], 0, address, 0, address.size)
    state.lengths[slot] = length
    state.pool[slot, _INTERVAL] = T1_MS
    state.pool[slot, _STOP] = now + TIMER_H_MS
    state.pool[slot, _ENTRY] = entry
    state.table[entry, _SLOT] = slot
    _link(state, slot, now + T1_MS)


@compiled
def due(state: TransactionArrays, now: int, out: NDArray[np.int64]) -> int:
    """Pool slots whose answer must be sent again now, at most out.size of them; call again while it fills `out`.

    Each returned slot is re-armed with its doubled interval; one past Timer H is given up.
    """
    header, pool = state.header, state.pool
    tick = now // _TICK_MS
    if header[_TICK] == NONE or tick - header[_TICK] > _WHEEL:
        header[_TICK] = tick - _WHEEL
    count = 0
    # The present tick is left for later: an answer due in it may still lie ahead of `now`.
    while header[_TICK] + 1 < tick:
        at = (header[_TICK] + 1) % _WHEEL
        slot = state.heads[at]
        while slot != NONE:
            after = pool[slot, _NEXT]
            if pool[slot, _DUE] <= now:
                if pool[slot, _STOP] <= now:
                    state.table[pool[slot, _ENTRY], _SLOT] = NONE
                    _release(state, slot)
                else:
                    if count == out.size:
                        return count
                    _unlink(state, slot)
                    interval = min(2 * pool[slot, _INTERVAL], T2_MS)
                    pool[slot, _INTERVAL] = interval
                    # From when it was due, not from now: ticks must not add up over the repetitions.
                    _link(state, slot, max(pool[slot, _DUE] + interval, now + 1))
                    out[count] = slot
                    count += 1
                    header[REPEATED] += 1
            slot = after
        header[_TICK] += 1
    return count
