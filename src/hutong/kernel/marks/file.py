"""The table of marks as a file: one writer at a time changes its rows in place, every reader maps the same memory.

A change is seen by the next call that is judged; a table that has grown is a new file, which readers take up within a
second. What a killed writer left half-done is written again from the records, and so is a file of before a machine's
crash: its pages need not all have reached the disk.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from hutong.kernel.errors import StateError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.key_files import make_folder
from hutong.kernel.marks.table import KEY, WORDS, no_marks, put, rows_for, taken_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hutong.kernel.marks.table import Known

#: The table's folder in a data folder.
MARKS: Final = "marks"
NAME: Final = "marks.table"
LIMITS: Final = "limits.jsonl"
_LOCK: Final = "marks.lock"
_FRESH: Final = "marks.new"
_MAGIC: Final = 0x01_53_4B_52_41_4D_54_48  # "HTMARKS", version 1
_HEAD: Final = 65_536  # bytes, a multiple of every page size there is
_HEAD_WORDS: Final = _HEAD // 8
_MAGIC_AT, _CAPACITY, _USED, _VERSION, _FLOOR, _NEXT_FLOOR, _SETTLED_MS, _AGED_MS, _BOOT = range(9)
_FIX: Final = "Remove it: `hutong work` makes it anew from the records within a second."


class MarkFile:
    """The table as one process reads it.

    Args:
        folder: where it is, or will be.

    Attributes:
        rows: int64[capacity, 4] for `find_row`; one empty row until there is a table. Its words change by themselves.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._seen: tuple[int, int] | None = None
        self._head: NDArray[np.int64] | None = None
        self.rows: NDArray[np.int64] = no_marks()

    @property
    def version(self) -> int:
        """The last change that these rows show; 0 where there is no table. See `Marks.add`."""
        return 0 if self._head is None else int(self._head[_VERSION])

    def refresh(self) -> bool:
        """Take up a table that is new or has grown, or that there is none; True where the rows are others.

        Costs about a microsecond where nothing changed. Ask once a second.

        Raises:
            StateError: the file is no table of marks. What was known before stays, and the same file is not complained
                of again.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            changed = self._seen is not None
            self._seen, self._head, self.rows = None, None, no_marks()
            return changed
        except OSError as error:
            raise StateError(f"The marks cannot be read: {error.strerror}.", where=str(self._path)) from error
        seen = (status.st_ino, status.st_size)
        if seen == self._seen:
            return False
        self._seen = seen
        self._head, self.rows = _mapped(self._path)
        return True


def _mapped(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Head and rows, in memory that is shared with everybody who maps the file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size <= _HEAD:
                raise StateError("The file of marks is too short.", where=str(path), fix=_FIX)
            words = np.frombuffer(mmap.mmap(descriptor, size), dtype=np.int64)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StateError(f"The marks cannot be read: {error.strerror}.", where=str(path)) from error
    capacity = int(words[_CAPACITY])
    if words[_MAGIC_AT] != _MAGIC or size != _HEAD + capacity * WORDS * 8 or capacity & (capacity - 1):
        raise StateError("This is no file of marks of this version.", where=str(path), fix=_FIX)
    return words[:_HEAD_WORDS], words[_HEAD_WORDS:].reshape(-1, WORDS)


class Writer:
    """What changes the table. Nothing is opened before the first `held`; threads may share it, each in its turn.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = (0, 0)
        self._head = np.zeros(_HEAD_WORDS, dtype=np.int64)
        self._rows = no_marks()
        self._used = 0
        self.is_new = True
        self.refs = LimitRefs(folder)

    @property
    def aged_ms(self) -> int:
        """When counts were last looked at for what has grown too old."""
        return int(self._head[_AGED_MS])

    @property
    def floor(self) -> int:
        """Up to this change everything is in the table for good."""
        return int(self._head[_FLOOR])

    @property
    def version(self) -> int:
        """The last change that the table shows."""
        return int(self._head[_VERSION])

    @contextmanager
    def held(self) -> Iterator[Writer]:
        """The table as it is now, and nobody else's until the block ends.

        Raises:
            OSError: the folder cannot be written.
        """
        make_folder(self._folder, 0o700)
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._open()
            yield self
        finally:
            os.close(descriptor)

    def _open(self) -> None:
        path = self._folder / NAME
        try:
            status = path.stat()
            if (status.st_ino, status.st_size) != self._seen or self.is_new:
                self._head, self._rows = _mapped(path)
                self._seen = (status.st_ino, status.st_size)
            self.is_new = int(self._head[_BOOT]) != _boot()
        except (FileNotFoundError, StateError):
            self.is_new = True

    def put(self, key: int, known: Known) -> None:
        """Write what is known of a number."""
        used = int(self._head[_USED])
        if 2 * (used + 1) > len(self._rows):
            self._replace(taken_over(self._rows))
            used = int(np.count_nonzero(self._rows[:, KEY]))
        self._head[_USED] = used + put(self._rows, key, known)

    def stand(self, version: int, now_ms: int, *, aged: bool, settle_ms: int) -> None:
        """Say that the table shows every change up to `version`, and that those of `settle_ms` ago are settled."""
        head = self._head
        if aged:
            head[_AGED_MS] = now_ms
        if not 0 <= now_ms - int(head[_SETTLED_MS]) < settle_ms:
            head[_FLOOR], head[_NEXT_FLOOR], head[_SETTLED_MS] = head[_NEXT_FLOOR], max(version, self.floor), now_ms
        head[_VERSION] = max(version, int(head[_VERSION]))

    def begin_anew(self) -> None:
        """Write to an empty table that nobody sees yet."""
        self.is_new = True
        self._head, self._rows = np.zeros(_HEAD_WORDS, dtype=np.int64), rows_for(0)
        self._head[_MAGIC_AT], self._head[_BOOT] = _MAGIC, _boot()

    def finish_anew(self, version: int, floor: int, now_ms: int) -> None:
        """Put the new table in the old one's place."""
        head = self._head
        head[_VERSION], head[_FLOOR], head[_NEXT_FLOOR] = version, floor, floor
        head[_SETTLED_MS] = head[_AGED_MS] = now_ms
        self._leave(self._rows)

    def _replace(self, rows: NDArray[np.int64]) -> None:
        """Go on in a larger table; on the disk only where the one before was there."""
        self._head[_USED] = np.count_nonzero(rows[:, KEY])
        if self.is_new:
            self._rows = rows
        else:
            self._leave(rows)

    def _leave(self, rows: NDArray[np.int64]) -> None:
        head = self._head.copy()
        head[_CAPACITY] = len(rows)
        fresh = self._folder / _FRESH
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            head.tofile(file)
            rows.tofile(file)
        fresh.replace(self._folder / NAME)
        self._head, self._rows = _mapped(self._folder / NAME)
        status = (self._folder / NAME).stat()
        self._seen, self.is_new = (status.st_ino, status.st_size), False


class _Line(msgspec.Struct, frozen=True):
    """A line of the file of limits."""

    mark: int
    ref: str


class LimitRefs:
    """Which order a limit's mark comes from: a file of lines that outlives the limits, for explaining old verdicts.

    Args:
        folder: the table's; the file is beside it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder.parent / LIMITS
        self._read = 0
        self._known: dict[int, str] = {}

    def order_of(self, mark: int) -> str:
        """The order that a limit's mark comes from; empty where that is not known."""
        if mark not in self._known:
            self._take_up()
        return self._known.get(mark, "")

    def note(self, refs: dict[int, str]) -> None:
        """Keep where these marks come from; the writer's, before the table shows them. Raises OSError."""
        self._take_up()
        lines = [msgspec.json.encode(_Line(mark, ref)) for mark, ref in refs.items() if mark not in self._known]
        if lines:
            with self._path.open("ab") as file:
                os.fchmod(file.fileno(), 0o600)
                # A line that a killed writer left unfinished must not swallow the next.
                file.write(b"".join(b"\n" + line for line in lines) + b"\n")

    def _take_up(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in filter(None, whole.split(b"\n")):
            try:
                found = msgspec.json.decode(line, type=_Line)
            except UNREADABLE:
                continue
            self._known[found.mark] = found.ref


@cache
def _boot() -> int:
    """Which run of the machine this is, as a word."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return int.from_bytes(bytes.fromhex(text.replace("-", ""))[:7], "little")
