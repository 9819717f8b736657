"""A journal in this process's memory: for parts tried without a data folder. It ends with the process."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from hutong.kernel.errors import JournalError
from hutong.kernel.journal.follow import Place
from hutong.kernel.journal.frames import Frame, Record, encode_record, records_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MemoryJournal:
    """The port kept as a list of frames; each counts as a segment of its own when old ones are deleted."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._firsts: list[int] = []
        self._next = 1
        self._opened = False
        self.skipped = 0

    def open(self) -> None:
        """Make ready; what was appended before `close` is still there."""
        self._opened = True

    def close(self) -> None:
        """Refuse further appends."""
        self._opened = False

    @property
    def last_seq(self) -> int:
        """The number of the newest record; 0 while there has been none."""
        return self._next - 1

    def append_records(self, payload: bytes | memoryview, count: int, wall_ns: int) -> int:
        """See `Journal.append_records`."""
        if not self._opened:
            raise JournalError("The journal is not open.")
        if count < 1 or not payload:
            raise JournalError(f"A batch of {count} records in {len(payload)} bytes cannot be appended.")
        self._frames.append(Frame(self._next, count, wall_ns, memoryview(bytes(payload))))
        self._firsts.append(self._next)
        self._next += count
        return self._next - 1

    def append(self, kind: int, bodies: Iterable[bytes], wall_ns: int) -> int:
        """See `Journal.append`."""
        records = [encode_record(kind, body) for body in bodies]
        return self.append_records(b"".join(records), len(records), wall_ns) if records else self.last_seq

    def read_frames(self, from_seq: int, *, skip_corrupt: bool = False) -> Iterator[Frame]:
        """See `Journal.read_frames`; memory is never damaged, so `skip_corrupt` changes nothing."""
        del skip_corrupt
        yield from self._frames[max(bisect_right(self._firsts, from_seq) - 1, 0) :]

    def read(self, from_seq: int, *, skip_corrupt: bool = False) -> Iterator[Record]:
        """See `Journal.read`."""
        for frame in self.read_frames(from_seq, skip_corrupt=skip_corrupt):
            yield from (record for record in records_of(frame) if record.seq >= from_seq)

    def record(self, seq: int) -> Record | None:
        """See `Journal.record`."""
        at = bisect_right(self._firsts, seq) - 1
        if at < 0:
            return None
        return next((record for record in records_of(self._frames[at]) if record.seq == seq), None)

    def find_last(self, needle: bytes) -> Iterator[Record]:
        """See `Journal.find_last`."""
        for frame in reversed(self._frames):
            for record in reversed(list(records_of(frame))):
                if needle in bytes(record.body):
                    yield record

    def follow(self, from_seq: int) -> Place:
        """See `Journal.follow`."""
        return Place(self, from_seq)

    def sync(self) -> None:
        """Nothing to do: memory has no disk behind it."""

    def retain(self, keep_ns: int, now_ns: int) -> int:
        """See `Journal.retain`; deletes leading frames that are older than `keep_ns`."""
        gone = 0
        while self._frames and self._frames[0].wall_ns < now_ns - keep_ns:
            gone += self._frames.pop(0).records
            self._firsts.pop(0)
        return gone
