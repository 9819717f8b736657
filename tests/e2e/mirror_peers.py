"""A proxy that mirrors: Kamailio with the shipped configuration and HEP, sipp with known times, and a tap between.

The tap hands every HEP packet on to Hutong and keeps it, so that a test can work out from the packets' own time stamps
what Hutong must have found.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, NamedTuple, Self

from processes import Process, free_port
from sip_peers import SCENARIOS, Callee, Kamailio

from hutong.protocols.hep import Packet, StreamReader, parse_packet
from hutong.protocols.sip import Request, parse_datagram

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class MirroringKamailio(Kamailio):
    """The shipped configuration that also sends HEP; `only`: it asks nobody."""

    def __init__(
        self, folder: Path, nodes: Sequence[str], next_hop: str, *, hep: str, key: str = "", only: bool
    ) -> None:
        super().__init__(folder, nodes, next_hop)
        names = {"HEP": f'"{hep}"', **({"HEP_KEY": f'"{key}"'} if key else {})}
        self.command += [word for name, value in names.items() for word in ("-A", f"{name}={value}")]
        self.command += ["-A", "MIRROR_ONLY"] if only else []


class TimedCallee(Callee):
    """The next hop: it rings and answers, or is busy, as the called number says (`number`)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.command[self.command.index("-sf") + 1] = str(SCENARIOS / "timed_callee.xml")


class TimedCall(NamedTuple):
    """A call to place: who calls, how long it rings and talks (ms), whether the callee is busy."""

    caller: str
    ring: int
    talk: int
    busy: bool = False
    serial: int = 0

    @property
    def callee(self) -> str:
        """The number that tells the callee what to do."""
        return f"139{6 if self.busy else 0}{self.ring:04d}{self.serial:03d}"


class TimedCaller(Process):
    """sipp places the calls, all within a moment."""

    def __init__(
        self, folder: Path, proxy: int, calls: Iterable[TimedCall], *, rate: int = 20, name: str = "caller"
    ) -> None:
        placed = list(calls)
        listing = folder / f"{name}-calls.csv"
        lines = [f"{it.caller};{it.callee};{it.talk}" for it in placed]
        listing.write_text("\n".join(["SEQUENTIAL", *lines]) + "\n")
        target = [f"127.0.0.1:{proxy}", "-sf", str(SCENARIOS / "timed_caller.xml"), "-inf", str(listing)]
        pace = ["-i", "127.0.0.1", "-p", str(free_port()), "-m", str(len(placed)), "-r", str(rate)]
        limits = ["-recv_timeout", "15000", "-timeout", "60s", "-timeout_error", "-nostdin"]
        super().__init__(name, ["sipp", *target, *pace, *limits], folder)

    def complete(self) -> None:
        """Wait until every call has ended as it should."""
        assert self.finish(60) == 0, self.tail()


class Tap:
    """Takes HEP at a port of its own, over UDP or TCP, keeps each packet, and hands it on to `to` over the same."""

    def __init__(self, to: int, *, transport: str = "udp") -> None:
        self._to, self._stream = to, transport == "tcp"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        if self._stream:
            self._socket.listen()
        self.port = int(self._socket.getsockname()[1])
        self.data: list[bytes] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept if self._stream else self._pass_datagrams, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()

    @property
    def packets(self) -> list[Packet]:
        """Everything that came, read."""
        return [parse_packet(data) for data in self.data]

    def _pass_datagrams(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._socket.recv(65535)
            except TimeoutError:
                continue
            self.data.append(data)
            self._socket.sendto(data, ("127.0.0.1", self._to))

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                accepted, _ = self._socket.accept()
            except TimeoutError:
                continue
            accepted.settimeout(0.1)
            self._threads.append(threading.Thread(target=self._pass_stream, args=(accepted,), daemon=True))
            self._threads[-1].start()

    def _pass_stream(self, accepted: socket.socket) -> None:
        reader = StreamReader()
        with accepted, socket.create_connection(("127.0.0.1", self._to)) as onward:
            while not self._stop.is_set():
                try:
                    data = accepted.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return
                self.data += reader.feed(data)
                onward.sendall(data)


class Truth(NamedTuple):
    """What the HEP packets say of one call, by their own time stamps: µs of the INVITE, the answer and the BYE."""

    caller: str
    invited: int
    answered: int
    final: int
    status: int
    ended: int


def truths(packets: Iterable[Packet], caller_port: int, proxy_port: int) -> dict[str, Truth]:
    """What became of each call, by Call-ID: the caller's side, and whoever's BYE came first."""
    found: dict[str, Truth] = {}
    for packet in sorted(packets, key=_captured):
        message, at = parse_datagram(packet.payload), _captured(packet)
        call_id = message.call_id.decode()
        known = found.get(call_id)
        request = isinstance(message, Request)
        to_proxy = (packet.source_port, packet.destination_port) == (caller_port, proxy_port)
        to_caller = (packet.source_port, packet.destination_port) == (proxy_port, caller_port)
        if request and message.method == "INVITE" and to_proxy and known is None:
            found[call_id] = Truth(message.from_.uri.user.decode(), at, 0, 0, 0, 0)
        elif known and request and message.method == "BYE" and not known.ended:
            found[call_id] = known._replace(ended=at)
        elif known and not request and message.cseq.method == "INVITE" and to_caller and not known.status:
            if 200 <= message.status < 300:
                found[call_id] = known._replace(answered=at, status=message.status)
            elif message.status >= 300:
                found[call_id] = known._replace(final=at, status=message.status)
    return found


def _captured(packet: Packet) -> int:
    return packet.seconds * 1_000_000 + packet.microseconds
