"""Mirrored signalling: HEP packets a second, beside the cost of reading them alone, and beside screening.

Every packet belongs to a call of its own name: ten packets a call, as a proxy sends them (both legs), hundreds of calls
under way at once. A packet that the kernel had to drop counts as lost.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from bench import wire
from bench.load import Client, pinned
from bench.peers import Hutong, free_port
from bench.tables import table
from hutong.calls.lane import hep as lane_hep
from hutong.calls.lane import messages as lane_messages
from hutong.calls.live.figures import LiveSource
from hutong.protocols.hep import KIND_SIP, Packet, build_packet

if TYPE_CHECKING:
    from bench.load import Result
    from bench.wire import Bytes, Ints
    from hutong.calls.live.figures import MirrorCount

RATE = 20_000
CALLS_BESIDE = 1_000
"""Calls a second that are screened at the same time."""
FASTER = (40_000, 60_000, 80_000, 100_000)
FASTER_SECONDS = 3.0
UNDER_WAY = 400
"""Calls between one call's packet and its next."""
WARM = 170_000
BATCH = 32
ROW = 1024
MEBIBYTE = 1 << 20

_CONFIG = """
[mirror]
listen = ["udp:127.0.0.1:{port}"]
wait_ms = 200
"""
_HEADS = (
    "Via: SIP/2.0/UDP {via};branch=z9hG4bK{number}{leg}\r\nMax-Forwards: 70\r\n"
    "From: <sip:{caller}@198.51.100.7>;tag=f{number}\r\nTo: <sip:{callee}@192.0.2.10>{tag}\r\n"
    "Call-ID: {number}@198.51.100.7\r\nCSeq: {cseq}\r\nContact: <sip:gateway@198.51.100.7:5060>\r\n"
    "Content-Length: 0\r\n\r\n"
)
_INVITE, _BYE = "INVITE sip:{callee}@192.0.2.10 SIP/2.0\r\n", "BYE sip:{callee}@192.0.2.10 SIP/2.0\r\n"
_FIRST, _SECOND = ("198.51.100.7:5060", "a"), ("192.0.2.10:5070", "b")
#: Start line, leg, CSeq, whether To has a tag.
_STORY = (
    (_INVITE, _FIRST, "1 INVITE", False),
    (_INVITE, _SECOND, "1 INVITE", False),
    ("SIP/2.0 180 Ringing\r\n", _SECOND, "1 INVITE", True),
    ("SIP/2.0 180 Ringing\r\n", _FIRST, "1 INVITE", True),
    ("SIP/2.0 200 OK\r\n", _SECOND, "1 INVITE", True),
    ("SIP/2.0 200 OK\r\n", _FIRST, "1 INVITE", True),
    (_BYE, _FIRST, "2 BYE", True),
    (_BYE, _SECOND, "2 BYE", True),
    ("SIP/2.0 200 OK\r\n", _SECOND, "2 BYE", True),
    ("SIP/2.0 200 OK\r\n", _FIRST, "2 BYE", True),
)
sendmmsg, clock_gettime = wire.sendmmsg, wire.clock_gettime
REALTIME, MONOTONIC = 0, wire.CLOCK_MONOTONIC


class Load(NamedTuple):
    """Packets in the order in which they are sent: rows uint8[n, ROW], lengths int64[n], place of the seconds chunk."""

    rows: Bytes
    lengths: Ints
    time_at: int


def load_of(packets: int, *, first: int) -> Load:
    """So many packets, of calls numbered from `first` on."""
    calls = packets // len(_STORY)
    order = sorted((call + step * UNDER_WAY, step, call) for call in range(calls) for step in range(len(_STORY)))
    rows, lengths = np.zeros((len(order), ROW), dtype=np.uint8), np.zeros(len(order), dtype=np.int64)
    data = b""
    for place, (_, step, call) in enumerate(order):
        data = _packet(first + call, step)
        rows[place, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        lengths[place] = len(data)
    return Load(rows, lengths, data.index(b"\x00\x00\x00\x09\x00\x0a") + 6)


def _packet(number: int, step: int) -> bytes:
    line, (via, leg), cseq, tagged = _STORY[step]
    values = {"number": f"{number:09d}", "caller": f"138{number % 50_000:08d}", "callee": f"139{number % 90_000:08d}"}
    text = (line + _HEADS).format(via=via, leg=leg, cseq=cseq, tag=";tag=t" if tagged else "", **values)
    source = "198.51.100.7" if leg == "a" else "192.0.2.10"
    return build_packet(Packet(source, "192.0.2.20", 5060, 5060, 17, 0, 0, KIND_SIP, text.encode()))


@numba.njit(nogil=True)
def _now(clock: Ints, which: int) -> int:
    clock_gettime(which, clock.ctypes.data)
    return clock[0] * 1_000_000_000 + clock[1]


@numba.njit(nogil=True)
def _big_endian(row: Bytes, at: int, value: int) -> None:
    for i in range(4):
        row[at + i] = (value >> (24 - 8 * i)) & 255


@numba.njit(nogil=True)
def _send(fd: int, load: Load, batch: wire.Batch, rate: int, clock: Ints) -> int:
    """Send every packet at `rate` a second, each with the time of its sending; returns the nanoseconds it took."""
    start, sent, total = _now(clock, MONOTONIC), 0, load.lengths.size
    while sent < total:
        spent = _now(clock, MONOTONIC) - start
        due = min(min(total, spent * rate // 1_000_000_000 + 1) - sent, batch.headers.shape[0])
        if due <= 0:
            continue
        captured = _now(clock, REALTIME) // 1000
        for i in range(due):
            row = load.rows[sent + i]
            _big_endian(row, load.time_at, captured // 1_000_000)
            _big_endian(row, load.time_at + 10, captured % 1_000_000)
            batch.vectors[i, 0] = row.ctypes.data
            batch.vectors[i, 1] = load.lengths[sent + i]
        done = 0
        while done < due:
            done += max(sendmmsg(fd, batch.headers[done].ctypes.data, due - done, 0), 0)
        sent += due
    return _now(clock, MONOTONIC) - start


@numba.njit(nogil=True)
def _read(load: Load, packet: Ints, message: Ints) -> int:
    """Read every packet and its message; returns how many were read."""
    count = 0
    for i in range(load.lengths.size):
        row = load.rows[i]
        if lane_hep.read_packet(row, load.lengths[i], packet):
            start, end = packet[lane_hep.PAYLOAD], packet[lane_hep.PAYLOAD + 1]
            count += lane_messages.read_message(row[start:end], end - start, message)
    return count


class MirrorHutong(Hutong):
    """A node that takes HEP as well."""

    def __init__(self, folder: Path, *, memory_mb: int) -> None:
        super().__init__(folder, memory_mb=memory_mb, name="mirror")
        self.hep = free_port()
        with self._config.open("a", encoding="utf-8") as config:
            config.write(_CONFIG.format(port=self.hep))

    @property
    def resident(self) -> int:
        """Bytes of memory that are its own: without the pages of mapped files."""
        status = Path(f"/proc/{self._child.pid if self._child else 'self'}/status").read_text("utf-8")
        (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
        return int(line.split()[1]) * 1024

    @property
    def counts(self) -> MirrorCount:
        """What it has counted of mirrored signalling."""
        return LiveSource(self.data).snapshot().mirror


class Run(NamedTuple):
    """One run: seconds of sending, packets sent, what the node counted, its memory before and after, SIP beside."""

    seconds: float
    sent: int
    taken: int
    lost: int
    ended: int
    before: int
    after: int
    beside: Result | None


def send(server: MirrorHutong, load: Load, *, rate: int, beside: Client | None = None) -> Run:
    """Send the load at `rate` packets a second; with `beside`, screen calls meanwhile."""
    results: list[Result] = []
    seconds = load.lengths.size / rate
    first, before = server.counts, server.resident
    threads = []
    if beside is not None:
        threads = [threading.Thread(target=lambda: results.append(beside.open(seconds, rate=CALLS_BESIDE)))]
        threads[0].start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire_end, pinned(0):
        wire_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MEBIBYTE)
        wire_end.connect(("127.0.0.1", server.hep))
        spent = _send(wire_end.fileno(), load, wire.batch(BATCH, named=False), rate, np.zeros(2, np.int64)) / 1e9
    for thread in threads:
        thread.join()
    last = _settled(server)
    return Run(
        seconds=spent,
        sent=load.lengths.size,
        taken=last.packets - first.packets,
        lost=last.lost - first.lost,
        ended=last.ended - first.ended,
        before=before,
        after=server.resident,
        beside=results[0] if results else None,
    )


def _settled(server: MirrorHutong) -> MirrorCount:
    """The counts once they no longer change."""
    last = server.counts
    while True:
        time.sleep(0.6)
        now = server.counts
        if now == last:
            return now
        last = now


def mirror_table(folder: Path, *, memory_mb: int, seconds: float = 10.0) -> str:
    """The table of docs/benchmarks.md."""
    packets = int(RATE * seconds)
    load = load_of(packets, first=1)
    read_alone = _reading(load)
    rows = [("read alone 仅解析", f"{read_alone:,.0f}", "", "", "", "", "")]
    server = MirrorHutong(folder, memory_mb=memory_mb)
    server.start()
    try:
        client = Client(server.port, first_number=900_000_000)
        client.open(0.3, rate=CALLS_BESIDE)
        # As many calls as may wait at once: after that every table of fixed size has been touched.
        send(server, load_of(WARM, first=500_000_000), rate=FASTER[0])
        run = send(server, load, rate=RATE, beside=client)
        rows.append(_row(f"{RATE:,} for {seconds:.0f} s, {CALLS_BESIDE:,} calls/s screened", run))
        for turn, rate in enumerate(FASTER, 1):
            many = load_of(int(rate * FASTER_SECONDS), first=turn * 100_000_000)
            run = send(server, many, rate=rate)
            rows.append(_row(f"{rate:,} for {FASTER_SECONDS:.0f} s", run))
            if run.lost:
                break
    finally:
        server.stop()
    head = ("HEP", "packets/s", "taken", "lost", "calls ended", "memory MiB, before → after", "screening p50 / p99 µs")
    return table(head, rows)


def _reading(load: Load) -> float:
    """Packets a second that are read and nothing else, on one core."""
    packet = np.zeros(lane_hep.PACKET_SLOTS, dtype=np.int64)
    message = np.zeros(lane_messages.MESSAGE_SLOTS, dtype=np.int64)
    best = 0.0
    for _ in range(4):  # the first one compiles
        began = time.perf_counter()
        read = _read(load, packet, message)
        best = max(best, read / (time.perf_counter() - began))
    return best


def _row(name: str, run: Run) -> tuple[str, ...]:
    beside = f"{run.beside.p50:,.0f} / {run.beside.p99:,.0f}" if run.beside else ""
    memory = f"{run.before / MEBIBYTE:.0f} → {run.after / MEBIBYTE:.0f}"
    return (name, f"{run.sent / run.seconds:,.0f}", f"{run.taken:,}", f"{run.lost:,}", f"{run.ended:,}", memory, beside)
