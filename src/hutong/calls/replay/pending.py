"""Calls whose outcomes a replay has yet to see, in the order in which they will be seen. Compiled; counts nothing.

A wheel of slots holds what is due later; what is due in the present slot has a queue for each order in it. So nothing
is ever compared, and outcomes of one order come as they were put in. Order is a number that only grows: milliseconds,
or the journal's sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows import nth, prefetch

if TYPE_CHECKING:
    from mmap import mmap

    from numpy.typing import NDArray

_SLOT_BITS = 7
_ORDERS = 1 << _SLOT_BITS
_SLOTS = 1 << 17
#: Greatest order, so that order and an amount fit one word: the year 2248 in milliseconds.
MAX_ORDER = (1 << 43) - 1
#: Bits of the amount that stands below an order: `windows.tenths`.
AMOUNT_BITS = 20
_END = -1

#: A call under way. `first`, `last`: order of its answer and its end above, tenths of a second that it rang and talked
#: below; `first_s`, `last_s`: when, seconds since 1970; `facts`: bits, see `owed`; `order`: when it is due next;
#: `next`: what comes after it in its queue, or the next free one.
ENTRY: Final = np.dtype(
    {
        "names": ["caller", "callee", "first", "last", "first_s", "last_s", "trunk", "facts", "order", "next"],
        "formats": ["i8", "i8", "i8", "i8", "u4", "u4", "u4", "u4", "i8", "i4"],
        "offsets": [0, 8, 16, 24, 32, 36, 40, 44, 48, 56],
        "itemsize": 64,
    }
)
_FULL = 14
#: Some entries of a slot, and what else is in it: entries are asked for together, not one after the other.
CHUNK: Final = np.dtype([("next", "i4"), ("count", "i4"), ("refs", "i4", (_FULL,))])
#: The present slot, the order from which on something may be due, how many are in queues and in all, what there is room
#: for, how much of it was ever used, what of that is free; then each order's queue, first and last, and the wheel.
_WHEEL: Final = np.dtype(
    [
        *((name, "i8") for name in ("current", "earliest", "near", "waiting", "capacity", "used", "free")),
        *((name, "i8") for name in ("chunks", "free_chunk", "refused", "noted")),
        *((name, "i4", (n,)) for name, n in (("heads", _ORDERS), ("tails", _ORDERS), ("slots", _SLOTS))),
    ]
)


class Entry(Protocol):
    """An ENTRY, as compiled code and type checker see it."""

    caller: int
    callee: int
    first: int
    last: int
    first_s: int
    last_s: int
    trunk: int
    facts: int
    order: int
    next: int


class Chunk(Protocol):
    """A CHUNK, as compiled code and type checker see it."""

    next: int
    count: int
    refs: NDArray[np.int32]


class Wheel(Protocol):
    """The wheel, as compiled code and type checker see it; `refused`, `noted`: for who follows calls."""

    current: int
    earliest: int
    near: int
    waiting: int
    capacity: int
    used: int
    free: int
    chunks: int
    free_chunk: int
    refused: int
    noted: int
    heads: NDArray[np.int32]
    tails: NDArray[np.int32]
    slots: NDArray[np.int32]


class Pending(NamedTuple):
    """What waits: records, which compiled code hands on as bare pointers. `entries`, `chunks`: the first of them."""

    wheel: Wheel
    entries: Entry
    chunks: Chunk


def new_pending(entries: bytearray | mmap, chunks: bytearray | mmap) -> Pending:
    """Room for as many as go into zeroed buffers of ENTRY and CHUNK, as many of the one as of the other."""
    wheel: Any = np.zeros(1, _WHEEL).view(np.recarray)
    wheel.free = wheel.free_chunk = wheel.heads = wheel.slots = _END
    parts: list[Any] = [np.frombuffer(entries, ENTRY).view(np.recarray), np.frombuffer(chunks, CHUNK).view(np.recarray)]
    wheel.capacity = len(parts[0])
    return Pending(wheel[0], parts[0][0], parts[1][0])


@compiled
def _put_near(p: Pending, ref: int, order: int) -> None:
    """To the end of its order's queue."""
    wheel, at = p.wheel, order & (_ORDERS - 1)
    if wheel.heads[at] == _END:
        wheel.heads[at] = ref
    else:
        nth(p.entries, wheel.tails[at]).next = ref
    nth(p.entries, ref).next = _END
    wheel.tails[at] = ref
    wheel.near += 1


@compiled
def _put_far(p: Pending, ref: int, order: int) -> None:
    """Into its slot of the wheel."""
    wheel, place = p.wheel, (order >> _SLOT_BITS) & (_SLOTS - 1)
    at = signed(wheel.slots[place])
    if at == _END or nth(p.chunks, at).count == _FULL:
        fresh = wheel.free_chunk
        if fresh == _END:
            fresh = wheel.chunks
            wheel.chunks = fresh + 1
        else:
            wheel.free_chunk = signed(nth(p.chunks, fresh).next)
        nth(p.chunks, fresh).next = at
        nth(p.chunks, fresh).count = 0
        wheel.slots[place] = fresh
        at = fresh
    chunk = nth(p.chunks, at)
    chunk.refs[chunk.count] = ref
    chunk.count += 1


@compiled
def _ask_end(p: Pending, ref: int) -> None:
    """Ask for the chunk that the entry goes to if it comes back to wait for its end: seldom in any cache by then."""
    end = nth(p.entries, ref).last >> AMOUNT_BITS
    at = signed(p.wheel.slots[(end >> _SLOT_BITS) & (_SLOTS - 1)])
    if at != _END:
        prefetch(nth(p.chunks, at), 0)


@compiled
def _turn(p: Pending) -> None:
    """Go on to the next slot, what is due in it into the queues of its orders; those of the slot before are empty."""
    wheel = p.wheel
    current = wheel.current + 1
    wheel.current, wheel.earliest = current, current << _SLOT_BITS
    place = current & (_SLOTS - 1)
    # The last chunk comes first: turned round, what came first is queued first.
    at, first = signed(wheel.slots[place]), _END
    wheel.slots[place] = _END
    while at != _END:
        chunk = nth(p.chunks, at)
        for i in range(chunk.count):
            prefetch(nth(p.entries, chunk.refs[i]), 0)
        following = signed(chunk.next)
        chunk.next = first
        at, first = following, at
    while first != _END:
        chunk = nth(p.chunks, first)
        for i in range(chunk.count):
            ref = signed(chunk.refs[i])
            order = nth(p.entries, ref).order
            if order >> _SLOT_BITS == current:
                _put_near(p, ref, order)
                _ask_end(p, ref)
            else:
                _put_far(p, ref, order)  # not before the wheel has been round again
        following = signed(chunk.next)
        chunk.next = wheel.free_chunk
        wheel.free_chunk = first
        first = following


@compiled
def take_due(p: Pending, order: int) -> int:
    """Take out what is due first, and no later than `order`; gives its entry, which stays in use, or -1."""
    wheel = p.wheel
    while True:
        end = (wheel.current + 1) << _SLOT_BITS
        if wheel.near > 0:
            at, last = wheel.earliest, min(order, end - 1)
            while at <= last:
                ref = signed(wheel.heads[at & (_ORDERS - 1)])
                if ref != _END:
                    wheel.heads[at & (_ORDERS - 1)] = nth(p.entries, ref).next
                    wheel.earliest = at
                    wheel.near -= 1
                    return ref
                at += 1
        if order < end:
            # What comes in late is still to be found at this order.
            wheel.earliest = max(wheel.earliest, order)
            return -1
        if wheel.waiting == 0:
            wheel.current, wheel.earliest = order >> _SLOT_BITS, order
            return -1
        _turn(p)


@compiled
def new_entry(p: Pending) -> int:
    """An entry to fill and put in; -1 where all are in use, which is counted."""
    wheel, ref = p.wheel, p.wheel.free
    if ref != _END:
        wheel.free = signed(nth(p.entries, ref).next)
    elif wheel.used < wheel.capacity:
        ref = wheel.used
        wheel.used = ref + 1
    else:
        wheel.refused += 1
        return -1
    wheel.waiting += 1
    return ref


@compiled
def drop_entry(p: Pending, ref: int) -> None:
    """Give back an entry that was taken out."""
    nth(p.entries, ref).next = p.wheel.free
    p.wheel.free = ref
    p.wheel.waiting -= 1


@compiled
def put_in(p: Pending, ref: int, order: int) -> None:
    """Let a filled entry wait until `order`; one that has gone by is the present one."""
    order = max(order, p.wheel.earliest)
    nth(p.entries, ref).order = order
    if order >> _SLOT_BITS > p.wheel.current:
        _put_far(p, ref, order)
    else:
        _put_near(p, ref, order)
