"""How far each partition was judged, as the journal has it, and a note of it so that a start reads little.

The journal is the truth; the note (`DATA/run/feed.json`) says what it held up to a record, and outlives its retention.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hutong.calls.feed.wire import KIND_FED, MARK, Place, decode_fed
from hutong.kernel.errors import JournalError
from hutong.kernel.journal.frames import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.calls.feed.wire import FedRecord
    from hutong.kernel.journal import Journal
    from hutong.kernel.journal.frames import Frame

NOTE = Path("run") / "feed.json"
"""Within the data folder."""


class _Note(msgspec.Struct, frozen=True):
    """The places up to the journal's record `seq`."""

    seq: int
    places: list[tuple[str, int, int]]


class PlaceBook:
    """The places of one node. Used by one thread.

    Args:
        data: the data folder. journal: open; its owner's.
    """

    def __init__(self, data: Path, journal: Journal) -> None:
        self._file, self._journal = data / NOTE, journal
        self._places: dict[tuple[str, int], int] = {}
        self._noted = 0

    def open(self) -> None:
        """Read the note, and the journal beyond it."""
        note = self._read()
        self._places = {(topic, partition): following for topic, partition, following in note.places}
        # A journal that was begun anew has lower numbers than the note: then all of it is news.
        self._noted = note.seq if note.seq <= self._journal.last_seq else 0
        for frame in self._journal.read_frames(self._noted + 1, skip_corrupt=True):
            for it in fed_in(frame):
                self._places[it.topic, it.partition] = it.next

    def _read(self) -> _Note:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Note)
        except (OSError, msgspec.DecodeError):
            return _Note(0, [])

    def get(self, topic: str, partition: int) -> int:
        """The first offset that is not judged yet; 0 where none was."""
        return self._places.get((topic, partition), 0)

    def put(self, place: Place) -> None:
        """Move on; the journal has it already."""
        self._places[place.topic, place.partition] = place.next

    def all(self) -> list[Place]:
        """Every place, in order."""
        return [Place(topic, partition, following) for (topic, partition), following in sorted(self._places.items())]

    def note(self) -> None:
        """Write the note where there is something to say. A disk that refuses it costs a longer start, no more."""
        seq = self._journal.last_seq
        if not self._places or seq == self._noted:
            return
        fresh = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_bytes(msgspec.json.encode(_Note(seq, [(it.topic, it.partition, it.next) for it in self.all()])))
            fresh.replace(self._file)
            self._noted = seq


def fed_in(frame: Frame) -> Iterator[FedRecord]:
    """What a batch of the journal says of feeds; nothing is unpacked of one that says nothing."""
    if MARK not in bytes(frame.payload):
        return
    with contextlib.suppress(ValueError, JournalError):
        for record in records_of(frame):
            if record.kind == KIND_FED:
                yield decode_fed(record.seq, record.body)
