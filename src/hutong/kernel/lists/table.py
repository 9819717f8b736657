"""A compiled table from number keys to values. What keys and values mean is not decided here.

Open addressing with linear probing in an int64 array of (tagged key, value) rows. A key takes the low 58 bits (see
`numbering.keys`), a tag the four above; rows of one key with different tags stand in one run, because only the key is
hashed. A tagged key of 0 is an empty row. In front of the rows stands a filter (two bits in one word for each key, one
byte for each row): most numbers are on no list, and the filter says so from cache where the rows would have to be
fetched from memory. Removing leaves the bits: they only cost a look at the rows, and growing makes them anew.
"""

from __future__ import annotations

import numpy as np

from hutong.kernel.compiled import compiled, signed

TAG_SHIFT = 58
KEY_MASK = (1 << TAG_SHIFT) - 1

_MIX = 0x9E3779B97F4A7C15 - (1 << 64)  # 2**64 over the golden ratio, as int64 (Knuth, volume 3, 6.4)
_FOLD = 32
_BIT_A, _BIT_B, _WORD_BITS = 52, 58, 63
_ROWS_A_WORD = 8
_SMALLEST = 1024
_FULL_NUMERATOR, _FULL_DENOMINATOR = 2, 3  # longer probe runs beyond this share of filled rows


@compiled
def _mix(key: int) -> int:
    mixed = key * _MIX
    return mixed ^ (mixed >> _FOLD)


@compiled
def _bits(mixed: int) -> int:
    return (signed(1) << ((mixed >> _BIT_A) & _WORD_BITS)) | (signed(1) << ((mixed >> _BIT_B) & _WORD_BITS))


@compiled
def home(key: int, rows: int) -> int:
    """The row where the run of `key` (without tag) may begin in a table of so many rows, a power of two."""
    return _mix(key) & (rows - 1)


@compiled
def maybe(filtered: np.ndarray, key: int) -> bool:
    """False where `key` (without tag) is certainly absent, under any tag."""
    mixed = _mix(key)
    bits = _bits(mixed)
    return bool(filtered[mixed & (filtered.shape[0] - 1)] & bits == bits)


@compiled
def find(table: np.ndarray, tagged: int) -> int:
    """The row of exactly this tagged key; -1 where it is absent."""
    rows = table.shape[0]
    at = home(tagged & KEY_MASK, rows)
    while table[at, 0] != 0:
        if table[at, 0] == tagged:
            return at
        at = (at + 1) & (rows - 1)
    return -1


@compiled
def insert(table: np.ndarray, filtered: np.ndarray, tagged: int, value: int) -> int:
    """Set the value of a tagged key; 1 where it is new, 0 where it replaced another. There must be room."""
    rows = table.shape[0]
    mixed = _mix(tagged & KEY_MASK)
    filtered[mixed & (filtered.shape[0] - 1)] |= _bits(mixed)
    at = mixed & (rows - 1)
    while table[at, 0] != 0:
        if table[at, 0] == tagged:
            table[at, 1] = value
            return 0
        at = (at + 1) & (rows - 1)
    table[at, 0] = tagged
    table[at, 1] = value
    return 1


@compiled
def remove_row(table: np.ndarray, row: int) -> None:
    """Empty a row and close the gap, so that no run is broken."""
    rows = table.shape[0]
    mask = rows - 1
    gap = row
    at = (gap + 1) & mask
    while table[at, 0] != 0:
        start = home(table[at, 0] & KEY_MASK, rows)
        if ((at - start) & mask) >= ((at - gap) & mask):
            table[gap, 0] = table[at, 0]
            table[gap, 1] = table[at, 1]
            gap = at
        at = (at + 1) & mask
    table[gap, 0] = 0
    table[gap, 1] = 0


@compiled
def move_all(old: np.ndarray, table: np.ndarray, filtered: np.ndarray) -> None:
    """Insert every row of `old` into an empty table and filter."""
    for row in range(old.shape[0]):
        if old[row, 0] != 0:
            insert(table, filtered, old[row, 0], old[row, 1])


class KeyTable:
    """A table and its filter, made to hold so many entries."""

    def __init__(self, entries: int) -> None:
        capacity = _SMALLEST
        while capacity * _FULL_NUMERATOR < entries * _FULL_DENOMINATOR:
            capacity *= 2
        self.rows = np.zeros((capacity, 2), dtype=np.int64)
        self.filtered = np.zeros(capacity // _ROWS_A_WORD, dtype=np.int64)

    def holds(self, entries: int) -> bool:
        """Whether there is room for so many entries in all."""
        return entries * _FULL_DENOMINATOR <= len(self.rows) * _FULL_NUMERATOR

    def grown(self, entries: int) -> KeyTable:
        """A larger table with the same rows and room for `entries`."""
        larger = KeyTable(max(entries, len(self.rows)))
        move_all(self.rows, larger.rows, larger.filtered)
        return larger
