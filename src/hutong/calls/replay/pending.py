"""Outcomes that a replay has yet to see, in the order in which they will be seen. Compiled; no window arithmetic here.

A wheel of slots holds what is due later, each slot a chain; what is due in the present slot or before lies in a binary
heap, small enough to stay in cache. Order is a number that only grows: milliseconds, or the journal's sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Words of an entry.
CALLER, CALLEE, TRUNK, TIMES, RING, TALK, LAST_ORDER, LAST_AT = 0, 1, 2, 3, 4, 5, 6, 7
ENTRY = 8
# Parts of the word TRUNK: the trunk's index, then what is next, what follows, and whether only the callee is told.
TRUNK_MASK = (1 << 32) - 1
NEXT_ANSWER, ANSWERED, LOST, FOR_CALLEE = 1 << 32, 1 << 33, 1 << 34, 1 << 35

# Slots of Pending.state.
CURRENT, USED, FREE, WAITING, IN_HEAP, BIRTHS, REFUSED, NOTED = 0, 1, 2, 3, 4, 5, 6, 7
STATE = 8

_SLOT_BITS = 7
_SLOTS = 1 << 17
#: Entries of one order keep the order in which they were put in.
BIRTH_BITS = 20
_BIRTHS = (1 << BIRTH_BITS) - 1
#: Greatest order, so that order and birth fit one word: the year 2248 in milliseconds.
MAX_ORDER = (1 << 43) - 1
_END = -1


class Pending(NamedTuple):
    """What waits.

    entries: int64[capacity, ENTRY]. keys: int64[capacity], order << BIRTH_BITS | birth. chain: int32[capacity], next of
    the same slot, or next free entry. slots: int32[wheel], the first of each. heap: int64[capacity], keys, and
    refs: int32[capacity], their entries. state: int64[STATE].
    """

    entries: NDArray[np.int64]
    keys: NDArray[np.int64]
    chain: NDArray[np.int32]
    slots: NDArray[np.int32]
    heap: NDArray[np.int64]
    refs: NDArray[np.int32]
    state: NDArray[np.int64]


def new_pending(capacity: int) -> Pending:
    """Room for so many; memory is taken as it is used."""
    state = np.zeros(STATE, dtype=np.int64)
    state[FREE] = _END
    return Pending(
        entries=np.zeros((capacity, ENTRY), dtype=np.int64),
        keys=np.zeros(capacity, dtype=np.int64),
        chain=np.zeros(capacity, dtype=np.int32),
        slots=np.full(_SLOTS, _END, dtype=np.int32),
        heap=np.zeros(capacity, dtype=np.int64),
        refs=np.zeros(capacity, dtype=np.int32),
        state=state,
    )


@compiled
def key_bound(order: int) -> int:
    """The greatest key of an entry that comes no later than `order`."""
    return (order << BIRTH_BITS) | _BIRTHS


@compiled
def _sift_in(p: Pending, key: int, ref: int) -> None:
    at = p.state[IN_HEAP]
    p.state[IN_HEAP] = at + 1
    while at > 0:
        parent = (at - 1) >> 1
        if p.heap[parent] <= key:
            break
        p.heap[at], p.refs[at] = p.heap[parent], p.refs[parent]
        at = parent
    p.heap[at], p.refs[at] = key, ref


@compiled
def first_key(p: Pending) -> int:
    """The key of what comes first among what `advance` has brought in; the greatest integer where there is nothing."""
    return int(p.heap[0]) if p.state[IN_HEAP] > 0 else (1 << 63) - 1


@compiled
def take_first(p: Pending) -> int:
    """Take what comes first out of the heap; gives its entry, which stays in use."""
    ref = int(p.refs[0])
    size = p.state[IN_HEAP] - 1
    p.state[IN_HEAP] = size
    key, last = p.heap[size], p.refs[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and p.heap[child + 1] < p.heap[child]:
            child += 1
        if p.heap[child] >= key:
            break
        p.heap[at], p.refs[at] = p.heap[child], p.refs[child]
        at = child
    p.heap[at], p.refs[at] = key, last
    return ref


@compiled
def advance(p: Pending, order: int) -> None:
    """Bring into the heap all that comes no later than `order`, and perhaps a little more."""
    target = order >> _SLOT_BITS
    current = p.state[CURRENT]
    if p.state[WAITING] == p.state[IN_HEAP]:
        current = max(current, target)
    while current < target:
        current += 1
        place = current & (_SLOTS - 1)
        ref = p.slots[place]
        p.slots[place] = _END
        while ref != _END:
            following = p.chain[ref]
            if p.keys[ref] >> (BIRTH_BITS + _SLOT_BITS) <= current:
                _sift_in(p, p.keys[ref], ref)
            else:
                p.chain[ref] = p.slots[place]
                p.slots[place] = ref
            ref = following
    p.state[CURRENT] = current


@compiled
def new_entry(p: Pending) -> int:
    """An entry to fill and put in; -1 where all are in use, which is counted."""
    state = p.state
    ref = int(state[FREE])
    if ref != _END:
        state[FREE] = p.chain[ref]
    elif state[USED] < p.keys.shape[0]:
        ref = int(state[USED])
        state[USED] = ref + 1
    else:
        state[REFUSED] += 1
        return -1
    state[WAITING] += 1
    return ref


@compiled
def drop_entry(p: Pending, ref: int) -> None:
    """Give back an entry that was taken out."""
    p.chain[ref] = p.state[FREE]
    p.state[FREE] = ref
    p.state[WAITING] -= 1


@compiled
def put_in(p: Pending, ref: int, order: int) -> None:
    """Let a filled entry wait until `order`."""
    birth = p.state[BIRTHS]
    p.state[BIRTHS] = birth + 1
    key = (min(max(order, 0), MAX_ORDER) << BIRTH_BITS) | (birth & _BIRTHS)
    p.keys[ref] = key
    slot = key >> (BIRTH_BITS + _SLOT_BITS)
    if slot <= p.state[CURRENT]:
        _sift_in(p, key, ref)
        return
    place = slot & (_SLOTS - 1)
    p.chain[ref] = p.slots[place]
    p.slots[place] = ref
