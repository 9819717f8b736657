"""A copy of the window file as of one batch, made while its owner goes on changing it: the copier's side.

The file is read at leisure; what the owner put by meanwhile (`snapshot`) is then put back into the copy. Where nobody
owns the file it is simply copied. The copy is a whole, closed window file, cut off behind the last row in use.
"""

from __future__ import annotations

import mmap
import os
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from hutong.kernel.errors import StateError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.windows.file import this_boot
from hutong.kernel.windows.layout import PAGE, ROW_BYTES, ROW_WORDS, size_for, views
from hutong.kernel.windows.snapshot import (
    ANSWER,
    CHUNK,
    COPIER_LOCK,
    OWNER_LOCK,
    PUT_BY,
    REQUEST,
    Answer,
    HeldLock,
    Request,
    is_held,
    write_whole,
)
from hutong.kernel.windows.undo import recover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.windows.layout import WindowArrays

_PIECE: Final = 1 << 20
#: How often a copy is begun anew because the owner came or went while it was made.
_TRIES: Final = 5
_LOCK_TRIES: Final = 50
#: Half a minute: the owner looks 40 times a second.
_MOST_PAUSES: Final = 3000
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


class Copied(NamedTuple):
    """What a copy holds.

    Attributes:
        seq: the last journal record whose effects are in it.
        bytes: its length on disk. size: the length it must be given again before use (zeros).
        live: whether a running process owned the file.
    """

    seq: int
    bytes: int
    size: int
    live: bool


class _OwnerLeftError(Exception):
    """The owner came or went while the file was copied."""


class SnapshotCopier:
    """Copies one window file.

    Args:
        windows: the file. folder: where owner and copier meet (`SnapshotKeeper`).
        pause: waits some ten milliseconds.
        progress: told of every so many bytes copied, and the whole.
    """

    def __init__(
        self, windows: Path, folder: Path, pause: Callable[[], None], progress: Callable[[int, int], None]
    ) -> None:
        self._windows, self._folder = windows, folder
        self._pause, self._progress = pause, progress
        self._lock = HeldLock(folder / COPIER_LOCK)

    def open(self) -> None:
        """Be the one copier of this folder; what a killed one left is removed.

        Raises:
            StateError: somebody else copies at present.
            OSError: the folder cannot be used.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tries = 0
        while not self._lock.take():  # an owner looks at it for a moment now and then
            tries += 1
            if tries == _LOCK_TRIES:
                raise StateError(
                    "another backup is under way.", where=str(self._folder), fix="Try again when it is done."
                )
            self._pause()
        (self._folder / REQUEST).unlink(missing_ok=True)

    def close(self) -> None:
        """Let others copy; a second call does nothing."""
        (self._folder / REQUEST).unlink(missing_ok=True)
        self._lock.give_back()

    def copy(self, to: Path) -> Copied | None:
        """Copy into a new file; None where there are no windows, or none that outlived the machine's going down.

        Raises:
            StateError: no copy could be had; says why.
            OSError: the copy cannot be written.
        """
        for _ in range(_TRIES):
            if not self._windows.exists():
                return None
            try:
                return self._copy_live(to) if is_held(self._folder / OWNER_LOCK) else self._copy_still(to)
            except _OwnerLeftError:
                continue
        raise StateError(
            "the windows change hands again and again while they are copied.",
            where=str(self._windows),
            fix="See in the log why the screening process keeps starting, or whether it is of an older version.",
        )

    # With an owner

    def _copy_live(self, to: Path) -> Copied:
        name = secrets.token_hex(8)
        try:
            write_whole(self._folder / REQUEST, Request(name))
            begun = self._await(name, "begun")
            with self._windows.open("rb") as source:
                length = rows_from(_capacity(source.fileno())) + begun.scalars[0] * ROW_BYTES
                size = os.fstat(source.fileno()).st_size
                self._copy_bytes(source.fileno(), to, length)
            write_whole(self._folder / REQUEST, Request(name, copied=True))
            done = self._await(name, "done")
            _put_back(to, size, begun, self._folder / PUT_BY, done.put_by)
            return Copied(begun.seq, length, size, live=True)
        finally:
            (self._folder / REQUEST).unlink(missing_ok=True)

    def _await(self, name: str, state: str) -> Answer:
        """The owner's answer to this request."""
        for _ in range(_MOST_PAUSES):
            answer = _read_answer(self._folder / ANSWER)
            if answer is not None and answer.name == name:
                if answer.state == state:
                    return answer
                if answer.state == "unknown":
                    raise _OwnerLeftError
                if answer.state == "failed":
                    raise StateError(
                        f"the screening process could not keep what the copy needs: {answer.why}.",
                        where=str(self._folder),
                        fix="Free space on this disk, then try again.",
                    )
            if not is_held(self._folder / OWNER_LOCK) or not (self._folder / REQUEST).exists():
                raise _OwnerLeftError
            self._pause()
        raise StateError(
            "the screening process does not answer.",
            where=str(self._folder),
            fix="See its log; a process that is stopped or has too much to do cannot be copied.",
        )

    # Without one

    def _copy_still(self, to: Path) -> Copied | None:
        with self._windows.open("rb") as source:
            before = _state(source.fileno())
            size = os.fstat(source.fileno()).st_size
            self._copy_bytes(source.fileno(), to, size)
            # Whoever took the file up meanwhile opened a batch, counted again, or put another in its place.
            same = self._windows.exists() and self._windows.stat().st_ino == os.fstat(source.fileno()).st_ino
            if not same or _state(source.fileno()) != before or is_held(self._folder / OWNER_LOCK):
                raise _OwnerLeftError
        lost, seq, length = _close_still(to)
        if lost:
            to.unlink()
            return None
        os.truncate(to, length)
        return Copied(seq, length, size, live=False)

    def _copy_bytes(self, source: int, to: Path, length: int) -> None:
        with to.open("wb") as file:
            at = 0
            while at < length:
                piece = os.pread(source, min(_PIECE, length - at), at)
                if not piece:
                    raise _OwnerLeftError  # another, shorter file has taken its place
                file.write(piece)
                at += len(piece)
                self._progress(at, length)


def _capacity(descriptor: int) -> int:
    """Rows of the table in this file.

    Raises:
        StateError: it is no window file of this version.
    """
    head = bytearray(os.pread(descriptor, PAGE, 0))
    capacity = int(np.frombuffer(head, np.int64, 1, 16)[0]) if len(head) == PAGE else 0
    if os.fstat(descriptor).st_size < size_for(max(capacity, 1)) or capacity < 1:
        raise StateError("The window file is cut short.", fix="Stop the node and move it away: it is made anew.")
    return capacity


def _state(descriptor: int) -> bytes:
    """What is different as soon as an owner has taken the file up and changed anything."""
    return os.pread(descriptor, PAGE, 0)


def _read_answer(path: Path) -> Answer | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Answer)
    except (FileNotFoundError, *UNREADABLE):
        return None


def _table(copy: Path) -> WindowArrays:
    """The table in a file, mapped; changes reach the file."""
    with copy.open("r+b") as file:
        return views(mmap.mmap(file.fileno(), 0))


def _close_still(copy: Path) -> tuple[bool, int, int]:
    """Undo what a kill interrupted: whether the file cannot be trusted, its last record, its length in use."""
    w = _table(copy)
    lost = not w.head.closed and w.head.boot.tobytes() != this_boot()
    recover(w)
    _close(w)
    return lost, int(w.head.committed), rows_from(int(w.head.capacity)) + int(w.head.used) * ROW_BYTES


def _close(w: WindowArrays) -> None:
    """Say that the file is whole, wherever it is opened next."""
    head = w.head
    head.batch = 0
    head.undo_rows = 0
    head.undo_links = 0
    head.boot[:] = 0
    head.closed = 1


def _put_back(copy: Path, size: int, begun: Answer, put_by: Path, length: int) -> None:
    """Make the copy what the table was when the snapshot began. No place was put by twice, so order does not matter."""
    end = copy.stat().st_size
    os.truncate(copy, size)
    w = _table(copy)
    rows: Any = w.raw.base  # type: ignore[attr-defined]  # a NumPy record knows the array it is an element of
    links: Any = w.links.base  # type: ignore[attr-defined]
    with put_by.open("rb") as changes:
        while changes.tell() < length:
            row_count, link_count = CHUNK.unpack(changes.read(CHUNK.size))
            slots = np.frombuffer(changes.read(4 * row_count), np.uint32)
            content = np.frombuffer(changes.read(ROW_BYTES * row_count), np.uint32)
            rows["words"][slots] = content.reshape(row_count, ROW_WORDS)
            saved = np.frombuffer(changes.read(8 * link_count), np.uint64)
            links["cell"][saved >> _HALF] = (saved & _LOW).astype(np.uint32)
    head = w.head
    head.used, head.newest, head.oldest, head.evicted, head.committed = begun.scalars
    _close(w)
    del rows, links, head, w
    os.truncate(copy, end)


def rows_from(capacity: int) -> int:
    """The byte at which the rows begin, a page's first."""
    return size_for(capacity) - -(-ROW_BYTES * capacity // PAGE) * PAGE
