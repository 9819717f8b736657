"""Where every byte of a window table lives: head, links (LRU and index), rows. No behaviour.

One buffer of fixed size, so that a file mapping, an anonymous mapping and a bytearray serve alike:

    head    one HEAD record: identity, counts, and the undo area
    links   2 uint32 per row (LRU neighbours: more recent, less recent), then the index cells
    rows    one ROW record of 368 bytes for each number

The LRU links stand apart from the rows: moving a number to the front touches its two neighbours, and these
8-byte pairs stay in cache where whole rows would not.

All are records because Numba passes a record as a bare pointer (`records.nth` steps through a buffer of them): handing
one to a helper costs nothing, while an array is counted in and out with locked instructions, which made three
touches cost 1.4 us instead of 0.06.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from mmap import mmap

    from numpy.typing import NDArray

MAGIC: Final = 0x53574F444E495748  # "HWINDOWS"
VERSION: Final = 1

PAGE: Final = 4096
MAX_CAPACITY: Final = 1 << 30
NO_SLOT: Final = 0xFFFFFFFF

SPANS: Final = 4
# A counter is 4 current buckets, then the 4 before them, so that one vector operation serves all spans.
PREVIOUS: Final = SPANS

COMMON_BINS: Final = 24  # for 7/8 of the hash space: nearly exact for few callees
SAMPLED_BINS: Final = 16  # for the other 1/8: still counting when the common ones are full
CALLEE_BINS: Final = COMMON_BINS + SAMPLED_BINS
AREA_BINS: Final = 16
BINS: Final = CALLEE_BINS + AREA_BINS

BINS_AT: Final = 256

_ROW_FIELDS: Final = (
    # name, type, count, offset
    ("key", "i8", 1, 0),
    ("callee", "i8", 1, 8),  # the last one attempted
    ("first", "u4", 1, 16),
    ("seen", "u4", 1, 20),
    ("before", "u4", 1, 24),  # when it had been seen before the last touch
    ("rolled", "u4", 1, 28),  # the row's clock: buckets and bins are true for this moment
    ("attempted", "u4", 1, 32),
    ("active", "u4", 1, 36),
    ("sequential", "u2", 1, 40),
    ("same", "u2", 1, 42),
    ("mark", "u2", 1, 44),  # position of this row's copy in the undo area, if it has one
    ("direction", "u2", 1, 46),  # of the numeric run: 0 none, 1 upward, 2 downward
    ("attempts", "u4", 2 * SPANS, 48),
    ("inbound", "u4", 2 * SPANS, 80),
    ("night", "u4", 2 * SPANS, 112),
    ("ring", "u4", 2 * SPANS, 144),  # tenths of a second
    ("talk", "u4", 2 * SPANS, 176),  # tenths of a second
    ("ended", "u2", 2 * SPANS, 208),
    ("answered", "u2", 2 * SPANS, 224),
    ("short", "u2", 2 * SPANS, 240),
    ("bins", "u2", BINS, BINS_AT),  # time stamps, see `rolling`: common, then sampled callee bins, then area bins
)
ROW_BYTES: Final = 368
ROW_WORDS: Final = ROW_BYTES // 4

# A batch of 256 calls touches at most 3 numbers a call; an evicted number's row is its successor's row.
UNDO_ROWS: Final = 1024
# Links changed by one touch are few but not bounded (a deletion may shift its whole index cluster), so a touch is
# granted this many on average and the slack pays for long clusters.
UNDO_LINKS_PER_TOUCH: Final = 16
UNDO_LINKS_SLACK: Final = 4096
UNDO_LINKS: Final = UNDO_ROWS * UNDO_LINKS_PER_TOUCH + UNDO_LINKS_SLACK

# A field must not bear the name of an attribute that every NumPy scalar has (size, data, base …).
_HEAD_FIELDS: Final = (
    ("magic", "i8", 1, 0),
    ("version", "i8", 1, 8),
    ("capacity", "i8", 1, 16),
    ("cells", "i8", 1, 24),
    ("slot_bits", "i8", 1, 32),
    ("salt_index", "i8", 1, 40),
    ("salt_bins", "i8", 1, 48),
    ("boot", "u1", 16, 56),  # for the shell: the boot of the machine that last had the file open
    ("closed", "i8", 1, 72),  # for the shell: 1 when everything is on disk
    # These five change within a batch; begin() saves them.
    ("used", "i8", 1, 128),
    ("newest", "i8", 1, 136),
    ("oldest", "i8", 1, 144),
    ("evicted", "i8", 1, 152),
    ("committed", "i8", 1, 160),
    ("touches", "i8", 1, 168),  # 0: links keep the rows' order; else what the next touch is stamped with, see `order`
    ("saved", "i8", 5, 192),
    ("batch", "i8", 1, 256),  # 1 while a batch is open
    ("first_seq", "i8", 1, 264),
    ("undo_rows", "i8", 1, 272),  # rows saved
    ("undo_links", "i8", 1, 280),  # links saved
    ("row_slots", "u4", UNDO_ROWS, PAGE),
    ("rows", "u4", UNDO_ROWS * ROW_WORDS, PAGE + 4 * UNDO_ROWS),
    ("links", "u8", UNDO_LINKS, PAGE + (4 + ROW_BYTES) * UNDO_ROWS),  # position << 32 | former value
)
_HEAD_BYTES: Final = -(-(PAGE + (4 + ROW_BYTES) * UNDO_ROWS + 8 * UNDO_LINKS) // PAGE) * PAGE


def _record(fields: tuple[tuple[str, str, int, int], ...], size: int) -> np.dtype[Any]:
    return np.dtype(
        {
            "names": [name for name, *_ in fields],
            "formats": [kind if count == 1 else (kind, (count,)) for _, kind, count, _ in fields],
            "offsets": [offset for *_, offset in fields],
            "itemsize": size,
        }
    )


ROW: Final = _record(_ROW_FIELDS, ROW_BYTES)
HEAD: Final = _record(_HEAD_FIELDS, _HEAD_BYTES)
RAW: Final = _record((("words", "u4", ROW_WORDS, 0),), ROW_BYTES)  # a row for copying
LINK: Final = _record((("cell", "u4", 1, 0),), 4)


class Row(Protocol):
    """One number's record, as compiled code and type checker see it."""

    key: int
    callee: int
    first: int
    seen: int
    before: int
    rolled: int
    attempted: int
    active: int
    sequential: int
    same: int
    mark: int
    direction: int
    attempts: NDArray[np.uint32]
    inbound: NDArray[np.uint32]
    night: NDArray[np.uint32]
    ring: NDArray[np.uint32]
    talk: NDArray[np.uint32]
    ended: NDArray[np.uint16]
    answered: NDArray[np.uint16]
    short: NDArray[np.uint16]
    bins: NDArray[np.uint16]


class Head(Protocol):
    """The head record, as compiled code and type checker see it."""

    magic: int
    version: int
    capacity: int
    cells: int
    slot_bits: int
    salt_index: int
    salt_bins: int
    boot: NDArray[np.uint8]
    closed: int
    used: int
    newest: int
    oldest: int
    evicted: int
    committed: int
    touches: int
    saved: NDArray[np.int64]
    batch: int
    first_seq: int
    undo_rows: int
    undo_links: int
    row_slots: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    links: NDArray[np.uint64]


class Raw(Protocol):
    """A row's bytes as words."""

    words: NDArray[np.uint32]


class Link(Protocol):
    """One LRU neighbour or index cell."""

    cell: int


class WindowArrays(NamedTuple):
    """A window table: its head and the first of its links and rows (`nth` reaches the others).

    Pass it whole to the compiled functions. Whoever holds it keeps the buffer alive.
    """

    head: Head
    links: Link
    rows: Row
    raw: Raw


def _cells_for(capacity: int) -> int:
    """A load of 4/7 keeps probes short and the whole within 384 bytes a number."""
    return capacity * 7 // 4 + 1


def _offsets(capacity: int) -> tuple[int, int]:
    """Byte offsets of the rows and of the end."""
    rows = -(-(_HEAD_BYTES + 4 * (2 * capacity + _cells_for(capacity))) // PAGE) * PAGE
    return rows, -(-(rows + ROW_BYTES * capacity) // PAGE) * PAGE


def size_for(capacity: int) -> int:
    """Bytes of a buffer that tracks `capacity` numbers."""
    return _offsets(capacity)[1]


def capacity_for(memory_bytes: int) -> int:
    """The most numbers that fit in `memory_bytes`, everything included.

    Raises:
        StateError: not even one row fits.
    """
    per_row = ROW_BYTES + 8 + 7
    capacity = min(max(memory_bytes - _HEAD_BYTES, 0) // per_row + 1, MAX_CAPACITY)
    while capacity > 0 and size_for(capacity) > memory_bytes:
        capacity -= 1
    if capacity == 0:
        raise StateError(
            f"{memory_bytes} bytes are too few for the windows.", fix=f"Give at least {size_for(1)} bytes."
        )
    return capacity


def _over(buffer: bytearray | mmap, capacity: int) -> WindowArrays:
    rows, _ = _offsets(capacity)
    links = np.frombuffer(buffer, LINK, 2 * capacity + _cells_for(capacity), _HEAD_BYTES)
    return WindowArrays(
        head=np.frombuffer(buffer, HEAD, 1).view(np.recarray)[0],
        links=links.view(np.recarray)[0],
        rows=np.frombuffer(buffer, ROW, capacity, rows).view(np.recarray)[0],
        raw=np.frombuffer(buffer, RAW, capacity, rows).view(np.recarray)[0],
    )


def views(buffer: bytearray | mmap) -> WindowArrays:
    """Views over a formatted buffer, without copying.

    Raises:
        StateError: not a window buffer, another version, or cut short.
    """
    away = "Move it away: it is rebuilt from the journal."
    if len(buffer) < _HEAD_BYTES:
        raise StateError("Not a window file: shorter than its head.", fix=away)
    magic, version, capacity = (int(n) for n in np.frombuffer(buffer, np.int64, 3))
    if (magic, version) != (MAGIC, VERSION):
        raise StateError("Not a window file of this version.", fix=away)
    if not 0 < capacity <= MAX_CAPACITY or len(buffer) < size_for(capacity):
        raise StateError("The window file is cut short.", fix=away)
    return _over(buffer, capacity)


def format_buffer(buffer: bytearray | mmap, capacity: int, salts: tuple[int, int]) -> WindowArrays:
    """Make an all-zero buffer of size_for(capacity) bytes an empty table.

    Args:
        buffer: writable, zeroed; only its first page is written.
        capacity: rows, 1 to 2**30.
        salts: two secret random 64-bit numbers (index, bins): whoever knows them can aim at chains and bins.

    Raises:
        StateError: the capacity is out of range or the buffer too short.
    """
    if not 0 < capacity <= MAX_CAPACITY or len(buffer) < size_for(capacity):
        raise StateError(f"A window table of {capacity} rows does not fit a buffer of {len(buffer)} bytes.")
    w = _over(buffer, capacity)
    head = w.head
    head.capacity = capacity
    head.cells = _cells_for(capacity)
    head.slot_bits = capacity.bit_length()
    head.salt_index, head.salt_bins = (int(n) for n in np.array(salts, np.uint64).view(np.int64))
    head.newest = head.oldest = NO_SLOT
    head.version = VERSION
    head.magic = MAGIC
    return w


def tracked(w: WindowArrays) -> int:
    """Numbers held at present."""
    return int(w.head.used)


def capacity_of(w: WindowArrays) -> int:
    """Numbers that fit."""
    return int(w.head.capacity)


def evicted(w: WindowArrays) -> int:
    """Numbers that made room for others since the table was created."""
    return int(w.head.evicted)


def committed_seq(w: WindowArrays) -> int:
    """The last journal sequence number whose effects are in the table; 0 before the first commit."""
    return int(w.head.committed)
