"""The call table in a memory-mapped file of the data folder: a restart still knows the calls under way.

The page cache keeps what a killed process stored. Its open batch is undone, unless the journal has the batch's records:
then the batch had done all its work. After another start of the machine, pages may be missing; a table of another size
or version cannot be read: in both cases a new one is made, and the calls of the old one are lost from sight.
"""

from __future__ import annotations

import mmap
import os
import secrets
from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.mirror import table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SALT_BITS = 62
_PAGE = 4096
_WORD = 8


class CallFile:
    """The call table on disk, owned by the process that writes the journal.

    Args:
        path: the file; its folder must exist.
        capacity: calls followed at once.
        boot: 16 bytes that differ from one start of the machine to the next.
    """

    def __init__(self, path: Path, capacity: int, boot: bytes) -> None:
        self._path, self._capacity = path, capacity
        self._boot = np.frombuffer(boot, dtype=np.int64)
        self._map: mmap.mmap | None = None
        self._words: NDArray[np.int64] | None = None
        self.fresh = False

    @property
    def words(self) -> NDArray[np.int64]:
        """The table (`mirror.table`)."""
        assert self._words is not None  # noqa: S101  # callers have opened it
        return self._words

    def open(self, last_seq: int) -> None:
        """Map the table; `fresh` says whether it had to be made.

        Args:
            last_seq: the journal's last sequence number.

        Raises:
            OSError: the file cannot be made or mapped.
        """
        self.fresh = not self._open_existing(last_seq)
        if self.fresh:
            self._create()
        self.words[table.BOOT : table.BOOT + 2] = self._boot
        self.words[table.CLOSED] = 0

    def _size(self) -> int:
        return -(-table.words_for(self._capacity) * _WORD // _PAGE) * _PAGE

    def _open_existing(self, last_seq: int) -> bool:
        if not self._path.exists() or self._path.stat().st_size != self._size():
            return False
        self._attach(self._path)
        t = self.words
        if (t[table.MAGIC], t[table.CAPACITY]) != (table.MAGIC_NUMBER, self._capacity) or not (
            t[table.CLOSED] or np.array_equal(t[table.BOOT : table.BOOT + 2], self._boot)
        ):
            return False
        if t[table.BATCH] and t[table.FIRST_SEQ] <= last_seq:
            table.commit(t)
        table.recover(t)
        return True

    def _create(self) -> None:
        """Make a new file beside the old one, then let it take the old one's place."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            # A store into a page that a full disk has no room for would kill the process.
            os.posix_fallocate(file.fileno(), 0, self._size())
        self._attach(fresh)
        table.format_table(self.words, self._capacity, secrets.randbits(_SALT_BITS))
        fresh.replace(self._path)

    def _attach(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(descriptor, self._size())
            # Calls come in any order; reading ahead would only make the first of them wait.
            self._map.madvise(mmap.MADV_RANDOM)
        finally:
            os.close(descriptor)
        self._words = np.frombuffer(self._map, dtype=np.int64)[: table.words_for(self._capacity)]

    def close(self) -> None:
        """Write all to disk and mark the table as whole; a second call does nothing."""
        if self._map is not None:
            self._map.flush()
            self.words[table.CLOSED] = 1
            self._map.flush(0, _PAGE)
        self._words = None
        self._map = None
