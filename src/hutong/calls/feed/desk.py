"""Where the screening process takes in what a feed brings: it takes effect once, however often it is brought.

One frame holds rows of one partition: call attempts, or what became of calls. What lies before the partition's place
was taken in already and changes nothing; the rest is judged or noted, and its batch in the journal ends with a record
of the new place. Both are kept or neither is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls import attempt, board
from hutong.calls.asking import batch as ask_batch
from hutong.calls.asking import wire as asking
from hutong.calls.asking.batch import STATUS, AskBatch
from hutong.calls.feed import outcomes, wire
from hutong.calls.feed.wire import FedRecord, Place
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.batch import new_reader, up_to_date
from hutong.calls.mirror.due import watch_calls
from hutong.calls.mirror.settle import END, RECORDS, SEQ
from hutong.kernel.errors import CodecError
from hutong.kernel.journal import encode_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hutong.calls.feed.places import PlaceBook
    from hutong.calls.loop import ScreeningLoop
    from hutong.calls.mirror.settle import Follower

#: Entries of the memory of what was asked lately: a sender's own repetitions come close together.
_SEEN = 1 << 16
_NOTE_EVERY = 10_000_000_000
#: Calls given up at once, and batches of that, in one turn: as for mirrored signalling.
_GIVEN_UP, _TURNS = 256, 4
_MS = 1_000_000


class FeedDesk:
    """Serves the frames FEED, OUTCOMES and PLACES.

    Args:
        loop: its engine judges, its keeper journals; outcomes are taken where it has a call table.
        places: how far each partition is.
        look_after: whether calls under way are looked at for alerts, and forgotten in the end, here; else it is done by
            whoever follows captured signalling.
    """

    def __init__(self, loop: ScreeningLoop, places: PlaceBook, *, look_after: bool = True) -> None:
        self._loop, self._places = loop, places
        self._batch = AskBatch(loop.engine, seen=_SEEN)
        self._calls = loop.engine.tables.calls
        self._follows = bool(mirror_calls.in_use(self._calls))
        self._looks_after = look_after and self._follows
        self._reader = new_reader(loop.engine, b"", 0, 1)
        self._told = outcomes.new_telling()
        self._next_note = 0

    def open(self) -> None:
        """Find out how far the journal is."""
        self._places.open()

    def tick(self, now: int) -> None:
        """Note the places now and then, so that a start reads little; look after calls under way."""
        if not self._next_note - _NOTE_EVERY <= now < self._next_note:
            self._next_note = now + _NOTE_EVERY
            self._places.note()
        if self._looks_after and self._calls[mirror_calls.ROWS]:
            self._look_after(now // _MS)

    def _look_after(self, now_ms: int) -> None:
        """Look at calls under way for alerts, and forget those that are over or too old."""
        more = False

        def work(it: Follower) -> None:
            nonlocal more
            more = bool(outcomes.forget_old(it, now_ms, _GIVEN_UP))

        def watch(it: Follower) -> None:
            work(it)
            watch_calls(it, now_ms)

        for turn in range(_TURNS):
            if not self._follow(work if turn else watch) or not more:
                break
        self._loop.engine.cells[board.MIRROR_FOLLOWED] = self._calls[mirror_calls.FOLLOWED]

    def _follow(self, work: Callable[[Follower], None]) -> bool:
        """Do `work` as one batch, kept in journal, windows and call table or in none; says whether it was."""
        engine, now = self._loop.engine, self._loop.clock.wall()
        self._reader = up_to_date(self._reader, engine)
        it = self._reader.it
        it.done[END], it.done[RECORDS], it.done[SEQ] = 0, 0, self._loop.keeper.begin()
        work(it)
        return self._loop.keep(int(it.done[END]), int(it.done[RECORDS]), now)

    def warm_up(self) -> None:
        """Let sample outcomes through and undo it: compiled code is loaded before the first real one."""
        if self._follows:
            told = wire.Told(b"warm", 1, True, 0, 0, 0, 0)  # noqa: FBT003  # a row of the frame
            frame = wire.encode_outcomes(1, "warm", 0, [0], [told])
            fed = wire.decode_feed(next(asking.FrameReader().feed(frame)))
            self._load(fed, 1)
            self._reader = up_to_date(self._reader, self._loop.engine)
            it, now, cells = self._reader.it, self._loop.clock.wall() // _MS, self._loop.engine.cells
            before = cells.copy()
            self._loop.keeper.begin()
            outcomes.note_told(it, self._told, 0, 1, np.zeros(1, dtype=np.uint8), now)
            outcomes.forget_old(it, now, 0)
            watch_calls(it, now)
            self._loop.keeper.abandon()
            cells[:] = before

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
        if frame.kind == wire.OUTCOMES:
            return wire.encode_fates(frame.ticket, self._note_all(fed, frame.rows).tobytes())
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
        end = self._write_place(done.end, place, offsets[judged[:, STATUS] == asking.JUDGED])
        if not loop.keep(end, done.records + 1, now):
            for row in judged:
                self._batch.forget(int(row[ask_batch.HASH]))
            return start
        self._places.put(place)
        answers[start : done.next, STATUS : ask_batch.SEQ + 1] = judged[:, STATUS : ask_batch.SEQ + 1]
        return done.next

    def _write_place(self, at: int, place: Place, kept: NDArray[np.int64]) -> int:
        """End a batch's records with how far it came and the offsets of its verdicts; gives the next free byte.

        It always fits: what comes in is far shorter than `record.MAX_RECORD` allows for.
        """
        record = encode_record(wire.KIND_FED, wire.encode_fed(FedRecord(*place, tuple(kept.tolist()))))
        end = at + len(record)
        self._loop.engine.records.bytes_[at:end] = np.frombuffer(record, dtype=np.uint8)
        return end

    # Outcomes

    def _load(self, fed: wire.Fed, rows: int) -> None:
        data = np.frombuffer(fed.body, dtype=np.uint8)
        if data.size <= self._told.bytes_.size:
            self._told.bytes_[: data.size] = data
        if not outcomes.is_whole(self._told, rows, data.size):
            raise CodecError("this frame holds no outcomes.", where="screen.sock")

    def _note_all(self, fed: wire.Fed, rows: int) -> NDArray[np.uint8]:
        """Note what a frame says; gives how each row fared."""
        if not self._follows:
            raise CodecError("outcomes are not taken here.", where="screen.sock", fix="Set kafka.outcomes_topic.")
        self._load(fed, rows)
        fates = np.zeros(rows, dtype=np.uint8)
        start = int(np.searchsorted(fed.offsets, self._places.get(fed.topic, fed.partition)))
        fates[:start] = wire.KNOWN
        while start < rows:
            end = self._note(fed, start, rows, fates)
            if end == start:
                fates[start:] = wire.REFUSED
                break
            start = end
        return fates

    def _note(self, fed: wire.Fed, start: int, rows: int, fates: NDArray[np.uint8]) -> int:
        """One batch: note, say how far it came, journal. Gives the next row; `start` where nothing was kept."""
        place = Place(fed.topic, fed.partition, 0)
        end = start

        def work(it: Follower) -> None:
            nonlocal end, place
            end = int(outcomes.note_told(it, self._told, start, rows, fates, self._loop.clock.wall() // _MS))
            place = place._replace(next=int(fed.offsets[end - 1]) + 1)
            it.done[END] = self._write_place(int(it.done[END]), place, fed.offsets[:0])
            it.done[RECORDS] += 1

        if not self._follow(work):
            return start
        self._places.put(place)
        return end
