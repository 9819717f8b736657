"""Numbers to rows: hashing, the index, least-recently-active order, eviction. Knows not what is counted.

Index: linear probing with backward-shift deletion. A cell holds slot + 1 in its low bits and as many hash bits as
are left above them, so that a probe seldom visits another number's row. 0 is an empty cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.layout import NO_SLOT
from hutong.kernel.windows.records import nth
from hutong.kernel.windows.rolling import clear_timed, roll
from hutong.kernel.windows.undo import save_row, set_link

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays

_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_ONE: Final = np.uint64(1)
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


@compiled
def mixed(key: int, salt: int) -> np.uint64:
    """A 64-bit hash that nobody can aim without the salt, which is both xored and multiplied in."""
    secret = np.uint64(salt)
    h = np.uint64(key) ^ secret
    h = (h ^ (h >> _HALF)) * (secret | _ONE)
    h = (h ^ (h >> _HALF)) * _MULTIPLIER
    return h ^ (h >> _HALF)


@compiled
def _home(h: np.uint64, cells: int) -> int:
    return signed(((h >> _HALF) * np.uint64(cells)) >> _HALF)


@compiled
def _tag(h: np.uint64, bits: int) -> int:
    """The hash bits kept in a cell above the slot."""
    return signed(h & _LOW) >> bits


@compiled
def home_of(w: WindowArrays, key: int) -> int:
    """The index cell at which the search for `key` begins."""
    return _home(mixed(key, w.head.salt_index), w.head.cells)


@compiled
def find(w: WindowArrays, key: int) -> int:
    """The row of `key`, or -1 where it is not tracked. Changes nothing."""
    head = w.head
    bits, cells, base = head.slot_bits, head.cells, 2 * head.capacity
    h = mixed(key, head.salt_index)
    tag = _tag(h, bits)
    at = _home(h, cells)
    while True:
        cell = signed(nth(w.links, base + at).cell)
        if cell == 0:
            return -1
        slot = (cell & ((1 << bits) - 1)) - 1
        if cell >> bits == tag and nth(w.rows, slot).key == key:
            return slot
        at = at + 1 if at + 1 < cells else 0


@compiled
def likely_slot(w: WindowArrays, key: int) -> int:
    """The row that `key` most likely has, or -1, told from the index alone: no row is looked at."""
    head = w.head
    bits, cells, base = head.slot_bits, head.cells, 2 * head.capacity
    h = mixed(key, head.salt_index)
    tag = _tag(h, bits)
    at = _home(h, cells)
    while True:
        cell = signed(nth(w.links, base + at).cell)
        if cell == 0 or cell >> bits == tag:
            return (cell & ((1 << bits) - 1)) - 1
        at = at + 1 if at + 1 < cells else 0


@compiled
def _remove_cell(w: WindowArrays, slot: int) -> None:
    head = w.head
    cells, base = head.cells, 2 * head.capacity
    mask = (1 << head.slot_bits) - 1
    hole = home_of(w, nth(w.rows, slot).key)
    while (signed(nth(w.links, base + hole).cell) & mask) - 1 != slot:
        hole = hole + 1 if hole + 1 < cells else 0
    at = hole
    while True:
        at = at + 1 if at + 1 < cells else 0
        cell = signed(nth(w.links, base + at).cell)
        if cell == 0:
            break
        home = home_of(w, nth(w.rows, (cell & mask) - 1).key)
        # An entry moves back into the hole only if the hole is not before the entry's home.
        if (at - home + cells) % cells >= (at - hole + cells) % cells:
            set_link(w, base + hole, cell)
            hole = at
    set_link(w, base + hole, 0)


@compiled
def insert_cell(w: WindowArrays, key: int, slot: int) -> None:
    """Enter a key that is not in the index."""
    head = w.head
    cells, base = head.cells, 2 * head.capacity
    h = mixed(key, head.salt_index)
    at = _home(h, cells)
    while nth(w.links, base + at).cell != 0:
        at = at + 1 if at + 1 < cells else 0
    set_link(w, base + at, (_tag(h, head.slot_bits) << head.slot_bits) | (slot + 1))


@compiled
def _unlink(w: WindowArrays, slot: int) -> None:
    head = w.head
    newer, older = signed(nth(w.links, 2 * slot).cell), signed(nth(w.links, 2 * slot + 1).cell)
    if newer == NO_SLOT:
        head.newest = older
    else:
        set_link(w, 2 * newer + 1, older)
    if older == NO_SLOT:
        head.oldest = newer
    else:
        set_link(w, 2 * older, newer)


@compiled
def link_newest(w: WindowArrays, slot: int) -> None:
    """Make a slot that is in no order yet the most recent one."""
    head = w.head
    newest = head.newest
    set_link(w, 2 * slot, NO_SLOT)
    set_link(w, 2 * slot + 1, newest)
    if newest == NO_SLOT:
        head.oldest = slot
    else:
        set_link(w, 2 * newest, slot)
    head.newest = slot


@compiled
def _stamp(w: WindowArrays, slot: int) -> None:
    """Note when a row was touched, for the day when order is asked for: see `order`."""
    head = w.head
    touches = head.touches
    nth(w.links, 2 * slot).cell = touches & signed(_LOW)
    nth(w.links, 2 * slot + 1).cell = touches >> signed(_HALF)
    head.touches = touches + 1


@compiled
def _free_slot(w: WindowArrays) -> int:
    """A slot that no number holds, its row saved: the next unused one, or that of the least recently active."""
    head = w.head
    slot = head.used
    if slot < head.capacity:
        save_row(w, slot)
        head.used = slot + 1
        return slot
    slot = head.oldest
    save_row(w, slot)
    _remove_cell(w, slot)
    _unlink(w, slot)
    head.evicted += 1
    return slot


@compiled
def _insert(w: WindowArrays, key: int, now: int) -> int:
    head, slot = w.head, _free_slot(w)
    row = nth(w.rows, slot)
    row.key = key
    row.first = now
    row.seen = now
    row.before = now
    row.rolled = now
    row.attempted = 0
    clear_timed(row, now)
    insert_cell(w, key, slot)
    if head.touches != 0:
        _stamp(w, slot)
    else:
        link_newest(w, slot)
    return slot


@compiled
def find_near(w: WindowArrays, key: int, slot: int) -> int:
    """As `find`, where the row most likely is at `slot` (see `likely_slot`); -1 = no idea."""
    if slot >= 0 and nth(w.rows, slot).key == key:
        return slot
    return find(w, key)


@compiled
def touch_near(w: WindowArrays, key: int, slot: int, now: int) -> int:
    """The row of `key`, now the most recently active; made if need be, the least recently active making room.

    Args:
        w: the table.
        key: a number key, 1 to 2**62 - 1.
        slot: where the row most likely is (see `likely_slot`), which spares a search; -1 = no idea.
        now: seconds since 1970, below 2**32; a step back counts as no time passed.

    Raises:
        RuntimeError: a batch is open and its undo area is full (see `undo_room`); `recover` undoes the batch.
    """
    slot = find_near(w, key, slot)
    if slot < 0:
        return _insert(w, key, now)
    head = w.head
    save_row(w, slot)
    row = nth(w.rows, slot)
    row.before = row.seen
    row.seen = roll(row, now)
    if head.touches != 0:
        _stamp(w, slot)
    elif head.newest != slot:
        _unlink(w, slot)
        link_newest(w, slot)
    return slot


@compiled
def touch(w: WindowArrays, key: int, now: int) -> int:
    """As `touch_near`, with no idea where the row may be."""
    return touch_near(w, key, -1, now)
