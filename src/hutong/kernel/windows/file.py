"""The shell: a window table in a memory-mapped file. The only module of this package that knows files.

The page cache keeps what a killed process stored, so after kill -9 the batch that was open is rolled back and all is
well. When the machine itself goes down, pages may have reached the disk in any order: unless the file was closed
cleanly before, its content cannot be trusted and the table starts empty, to be refilled from the journal.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hutong.kernel.errors import StateError
from hutong.kernel.windows.layout import PAGE, capacity_for, capacity_of, format_buffer, size_for, views
from hutong.kernel.windows.migrate import copy_newest
from hutong.kernel.windows.undo import recover

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_U64: Final = (1 << 64) - 1


def this_boot() -> bytes:
    """16 bytes that change whenever the machine starts; never the same twice where the system does not tell."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text(encoding="ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return secrets.token_bytes(16)


class _Mapping:
    """One mapped and locked file with the table in it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.buffer = mmap.mmap(descriptor, size)
        # Numbers come in any order: reading ahead would bring in megabytes for each that is new, while its call waits.
        self.buffer.madvise(mmap.MADV_RANDOM)

    @classmethod
    def of(cls, path: Path) -> _Mapping:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(descriptor).st_size
        if size:
            _reserve(descriptor, size)
        return cls._locked(descriptor, size)

    @classmethod
    def create(cls, path: Path, size: int) -> _Mapping:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _reserve(descriptor, size)
        except OSError:
            path.unlink()  # the part that there was room for
            raise
        return cls._locked(descriptor, size)

    @classmethod
    def _locked(cls, descriptor: int, size: int) -> _Mapping:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(descriptor, size)
        except BlockingIOError as error:
            os.close(descriptor)
            raise StateError(
                "Another process has the window file open.", fix="Stop it, or give this one another folder."
            ) from error
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        """Let go of file and lock; memory goes when the last view does."""
        # The map holds the file open beyond this, and the lock with it.
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)


def _reserve(descriptor: int, size: int) -> None:
    """Take all of the disk's room at once: a store into a page that a full disk has none for kills the process."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.close(descriptor)
        raise


class WindowFile:
    """A window table on disk, owned by one process at a time.

    After open(): `arrays`; `rolled_back`, the rows put back because a kill interrupted a batch; `lost`, True when
    the machine went down with the file open and the table therefore starts empty; `dropped`, numbers that a smaller
    capacity had no room for. In any case replay the journal after committed_seq(arrays).

    Args:
        path: the file; its folder must exist.
        memory_bytes: its greatest size.
        boot_id: 16 bytes that differ from one start of the machine to the next; this machine's by default.
    """

    def __init__(self, path: Path, memory_bytes: int, *, boot_id: bytes | None = None) -> None:
        self._path = path
        self._memory_bytes = memory_bytes
        self._boot_id = boot_id
        self._mapping: _Mapping | None = None
        self._arrays: WindowArrays | None = None
        self.rolled_back = 0
        self.dropped = 0
        self.lost = False

    @property
    def arrays(self) -> WindowArrays:
        """The open table.

        Raises:
            StateError: it is not open.
        """
        if self._arrays is None:
            raise StateError("The window file is not open.", where=str(self._path))
        return self._arrays

    def open(self) -> None:
        """Create the file, or map it, roll back an open batch, and copy the numbers over if the capacity changed.

        Raises:
            StateError: not a window file, another version, in use, or it cannot be made or mapped.
        """
        boot = np.frombuffer(self._boot_id if self._boot_id is not None else this_boot(), np.uint8)
        try:
            capacity = capacity_for(self._memory_bytes)
            if self._path.exists():
                self._open_existing(boot, capacity)
            else:
                self._create(boot, capacity)
        except StateError as error:
            raise StateError(error.what, where=str(self._path), fix=error.fix) from error
        except (OSError, ValueError) as error:
            raise StateError(
                f"The window file cannot be opened ({error}).", where=str(self._path), fix="Check space and rights."
            ) from error
        self.arrays.head.boot[:] = boot
        self.arrays.head.closed = 0

    def _open_existing(self, boot: np.ndarray, capacity: int) -> None:
        mapping = _Mapping.of(self._path)
        try:
            w = views(mapping.buffer)
            self.lost = not w.head.closed and not np.array_equal(w.head.boot, boot)
            if self.lost:
                self._create(boot, capacity)
            else:
                self.rolled_back = int(recover(w))
                if capacity_of(w) == capacity:
                    self._mapping, self._arrays = mapping, w
                else:
                    self._create(boot, capacity, w)
        finally:
            if self._mapping is not mapping:
                mapping.close()

    def _create(self, boot: np.ndarray, capacity: int, old: WindowArrays | None = None) -> None:
        """Make a whole new file beside the old one, then let it take the old one's place."""
        new = self._path.with_name(self._path.name + ".new")
        mapping = _Mapping.create(new, size_for(capacity))
        salts = secrets.randbits(64), secrets.randbits(64)
        if old is not None:
            salts = int(old.head.salt_index) & _U64, int(old.head.salt_bins) & _U64
        w = format_buffer(mapping.buffer, capacity, salts)
        w.head.boot[:] = boot
        if old is not None:
            self.dropped = int(copy_newest(old, w))
        new.replace(self._path)
        self._mapping, self._arrays = mapping, w

    def flush(self) -> None:
        """Write changed pages to disk; as long as it takes. Worth doing shortly before close()."""
        if self._mapping is not None:
            self._mapping.buffer.flush()

    def close(self) -> None:
        """Write all to disk, mark the file as whole, let it go. Once closed, closing again does nothing."""
        if self._mapping is None or self._arrays is None:
            return
        mapping, self._mapping = self._mapping, None
        mapping.buffer.flush()
        self._arrays.head.closed = 1
        mapping.buffer.flush(0, PAGE)
        self._arrays = None
        mapping.close()
