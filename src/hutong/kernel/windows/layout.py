"""Where every byte of a window table lives: header, undo area, links (LRU and index), rows. No behaviour.

One buffer of fixed size, little-endian, so that a file mapping, an anonymous mapping and a bytearray serve alike:

    page 0         header, 512 int64
    undo slots     UNDO_ROWS uint32: which row each saved copy belongs to
    undo rows      UNDO_ROWS rows as they were before the open batch touched them
    undo words     UNDO_WORDS uint64: link position << 32 | its former value
    links          2 uint32 per row (LRU neighbours: more recent, less recent), then the index cells
    rows           capacity rows of ROW_BYTES

The LRU links stand apart from the rows: moving a number to the front touches its two neighbours, and these 8-byte
pairs stay in cache where whole rows would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from mmap import mmap

    from numpy.typing import NDArray

MAGIC: Final = 0x53574F444E495748  # "HWINDOWS"
VERSION: Final = 1

PAGE: Final = 4096
ROW_BYTES: Final = 368
ROW_WORDS: Final = ROW_BYTES // 4
# A batch of 256 calls touches at most 3 numbers a call; an evicted number's row is its successor's row.
UNDO_ROWS: Final = 1024
# Index words changed by one touch are few but not bounded (a deletion shifts its whole cluster), so a touch is
# granted this many on average and the slack pays for a long cluster.
UNDO_WORDS_PER_TOUCH: Final = 16
UNDO_WORDS_SLACK: Final = 4096
UNDO_WORDS: Final = UNDO_ROWS * UNDO_WORDS_PER_TOUCH + UNDO_WORDS_SLACK
MAX_CAPACITY: Final = 1 << 30

# Header slots (int64).
H_MAGIC: Final = 0
H_VERSION: Final = 1
H_CAPACITY: Final = 2
H_CELLS: Final = 3
H_SLOT_BITS: Final = 4
H_SALT_INDEX: Final = 5
H_SALT_BINS: Final = 6
H_BOOT: Final = 8  # two slots, for the shell: which boot of which machine last wrote
H_CLOSED: Final = 10  # 1 when everything was on disk at the last close
# These five change within a batch and are saved by begin().
H_SIZE: Final = 16
H_HEAD: Final = 17
H_TAIL: Final = 18
H_EVICTED: Final = 19
H_COMMITTED: Final = 20
H_SCALARS: Final = 5
H_SAVED: Final = 24
H_BATCH: Final = 32  # 1 while a batch is open
H_FIRST_SEQ: Final = 33
H_UNDO_ROWS: Final = 34
H_UNDO_WORDS: Final = 35

# Row slots: 64-bit, 32-bit and 16-bit views of the same bytes.
R64_KEY: Final = 0
R64_CALLEE: Final = 1
R32_FIRST: Final = 4
R32_SEEN: Final = 5
R32_BEFORE: Final = 6  # when it was seen before the last touch
R32_ROLLED: Final = 7  # time up to which buckets and bins are current
R32_ATTEMPTED: Final = 8
R32_ACTIVE: Final = 9
R16_SEQUENTIAL: Final = 20
R16_SAME: Final = 21
R16_MARK: Final = 22  # position of this row's copy in the undo area, if it has one
R16_DIRECTION: Final = 23  # of the numeric run: 0 none, 1 upward, 2 downward

# Counters: for each counter 4 current buckets then 4 previous ones, so that one vector operation serves all spans.
R32_ATTEMPTS: Final = 12
R32_INBOUND: Final = 20
R32_NIGHT: Final = 28
R32_RING: Final = 36  # tenths of a second
R32_TALK: Final = 44  # tenths of a second
R16_ENDED: Final = 104
R16_ANSWERED: Final = 112
R16_SHORT: Final = 120
PREVIOUS: Final = 4
SPANS: Final = 4

# Time-stamped bins, 16 bits each, in units of 2 s.
R16_CALLEES: Final = 128
CALLEE_BINS: Final = 40
R16_AREAS: Final = 168
AREA_BINS: Final = 16

NO_SLOT: Final = 0xFFFFFFFF


class WindowArrays(NamedTuple):
    """Views over one window buffer; pass it whole to the compiled functions.

    Shapes: header int64[512], undo_slots uint32[UNDO_ROWS], undo_rows uint32[UNDO_ROWS, ROW_WORDS], undo_words
    uint64[UNDO_WORDS], links uint32[2 * capacity + cells], and the rows as int64, uint32 and uint16[capacity, ...].
    """

    header: NDArray[np.int64]
    undo_slots: NDArray[np.uint32]
    undo_rows: NDArray[np.uint32]
    undo_words: NDArray[np.uint64]
    links: NDArray[np.uint32]
    rows64: NDArray[np.int64]
    rows32: NDArray[np.uint32]
    rows16: NDArray[np.uint16]


def cells_for(capacity: int) -> int:
    """Index cells for `capacity` rows: a load of 4/7 keeps probes short and the whole within 384 bytes a number."""
    return capacity * 7 // 4 + 1


def _up(offset: int, unit: int = 64) -> int:
    return -(-offset // unit) * unit


def _offsets(capacity: int) -> tuple[int, int, int, int, int, int]:
    """Byte offsets of undo slots, undo rows, undo words, links, rows, and the end."""
    slots = PAGE
    copies = _up(slots + 4 * UNDO_ROWS)
    words = _up(copies + ROW_BYTES * UNDO_ROWS)
    links = _up(words + 8 * UNDO_WORDS)
    rows = _up(links + 4 * (2 * capacity + cells_for(capacity)))
    return slots, copies, words, links, rows, _up(rows + ROW_BYTES * capacity, PAGE)


def size_for(capacity: int) -> int:
    """Bytes of a buffer that tracks `capacity` numbers."""
    return _offsets(capacity)[-1]


def capacity_for(memory_bytes: int) -> int:
    """The most numbers that fit in `memory_bytes`, everything included.

    Raises:
        StateError: not even one row fits.
    """
    per_row = ROW_BYTES + 8 + 7
    capacity = min(max(memory_bytes - size_for(0), 0) // per_row + 1, MAX_CAPACITY)
    while capacity > 0 and size_for(capacity) > memory_bytes:
        capacity -= 1
    if capacity <= 0:
        raise StateError(
            f"{memory_bytes} bytes are too few for the windows.", fix=f"Give at least {size_for(1)} bytes."
        )
    return capacity


def views(buffer: bytearray | mmap) -> WindowArrays:
    """Views over a formatted buffer, without copying.

    Raises:
        StateError: not a window buffer, another version, or cut short.
    """
    if memoryview(buffer).nbytes < PAGE:
        raise StateError("Not a window file: shorter than its header.", fix="Move it away; it is rebuilt.")
    header = np.frombuffer(buffer, np.int64, PAGE // 8)
    if header[H_MAGIC] != MAGIC or header[H_VERSION] != VERSION:
        raise StateError("Not a window file of this version.", fix="Move it away; it is rebuilt.")
    capacity = int(header[H_CAPACITY])
    if not 0 < capacity <= MAX_CAPACITY or memoryview(buffer).nbytes < size_for(capacity):
        raise StateError("The window file is cut short.", fix="Move it away; it is rebuilt.")
    slots, copies, words, links, rows, _ = _offsets(capacity)
    body = ROW_BYTES * capacity
    return WindowArrays(
        header=header,
        undo_slots=np.frombuffer(buffer, np.uint32, UNDO_ROWS, slots),
        undo_rows=np.frombuffer(buffer, np.uint32, UNDO_ROWS * ROW_WORDS, copies).reshape(-1, ROW_WORDS),
        undo_words=np.frombuffer(buffer, np.uint64, UNDO_WORDS, words),
        links=np.frombuffer(buffer, np.uint32, 2 * capacity + cells_for(capacity), links),
        rows64=np.frombuffer(buffer, np.int64, body // 8, rows).reshape(capacity, -1),
        rows32=np.frombuffer(buffer, np.uint32, body // 4, rows).reshape(capacity, -1),
        rows16=np.frombuffer(buffer, np.uint16, body // 2, rows).reshape(capacity, -1),
    )


def format_buffer(buffer: bytearray | mmap, capacity: int, salts: tuple[int, int]) -> WindowArrays:
    """Make an all-zero buffer of size_for(capacity) bytes an empty table.

    Args:
        buffer: writable, zeroed; only its first page is written.
        capacity: rows, 1 to 2**30.
        salts: two secret 64-bit numbers (index, bins): whoever knows them can aim at chains and bins.

    Raises:
        StateError: the capacity is out of range or the buffer too short.
    """
    if not 0 < capacity <= MAX_CAPACITY:
        raise StateError(f"A window table cannot have {capacity} rows.")
    header = np.frombuffer(buffer, np.int64, PAGE // 8)
    header[H_CAPACITY] = capacity
    header[H_CELLS] = cells_for(capacity)
    header[H_SLOT_BITS] = capacity.bit_length()
    header[[H_SALT_INDEX, H_SALT_BINS]] = np.array(salts, np.uint64).view(np.int64)
    header[[H_HEAD, H_TAIL]] = NO_SLOT
    header[H_VERSION] = VERSION
    header[H_MAGIC] = MAGIC
    return views(buffer)


def tracked(w: WindowArrays) -> int:
    """Numbers held at present."""
    return int(w.header[H_SIZE])


def capacity_of(w: WindowArrays) -> int:
    """Numbers that fit."""
    return int(w.header[H_CAPACITY])


def evicted(w: WindowArrays) -> int:
    """Numbers that made room for others since the table was created."""
    return int(w.header[H_EVICTED])


def committed_seq(w: WindowArrays) -> int:
    """The last journal sequence number whose effects are in the table; 0 before the first commit."""
    return int(w.header[H_COMMITTED])
