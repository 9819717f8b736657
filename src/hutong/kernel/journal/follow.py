"""A reader's place in a journal, the same for every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.journal.frames import Record
    from hutong.kernel.journal.port import Journal


class Place:
    """The number of the next record to read; `Follower` by reading from there again."""

    def __init__(self, journal: Journal, from_seq: int) -> None:
        self._journal = journal
        self.next_seq = from_seq

    def read_new(self) -> Iterator[Record]:
        """Every whole record from `next_seq` on; damaged ones are passed over and counted by the journal."""
        for record in self._journal.read(self.next_seq, skip_corrupt=True):
            self.next_seq = record.seq + 1
            yield record
