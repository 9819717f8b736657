"""Calls that come in over HTTP, as an edge of the screening loop: a local stream socket that only this user may open.

One request is one batch: read, judge, append to the journal, answer. A client gets one request served in a turn, so SIP
waits for a batch at most; the bytes of its next one stay in the kernel until then.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hutong.calls import attempt, board
from hutong.calls.asking import batch as ask_batch
from hutong.calls.asking import wire as asking
from hutong.calls.asking.batch import STATUS, AskBatch
from hutong.calls.feed import wire
from hutong.calls.loop import BROKEN, READ, WRITE
from hutong.kernel.errors import CodecError, ConfigError
from hutong.kernel.numbering import digits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from hutong.calls.feed.desk import FeedDesk
    from hutong.calls.look_ups import LookUps
    from hutong.calls.loop import ScreeningLoop

SOCKET = Path("run") / "screen.sock"
"""Within the data folder."""

#: Processes that ask at once; `serve` is one.
MAX_CLIENTS = 16
#: Bytes that may wait for a client that does not read; beyond it the client is dropped.
MAX_UNSENT = 8 * 1024 * 1024
#: Calls that may wait for roaming look-ups, and repetitions that may wait with each of them.
MAX_PARKED = 4096
MAX_REPEATS = 64
_READ = 256 * 1024
_BACKLOG = 16
_MS = 1_000_000


class _Client:
    """One accepted connection."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.closing = False
        self._reader = asking.FrameReader()
        self._unsent = bytearray()

    def receive(self) -> asking.Frame | None:
        """The next request, where all of it is there; sets `closing` when the client is gone.

        Raises:
            CodecError: what came is no request.
        """
        while True:
            try:
                data = self.socket.recv(min(self._reader.wanted, _READ))
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            if not data:
                self.closing = True
                return None
            # Never more is read than the frame lacks, so there is at most one.
            for frame in self._reader.feed(data):
                return frame

    def send(self, data: bytes) -> None:
        """Queue bytes and send what the client takes."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        """Send what waits; a client that lets too much pile up is given up."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            self.closing = self.closing or len(self._unsent) > MAX_UNSENT
        except OSError:
            self.closing = True

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for the client to read."""
        return bool(self._unsent)


class _Waiting(NamedTuple):
    """A call that must wait: its hash, its place in the request, a request of its own, the number to look up."""

    what: int
    at: int
    body: bytes
    number: str


class _Parked(NamedTuple):
    """A call that waits: a request of its own, and who is to be answered (client, ticket, place)."""

    body: bytes
    askers: list[tuple[_Client, int, int]]


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Another name for a socket's path: its own may be longer than the 107 bytes that an address holds (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class AskEdge:
    """Serves `asking.wire` on a Unix stream socket.

    Args:
        loop: the loop; its engine judges, its keeper journals.
        look_ups: outside roaming look-ups.
        path: of the socket; its folder is made where it is missing.
        feed: serves what comes from a log of messages; None = nothing does.
    """

    def __init__(self, loop: ScreeningLoop, look_ups: LookUps, path: Path, feed: FeedDesk | None = None) -> None:
        self._loop, self._look_ups, self._path, self._feed = loop, look_ups, path, feed
        self._batch = AskBatch(loop.engine)
        self._listener: socket.socket | None = None
        self._clients: dict[int, _Client] = {}
        self._parked: dict[int, _Parked] = {}

    def open(self) -> None:
        """Listen; a socket that a killed process left behind is replaced.

        Raises:
            ConfigError: it cannot be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            listener.setblocking(False)  # noqa: FBT003  # the standard library's own signature
            fresh = self._path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with short_path(fresh) as name:
                listener.bind(name)
            # Nobody can connect before it listens, so the mode is right from the first moment.
            fresh.chmod(0o600)
            listener.listen(_BACKLOG)
            fresh.replace(self._path)
        except OSError as error:
            listener.close()
            raise ConfigError(
                f"the socket for HTTP calls cannot be made: {error.strerror}.",
                where=str(self._path),
                fix="Give this user the right to write there.",
            ) from error
        self._listener = listener
        if self._feed is not None:
            self._feed.open()
        self._loop.watch(listener.fileno(), self)

    def warm_up(self) -> None:
        """Let a sample call through and undo it, so that compiled code is loaded before the first real one."""
        engine, now = self._loop.engine, self._loop.clock.wall()
        before = engine.cells.copy()
        sample = asking.encode_request(1, [asking.Attempt(b"warm", b"1", b"2", now // _MS, source=(0, 0))])
        body = sample[asking.HEADER.size :]
        self._batch.load(body, 1)
        moment = engine.moment(now)
        self._batch.judge(moment, 0, 1, self._loop.keeper.begin(), roaming=attempt.ROAMING_ASK, room=1)
        self._loop.keeper.abandon()
        self._batch.forget(int(self._batch.answers[0, ask_batch.HASH]))
        engine.cells[:] = before

    def close(self) -> None:
        """Close every connection, and take the socket away."""
        for client in self._clients.values():
            client.socket.close()
        self._clients.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)
            if self._feed is not None:
                self._feed.close()

    def serve(self, descriptor: int, events: int) -> None:
        """A client wants to connect, to ask, or can be written to again."""
        client = self._clients.get(descriptor)
        if client is None:
            self._accept()
            return
        if events & WRITE:
            client.flush()
        if events & (READ | BROKEN):
            try:
                frame = client.receive()
                if frame is not None:
                    self._take(client, frame)
            except CodecError as error:
                self._refuse(client, error)
        self._after(client)

    def tick(self, now: int) -> None:
        """Only a feed has something due: an idle client may stay."""
        if self._feed is not None:
            self._feed.tick(now)

    def _accept(self) -> None:
        assert self._listener is not None  # noqa: S101  # only an open edge is served
        with contextlib.suppress(OSError):
            accepted, _ = self._listener.accept()
            if len(self._clients) >= MAX_CLIENTS:
                self._loop.engine.cells[board.ASK_REFUSED] += 1
                accepted.close()
                return
            accepted.setblocking(False)  # noqa: FBT003  # the standard library's own signature
            self._clients[accepted.fileno()] = _Client(accepted)
            self._loop.watch(accepted.fileno(), self)

    def _after(self, client: _Client) -> None:
        """Let go of a client that is done; else watch for what it still needs."""
        descriptor = client.socket.fileno()
        if self._clients.get(descriptor) is not client:
            return
        if client.closing:
            self._loop.unwatch(descriptor)
            del self._clients[descriptor]
            client.socket.close()
            return
        self._loop.watch(descriptor, self, READ | (WRITE if client.waiting else 0))

    def _refuse(self, client: _Client, error: CodecError) -> None:
        """Say why, as far as the client reads it, and let go of it: what follows in its stream means nothing."""
        self._loop.engine.cells[board.ASK_REFUSED] += 1
        client.send(asking.encode_frame(asking.REFUSAL, 0, 0, str(error).encode()))
        client.closing = True

    def _take(self, client: _Client, frame: asking.Frame) -> None:
        """Judge a request and answer it.

        Raises:
            CodecError: it is none.
        """
        if frame.kind in wire.KINDS and self._feed is not None:
            client.send(self._feed.take(frame))
            return
        if frame.kind != asking.REQUEST or not self._batch.load(frame.body, frame.rows):
            raise CodecError("this frame is no request.", where="screen.sock")
        cells = self._loop.engine.cells
        cells[board.ASK_REQUESTS] += 1
        cells[board.ASK_CALLS] += frame.rows
        start, waiting = 0, []
        while start < frame.rows:
            rows, end = self._judge(start, frame.rows, attempt.ROAMING_ASK)
            held = rows[:, STATUS] == asking.WAITING
            waiting += [self._to_park(row) for row in rows[held]]
            client.send(self._reply(frame.ticket, rows[~held], end))
            start += len(rows)
        # Only now: a look-up that is refused at once is judged at once, with the same memory.
        for it in waiting:
            self._park(it, client, frame.ticket)

    def _judge(self, start: int, rows: int, roaming: int) -> tuple[NDArray[np.int64], int]:
        """One batch: judge and journal. Gives the answers to what it got to, and the bytes of their records."""
        loop, now = self._loop, self._loop.clock.wall()
        room = max(MAX_PARKED - len(self._parked), 0)
        done = self._batch.judge(loop.engine.moment(now), start, rows, loop.keeper.begin(), roaming=roaming, room=room)
        judged = self._batch.answers[start : done.next]
        if loop.keep(done.end, done.records, now):
            return judged, done.end
        # Nobody may learn of a verdict that was not kept, and its repetition is a call of its own.
        loop.engine.cells[board.ASK_REFUSED] += 1
        for row in judged:
            self._batch.forget(int(row[ask_batch.HASH]))
        judged[:, STATUS] = asking.UNAVAILABLE
        judged[:, ask_batch.SEQ : ask_batch.SENT] = 0
        return judged, 0

    def _reply(self, ticket: int, rows: NDArray[np.int64], end: int) -> bytes:
        """What can be answered now; a reply without rows says that the rest is being looked up."""
        sent = rows[:, : ask_batch.SENT]
        records = self._loop.engine.records.bytes_[:end].tobytes()
        return asking.encode_frame(asking.REPLY, len(sent), ticket, sent.tobytes() + records)

    def _to_park(self, row: NDArray[np.int64]) -> _Waiting:
        index = int(row[ask_batch.INDEX])
        return _Waiting(
            int(row[ask_batch.HASH]), index, self._batch.part(index), digits_of(int(row[ask_batch.CALLER_KEY]))
        )

    def _park(self, it: _Waiting, client: _Client, ticket: int) -> None:
        """Let a call wait for its look-up; its repetition waits for the same one."""
        asker = (client, ticket, it.at)
        parked = self._parked.get(it.what)
        if parked is not None:
            if len(parked.askers) < MAX_REPEATS:
                parked.askers.append(asker)
            else:
                self._tell([asker], asking.Answer(0, asking.UNAVAILABLE, 0, b""))
            return
        self._parked[it.what] = _Parked(it.body, [asker])
        self._loop.engine.cells[board.ROAMING_ASKED] += 1

        def answered(code: int) -> None:
            self._resume(it.what, code)

        if not self._look_ups.ask(it.number, answered):
            answered(attempt.ROAMING_UNKNOWN)

    def _resume(self, what: int, roaming: int) -> None:
        """Judge a parked call with what the look-up said, whoever still listens: it was attempted."""
        parked = self._parked.pop(what)
        self._batch.load(parked.body, 1)
        rows, _ = self._judge(0, 1, roaming)
        _, status, seq, _, length = (int(value) for value in rows[0, : ask_batch.SENT])
        record = self._loop.engine.records.bytes_[:length].tobytes()
        self._tell(parked.askers, asking.Answer(0, status, seq, record))

    def _tell(self, askers: list[tuple[_Client, int, int]], answer: asking.Answer) -> None:
        for client, ticket, at in askers:
            if not client.closing:
                client.send(asking.encode_reply(ticket, [answer._replace(at=at)]))
                self._after(client)
