"""The shell: a table of scores as a file that is only ever replaced whole.

A writer leaves a new file beside the old one, brings it to the disk and renames it: whatever kills it, the old table
or the new one is there, never a part. A reader keeps its map of the old file for as long as it has not looked for a
new one, so nothing moves under compiled code.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING, Final, Self
from zlib import crc32

import msgspec
import numpy as np

from hutong.kernel.errors import StateError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.scores.table import MAX_MODELS, build_rows, no_scores

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from hutong.kernel.scores.table import Scores

NAME: Final = "scores.table"
_LOCK: Final = "scores.lock"
_FRESH: Final = "scores.new"
_MAGIC: Final = b"hutong-scores\x00\x00\x01"  # the last byte is the layout's version
_HEAD: Final = 65_536  # a multiple of every page size there is
_ROW_BYTES: Final = 16
_FIX: Final = "Remove it: the next scoring run publishes it anew. Until then every number is without a score."


class Head(msgspec.Struct, frozen=True):
    """What stands before the rows.

    Attributes:
        capacity: rows, a power of two. count: rows in use.
        published: when, nanoseconds since 1970.
        models: the version of each model that gave scores; a row names one by its place.
    """

    capacity: int
    count: int
    published: int
    models: tuple[str, ...]


class ScoreFile:
    """The published table as one process sees it.

    Args:
        folder: where it is, or will be.

    Attributes:
        rows: int64[capacity, 2] for `look_up`; without any score until a table is published. Replaced by `refresh`,
            never changed.
        head: what the table says of itself; None where there is no table.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._seen: tuple[int, int, int] | None = None
        self.rows: NDArray[np.int64] = no_scores()
        self.head: Head | None = None

    def refresh(self) -> bool:
        """Take up a newly published table, or that there is none any more; True where anything changed.

        Costs about a microsecond where nothing did. Ask once a second.

        Raises:
            StateError: the file is no table of scores. What was known before stays, and the same file is not
                complained of again.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            changed = self._seen is not None
            self._seen, self.rows, self.head = None, no_scores(), None
            return changed
        except OSError as error:
            raise StateError(f"The scores cannot be read: {error.strerror}.", where=str(self._path)) from error
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return False
        self._seen = seen
        self.head, self.rows = _mapped(self._path)
        return True


def _mapped(path: Path) -> tuple[Head, NDArray[np.int64]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size < _HEAD + _ROW_BYTES:
                raise StateError("The file of scores is too short.", where=str(path), fix=_FIX)
            # Private and writable, though nobody writes: compiled code has another version for what is read-only.
            buffer = mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StateError(f"The scores cannot be read: {error.strerror}.", where=str(path)) from error
    head = _read_head(buffer, path)
    if head.capacity & (head.capacity - 1) or size != _HEAD + head.capacity * _ROW_BYTES:
        raise StateError("The file of scores is not as long as it says.", where=str(path), fix=_FIX)
    buffer.madvise(mmap.MADV_WILLNEED)
    rows = np.frombuffer(buffer, dtype=np.int64, offset=_HEAD).reshape(-1, 2)
    return head, rows


def _read_head(buffer: mmap.mmap, path: Path) -> Head:
    start = len(_MAGIC)
    if buffer[:start] != _MAGIC:
        raise StateError("This is no file of scores of this version.", where=str(path), fix=_FIX)
    length = int.from_bytes(buffer[start : start + 4], "little")
    digest = int.from_bytes(buffer[start + 4 : start + 8], "little")
    text = buffer[start + 8 : start + 8 + min(length, _HEAD)]
    if crc32(text) != digest:
        raise StateError("The head of the file of scores is damaged.", where=str(path), fix=_FIX)
    try:
        return msgspec.json.decode(text, type=Head)
    except UNREADABLE as error:
        raise StateError("The head of the file of scores is damaged.", where=str(path), fix=_FIX) from error


class ScoreWriter:
    """The one process that publishes; a context, which holds the folder's lock.

    Raises:
        StateError: another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the lock."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StateError(
                "Another process publishes scores.", where=str(self._folder), fix="Let one process do it."
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of it."""
        os.close(self._lock)

    def publish(self, scores: Scores, models: tuple[str, ...], now: int) -> Head:
        """Replace the table by one with these scores, whole or not at all.

        Args:
            scores: every score that is to be found from now on.
            models: versions of the models that gave them, at most 255.
            now: wall time in nanoseconds.

        Raises:
            OSError: there is no room, or the folder cannot be written; the table stays as it was.
            ValueError: a score, a key or a model's place is out of range.
        """
        rows = build_rows(scores)
        head = Head(len(rows), int(np.count_nonzero(rows[:, 0])), now, models)
        text = msgspec.json.encode(head)
        if len(models) > MAX_MODELS or len(text) > _HEAD - len(_MAGIC) - 8:
            raise ValueError("too many models, or too long names of them")
        first = _MAGIC + len(text).to_bytes(4, "little") + crc32(text).to_bytes(4, "little") + text
        fresh = self._folder / _FRESH
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(first.ljust(_HEAD, b"\x00"))
            rows.tofile(file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / NAME)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return head
