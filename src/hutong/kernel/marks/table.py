"""The layout of a table of marks and the look-up in it. No file, no clock and no SQL belong here.

Open addressing with linear probing in an int64 array (capacity, 4); a key of 0 is an empty row. Rows are changed in
place while others read them, so each word is true by itself:

    word 0  number key
    word 1  bits 0..15 reporters in 24 hours, 16..31 in 7 days, 32..47 in 30 days, 48..62 wrong blocks in 365 days
    word 2  bits 0..19 calls an hour that an order allows (0 = no limit), 20..62 the limit's mark
    word 3  second since 1970 from which the limit holds no longer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Words of a row.
WORDS: Final = 4
#: What `find_row` gives for a number without marks.
NO_ROW: Final = -1
#: The most calls an hour that a limit can say.
LONGEST_LIMIT: Final = (1 << 20) - 1
#: The last second that a row can name.
FOREVER: Final = (1 << 62) - 1
SMALLEST: Final = 1024

KEY, COUNTS, LIMIT, UNTIL = 0, 1, 2, 3
_COUNT_BITS = 16
_COUNT_MASK = (1 << _COUNT_BITS) - 1
_WRONG_MASK = (1 << 15) - 1
_LIMIT_BITS = 20
_LIMIT_MASK = (1 << _LIMIT_BITS) - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, volume 3, 6.4)
_FOLD = np.uint64(32)


class Known(NamedTuple):
    """What a row says of a number.

    Attributes:
        reporters: distinct, in 24 hours, 7 days and 30 days. wrong: blocks of it found wrong in 365 days.
        limit: calls an hour, 0 = none. mark: id of the limit's mark. until: second from which it holds no longer.
    """

    reporters: tuple[int, int, int] = (0, 0, 0)
    wrong: int = 0
    limit: int = 0
    mark: int = 0
    until: int = 0


@compiled
def _home(key: int, capacity: int) -> int:
    mixed = np.uint64(key) * _MIX
    return signed((mixed ^ (mixed >> _FOLD)) & np.uint64(capacity - 1))


@compiled
def find_row(rows: NDArray[np.int64], key: int) -> int:
    """The row of a number key; NO_ROW where it has none. Ends after one round, whatever the rows hold."""
    capacity = rows.shape[0]
    at = _home(key, capacity)
    for _ in range(capacity):
        found = rows[at, KEY]
        if found == key and key != 0:
            return at
        if found == 0:
            return NO_ROW
        at = (at + 1) & (capacity - 1)
    return NO_ROW


@compiled
def reporters_24h(rows: NDArray[np.int64], row: int) -> int:
    """Distinct reporters of 24 hours."""
    return int(rows[row, COUNTS] & _COUNT_MASK)


@compiled
def reporters_7d(rows: NDArray[np.int64], row: int) -> int:
    """Distinct reporters of 7 days."""
    return int((rows[row, COUNTS] >> _COUNT_BITS) & _COUNT_MASK)


@compiled
def reporters_30d(rows: NDArray[np.int64], row: int) -> int:
    """Distinct reporters of 30 days."""
    return int((rows[row, COUNTS] >> (2 * _COUNT_BITS)) & _COUNT_MASK)


@compiled
def wrong_blocks(rows: NDArray[np.int64], row: int) -> int:
    """Blocks of the number that were found wrong in 365 days."""
    return int((rows[row, COUNTS] >> (3 * _COUNT_BITS)) & _WRONG_MASK)


@compiled
def limit_of(word: int) -> int:
    """Calls an hour, of word LIMIT."""
    return word & _LIMIT_MASK


@compiled
def limit_mark_of(word: int) -> int:
    """The limit's mark, of word LIMIT."""
    return word >> _LIMIT_BITS


@compiled
def place_for(rows: NDArray[np.int64], key: int) -> int:
    """The row that is this key's, or that is free for it; NO_ROW where every row is taken."""
    capacity = rows.shape[0]
    at = _home(key, capacity)
    for _ in range(capacity):
        if rows[at, KEY] in (0, key):
            return at
        at = (at + 1) & (capacity - 1)
    return NO_ROW


def no_marks() -> NDArray[np.int64]:
    """Rows in which nothing is found: one, which compiled code takes for no table."""
    return np.zeros((1, WORDS), dtype=np.int64)


def put(rows: NDArray[np.int64], key: int, known: Known) -> bool:
    """Write what is known of a number; True where it had no row. A number that nothing is known of gets none.

    The key is written last: whoever reads meanwhile finds no number with words that are not its own.
    """
    at = int(place_for(rows, key))
    fresh = rows[at, KEY] == 0
    if fresh and known == Known():
        return False
    day, week, month = (min(count, _COUNT_MASK) for count in known.reporters)
    counts = day | week << _COUNT_BITS | month << 2 * _COUNT_BITS | min(known.wrong, _WRONG_MASK) << 3 * _COUNT_BITS
    # A new limit never stands with an old one's end: who reads in between sees the later of the two.
    rows[at, UNTIL] = max(known.until, int(rows[at, UNTIL])) if known.limit else rows[at, UNTIL]
    rows[at, LIMIT] = min(known.limit, LONGEST_LIMIT) | known.mark << _LIMIT_BITS
    rows[at, UNTIL] = known.until
    rows[at, COUNTS] = counts
    rows[at, KEY] = key
    return bool(fresh)


def rows_for(used: int) -> NDArray[np.int64]:
    """Empty rows that are at most a quarter full with so many."""
    capacity = SMALLEST
    while capacity < 4 * used:
        capacity *= 2
    return np.zeros((capacity, WORDS), dtype=np.int64)


def taken_over(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same in a table with room for as many more; what says nothing is left behind."""
    held = rows[(rows[:, KEY] != 0) & (rows[:, COUNTS : UNTIL + 1] != 0).any(axis=1)]
    fresh = rows_for(len(held))
    for row in held:
        fresh[int(place_for(fresh, int(row[KEY])))] = row
    return fresh
