"""The windows as of one batch while the batches go on: what the owner of the table does for whoever copies it.

Each batch leaves the former content of all that it changed in the undo area. While a snapshot is under way that is put
by before the next batch takes the area's place, for each row and link the first time only; whoever copies the file
meanwhile puts it back into the copy (`snapshot_copy`) and has the table as it was. Nothing is asked of the code that
changes rows, and nothing at all happens while nobody copies. See docs/adr/0008.

Owner and copier meet in a folder of small files: a lock that each holds while it lives, what the copier asks, what the
owner answers, and what was put by.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.windows.layout import ROW_WORDS, UNDO_ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.windows.layout import WindowArrays

OWNER_LOCK: Final = "owner.lock"
COPIER_LOCK: Final = "copier.lock"
REQUEST: Final = "request.json"
ANSWER: Final = "answer.json"
PUT_BY: Final = "put-by.bin"
#: Before what one batch changed: how many rows, how many links.
CHUNK: Final = struct.Struct("<QQ")
#: The owner looks whether the copier still lives once in so many ticks.
_LOOK_EVERY = 40
_POSITION = np.uint64(32)


class Request(msgspec.Struct, frozen=True):
    """What a copier asks: a snapshot under this name; `copied` once it has read the file to its end."""

    name: str
    copied: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What the owner answers.

    Attributes:
        name: the request's.
        state: begun, done, failed; unknown where an earlier owner had begun it.
        seq: the last journal record whose effects are in the snapshot.
        scalars: used, newest, oldest, evicted, committed as of then.
        put_by: bytes in the file of what was put by, when done.
        why: what failed.
    """

    name: str
    state: str
    seq: int = 0
    scalars: tuple[int, ...] = ()
    put_by: int = 0
    why: str = ""


def write_whole(path: Path, content: msgspec.Struct) -> None:
    """Leave a small file, whole or not at all. Raises OSError."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(content))
    fresh.replace(path)


class HeldLock:
    """A file whose lock says that its holder lives: the kernel lets go of it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> bool:
        """Whether it is ours now. Raises OSError."""
        if self._descriptor < 0:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def give_back(self) -> None:
        """Let go of it; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock; looking takes it for a moment, so whoever wants it asks again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class _PutBy:
    """What was changed since the snapshot began, as it was then, in a file that grows to the table's size at most."""

    def __init__(self, path: Path, w: WindowArrays, used: int) -> None:
        head: Any = w.head.base  # type: ignore[attr-defined]  # a NumPy record knows the array it is an element of
        fields = head.view(np.ndarray)
        self._slots, self._rows = fields["row_slots"][0], fields["rows"][0].reshape(UNDO_ROWS, ROW_WORDS)
        self._links = fields["links"][0]
        self._used = used
        # One byte for each place; pages that are never looked at take no memory.
        self._seen_rows = np.zeros(int(w.head.capacity), np.bool_)
        self._seen_links = np.zeros(2 * int(w.head.capacity) + int(w.head.cells), np.bool_)
        self.written = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def take(self, rows: int, links: int) -> None:
        """Put by the former content of so many rows and links. Raises OSError."""
        slots = self._slots[:rows]
        # A row that nobody had when the snapshot began is not in it.
        fresh = np.flatnonzero((slots < self._used) & ~self._seen_rows[slots])
        self._seen_rows[slots[fresh]] = True
        # A link may change more than once in a batch: what it was is what was saved first.
        positions, first = np.unique(self._links[:links] >> _POSITION, return_index=True)
        changed = self._links[first[~self._seen_links[positions]]]
        self._seen_links[positions] = True
        if not len(fresh) + len(changed):
            return
        data = b"".join(
            (
                CHUNK.pack(len(fresh), len(changed)),
                slots[fresh].tobytes(),
                self._rows[fresh].tobytes(),
                changed.tobytes(),
            )
        )
        if os.write(self._file, data) != len(data):
            raise OSError("no room for what the windows held")
        self.written += len(data)

    def close(self) -> None:
        os.close(self._file)


def _read(path: Path) -> Request | None:
    """The request; None where it was taken back this moment, or is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Request)
    except (FileNotFoundError, *UNREADABLE):
        return None


class SnapshotKeeper:
    """The owner's side; does nothing but look for a request now and then.

    Args:
        folder: where owner and copier meet; made by `open`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = HeldLock(folder / OWNER_LOCK)
        self._request, self._answer = folder / REQUEST, folder / ANSWER
        self._name = ""
        self._put_by: _PutBy | None = None
        self._ticks = 0
        #: Whether `put_by` must be called before a batch is opened.
        self.active = False

    def open(self, w: WindowArrays) -> None:
        """Answer requests about this table from now on; what an earlier life left undone is gone.

        Raises:
            OSError: the folder cannot be used.
        """
        self._w = w
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take()
        self._request.unlink(missing_ok=True)
        self._forget()

    def close(self) -> None:
        """Answer nobody any more."""
        self._forget()
        self._lock.give_back()

    def put_by(self) -> None:
        """Keep what the batch before left in the undo area; before the next one is opened."""
        if self._put_by is None:
            return
        head = self._w.head
        try:
            self._put_by.take(int(head.undo_rows), int(head.undo_links))
        except OSError as error:
            self._fail(str(error))

    def tick(self) -> None:
        """Look whether anybody asks; between two batches. Never fails: a copy is worth less than a verdict."""
        self._ticks += 1
        try:
            self._look()
        except OSError as error:
            self._fail(str(error))

    def _look(self) -> None:
        self._lock.take()  # somebody may have been looking at it when this process started
        if not self._request.exists():
            if self.active:
                self._forget()
            return
        request = _read(self._request)
        if request is None or (self._is_due() and not is_held(self._folder / COPIER_LOCK)):
            self._request.unlink(missing_ok=True)
            self._forget()
            return
        if request.name == self._name:
            if request.copied and self.active:
                self._finish()
        elif request.copied:
            write_whole(self._answer, Answer(request.name, "unknown"))
        else:
            self._begin(request.name)

    def _is_due(self) -> bool:
        """Whether to look if the copier still lives: before work is taken on for it, then every second."""
        return not self.active or self._ticks % _LOOK_EVERY == 0

    def _begin(self, name: str) -> None:
        head = self._w.head
        if head.batch:
            return
        self._forget()
        # What the last batch left in the undo area is older than the snapshot.
        head.undo_rows = 0
        head.undo_links = 0
        self._name = name
        self._put_by = _PutBy(self._folder / PUT_BY, self._w, int(head.used))
        self.active = True
        scalars = tuple(int(n) for n in (head.used, head.newest, head.oldest, head.evicted, head.committed))
        write_whole(self._answer, Answer(name, "begun", int(head.committed), scalars))

    def _finish(self) -> None:
        """Everything that the copy may hold of later batches is put by once the last one is."""
        if self._w.head.batch or self._put_by is None:
            return
        self.put_by()
        if self.active:
            done = Answer(self._name, "done", put_by=self._put_by.written)
            self._close()
            write_whole(self._answer, done)

    def _fail(self, why: str) -> None:
        self._close()
        with contextlib.suppress(OSError):
            write_whole(self._answer, Answer(self._name, "failed", why=why))

    def _close(self) -> None:
        self.active = False
        if self._put_by is not None:
            self._put_by.close()
            self._put_by = None

    def _forget(self) -> None:
        self._close()
        self._name = ""
        for name in (ANSWER, PUT_BY):
            with contextlib.suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)
