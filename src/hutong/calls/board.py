"""The counter board: a small memory-mapped file that `screen` counts in and every other process reads without a lock.

Fixed cells of int64. Only layout, writer and reader belong here; names and words are `live`'s business.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = 0x32_44_52_42_47_54_48  # "HTGBRD2"

# Scalar cells.
MAGIC, STARTED_NS, BEAT_NS, GENERATION = 0, 1, 2, 3
ATTEMPTS, PASSED, WARNED, BLOCKED, OBSERVED = 4, 5, 6, 7, 8
FAIL_OPEN, EMERGENCY, ALLOWED, RETRANSMITS, MALFORMED, DROPPED = 9, 10, 11, 12, 13, 14
TRACKED, CAPACITY, EVICTED, LIST_ENTRIES = 15, 16, 17, 18
REFERENCE_READ, ACKS, UNREPEATED, REPEATED, FORGOTTEN, OTHER_REQUESTS = 19, 20, 21, 22, 23, 24
LATEST_AT, UNTRUSTED_SOURCE, CONNECTIONS, ROAMING_ASKED, JOURNAL_SEQ = 25, 26, 27, 28, 29
# Mirrored signalling. Packets: that came, that were no HEP or held no SIP, without the key, dropped by the kernel, of
# a call that nobody knows, and captured at another time than they came.
MIRROR_PACKETS, MIRROR_MALFORMED, MIRROR_UNAUTHORISED, MIRROR_LOST, MIRROR_ORPHANS, MIRROR_LATE = 30, 31, 32, 33, 34, 35
# Calls: followed now, answered, ended, judged in observe mode because nobody asked, and never seen to end. Connections.
MIRROR_FOLLOWED, MIRROR_ANSWERED, MIRROR_ENDED, MIRROR_JUDGED, MIRROR_UNENDED, MIRROR_CONNECTIONS = (
    36,
    37,
    38,
    39,
    40,
    41,
)
# Asking through the local socket: requests, calls in them, requests refused.
ASK_REQUESTS, ASK_CALLS, ASK_REFUSED = 42, 43, 44
#: Batches that the journal did not take; their calls were not answered.
JOURNAL_REFUSED = 45
#: The change up to which marks are in force (`kernel.marks`), as of the beat.
MARKS = 46
#: The last change of the lists that calls are judged by, and when it was taken up.
LISTS, LISTS_NS = 47, 48
SCALARS = 64

MAX_RULES = 2048
MAX_TRUNKS = 1024
#: Areas of callees, by their index in `kernel.numbering.AREAS` (0 = unknown).
MAX_AREAS = 512
#: Sequence numbers of the newest warned and blocked verdicts, a ring.
LATEST = 64

RULES_FROM = SCALARS
TRUNKS_FROM = RULES_FROM + MAX_RULES
LATEST_FROM = TRUNKS_FROM + 2 * MAX_TRUNKS
#: Attempts and blocks of each callee area, two cells a piece like the trunks'.
AREAS_FROM = LATEST_FROM + LATEST
CELLS = AREAS_FROM + 2 * MAX_AREAS


class Board:
    """The board's file. `create` makes a fresh one (one writer), `open_existing` reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._cells: NDArray[np.int64] | None = None

    @property
    def cells(self) -> NDArray[np.int64]:
        """int64[CELLS]; shared memory."""
        if self._cells is None:
            raise StateError("the counter board is not open", where=str(self._path))
        return self._cells

    def create(self, now_ns: int) -> None:
        """Start counting from zero. The old file stays valid for readers that still hold it."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, CELLS * 8)
        fresh.replace(self._path)
        self._attach(os.O_RDWR, mmap.PROT_READ | mmap.PROT_WRITE)
        self.cells[STARTED_NS] = now_ns
        self.cells[BEAT_NS] = now_ns
        self.cells[MAGIC] = _MAGIC

    def open_existing(self) -> None:
        """Attach for reading.

        Raises:
            StateError: there is no board yet, or it is of another version.
        """
        try:
            self._attach(os.O_RDONLY, mmap.PROT_READ)
        except OSError as error:
            raise StateError(
                "no screening node has counted here yet",
                where=str(self._path),
                fix="Start `hutong up` first.",
            ) from error
        if self.cells[MAGIC] != _MAGIC:
            raise StateError("the counter board is of another version", where=str(self._path))

    def close(self) -> None:
        """Let go of the file."""
        self._cells = None
        self._map = None

    def _attach(self, mode: int, protection: int) -> None:
        descriptor = os.open(self._path, mode)
        try:
            if os.fstat(descriptor).st_size != CELLS * 8:
                raise StateError("the counter board is of another version", where=str(self._path))
            self._map = mmap.mmap(descriptor, CELLS * 8, prot=protection)
        finally:
            os.close(descriptor)
        self._cells = np.frombuffer(self._map, dtype=np.int64)
