"""Carrying the newest numbers of one table over to a table of another capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.layout import NO_SLOT, ROW_WORDS
from hutong.kernel.windows.records import nth
from hutong.kernel.windows.table import insert_cell, link_newest

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays


@compiled
def copy_newest(old: WindowArrays, new: WindowArrays) -> int:
    """Fill an empty table with the most recently active numbers of another, in the same order.

    Both must have the same salts, because rows are copied as they are. Neither may have a batch open.

    Returns:
        The number of numbers that found no room; they count as evicted.
    """
    slot = old.head.oldest
    dropped = max(old.head.used - new.head.capacity, 0)
    for _ in range(dropped):
        slot = signed(nth(old.links, 2 * slot).cell)
    while slot != NO_SLOT:
        place = new.head.used
        for i in range(ROW_WORDS):
            nth(new.raw, place).words[i] = nth(old.raw, slot).words[i]
        new.head.used = place + 1
        insert_cell(new, nth(old.rows, slot).key, place)
        link_newest(new, place)
        slot = signed(nth(old.links, 2 * slot).cell)
    new.head.evicted = old.head.evicted + dropped
    new.head.committed = old.head.committed
    return dropped
