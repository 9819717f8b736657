"""Reading one segment file: where its frames are, which of them are damaged. Never writes.

The newest segment grows, and its torn tail may be cut off while we look at it: it is read with pread, as a
mapping that reaches behind a cut kills the process. Older segments never change and are memory-mapped.
"""

from __future__ import annotations

import mmap
import os
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from hutong.kernel.errors import JournalError
from hutong.kernel.journal.frames import (
    FRAME_HEADER,
    FRAME_MAGIC,
    RECORD_HEADER,
    SEGMENT_HEADER,
    Frame,
    FrameInfo,
    Record,
    SegmentInfo,
    decode_frame_header,
    decode_segment_header,
    records_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX_BYTES = 64 * 1024  # one index entry per this many bytes: 16 bytes of memory for each 64 KiB of journal
SUFFIX = ".seg"


def segment_name(first_seq: int) -> str:
    """The file name of the segment that begins with record `first_seq`; names sort as their numbers do."""
    return f"{first_seq:020d}{SUFFIX}"


class Step(NamedTuple):
    """A stretch of a segment: a frame (`info`), or damage that ends at `end`."""

    at: int
    end: int
    info: FrameInfo | None


class Segment:
    """One segment file as a reader sees it; `first_seq` is from its name."""

    def __init__(self, path: Path) -> None:
        self._file = -1
        self.path = path
        self.first_seq = int(path.stem)
        self.sealed = False
        self._info = SegmentInfo(self.first_seq, 0, 0)
        self._map: mmap.mmap | None = None
        self._view = memoryview(b"")
        self._firsts = array("Q")
        self._offsets = array("Q")
        self._end = SEGMENT_HEADER.size
        self._next = self.first_seq

    def open(self) -> None:
        """Read the header.

        Raises:
            JournalError: the header is damaged, so nothing in the segment can be trusted.
            FileNotFoundError: the segment was deleted as too old meanwhile.
        """
        if self._file >= 0:
            return
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        info = decode_segment_header(os.pread(file, SEGMENT_HEADER.size, 0))
        if info is None or info.first_seq != self.first_seq:
            os.close(file)
            raise JournalError("The header of this journal segment is damaged.", where=f"{self.path} at byte 0")
        self._file, self._info = file, info

    def close(self) -> None:
        """Let go of the file. Bodies that were handed out stay readable: they keep the mapping alive."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._map = None
        self._view = memoryview(b"")

    def __del__(self) -> None:
        """A reader that was dropped keeps no file, as one that was closed: readers come and go with every question."""
        self.close()

    @property
    def created_ns(self) -> int:
        """Wall time of the segment's first append."""
        return self._info.created_ns

    @property
    def salt(self) -> int:
        """What the header checksums of this segment start from."""
        return self._info.salt

    @property
    def known_end(self) -> int:
        """The byte behind the last whole frame that was walked so far."""
        return self._end

    @property
    def known_next(self) -> int:
        """The number after the last record that was walked so far."""
        return self._next

    def seal(self) -> None:
        """Map the file: a later segment exists, so this one never changes again."""
        if self.sealed:
            return
        self.open()
        self._map = mmap.mmap(self._file, 0, prot=mmap.PROT_READ)
        self._view = memoryview(self._map)
        self.sealed = True

    def size(self) -> int:
        """Bytes in the file now."""
        return len(self._view) if self.sealed else os.fstat(self._file).st_size

    def bytes_at(self, at: int, length: int) -> memoryview | bytes:
        """The bytes there are of `length` from `at`."""
        return self._view[at : at + length] if self.sealed else os.pread(self._file, length, at)

    def step(self, at: int, size: int) -> Step | None:
        """What stands at byte `at` of `size`; None at the end and before anything that is not whole (yet)."""
        info = decode_frame_header(self.bytes_at(at, FRAME_HEADER.size), self.salt)
        if info is not None:
            end = at + FRAME_HEADER.size + info.size
            return Step(at, end, info) if end <= size else None
        found = self._next_header(at + 1, size)
        return None if found is None else Step(at, found, None)

    def _next_header(self, at: int, size: int) -> int | None:
        """The first byte from `at` on where a frame header of this segment stands."""
        rest = bytes(self.bytes_at(at, size - at))
        found = rest.find(FRAME_MAGIC)
        while found >= 0:
            header = rest[found : found + FRAME_HEADER.size]
            if decode_frame_header(header, self.salt) is not None:
                return at + found
            found = rest.find(FRAME_MAGIC, found + 1)
        return None

    def locate(self, seq: int) -> int:
        """A byte where a frame begins at or before the one that holds `seq`, as near as the index knows."""
        if seq >= self._next:
            return self._end
        index = bisect_right(self._firsts, seq) - 1
        return self._offsets[index] if index >= 0 else SEGMENT_HEADER.size

    def locate_byte(self, at: int) -> int:
        """A byte where a frame begins at or before `at`, as near as the index knows."""
        index = bisect_right(self._offsets, at) - 1
        return self._offsets[index] if index >= 0 else SEGMENT_HEADER.size

    def walk(self, at: int) -> Iterator[Step]:
        """Frames and damage from byte `at`, which must begin a frame, extending the index on the way."""
        size = self.size()
        while at < size:
            step = self.step(at, size)
            if step is None:
                return
            if step.end > self._end and step.at >= self._end:
                self._learn(step)
            yield step
            at = step.end

    def _learn(self, step: Step) -> None:
        self._end = step.end
        if step.info is None:
            return
        self._next = step.info.next_seq
        if not self._offsets or step.at - self._offsets[-1] >= INDEX_BYTES:
            self._firsts.append(step.info.first_seq)
            self._offsets.append(step.at)

    def walk_all(self) -> None:
        """Extend the index to the last whole frame there is now."""
        for _ in self.walk(self._end):
            pass

    def frame(self, step: Step) -> Frame | None:
        """The frame of a step, checked; None where the payload is damaged."""
        info = step.info
        if info is None:
            return None
        payload = memoryview(self.bytes_at(step.at + FRAME_HEADER.size, info.size))
        if len(payload) != info.size or crc32(payload) != info.crc:
            return None
        return Frame(info.first_seq, info.records, info.wall_ns, payload)

    def find_last(self, needle: bytes) -> Iterator[Record]:
        """Records whose body holds `needle`, newest first; damaged frames hold nothing."""
        size = self.size()
        data = self._map if self._map is not None else os.pread(self._file, size, 0)
        self.walk_all()
        at = data.rfind(needle)
        while at >= 0:
            hit = self._record_around(at, len(needle))
            if hit is None:
                before = at + len(needle) - 1
            else:
                begin, record = hit
                yield record
                before = begin
            at = data.rfind(needle, 0, before)

    def _record_around(self, at: int, length: int) -> tuple[int, Record] | None:
        """The record whose body holds `length` bytes from `at`, and where that body begins."""
        for step in self.walk(self.locate_byte(at)):
            if step.end <= at:
                continue
            frame = self.frame(step)
            if frame is None:
                return None
            return _record_in(frame, step.at + FRAME_HEADER.size, at, length)
        return None


def _record_in(frame: Frame, payload_at: int, at: int, length: int) -> tuple[int, Record] | None:
    body_end = payload_at
    try:
        for record in records_of(frame):
            body_at = body_end + RECORD_HEADER.size
            body_end = body_at + len(record.body)
            if body_at <= at and at + length <= body_end:
                return body_at, record
    except ValueError:
        return None
    return None
