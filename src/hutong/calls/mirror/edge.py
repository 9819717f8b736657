"""Mirrored signalling as an edge of the screening loop: HEP packets in, outcomes of calls into journal and windows.

Nothing is answered here, so nobody waits; and SIP, which does wait, is never kept waiting for more than about a batch.
What a packet means is `mirror.batch`'s and `mirror.follow`'s business.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from hutong.calls import board
from hutong.calls.batch import BATCH
from hutong.calls.datagrams import DatagramBuffers, DatagramSocket
from hutong.calls.lane import hep as lane_hep
from hutong.calls.listeners import Listeners
from hutong.calls.mirror import due as mirror_due
from hutong.calls.mirror import settle as mirror_settle
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.batch import Reader, new_reader, take_datagrams, take_stream, up_to_date
from hutong.calls.mirror.reference import MirrorReference
from hutong.calls.mirror.settle import END, RECORDS, SEQ
from hutong.calls.mirror.streams import MAX_CONNECTIONS, MirrorConnection
from hutong.calls.mirror.waiting import RING, is_full
from hutong.calls.streams import IDLE_MS, StreamListener
from hutong.protocols.hep import KIND_SIP, Packet, build_packet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.calls.batch import Moment
    from hutong.calls.loop import ScreeningLoop
    from hutong.kernel.addresses import Listener

_MS = 1_000_000
#: Datagrams taken at a turn while many of them need the codecs, which take a hundred times as long.
_SLOW = 8
#: Calls given up at once, and batches of work that is due, in one turn.
_GIVEN_UP = 256
_TURNS = 4
#: This part of the ring is judged early where all of it waits.
_EARLY_SHARE = 16
_HEADS = (
    "Via: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKwarm\r\nMax-Forwards: 70\r\nFrom: <sip:2@127.0.0.1>;tag=1\r\n"
    "To: <sip:1@127.0.0.1>{tag}\r\nCall-ID: warm\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
)
_INVITE = "INVITE sip:1@127.0.0.1 SIP/2.0\r\n" + _HEADS.format(tag="", method="INVITE", more="")
_SAMPLES = (
    _INVITE,
    _INVITE.replace("warm", "up").replace("Call-ID: up\r\n", "Call-ID: up\r\nSubject: x\r\n"),
    "SIP/2.0 200 OK\r\n" + _HEADS.format(tag=";tag=2", method="INVITE", more=""),
    "BYE sip:1@127.0.0.1 SIP/2.0\r\n" + _HEADS.format(tag=";tag=2", method="BYE", more="Subject: \r\n x\r\n"),
)


class MirrorEdge:
    """Takes HEP on all listeners.

    Args:
        loop: the loop; its engine has a call table.
        listeners: where to listen.
        key: what senders must give; empty = nothing.
        wait_ms: how long a call that was mirrored waits to be screened.
        ring: how many may wait at once.
    """

    def __init__(
        self, loop: ScreeningLoop, listeners: Sequence[Listener], *, key: bytes, wait_ms: int, ring: int = RING
    ) -> None:
        self._loop = loop
        self._engine, self._keeper, self._clock = loop.engine, loop.keeper, loop.clock
        self._reference = MirrorReference(self._engine, key)
        self._buffers = DatagramBuffers(self._engine.inbox, self._engine.outbox)
        self._listeners = Listeners(listeners, "mirror.listen")
        self._connections: dict[int, MirrorConnection] = {}
        self._rows = BATCH
        self._ring = ring
        self._reader = new_reader(self._engine, key, wait_ms, ring)

    @property
    def ports(self) -> list[int]:
        """Bound ports, datagram sockets first."""
        return self._listeners.ports

    def open(self) -> None:
        """Bind every listener, and take up the calls of an earlier run.

        Raises:
            ConfigError: one of them cannot be bound.
        """
        self._listeners.open(lambda descriptor: self._loop.watch(descriptor, self))
        while self._batch(lambda reader, when: bool(mirror_settle.resume(reader.it, when.now_ms))):
            pass

    def close(self) -> None:
        """Judge what still waits, and close every socket."""
        for it in self._connections.values():
            it.close()
        self._connections.clear()
        if self._listeners.close():
            while self._batch(lambda reader, when: bool(mirror_due.judge_due(reader.it, when, self._ring))):
                pass

    def _batch(self, work: Callable[[Reader, Moment], bool], packets: int = 0) -> bool:
        """Do `work` as one batch, kept in journal, windows and call table or in none; gives what `work` gives.

        `packets`: how many it was about to take; they are lost when the batch cannot be kept.
        """
        engine, now = self._engine, self._clock.wall()
        self._reader = up_to_date(self._reader, engine)
        it = self._reader.it
        ring = it.waiting.header.copy()
        it.done[END], it.done[RECORDS], it.done[SEQ] = 0, 0, self._keeper.begin()
        more = work(self._reader, engine.moment(now))
        if self._loop.keep(int(it.done[END]), int(it.done[RECORDS]), now):
            return more
        it.waiting.header[:] = ring
        engine.cells[board.MIRROR_LOST] += packets
        return False

    def _ring_has_room(self, packets: int) -> bool:
        """Judge the oldest INVITEs early where a full ring would keep out the next; else `packets` are lost."""
        waiting = self._reader.it.waiting
        if not is_full(waiting):
            return True
        early = max(self._ring // _EARLY_SHARE, 1)
        self._batch(lambda reader, when: bool(mirror_due.judge_due(reader.it, when, early)))
        if not is_full(waiting):
            return True
        self._engine.cells[board.MIRROR_LOST] += packets
        return False

    def serve(self, descriptor: int, _events: int) -> None:
        """Datagrams, connections or bytes wait."""
        at = self._listeners.at(descriptor)
        if isinstance(at, DatagramSocket):
            self._drain(at)
        elif isinstance(at, StreamListener):
            self._accept(at)
        else:
            self._listen(self._connections[descriptor])

    def _drain(self, at: DatagramSocket) -> None:
        count = at.receive(self._buffers, self._rows)
        self._engine.cells[board.MIRROR_PACKETS] += count
        inbox, next_, slow = self._engine.inbox, 0, 0
        while next_ < count and self._ring_has_room(count - next_):

            def work(reader: Reader, when: Moment, first: int = next_) -> bool:
                nonlocal next_, slow
                taken = take_datagrams(reader, inbox, first, count, when)
                next_ = int(taken.next)
                if taken.declined:
                    data = inbox.data[next_, : inbox.lengths[next_]].tobytes()
                    self._reference.take(data, self._arrived(next_, when.now_ms), when, reader)
                    next_ += 1
                    slow += 1
                return False

            self._batch(work, count - next_)
        self._rows = _SLOW if slow >= _SLOW else BATCH

    def _arrived(self, index: int, now_ms: int) -> int:
        control = self._engine.inbox.control[index]
        return int(control[2]) * 1000 + int(control[3]) // _MS if control[0] > 0 else now_ms

    def _accept(self, listener: StreamListener) -> None:
        found = listener.accept_socket()
        if found is None:
            return
        connection = MirrorConnection(found[0], self._clock.wall() // _MS)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._engine.cells[board.MIRROR_LOST] += 1
            connection.close()
            return
        self._connections[connection.socket.fileno()] = connection
        self._loop.watch(connection.socket.fileno(), self)

    def _listen(self, connection: MirrorConnection) -> None:
        packets = connection.receive(self._clock.wall() // _MS)
        self._engine.cells[board.MIRROR_PACKETS] += len(packets)
        self._engine.cells[board.MIRROR_MALFORMED] += connection.broken
        self._take_packets(packets)
        if connection.closing:
            self._end(connection)

    def _take_packets(self, packets: list[bytes]) -> None:
        data = np.frombuffer(bytearray(b"".join(packets)), dtype=np.uint8)
        next_, ends = 0, list(accumulate(map(len, packets)))
        while next_ < data.size and self._ring_has_room(left := len(ends) - bisect_right(ends, next_)):

            def work(reader: Reader, when: Moment, first: int = next_) -> bool:
                nonlocal next_
                taken = take_stream(reader, data, first, when)
                next_ = int(taken.next)
                if taken.declined:
                    end = next_ + int(lane_hep.packet_length(data, next_, data.size))
                    self._reference.take(data[next_:end].tobytes(), when.now_ms, when, reader)
                    next_ = end
                return False

            self._batch(work, left)

    def _end(self, connection: MirrorConnection) -> None:
        descriptor = connection.socket.fileno()
        self._loop.unwatch(descriptor)
        del self._connections[descriptor]
        connection.close()

    def tick(self, now: int) -> None:
        """Judge what nobody asked about, give up what has no end, publish counters."""

        def work(reader: Reader, when: Moment) -> bool:
            full = mirror_due.judge_due(reader.it, when, 0)
            return bool(mirror_settle.expire(reader.it, when.now_ms, _GIVEN_UP) or full)

        def watch(reader: Reader, when: Moment) -> bool:
            more = work(reader, when)
            mirror_due.watch_calls(reader.it, when.now_ms)
            return more

        # The crossing alone takes longer than there is to do while no call is under way.
        first = watch if self._engine.tables.calls[mirror_calls.FOLLOWED] else work
        for turn in range(_TURNS):
            if not self._batch(work if turn else first):
                break
        cells = self._engine.cells
        cells[board.MIRROR_FOLLOWED] = self._engine.tables.calls[mirror_calls.FOLLOWED]
        cells[board.MIRROR_CONNECTIONS] = len(self._connections)
        cells[board.MIRROR_LOST] += self._listeners.dropped()
        for connection in [c for c in self._connections.values() if now // _MS - c.heard_ms > IDLE_MS]:
            self._end(connection)

    def warm_up(self) -> None:
        """Let sample packets take every path and undo it: compiled code is loaded before the first real one."""
        engine, it = self._engine, self._reader.it
        before, ring = engine.cells.copy(), it.waiting.header.copy()
        seconds = self._clock.wall() // 1_000_000_000
        it.done[END], it.done[RECORDS], it.done[SEQ] = 0, 0, self._keeper.begin()
        when = engine.moment(self._clock.wall())
        inbox, key = engine.inbox, self._reader.key.tobytes()
        for sample in _SAMPLES:
            packet = Packet("127.0.0.1", "127.0.0.1", 1, 1, 17, seconds, 0, KIND_SIP, sample.encode(), key=key)
            data = build_packet(packet)
            inbox.data[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
            inbox.lengths[0] = len(data)
            take_datagrams(self._reader, inbox, 0, 1, when)
            take_stream(self._reader, np.frombuffer(bytearray(data), dtype=np.uint8), 0, when)
            self._reference.take(data, when.now_ms, when, self._reader)
        mirror_due.judge_due(it, when, self._ring)
        mirror_settle.expire(it, when.now_ms, 1)
        mirror_due.watch_calls(it, when.now_ms)
        mirror_settle.resume(it, when.now_ms)
        self._keeper.abandon()
        it.waiting.header[:] = ring
        engine.cells[:] = before
