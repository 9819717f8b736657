"""Outcomes that a number's row has yet to see, kept beside the row and noted when it is next looked at. Compiled.

What a row says depends on its own events in their order alone, and nobody looks at it but a call of its number. So
an outcome waits here until then, when the row is at hand anyway, and costs no look-up and no wait for memory. A number
has room for two calls; of what finds no room, or has lost its row, the windows are told when it is due (`outcomes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from hutong.calls.replay.pending import AMOUNT_BITS, Pending
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows import WindowArrays, note_answered, note_end, note_lost, nth

if TYPE_CHECKING:
    from mmap import mmap

    from numpy.typing import NDArray

# Bits of facts: answer and end are still to come; the call was answered, given up, short; the number is its callee.
ANSWER, LAST, TAKEN, LOST, SHORT, OF_CALLEE = 1, 2, 4, 8, 16, 32
_REF_BITS = 6
# Of an entry: what is kept beside rows does not tell its caller, its callee; nobody but its callee is told.
TELL_CALLER, TELL_CALLEE, FOR_CALLEE = 64, 128, 256
#: Calls that may be under way at one time, so that one's place fits beside the facts.
MOST_PENDING: Final = 1 << (32 - _REF_BITS)

_CALLS = 2
_AMOUNT = (1 << AMOUNT_BITS) - 1
_NEVER = (1 << 63) - 1

#: Beside each row, one cache line: the number, then of each call what an `pending.ENTRY` has; facts: its place << 6 |
#: bits, 0 where there is none.
OWED: Final = np.dtype(
    {
        "names": ["key", "facts", "first", "last", "first_s", "last_s"],
        "formats": ["i8", *((kind, (_CALLS,)) for kind in ("u4", "i8", "i8", "u4", "u4"))],
        "offsets": [0, 8, 16, 32, 48, 56],
        "itemsize": 64,
    }
)


class Owed(Protocol):
    """An OWED, as compiled code and type checker see it."""

    key: int
    facts: NDArray[np.uint32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    first_s: NDArray[np.uint32]
    last_s: NDArray[np.uint32]


def new_owed(buffer: bytearray | mmap) -> Owed:
    """The first of as many as go into a zeroed buffer that begins at a multiple of their size."""
    owed: Any = np.frombuffer(buffer, OWED).view(np.recarray)[0]
    return owed  # type: ignore[no-any-return]


@compiled
def note_next(w: WindowArrays, slot: int, facts: int, first: int, last: int, first_s: int, last_s: int) -> int:
    """Note in a row what comes next of a call; gives its facts after that, 0 where nothing is left."""
    if facts & ANSWER:
        note_answered(w, slot, first_s)
        return facts & ~ANSWER if facts & LAST else 0
    taken = 1 if facts & TAKEN else 0
    if not facts & LOST:
        note_end(w, slot, last_s, taken, 1 if facts & SHORT else 0, first & _AMOUNT, last & _AMOUNT)
    elif taken:
        note_lost(w, slot, last_s)
    return 0


@compiled
def _due(facts: int, first: int, last: int) -> int:
    """The order of what comes next."""
    if facts == 0:
        return _NEVER
    return first >> AMOUNT_BITS if facts & ANSWER else last >> AMOUNT_BITS


@compiled
def settle(w: WindowArrays, owed: Owed, slot: int, order: int) -> None:
    """Note in a row all that it is owed by `order`; -1 is let pass."""
    if slot < 0:
        return
    it = nth(owed, slot)
    while True:
        one = _due(signed(it.facts[0]), it.first[0], it.last[0])
        other = _due(signed(it.facts[1]), it.first[1], it.last[1])
        if min(one, other) > order:
            return
        i = 0 if one <= other else 1
        it.facts[i] = note_next(
            w, slot, signed(it.facts[i]), it.first[i], it.last[i], signed(it.first_s[i]), signed(it.last_s[i])
        )


@compiled
def claim(owed: Owed, pending: Pending, slot: int, key: int, order: int) -> None:
    """A row is this number's. What another that had it before was owed after `order` is told in its time; -1 passes."""
    if slot < 0:
        return
    it = nth(owed, slot)
    if it.key == key:
        return
    it.key = key
    for i in range(_CALLS):
        facts = signed(it.facts[i])
        answers = facts & ANSWER and it.first[i] >> AMOUNT_BITS > order
        if answers or (facts & LAST and it.last[i] >> AMOUNT_BITS > order):
            entry = nth(pending.entries, facts >> _REF_BITS)
            entry.facts = signed(entry.facts) | (TELL_CALLEE if facts & OF_CALLEE else TELL_CALLER)
        it.facts[i] = 0


@compiled
def owe(owed: Owed, pending: Pending, slot: int, ref: int, called: int) -> int:
    """Keep the outcomes of entry `ref` beside a row; where there is no room, gives the bit by which they are told.

    `called`: OF_CALLEE, or 0 for the caller.
    """
    if slot >= 0:
        it, entry = nth(owed, slot), nth(pending.entries, ref)
        for i in range(_CALLS):
            if it.facts[i] == 0:
                it.facts[i] = (ref << _REF_BITS) | signed(entry.facts) | called
                it.first[i], it.last[i] = entry.first, entry.last
                it.first_s[i], it.last_s[i] = signed(entry.first_s), signed(entry.last_s)
                return 0
    return TELL_CALLEE if called else TELL_CALLER
