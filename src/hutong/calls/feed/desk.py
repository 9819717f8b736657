"""Where the screening process takes in what a feed brings: judged once, however often it is brought.

One frame holds rows of one partition. What lies before the partition's place was judged already and changes nothing;
the rest is judged, and its batch in the journal ends with a record of the new place. Both are kept or neither is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls import attempt, board
from hutong.calls.asking import batch as ask_batch
from hutong.calls.asking import wire as asking
from hutong.calls.asking.batch import STATUS, AskBatch
from hutong.calls.feed import wire
from hutong.calls.feed.wire import FedRecord, Place
from hutong.kernel.errors import CodecError
from hutong.kernel.journal import encode_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.feed.places import PlaceBook
    from hutong.calls.loop import ScreeningLoop

#: Entries of the memory of what was asked lately: a sender's own repetitions come close together.
_SEEN = 1 << 16
_NOTE_EVERY = 10_000_000_000


class FeedDesk:
    """Serves the frames FEED and PLACES.

    Args:
        loop: its engine judges, its keeper journals.
        places: how far each partition is.
    """

    def __init__(self, loop: ScreeningLoop, places: PlaceBook) -> None:
        self._loop, self._places = loop, places
        self._batch = AskBatch(loop.engine, seen=_SEEN)
        self._next_note = 0

    def open(self) -> None:
        """Find out how far the journal is."""
        self._places.open()

    def tick(self, now: int) -> None:
        """Note the places now and then, so that a start reads little."""
        if not self._next_note - _NOTE_EVERY <= now < self._next_note:
            self._next_note = now + _NOTE_EVERY
            self._places.note()

    def close(self) -> None:
        """Note the places."""
        self._places.note()

    def take(self, frame: asking.Frame) -> bytes:
        """Judge what a frame brings; gives the reply.

        Raises:
            CodecError: it is no such frame; nothing was judged.
        """
        if frame.kind == wire.PLACES:
            return wire.encode_places(frame.ticket, self._places.all())
        fed = wire.decode_feed(frame)
        if not self._batch.load(fed.body, frame.rows):
            raise CodecError("this frame is no feed.", where="screen.sock")
        self._loop.engine.cells[board.ASK_REQUESTS] += 1
        self._loop.engine.cells[board.ASK_CALLS] += frame.rows
        answers = np.zeros((frame.rows, ask_batch.SENT), dtype=np.int64)
        answers[:, ask_batch.INDEX] = np.arange(frame.rows)
        start = int(np.searchsorted(fed.offsets, self._places.get(fed.topic, fed.partition)))
        answers[:start, STATUS] = asking.REPEATED
        while start < frame.rows:
            end = self._judge(fed, start, frame.rows, answers)
            if end == start:
                answers[start:, STATUS] = asking.UNAVAILABLE
                break
            start = end
        return asking.encode_frame(asking.REPLY, frame.rows, frame.ticket, answers.tobytes())

    def _judge(self, fed: wire.Fed, start: int, rows: int, answers: NDArray[np.int64]) -> int:
        """One batch: judge, say how far it came, journal. Gives the next row; `start` where nothing was kept."""
        loop, now = self._loop, self._loop.clock.wall()
        engine = loop.engine
        # Nobody waits for the answer, but the order of a caller's calls counts: no call stands aside for a look-up.
        done = self._batch.judge(
            engine.moment(now), start, rows, loop.keeper.begin(), roaming=attempt.ROAMING_ASK, room=0
        )
        judged, offsets = self._batch.answers[start : done.next], fed.offsets[start : done.next]
        place = Place(fed.topic, fed.partition, int(offsets[-1]) + 1)
        kept = offsets[judged[:, STATUS] == asking.JUDGED]
        record = encode_record(wire.KIND_FED, wire.encode_fed(FedRecord(*place, tuple(kept.tolist()))))
        # It always fits: a call's texts are far shorter here than `record.MAX_RECORD` allows for.
        end = done.end + len(record)
        engine.records.bytes_[done.end : end] = np.frombuffer(record, dtype=np.uint8)
        if not loop.keep(end, done.records + 1, now):
            for row in judged:
                self._batch.forget(int(row[ask_batch.HASH]))
            return start
        self._places.put(place)
        answers[start : done.next, STATUS : ask_batch.SEQ + 1] = judged[:, STATUS : ask_batch.SEQ + 1]
        return done.next
