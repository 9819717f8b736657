"""The screening loop: sockets in, sockets out, one thread. Nothing is answered before its verdict is in the journal.

UDP goes through the fast lane in batches; what it declines, and all TCP, goes through the reference path. A batch is:
read, judge, append to the journal (one write), close the windows' batch, send.
"""

from __future__ import annotations

import resource
import select
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hutong.calls import board, screening, transactions
from hutong.calls.batch import ADDRESS, BATCH, SOCKET_AT
from hutong.calls.datagrams import DatagramBuffers, DatagramSocket, address_of
from hutong.calls.reference import Reference, Reply, Source, stream_bytes
from hutong.calls.streams import IDLE_MS, MAX_CONNECTIONS, Connection, StreamListener
from hutong.kernel.errors import ConfigError, JournalError
from hutong.protocols.sip import SipError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.calls.engine import Engine
    from hutong.kernel.addresses import Listener
    from hutong.kernel.clock import Clock
    from hutong.protocols.sip import Message

#: Batches taken from one socket before the others get their turn.
_TURNS = 8
#: How long the loop waits for packets before it looks at timers and changes, ms.
_TICK_MS = 25
_DUE = 256
#: Descriptors that are kept for everything but connections.
_RESERVED_FILES = 128
#: How often lasting trouble is told again, ns.
_TELL_EVERY = 10_000_000_000
_SAMPLE = (
    b"INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKwarm\r\nMax-Forwards: 70\r\n"
    b"From: <sip:2@127.0.0.1>;tag=1\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: warm\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_MS = 1_000_000


class Roaming(Protocol):
    """An outside roaming look-up that answers later (`calls.roaming`)."""

    def fileno(self) -> int:
        """Readable when answers wait."""

    def ask(self, ticket: int, number: str) -> bool:
        """Ask about a number; False when too much is under way (the call then fails open)."""

    def answers(self) -> list[tuple[int, int]]:
        """(ticket, ROAMING_… code) of what was answered or ran out of time."""


class Keeper(Protocol):
    """Who keeps what the loop judged (`node`)."""

    def begin(self) -> int:
        """Open a batch; gives the sequence number of its first record."""

    def commit(self, end: int, records: int, now_ns: int) -> None:
        """Journal the first `end` bytes of the records buffer and close the batch. Raises JournalError."""

    def abandon(self) -> None:
        """Undo the open batch."""

    def tick(self, now_ns: int) -> None:
        """Look for changes of rules and lists, publish figures."""


class SipServer:
    """Serves SIP on all listeners until `stop`.

    Args:
        engine: judges. keeper: journals. clock: the time.
        listeners: where to listen.
        roaming: outside look-ups, or None.
        log_trouble: told of each kind of trouble, with what to do, and again every ten seconds while it lasts.
    """

    def __init__(
        self,
        engine: Engine,
        keeper: Keeper,
        clock: Clock,
        listeners: Sequence[Listener],
        *,
        roaming: Roaming | None,
        log_trouble: Callable[[str, str], None],
    ) -> None:
        self._engine, self._keeper, self._clock = engine, keeper, clock
        self._roaming, self._log_trouble = roaming, log_trouble
        self._reference = Reference(engine)
        self._buffers = DatagramBuffers(engine.inbox, engine.outbox)
        self._datagrams = [
            DatagramSocket(it.address.host, it.address.port, at)
            for at, it in enumerate(one for one in listeners if one.transport == "udp")
        ]
        self._streams = [StreamListener(it.address.host, it.address.port) for it in listeners if it.transport == "tcp"]
        self._sockets: tuple[DatagramSocket | StreamListener, ...] = (*self._datagrams, *self._streams)
        self._connections: dict[int, Connection] = {}
        self._waiting: dict[int, DatagramSocket | Connection] = {}
        self._due = np.zeros(_DUE, dtype=np.int64)
        self._dropped_before: dict[int, int] = {}
        self._trouble: dict[str, int] = {}
        self._stopped = False

    def open(self) -> None:
        """Bind every listener.

        Raises:
            ConfigError: one of them cannot be bound.
        """
        self._poll = select.epoll()
        # Without a descriptor left the journal could open no segment: connections never take the last ones.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._room = min(MAX_CONNECTIONS, max(files - _RESERVED_FILES, 1))
        for it in self._sockets:
            try:
                it.open()
            except OSError as error:
                self.close()
                raise ConfigError(
                    f"cannot listen on {it.host} port {it.asked_port}: {error.strerror}.",
                    where="sip.listen",
                    fix="Stop what holds the port, or choose another.",
                ) from error
            self._poll.register(it.socket.fileno(), select.EPOLLIN)
        self._by_descriptor: dict[int, DatagramSocket | StreamListener] = {
            it.socket.fileno(): it for it in self._sockets
        }
        if self._roaming is not None:
            self._poll.register(self._roaming.fileno(), select.EPOLLIN)

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
        return [it.port for it in self._sockets]

    def close(self) -> None:
        """Close every socket."""
        for it in (*self._sockets, *self._connections.values()):
            it.close()
        self._connections.clear()
        self._poll.close()

    def stop(self) -> None:
        """Let `run` return after its present turn, or at once where it has not begun."""
        self._stopped = True

    def run(self) -> None:
        """Serve until `stop`."""
        next_tick = 0
        while not self._stopped:
            for descriptor, events in self._poll.poll(_TICK_MS / 1000):
                self._serve(descriptor, events)
            now = self._clock.wall()
            # A clock that was set back must not put the timers off.
            if not next_tick - _TICK_MS * _MS < now < next_tick:
                next_tick = now + _TICK_MS * _MS
                self._repeat(now)
                self._tick(now)

    def _serve(self, descriptor: int, events: int) -> None:
        at = self._by_descriptor.get(descriptor)
        if isinstance(at, DatagramSocket):
            self._drain(at)
        elif isinstance(at, StreamListener):
            self._accept(at)
        elif descriptor in self._connections:
            self._converse(self._connections[descriptor], events)
        elif self._roaming is not None and descriptor == self._roaming.fileno():
            self._resume(self._roaming)

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
        if not self._keep(end, records, now):
            for reply, _ in replies:
                self._reference.forget(reply.ticket)
            return int(done.next)
        at.send_outbox(self._buffers, start, done.next)
        for reply, address in replies:
            self._send(at, reply, address, when.now_ms)
        return int(done.next)

    def _keep(self, end: int, records: int, now: int) -> bool:
        """Journal what was judged; False when that failed, and then nothing may be answered."""
        try:
            self._keeper.commit(end, records, now)
        except JournalError as error:
            # Unanswered calls pass at the proxy after its timer: losing a record would be worse.
            self._keeper.abandon()
            self._engine.forget_transactions()
            self._tell("journal", str(error), now)
            return False
        return True

    def _tell(self, kind: str, text: str, now: int) -> None:
        """Log trouble, but not once for each batch: the disk that fills up may be the log's as well."""
        if not self._trouble.get(kind, 0) - _TELL_EVERY < now < self._trouble.get(kind, 0):
            self._trouble[kind] = now + _TELL_EVERY
            self._log_trouble(kind, text)

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
        if reply.ask and self._roaming is not None:
            self._waiting[reply.ticket] = at
            if not self._roaming.ask(reply.ticket, reply.ask):
                self._answer_parked(reply.ticket, screening.ROAMING_UNKNOWN)

    def _resume(self, roaming: Roaming) -> None:
        for ticket, code in roaming.answers():
            self._answer_parked(ticket, code)

    def _answer_parked(self, ticket: int, code: int) -> None:
        now = self._clock.wall()
        when = self._engine.moment(now)
        at = self._waiting.pop(ticket, None)
        resumed = self._reference.resume(ticket, code, when, 0, self._keeper.begin())
        if at is None or resumed is None:
            self._keep(0, 0, now)
            return
        reply, source = resumed
        if not self._keep(reply.end, reply.records, now):
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
        self._poll.register(connection.socket.fileno(), select.EPOLLIN)

    def _converse(self, connection: Connection, events: int) -> None:
        if events & select.EPOLLOUT:
            connection.flush()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
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
        if self._keep(reply.end, reply.records, now):
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
            self._poll.unregister(descriptor)
            del self._connections[descriptor]
            connection.close()
            return
        reading = 0 if connection.ended else select.EPOLLIN
        self._poll.modify(descriptor, reading | (select.EPOLLOUT if connection.waiting else 0))

    def _repeat(self, now: int) -> None:
        """Send again the answers that nobody acknowledged (Timer G)."""
        state = self._engine.transactions
        while True:
            count = transactions.due(state, now // _MS, self._due)
            for slot in self._due[:count]:
                row = state.to[slot]
                self._datagrams[row[SOCKET_AT]].send(
                    state.bytes_[slot, : state.lengths[slot]].tobytes(), address_of(row)
                )
            if count < _DUE:
                return

    def _tick(self, now: int) -> None:
        cells, header = self._engine.cells, self._engine.transactions.header
        cells[board.CONNECTIONS] = len(self._connections)
        cells[board.UNREPEATED] = header[transactions.UNREPEATED]
        cells[board.REPEATED] = header[transactions.REPEATED]
        cells[board.FORGOTTEN] = header[transactions.FORGOTTEN]
        for at in self._datagrams:
            dropped = at.dropped()
            cells[board.DROPPED] += dropped - self._dropped_before.get(at.index, 0)
            self._dropped_before[at.index] = dropped
        for connection in [c for c in self._connections.values() if now // _MS - c.heard_ms > IDLE_MS]:
            connection.closing = True
            self._after(connection)
        self._keeper.tick(now)
