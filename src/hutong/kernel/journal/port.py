"""What a journal does, whatever keeps it. No adapter belongs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hutong.kernel.journal.frames import Frame, Record


class Follower(Protocol):
    """A reader's place in a journal that is still being written."""

    def read_new(self) -> Iterator[Record]:
        """Every whole record since the last call; returns at once, possibly with none. Never waits."""


class Journal(Protocol):
    """An append-only row of records, numbered from 1 without gaps, each batch acknowledged as a whole."""

    def open(self) -> None:
        """Make ready; a torn tail left by a crash is cut off here.

        Raises:
            JournalError: it cannot be opened, or another process writes it.
        """

    def close(self) -> None:
        """Let go of files and locks; a second call does nothing."""

    @property
    def last_seq(self) -> int:
        """The number of the newest record; 0 while there has been none."""

    def append_records(self, payload: bytes | memoryview, count: int, wall_ns: int) -> int:
        """Append `count` framed records (see `frames`) as one batch and return the last one's number.

        When it returns, the batch survives the death of this process; after `sync` also that of the machine.

        Raises:
            JournalError: nothing of the batch was kept; what to do is in the message.
        """

    def append(self, kind: int, bodies: Iterable[bytes], wall_ns: int) -> int:
        """Frame and append one record for each body; of none, returns `last_seq`."""

    def read(self, from_seq: int, *, skip_corrupt: bool = False) -> Iterator[Record]:
        """Records from `from_seq` (or the oldest one kept) to the newest whole one at the time of reading.

        Raises:
            JournalError: damage, with its place; `skip_corrupt` passes it over and counts it in `skipped`.
        """

    def read_frames(self, from_seq: int, *, skip_corrupt: bool = False) -> Iterator[Frame]:
        """Whole batches, beginning with the one that holds `from_seq`; for compiled replays."""

    def record(self, seq: int) -> Record | None:
        """One record by its number; None where it is not kept any more, not written yet or damaged."""

    def find_last(self, needle: bytes) -> Iterator[Record]:
        """Records whose body holds `needle`, newest first."""

    def follow(self, from_seq: int) -> Follower:
        """A place from which to read what is and what will be written."""

    def sync(self) -> None:
        """Make everything acknowledged so far survive a power failure. May be called from another thread."""

    def retain(self, keep_ns: int, now_ns: int) -> int:
        """Delete what is older than `keep_ns`, whole segments only; returns how many records went."""

    @property
    def skipped(self) -> int:
        """Records passed over as damaged since `open`."""
