"""A journal in a folder of segment files: one writing process, any number of reading ones.

A batch is one frame and one writev: when the call returns, the page cache holds the whole of it, so the
death of this process cannot take it back. Finding frames in segments is `segment`'s business.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from zlib import crc32

from hutong.kernel.errors import JournalError
from hutong.kernel.journal.folder import SegmentFolder
from hutong.kernel.journal.follow import Place
from hutong.kernel.journal.frames import (
    FRAME_HEADER,
    MAX_PAYLOAD,
    SEGMENT_HEADER,
    Frame,
    FrameInfo,
    Record,
    SegmentInfo,
    encode_frame_header,
    encode_record,
    encode_segment_header,
)
from hutong.kernel.journal.holds import HELD_NS, read_to
from hutong.kernel.journal.segment import segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEGMENT_BYTES = 64 << 20
SEGMENT_NS = 3600 * 1_000_000_000  # whole segments are deleted, so this is how late a record may go
_LOCK = "writer.lock"
_DRAFT = "next.draft"


class FileJournal:
    """The port kept in `folder`.

    Args:
        folder: made by the writer where it is missing; a reader waits for it to appear.
        segment_bytes: a new segment begins before a frame that would make this one longer.
        segment_ns: a new segment begins when this one is older.
        writable: take the writer's place; at most one process does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_ns: int = SEGMENT_NS,
        writable: bool = False,
    ) -> None:
        self._folder = SegmentFolder(Path(folder))
        self._segment_bytes = segment_bytes
        self._segment_ns = segment_ns
        self._writable = writable
        self._lock = -1
        self._file = -1
        self._info = SegmentInfo(1, 0, 0)
        self._offset = 0
        self._next = 1
        self._newest_ns = 0
        self._torn = False
        self._unsynced: list[int] = []
        self._writing = threading.Lock()  # `retain` may begin a segment while another thread appends

    def open(self) -> None:
        """See `Journal.open`; a reader opens nothing yet."""
        if not self._writable or self._lock >= 0:
            return
        try:
            self._folder.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            (self._folder.path / _DRAFT).unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(
                f"The journal's folder cannot be used: {error.strerror}.",
                where=str(self._folder.path),
                fix="Give this user the right to write there, or choose another data folder.",
            ) from error
        try:
            self._resume()
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> None:
        lock = os.open(self._folder.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise JournalError(
                f"Process {holder} already writes this journal.",
                where=str(self._folder.path),
                fix="Stop it first, or give this one another data folder.",
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _resume(self) -> None:
        """Take up writing where the newest segment ends, cutting off what a crash left torn."""
        self._folder.refresh()
        if not self._folder.segments:
            return
        newest = self._folder.segments[-1]
        try:
            newest.open()
        except JournalError as error:
            error.fix = (
                "It is the newest one, so the next record's number is unknown. Move the file out of the "
                "folder: its records are lost and their numbers are used again."
            )
            raise
        newest.walk_all()
        self._info = SegmentInfo(newest.first_seq, newest.created_ns, newest.salt)
        self._newest_ns = self._folder.newest_wall(-1)
        self._offset = newest.known_end
        self._next = newest.known_next
        self._file = os.open(newest.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._torn = newest.size() != self._offset
        self._cut()

    def close(self) -> None:
        """See `Journal.close`; syncs what was appended."""
        try:
            if self._file >= 0:
                self.sync()
        finally:
            for file in (*self._unsynced, self._file, self._lock):
                if file >= 0:
                    os.close(file)
            self._unsynced.clear()
            self._file = self._lock = -1
            self._folder.close()

    # Writing

    def append_records(self, payload: bytes | memoryview, count: int, wall_ns: int) -> int:
        """See `Journal.append_records`."""
        size = len(payload)
        if not (0 < count <= size <= MAX_PAYLOAD):
            raise JournalError(f"A batch of {count} records in {size} bytes cannot be appended.")
        with self._writing:
            return self._append(payload, count, wall_ns)

    def _append(self, payload: bytes | memoryview, count: int, wall_ns: int) -> int:
        if self._torn:
            self._cut()
        size = len(payload)
        length = FRAME_HEADER.size + size
        if (
            self._file < 0
            or self._offset + length > self._segment_bytes
            or wall_ns - self._info.created_ns > self._segment_ns
        ):
            self._begin_segment(wall_ns)
        header = encode_frame_header(FrameInfo(count, size, self._next, wall_ns, crc32(payload)), self._info.salt)
        try:
            written = os.writev(self._file, (header, payload))
            while written < length:  # a full disk takes part of it and says so only when asked for the rest
                rest = (header + bytes(payload))[written:]
                written += os.write(self._file, rest)
        except OSError as error:
            self._torn = True
            self._refuse(error)
        self._offset += length
        self._next += count
        self._newest_ns = wall_ns
        return self._next - 1

    def append(self, kind: int, bodies: Iterable[bytes], wall_ns: int) -> int:
        """See `Journal.append`."""
        records = [encode_record(kind, body) for body in bodies]
        return self.append_records(b"".join(records), len(records), wall_ns) if records else self.last_seq

    def _cut(self) -> None:
        """Bring the file back to its last whole frame."""
        if not self._torn:
            return
        try:
            os.ftruncate(self._file, self._offset)
        except OSError as error:
            self._refuse(error)
        self._torn = False

    def _refuse(self, error: OSError) -> NoReturn:
        raise JournalError(
            f"The journal cannot be written: {error.strerror}. The batch was not kept.",
            where=str(self._folder.path),
            fix="Free space on this disk or shorten journal.keep_hours; writing then goes on by itself.",
        ) from error

    def _begin_segment(self, wall_ns: int) -> None:
        """Start the next record's file; it appears under its name with its header whole."""
        if self._lock < 0:
            raise JournalError("The journal is not open for writing.", where=str(self._folder.path))
        if self._file >= 0 and self._offset == SEGMENT_HEADER.size:
            return  # a segment without a frame takes the first one however long or late it is
        info = SegmentInfo(self._next, wall_ns, int.from_bytes(os.urandom(4), "little"))
        draft = self._folder.path / _DRAFT
        header = encode_segment_header(info)
        try:
            file = os.open(draft, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                if os.write(file, header) != len(header):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301  # the same way out as a real one
                draft.rename(self._folder.path / segment_name(info.first_seq))
            except OSError:
                os.close(file)
                raise
        except OSError as error:
            self._refuse(error)
        if self._file >= 0:
            self._unsynced.append(self._file)
        self._file, self._info, self._offset = file, info, SEGMENT_HEADER.size

    def sync(self) -> None:
        """See `Journal.sync`."""
        if self._file < 0:
            return
        try:
            while self._unsynced:
                finished = self._unsynced.pop()
                try:
                    os.fdatasync(finished)
                finally:
                    os.close(finished)  # asked again, the kernel would say that all is well
            os.fdatasync(self._file)
            folder = os.open(self._folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise JournalError(
                f"The disk refuses to keep the journal: {error.strerror}.",
                where=str(self._folder.path),
                fix="Check the disk; what was written since the last sync may not survive a power failure.",
            ) from error

    def retain(self, keep_ns: int, now_ns: int) -> int:
        """See `Journal.retain`; an old and idle newest segment is closed first, so that it can go too.

        What somebody holds (`holds`) stays until it was read, for at most a week longer.

        Reads whole segments: for a thread that has time. May be called beside `append_records`.
        """
        limit = now_ns - keep_ns
        held = read_to(self._folder.path)
        too_long = set(self._folder.over_by(limit - HELD_NS)) if held is not None else set()
        with self._writing:
            if self._file >= 0 and self._offset > SEGMENT_HEADER.size and self._newest_ns < limit:
                self._begin_segment(now_ns)
        gone = 0
        for following in self._folder.over_by(limit):
            if held is not None and following - 1 > held and following not in too_long:
                break
            oldest = self._folder.segments[0]
            oldest.path.unlink(missing_ok=True)
            self._folder.refresh()
            gone += following - oldest.first_seq
        return gone

    # Reading

    @property
    def skipped(self) -> int:
        """See `Journal.skipped`."""
        return self._folder.skipped

    @property
    def last_seq(self) -> int:
        """See `Journal.last_seq`; the writer knows it, a reader looks it up in the newest segment."""
        return self._next - 1 if self._lock >= 0 else self._folder.last_seq()

    def read_frames(self, from_seq: int, *, skip_corrupt: bool = False) -> Iterator[Frame]:
        """See `Journal.read_frames`; payloads of older segments are views into mapped files."""
        return self._folder.frames(from_seq, skip=skip_corrupt)

    def read(self, from_seq: int, *, skip_corrupt: bool = False) -> Iterator[Record]:
        """See `Journal.read`."""
        return self._folder.records(from_seq, skip=skip_corrupt)

    def record(self, seq: int) -> Record | None:
        """See `Journal.record`."""
        return self._folder.record(seq)

    def find_last(self, needle: bytes) -> Iterator[Record]:
        """See `Journal.find_last`; searches raw bytes, segment by segment from the newest."""
        return self._folder.find_last(needle)

    def follow(self, from_seq: int) -> Place:
        """See `Journal.follow`."""
        return Place(self, from_seq)
