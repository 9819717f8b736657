"""The load client: a compiled loop that costs little, so that the server is what is measured.

Closed loop: a window of calls is always outstanding, and the answers per second are the server's speed. Open
loop: calls leave at a fixed rate whatever the server does, and the histogram of answer times is its latency.
Every final answer is acknowledged, as the proxy in front of a real node does. `packets` says who calls whom.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from bench import wire
from bench.packets import Mix, mix, read_reply, write_ack, write_invite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.wire import Batch, Ints

CORE = 0
"""The core that the client is pinned to; servers may use every core."""

BATCH = 64
RING = 1 << 16
BIN_NS = 1_000
BINS = 500_000
SETTLE_NS = 300_000_000
"""An answer that has not come this long after the last call left is lost."""

recvmmsg, sendmmsg, ppoll, clock_gettime = wire.recvmmsg, wire.sendmmsg, wire.ppoll, wire.clock_gettime
MSG_DONTWAIT, MSG_WAITFORONE, LENGTH = wire.MSG_DONTWAIT, wire.MSG_WAITFORONE, wire.LENGTH
MONOTONIC, POLLIN = wire.CLOCK_MONOTONIC, wire.POLLIN

# Slots of the tally; answers by status code follow from CODES on (code 0: an echo).
NEXT, OUTSTANDING, SENT, ANSWERED, LOST, STRAY, CODES = range(7)


class State(NamedTuple):
    """What the compiled loops keep: outstanding calls (by number modulo RING), counts, a timespec."""

    calls: Ints
    sent_at: Ints
    tally: Ints
    histogram: Ints
    clock: Ints


class Line(NamedTuple):
    """The client's end of the wire: its socket, its load, and room for datagrams each way."""

    fd: int
    load: Mix
    outbox: Batch
    inbox: Batch
    poll: Ints


class Result(NamedTuple):
    """One run: seconds, answers by status code, answer times in microseconds, the client's processor time."""

    seconds: float
    sent: int
    answered: int
    lost: int
    codes: dict[int, int]
    p50: float
    p99: float
    p999: float
    worst: float
    client_share: float

    @property
    def rate(self) -> float:
        """Answered calls a second."""
        return self.answered / self.seconds


@numba.njit(nogil=True)
def _now(clock: Ints) -> int:
    clock_gettime(MONOTONIC, clock.ctypes.data)
    return clock[0] * 1_000_000_000 + clock[1]


@numba.njit(nogil=True)
def _queue_calls(line: Line, state: State, at: int, count: int) -> int:
    """Write `count` new calls from row `at` of the outbox on; returns the next free row."""
    now = _now(state.clock)
    for row in range(at, at + count):
        number = state.tally[NEXT]
        slot = number % RING
        if state.calls[slot] != 0:  # the ring has come round and this one was never answered
            state.tally[LOST] += 1
            state.tally[OUTSTANDING] -= 1
        line.outbox.vectors[row, 1] = write_invite(line.load, line.outbox.rows[row], number)
        state.calls[slot] = number
        state.sent_at[slot] = now
        state.tally[NEXT] += 1
        state.tally[SENT] += 1
        state.tally[OUTSTANDING] += 1
    return at + count


@numba.njit(nogil=True)
def _send(line: Line, count: int) -> None:
    done = 0
    while done < count:
        sent = sendmmsg(line.fd, line.outbox.headers[done].ctypes.data, count - done, 0)
        done += max(sent, 1)


@numba.njit(nogil=True)
def _receive(line: Line, state: State, flags: int) -> int:
    """Take what has come, count it, write the ACKs into the outbox; returns how many, -1 if nothing came."""
    got = recvmmsg(line.fd, line.inbox.headers.ctypes.data, BATCH, flags, 0)
    if got <= 0:
        return -1
    now = _now(state.clock)
    acks = 0
    for i in range(got):
        size = line.inbox.headers[i, LENGTH] & 0xFFFFFFFF
        code, number = read_reply(line.inbox.rows[i], size)
        if 100 <= code < 200:
            continue
        slot = number % RING
        if number < 0 or state.calls[slot] != number:
            state.tally[STRAY] += 1
            continue
        state.calls[slot] = 0
        state.histogram[min((now - state.sent_at[slot]) // BIN_NS, BINS - 1)] += 1
        state.tally[OUTSTANDING] -= 1
        state.tally[ANSWERED] += 1
        state.tally[CODES + min(max(code, 0), 699)] += 1
        row = line.outbox.rows[acks]
        line.outbox.vectors[acks, 1] = write_ack(line.load, row, line.inbox.rows[i], size, number)
        acks += 1
    return acks


@numba.njit(nogil=True)
def _closed(line: Line, state: State, window: int, nanoseconds: int) -> int:
    """Keep `window` calls outstanding for a time; returns the nanoseconds it took."""
    start = _now(state.clock)
    acks = 0
    while True:
        queued = _queue_calls(line, state, acks, min(window - state.tally[OUTSTANDING], BATCH))
        _send(line, queued)
        acks = _receive(line, state, MSG_WAITFORONE)
        if acks < 0:  # the time-out: whatever is outstanding was dropped on its way
            state.tally[LOST] += state.tally[OUTSTANDING]
            state.tally[OUTSTANDING] = 0
            state.calls[:] = 0
            acks = 0
        spent = _now(state.clock) - start
        if spent >= nanoseconds:
            _send(line, acks)
            return spent


@numba.njit(nogil=True)
def _open(line: Line, state: State, rate: int, nanoseconds: int) -> int:
    """Send `rate` calls a second for a time, then wait for stragglers; returns the nanoseconds of sending."""
    start = _now(state.clock)
    total = rate * nanoseconds // 1_000_000_000
    while True:
        spent = _now(state.clock) - start
        due = min(total, spent * rate // 1_000_000_000 + 1) - state.tally[SENT]
        queued = _queue_calls(line, state, 0, min(due, BATCH)) if due > 0 else 0
        _send(line, queued)
        waiting = state.tally[SENT] < total
        if not waiting and (state.tally[OUTSTANDING] == 0 or spent > nanoseconds + SETTLE_NS):
            state.tally[LOST] += state.tally[OUTSTANDING]
            return nanoseconds
        until = state.tally[SENT] * 1_000_000_000 // rate if waiting else nanoseconds + SETTLE_NS
        pause = until - (_now(state.clock) - start)
        if pause > 0:
            line.poll[0] = line.fd | (POLLIN << 32)
            state.clock[0], state.clock[1] = pause // 1_000_000_000, pause % 1_000_000_000
            ppoll(line.poll.ctypes.data, 1, state.clock.ctypes.data, 0)
        acks = _receive(line, state, MSG_DONTWAIT)
        if acks > 0:
            _send(line, acks)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process on one core while the block runs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Client:
    """A caller of one server. Call numbers never repeat in its life, so no answer can be taken for another's.

    With `distinct`, every call has a caller and a callee of its own.
    """

    def __init__(self, port: int, *, first_number: int = 1, distinct: bool = False) -> None:
        self._server = ("127.0.0.1", port)
        self._next = first_number
        self._distinct = distinct

    def closed(self, seconds: float, *, window: int) -> Result:
        """Calls as fast as they are answered, `window` of them outstanding."""
        return self._run(lambda line, state: _closed(line, state, window, int(seconds * 1e9)))

    def open(self, seconds: float, *, rate: int) -> Result:
        """Calls at `rate` a second, whatever the server does."""
        return self._run(lambda line, state: _open(line, state, rate, int(seconds * 1e9)))

    def _run(self, loop: Callable[[Line, State], int]) -> Result:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire_end:
            wire_end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            wire_end.bind(("127.0.0.1", 0))
            wire_end.connect(self._server)
            # A kernel time-out, not Python's: the socket stays blocking for recvmmsg.
            wire_end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, np.array([0, 200_000]).tobytes())
            host, port = wire_end.getsockname()
            line = Line(
                wire_end.fileno(),
                mix(f"{host}:{port}", distinct=self._distinct),
                wire.batch(2 * BATCH, named=False),
                wire.batch(BATCH, named=False),
                np.zeros(1, np.int64),
            )
            state = State(
                np.zeros(RING, np.int64),
                np.zeros(RING, np.int64),
                np.zeros(CODES + 700, np.int64),
                np.zeros(BINS, np.int64),
                np.zeros(2, np.int64),
            )
            state.tally[NEXT] = self._next
            with pinned(CORE):
                cpu = time.process_time()
                spent = loop(line, state)
                cpu = time.process_time() - cpu
            self._next = int(state.tally[NEXT])
        return _result(state, spent, cpu)


def _result(state: State, nanoseconds: int, cpu: float) -> Result:
    def quantile(share: float) -> float:
        total = int(state.histogram.sum())
        if not total:
            return float("nan")
        return float(np.searchsorted(np.cumsum(state.histogram), share * total) + 1) * BIN_NS / 1000

    codes = state.tally[CODES:]
    return Result(
        nanoseconds / 1e9,
        int(state.tally[SENT]),
        int(state.tally[ANSWERED]),
        int(state.tally[LOST]),
        {int(code): int(codes[code]) for code in np.flatnonzero(codes)},
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
        cpu / (nanoseconds / 1e9),
    )
