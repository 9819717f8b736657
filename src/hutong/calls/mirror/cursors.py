"""What the call table keeps of the alert conditions: the ages that calls are waited for, and a bit for each condition.

Made ready once the conditions are known, before anything is watched; no part of a batch. Where the cursors stand then,
and which bits a call has, is the table's business and `alerts.watch`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.calls.mirror.table import (
    AGES,
    CONDITIONS,
    CURSOR_COUNTS,
    CURSORS,
    HEADS,
    RAISED,
    SLOTS,
    SLOTS_AT,
    USED,
    at_row,
    cursor_at,
)
from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def set_cursors(t: NDArray[np.int64], digest: int, ages: tuple[Sequence[int], Sequence[int]]) -> None:
    """Wait for these ages (ms, of SETUP and TALK) from the oldest calls on, unless that is what is waited for already.

    Not part of a batch. Who is killed within it does it again, for the digest is written last.
    """
    if t[CONDITIONS] == digest:
        return
    t[CONDITIONS] = 0
    for kind, wanted in enumerate(ages):
        t[CURSOR_COUNTS + kind] = 0
        for index, age in enumerate(wanted):
            t[AGES + kind * CURSORS + index] = age
            t[cursor_at(kind, index)] = t[HEADS + kind]
        t[CURSOR_COUNTS + kind] = len(wanted)
    t[CONDITIONS] = digest


def slots_for(t: NDArray[np.int64], hashes: Sequence[int]) -> list[int]:
    """The bit of RAISED of each condition, by the hash of its id: one that is known keeps its bit.

    A bit is given anew when no condition has it; then no call has it set any more. Not part of a batch: a bit's former
    owner is forgotten last.
    """
    slots = t[SLOTS_AT : SLOTS_AT + SLOTS]
    known = {int(held): place for place, held in enumerate(slots) if held}
    free = [place for place in range(SLOTS) if slots[place] == 0]
    free += [place for held, place in known.items() if held not in set(hashes)]
    for wanted in hashes:
        if wanted not in known:
            place = free.pop(0)
            if slots[place]:
                forget_bit(t, place)
            slots[place] = wanted
            known[wanted] = place
    return [known[wanted] for wanted in hashes]


@compiled
def forget_bit(t: NDArray[np.int64], place: int) -> None:
    """Take a bit of RAISED from every call."""
    for row in range(t[USED]):
        t[at_row(t, row) + RAISED] &= ~(1 << place)
