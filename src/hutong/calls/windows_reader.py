"""The present windows of a number, read from DATA/windows.bin while the screening process changes it.

The file is mapped for reading only and nobody is asked. A row may change while it is copied, so it is copied until two
copies agree; what stands in it may belong to a batch that has yet to be acknowledged.
"""

from __future__ import annotations

import mmap
import os
import threading
from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel import windows
from hutong.kernel.compiled import compiled
from hutong.kernel.errors import StateError
from hutong.kernel.windows.layout import ROW_WORDS, views
from hutong.kernel.windows.records import nth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.windows import WindowArrays

_TRIES = 64
_U64 = (1 << 64) - 1
_VALUES = len(windows.WINDOW_FEATURES)


@compiled
def _copy_row(table: NDArray[np.int64], key: int, copy: NDArray[np.uint32]) -> bool:
    """Copy the row of a number; False where it is not tracked, or just made room for another."""
    w = windows.table_at(table)
    slot = windows.find(w, key)
    if slot < 0:
        return False
    raw = nth(w.raw, slot)
    for i in range(ROW_WORDS):
        copy[i] = raw.words[i]
    return bool(nth(w.rows, slot).key == key)


@compiled
def _read_copy(table: NDArray[np.int64], copy: NDArray[np.uint32], now: int, out: NDArray[np.float64]) -> None:
    """Read a copied row, as the first row of a table of its own."""
    w = windows.table_at(table)
    for i in range(ROW_WORDS):
        w.raw.words[i] = copy[i]
    windows.read_features(w, 0, now, out, 0)


class _Mapped:
    """One window file as it was when it was mapped; a table of another size takes its place as a new file."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.inode = os.fstat(file.fileno()).st_ino
            self.memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            self.memory.madvise(mmap.MADV_RANDOM)
        self.arrays: WindowArrays = views(self.memory)
        self.table = windows.handle_of(self.arrays)
        self.salts = int(self.arrays.head.salt_index) & _U64, int(self.arrays.head.salt_bins) & _U64


class WindowsReader:
    """Reads windows of numbers; safe for many threads, inert until asked.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / "windows.bin"
        self._lock = threading.Lock()
        self._mapped: _Mapped | None = None
        self._single = windows.format_buffer(bytearray(windows.size_for(1)), 1, (0, 0))
        self._single_table = windows.handle_of(self._single)

    def read(self, key: int, now_s: int) -> dict[str, float] | None:
        """The values of WINDOW_FEATURES at a moment; None where the number is not tracked.

        Args:
            key: the number key (also a trunk's).
            now_s: seconds since 1970.

        Raises:
            StateError: there are no windows yet, or the file is of another version.
        """
        with self._lock:
            mapped = self._attach()
            first, second = np.zeros(ROW_WORDS, np.uint32), np.zeros(ROW_WORDS, np.uint32)
            for _ in range(_TRIES):
                if not _copy_row(mapped.table, key, first):
                    return None
                if _copy_row(mapped.table, key, second) and np.array_equal(first, second):
                    break
            out = np.zeros(_VALUES)
            _read_copy(self._single_table, second, now_s, out)
        return dict(zip(windows.WINDOW_FEATURES, out.tolist(), strict=True))

    def warm_up(self) -> None:
        """Load what is compiled before it is needed."""
        with self._lock:
            row = np.zeros(ROW_WORDS, np.uint32)
            _copy_row(self._single_table, 1, row)
            _read_copy(self._single_table, row, 0, np.zeros(_VALUES))

    def salts(self) -> tuple[int, int] | None:
        """What this node's windows hash with: a private table of the same salts counts alike; None without windows."""
        with self._lock:
            try:
                return self._attach().salts
            except StateError:
                return None

    def _attach(self) -> _Mapped:
        try:
            if self._mapped is None or self._mapped.inode != self._path.stat().st_ino:
                self._mapped = _Mapped(self._path)
        except (OSError, ValueError) as error:
            self._mapped = None
            raise StateError(
                "There are no windows here yet.", where=str(self._path), fix="Start `hutong up` first."
            ) from error
        return self._mapped
