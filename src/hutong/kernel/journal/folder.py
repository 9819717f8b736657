"""Reading a folder of segments: which ones there are, their frames and records in order. Never writes."""

from __future__ import annotations

from bisect import bisect_right
from itertools import zip_longest
from typing import TYPE_CHECKING

from hutong.kernel.errors import JournalError
from hutong.kernel.journal.frames import SEGMENT_HEADER, Frame, Record, records_of
from hutong.kernel.journal.segment import SUFFIX, Segment, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FIX = "Restore this file from a copy, or read with damage skipped: the records around it are whole."


class SegmentFolder:
    """What a reader knows of a journal's folder; it may be missing, and segments come and go meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments: list[Segment] = []
        self.skipped = 0
        self._firsts: list[int] = []

    def close(self) -> None:
        """Let go of every file."""
        for segment in self.segments:
            segment.close()
        self.segments, self._firsts = [], []

    def refresh(self) -> None:
        """Take note of segments that came and went."""
        try:
            names = [path.name for path in self.path.iterdir()]
        except FileNotFoundError:
            names = []
        stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
        firsts = sorted(int(stem) for stem in stems if stem.isdecimal())
        if firsts == self._firsts:
            return
        known = {segment.first_seq: segment for segment in self.segments}
        self.segments = [
            known.pop(first) if first in known else Segment(self.path / segment_name(first)) for first in firsts
        ]
        self._firsts = firsts
        for segment in known.values():
            segment.close()

    def last_seq(self) -> int:
        """The number of the newest whole record in the newest readable segment; 0 where there is none."""
        self.refresh()
        for segment in reversed(self.segments):
            try:
                segment.open()
            except (JournalError, FileNotFoundError):
                continue
            segment.walk_all()
            return segment.known_next - 1
        return 0

    def frames(self, from_seq: int, *, skip: bool) -> Iterator[Frame]:
        """Frames from the one that holds `from_seq`; see `Journal.read_frames`."""
        self.refresh()
        start = max(bisect_right(self._firsts, from_seq) - 1, 0)
        segments = self.segments[start:]
        for segment, following in zip_longest(segments, segments[1:]):
            end_seq = None if following is None else following.first_seq
            try:
                if end_seq is None:
                    segment.open()
                else:
                    segment.seal()
            except FileNotFoundError:
                continue  # retention took it meanwhile
            except JournalError as error:
                self._pass_over(error, max(segment.first_seq, from_seq), end_seq, skip=skip)
                continue
            yield from self._frames_in(segment, from_seq, end_seq, skip=skip)

    def _frames_in(self, segment: Segment, from_seq: int, end_seq: int | None, *, skip: bool) -> Iterator[Frame]:
        """The segment's frames from `from_seq`; damage shows as numbers missing between whole frames."""
        expected = max(segment.first_seq, from_seq)
        at = segment.locate(from_seq)
        damage = at
        for step in segment.walk(at):
            if step.info is not None and step.info.next_seq <= from_seq:
                continue
            frame = segment.frame(step)
            if frame is None:
                damage = min(damage, step.at) if damage > at else step.at
                continue
            if frame.first_seq > expected:
                self._pass_over(_damage(segment, damage), expected, frame.first_seq, skip=skip)
            expected = frame.next_seq
            damage = step.end
            yield frame
        if end_seq is not None and expected < end_seq:
            self._pass_over(_damage(segment, damage), expected, end_seq, skip=skip)

    def _pass_over(self, error: JournalError, from_seq: int, to_seq: int | None, *, skip: bool) -> None:
        if not skip:
            raise error
        if to_seq is not None:
            self.skipped += to_seq - from_seq

    def records(self, from_seq: int, *, skip: bool) -> Iterator[Record]:
        """Records from `from_seq`; see `Journal.read`."""
        for frame in self.frames(from_seq, skip=skip):
            try:
                records = list(records_of(frame))
            except ValueError as error:
                place = f"{self.path}, records {frame.first_seq}-{frame.next_seq - 1}"
                wrong = JournalError(f"This batch was framed wrongly: {error}.", where=place)
                self._pass_over(wrong, frame.first_seq, frame.next_seq, skip=skip)
                continue
            yield from (record for record in records if record.seq >= from_seq)

    def record(self, seq: int) -> Record | None:
        """One record; None where it is gone, to come or damaged."""
        self.refresh()
        at = bisect_right(self._firsts, seq) - 1
        if at < 0:
            return None
        segment = self.segments[at]
        try:
            segment.open()
        except (JournalError, FileNotFoundError):
            return None
        for step in segment.walk(segment.locate(seq)):
            if step.info is None or step.info.next_seq <= seq:
                continue
            frame = segment.frame(step)
            if frame is None or frame.first_seq > seq:
                return None
            try:
                return next((record for record in records_of(frame) if record.seq == seq), None)
            except ValueError:
                return None
        return None

    def find_last(self, needle: bytes) -> Iterator[Record]:
        """Records whose body holds `needle`, newest first; unreadable segments hold nothing."""
        self.refresh()
        newest = True
        for segment in reversed(self.segments):
            try:
                if newest:
                    segment.open()
                else:
                    segment.seal()
            except (JournalError, FileNotFoundError):
                continue
            finally:
                newest = False
            yield from segment.find_last(needle)

    def newest_wall(self, index: int) -> int:
        """Wall time of the newest frame of a segment; 0 where it has none or cannot be read."""
        self.refresh()
        try:
            segment = self.segments[index]
            segment.open()
        except (IndexError, JournalError, FileNotFoundError):
            return 0
        walls = (step.info.wall_ns for step in segment.walk(SEGMENT_HEADER.size) if step.info)
        return max(walls, default=0)

    def over_by(self, limit: int) -> list[int]:
        """For each leading segment of which every record is older than `limit`, where the next begins."""
        self.refresh()
        over = 0
        for index, segment in enumerate(self.segments):
            try:
                segment.open()
            except (JournalError, FileNotFoundError):
                continue
            if segment.created_ns >= limit:
                break
            over = index  # everything before a segment is older than it
        if over + 1 < len(self.segments) and 0 < self.newest_wall(over) < limit:
            over += 1
        return self._firsts[1 : over + 1]


def _damage(segment: Segment, at: int) -> JournalError:
    return JournalError("Journal records are damaged.", where=f"{segment.path} at byte {at}", fix=_FIX)
