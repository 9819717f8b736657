"""SIP as an edge of the screening loop: sockets in, sockets out. Nothing is answered before its verdict is kept.

UDP goes through the fast lane in batches; what it declines, and all TCP, goes through the reference path. A batch is:
read, judge, append to the journal (one write), close the windows' batch, send.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import numpy as np

from hutong.calls import attempt, board, transactions
from hutong.calls.batch import ADDRESS, BATCH, SOCKET_AT
from hutong.calls.datagrams import DatagramBuffers, DatagramSocket, address_of
from hutong.calls.listeners import Listeners
from hutong.calls.loop import BROKEN, READ, WRITE
from hutong.calls.reference import Reference, Reply, Source, stream_bytes
from hutong.calls.streams import IDLE_MS, MAX_CONNECTIONS, Connection, StreamListener
from hutong.protocols.sip import SipError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.calls.look_ups import LookUps
    from hutong.calls.loop import ScreeningLoop
    from hutong.kernel.addresses import Listener
    from hutong.protocols.sip import Message

#: Batches taken from one socket before the others get their turn.
_TURNS = 8
_DUE = 256
#: Descriptors that are kept for everything but connections.
_RESERVED_FILES = 128
_SAMPLE = (
    b"INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKwarm\r\nMax-Forwards: 70\r\n"
    b"From: <sip:2@127.0.0.1>;tag=1\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: warm\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_MS = 1_000_000


class SipServer:
    """Serves SIP on all listeners.

    Args:
        loop: the loop; its engine judges, its keeper journals.
        listeners: where to listen.
        look_ups: outside roaming look-ups.
    """

    def __init__(self, loop: ScreeningLoop, listeners: Sequence[Listener], look_ups: LookUps) -> None:
        self._loop, self._look_ups = loop, look_ups
        self._engine, self._keeper, self._clock = loop.engine, loop.keeper, loop.clock
        self._reference = Reference(self._engine)
        self._buffers = DatagramBuffers(self._engine.inbox, self._engine.outbox)
        self._listeners = Listeners(listeners, "sip.listen")
        self._connections: dict[int, Connection] = {}
        self._due = np.zeros(_DUE, dtype=np.int64)

    def open(self) -> None:
        """Bind every listener.

        Raises:
            ConfigError: one of them cannot be bound.
        """
        # Without a descriptor left the journal could open no segment: connections never take the last ones.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._room = min(MAX_CONNECTIONS, max(files - _RESERVED_FILES, 1))
        self._listeners.open(lambda descriptor: self._loop.watch(descriptor, self))

    def warm_up(self) -> None:
        """Let a sample call take both paths and undo it: compiled code is loaded before the first real call.

        Compiling it, where that was never done on this machine, takes a minute; `make setup` does it.
        """
        engine, now = self._engine, self._clock.wall()
        before = engine.cells.copy()
        when = engine.moment(now)
        seq = self._keeper.begin()
        inbox = engine.inbox
        inbox.data[0, : len(_SAMPLE)] = np.frombuffer(_SAMPLE, dtype=np.uint8)
        inbox.lengths[0] = len(_SAMPLE)
        inbox.addresses[0, :8] = (2, 0, 0, 1, 127, 0, 0, 1)
        engine.screen_batch(when, 0, 1, seq)
        source = Source("127.0.0.1", 1, when.now_ms)
        for sample in (_SAMPLE, _SAMPLE.replace(b"INVITE", b"CANCEL"), _SAMPLE.replace(b"INVITE", b"ACK")):
            reply = self._reference.answer_datagram(sample.replace(b"warm", b"up"), source, when, 0, seq)
            if reply.entry >= 0:
                row = np.zeros(ADDRESS, dtype=np.uint8)
                data = np.frombuffer(bytearray(reply.responses[0]), dtype=np.uint8)
                transactions.repeat_until_acknowledged(
                    engine.transactions, reply.entry, data, len(data), row, when.now_ms
                )
        transactions.due(engine.transactions, when.now_ms, self._due)
        self._buffers.gather(0, 0, 0)
        self._keeper.abandon()
        engine.forget_transactions()
        engine.cells[:] = before

    @property
    def ports(self) -> list[int]:
        """Bound ports, datagram sockets first."""
        return self._listeners.ports

    def close(self) -> None:
        """Close every socket."""
        self._listeners.close()
        for it in self._connections.values():
            it.close()
        self._connections.clear()

    def serve(self, descriptor: int, events: int) -> None:
        """Datagrams, connections or bytes wait."""
        at = self._listeners.at(descriptor)
        if isinstance(at, DatagramSocket):
            self._drain(at)
        elif isinstance(at, StreamListener):
            self._accept(at)
        else:
            self._converse(self._connections[descriptor], events)

    def _drain(self, at: DatagramSocket) -> None:
        for _ in range(_TURNS):
            count = at.receive(self._buffers)
            if count == 0:
                return
            start = 0
            while start < count:
                start = self._screen(at, start, count)
            if count < BATCH:
                return

    def _screen(self, at: DatagramSocket, start: int, count: int) -> int:
        """One batch of the inbox, start … count-1: judge, journal, send; gives where to go on."""
        engine, now = self._engine, self._clock.wall()
        when = engine.moment(now)
        seq = self._keeper.begin()
        done = engine.screen_batch(when, start, count, seq)
        end, records = done.end, done.records
        replies: list[tuple[Reply, tuple[str, int]]] = []
        for index in engine.outbox.declined[: done.declined]:
            source = self._source(int(index), when.now_ms)
            data = engine.inbox.data[index, : engine.inbox.lengths[index]].tobytes()
            reply = self._reference.answer_datagram(data, source, when, end, seq + records)
            end, records = reply.end, records + reply.records
            replies.append((reply, (source.address, reply.port)))
        if not self._loop.keep(end, records, now):
            for reply, _ in replies:
                self._reference.forget(reply.ticket)
            return int(done.next)
        at.send_outbox(self._buffers, start, done.next)
        for reply, address in replies:
            self._send(at, reply, address, when.now_ms)
        return int(done.next)

    def _source(self, index: int, now_ms: int) -> Source:
        inbox = self._engine.inbox
        address, port = address_of(inbox.addresses[index])
        control = inbox.control[index]
        received = int(control[2]) * 1000 + int(control[3]) // _MS if control[0] > 0 else now_ms
        return Source(address, port, received)

    def _send(self, at: DatagramSocket, reply: Reply, address: tuple[str, int], now_ms: int) -> None:
        for response in reply.responses:
            at.send(response, address)
        if reply.entry >= 0 and reply.responses:
            data = np.frombuffer(bytearray(reply.responses[-1]), dtype=np.uint8)
            row = at.address_row(address)
            transactions.repeat_until_acknowledged(self._engine.transactions, reply.entry, data, len(data), row, now_ms)
        self._look_up(reply, at)

    def _look_up(self, reply: Reply, at: DatagramSocket | Connection) -> None:
        if not reply.ask:
            return

        def answered(code: int) -> None:
            self._answer_parked(reply.ticket, at, code)

        if not self._look_ups.ask(reply.ask, answered):
            answered(attempt.ROAMING_UNKNOWN)

    def _answer_parked(self, ticket: int, at: DatagramSocket | Connection, code: int) -> None:
        now = self._clock.wall()
        when = self._engine.moment(now)
        resumed = self._reference.resume(ticket, code, when, 0, self._keeper.begin())
        if resumed is None:
            self._loop.keep(0, 0, now)
            return
        reply, source = resumed
        if not self._loop.keep(reply.end, reply.records, now):
            return
        if isinstance(at, Connection):
            if not at.closing:
                self._send_stream(at, reply)
                self._after(at)
        else:
            self._send(at, reply, (source.address, reply.port), when.now_ms)

    def _accept(self, listener: StreamListener) -> None:
        connection = listener.accept(self._clock.wall() // _MS)
        if connection is None:
            return
        if len(self._connections) >= self._room:
            self._engine.cells[board.DROPPED] += 1
            connection.close()
            return
        self._connections[connection.socket.fileno()] = connection
        self._loop.watch(connection.socket.fileno(), self)

    def _converse(self, connection: Connection, events: int) -> None:
        if events & WRITE:
            connection.flush()
        if events & (READ | BROKEN):
            now = self._clock.wall()
            for message in connection.receive(now // _MS):
                self._answer_stream(connection, message, now)
        self._after(connection)

    def _answer_stream(self, connection: Connection, message: Message | SipError, now: int) -> None:
        when = self._engine.moment(now)
        host, port = connection.address
        source = Source(host, port, when.now_ms, reliable=True)
        seq = self._keeper.begin()
        if isinstance(message, SipError):
            reply = self._reference.answer_error(message, source, 0)
        else:
            reply = self._reference.answer(message, stream_bytes(message), source, when, 0, seq)
        if self._loop.keep(reply.end, reply.records, now):
            self._send_stream(connection, reply)

    def _send_stream(self, connection: Connection, reply: Reply) -> None:
        for response in reply.responses:
            connection.send(response)
        self._look_up(reply, connection)

    def _after(self, connection: Connection) -> None:
        """Close a connection that is done; else watch for what it still needs. One closed already is left alone."""
        descriptor = connection.socket.fileno()
        if descriptor not in self._connections:
            return
        if connection.closing:
            self._loop.unwatch(descriptor)
            del self._connections[descriptor]
            connection.close()
            return
        reading = 0 if connection.ended else READ
        self._loop.watch(descriptor, self, reading | (WRITE if connection.waiting else 0))

    def _repeat(self, now: int) -> None:
        """Send again the answers that nobody acknowledged (Timer G)."""
        state = self._engine.transactions
        while True:
            count = transactions.due(state, now // _MS, self._due)
            for slot in self._due[:count]:
                row = state.to[slot]
                self._listeners.datagrams[row[SOCKET_AT]].send(
                    state.bytes_[slot, : state.lengths[slot]].tobytes(), address_of(row)
                )
            if count < _DUE:
                return

    def tick(self, now: int) -> None:
        """Repeat unacknowledged answers, close silent connections, publish counters."""
        self._repeat(now)
        cells, header = self._engine.cells, self._engine.transactions.header
        cells[board.CONNECTIONS] = len(self._connections)
        cells[board.UNREPEATED] = header[transactions.UNREPEATED]
        cells[board.REPEATED] = header[transactions.REPEATED]
        cells[board.FORGOTTEN] = header[transactions.FORGOTTEN]
        cells[board.DROPPED] += self._listeners.dropped()
        for connection in [c for c in self._connections.values() if now // _MS - c.heard_ms > IDLE_MS]:
            connection.closing = True
            self._after(connection)
