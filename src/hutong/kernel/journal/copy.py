"""Which bytes of a journal's folder hold the records up to a given one: what a copy of it consists of. Never writes.

A segment is copied as it is, damage and all; only the last one is cut, behind the frame that ends with that record.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from hutong.kernel.errors import JournalError
from hutong.kernel.journal.folder import SegmentFolder
from hutong.kernel.journal.frames import SEGMENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.journal.segment import Segment


class Part(NamedTuple):
    """The first `size` bytes of a segment file; `first_seq` is the number that its first record has or will have."""

    path: Path
    size: int
    first_seq: int


def parts_up_to(folder: Path, seq: int) -> Iterator[Part]:
    """Every segment with records up to `seq`, which must end a batch; oldest first.

    A segment that is deleted as too old before its turn comes is left out. One that begins just after `seq` is there
    with its header alone: without it, a journal of which everything else was too old would forget its count.

    Raises:
        JournalError: the header of the segment that `seq` is in is damaged, so where to cut it is unknown.
    """
    known = SegmentFolder(folder)
    known.refresh()
    segments = [segment for segment in known.segments if segment.first_seq <= seq + 1]
    for segment, following in zip_longest(segments, segments[1:]):
        try:
            size = segment.path.stat().st_size if following is not None else _end(segment, seq)
        except FileNotFoundError:
            continue
        yield Part(segment.path, size, segment.first_seq)


def _end(segment: Segment, seq: int) -> int:
    """The byte behind the last frame up to `seq`."""
    end = SEGMENT_HEADER.size
    try:
        segment.open()
    except JournalError as error:
        error.fix = "Move the file out of the folder; what is in it is lost."
        raise
    try:
        for step in segment.walk(end):
            if step.info is not None and step.info.first_seq > seq:
                break
            end = step.end
    finally:
        segment.close()
    return end
