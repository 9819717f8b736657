"""What watchers of the live wall cost screening: verdicts a second at full load without and with them, in turn.

Run as a program (`python -m bench.watchers PORT COOKIES COUNT`) it is the watchers: it reads the stream that many times
over until SIGTERM, with each of the cookies (divided by commas) in turn, then prints what came.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.http_calls import Serve
from bench.load import Client
from bench.peers import Hutong
from bench.speed import WINDOW
from bench.tables import table
from hutong.calls.live.feed import MOST_OF_ONE
from hutong.kernel.access.people import People
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Sequence

WATCHERS = 50


class Watched(NamedTuple):
    """What the watchers got in one run."""

    events: int
    bytes: int
    seconds: float


class Half(NamedTuple):
    """Verdicts a second, and how much of one core the serve process took meanwhile."""

    rate: float
    core: float


class Round(NamedTuple):
    """Without and with watchers, one after the other."""

    alone: Half
    watched: Half
    got: Watched


class Console(Serve):
    """With sessions to watch with."""

    def __init__(self, server: Hutong, folder: Path) -> None:
        super().__init__("watched-console", server, folder)
        self.cookies: list[str] = []

    def start(self) -> None:
        """Start it, wait until it listens, and sign viewers in."""
        super().start()
        database = Database(database_url("", self.data))
        database.open()
        try:
            now = time.time_ns() // 1_000_000
            people = People(database)
            for number in range(-(-WATCHERS // MOST_OF_ONE)):
                name = f"bench{number}"
                password = people.add(name, "Bench", "viewer", now)
                account = people.set_password(name, password, "umbrella-tide-97-lantern", now)
                self.cookies.append(Sessions(database, 12, 60).start(account, "127.0.0.1", now))
        finally:
            database.close()

    @property
    def processor_s(self) -> float:
        """Processor time that it has taken so far."""
        assert self._child is not None  # noqa: S101  # it was started
        fields = Path(f"/proc/{self._child.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, *, memory_mb: int, rounds: int, seconds: float) -> list[Round]:
    """Closed-loop runs at full load, each without and then with `WATCHERS`."""
    server = Hutong(folder, memory_mb=memory_mb, name="watched")
    console = Console(server, folder)
    try:
        server.start()
        console.start()
        client = Client(server.port)
        client.closed(0.5, window=WINDOW)
        found = []
        for _ in range(rounds):
            alone = _half(client, console, seconds)
            crowd = _Crowd(console)
            watched = _half(client, console, seconds)
            found.append(Round(alone, watched, crowd.leave()))
        return found
    finally:
        console.stop()
        server.stop()


def _half(client: Client, console: Console, seconds: float) -> Half:
    before = console.processor_s
    result = client.closed(seconds, window=WINDOW)
    return Half(result.rate, (console.processor_s - before) / result.seconds)


def watchers_table(runs: Sequence[Round]) -> str:
    """Medians with their spread; the ratio is of each round's two halves."""
    ratios = [run.watched.rate / run.alone.rate for run in runs]
    events = [run.got.events / run.got.seconds for run in runs]
    kilobytes = [run.got.bytes / run.got.seconds / 1000 for run in runs]
    rows = [
        ("none", *_spread([run.alone for run in runs]), "1", "–", "–"),
        (
            f"{WATCHERS}",
            *_spread([run.watched for run in runs]),
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} – {max(ratios):.3f})",
            f"{statistics.median(events):,.0f}",
            f"{statistics.median(kilobytes):,.0f}",
        ),
    ]
    return table(("watchers", "verdicts/s", "min – max", "serve's core", "× none", "events/s", "kB/s"), rows)


def _spread(halves: list[Half]) -> tuple[str, str, str]:
    rates = [half.rate for half in halves]
    core = statistics.median(half.core for half in halves)
    return f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f} – {max(rates):,.0f}", f"{core:.1%}"


class _Crowd:
    """The watchers' process; made when each of them has had an event."""

    def __init__(self, console: Console) -> None:
        command = [sys.executable, "-m", "bench.watchers", str(console.port), ",".join(console.cookies), str(WATCHERS)]
        here = Path(__file__).resolve().parents[1]
        self._child = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True)
        if self._line() != "watching":
            self._child.kill()
            self._child.wait()
            raise RuntimeError("the watchers got no events")

    def _line(self) -> str:
        assert self._child.stdout is not None  # noqa: S101  # it was asked for
        return self._child.stdout.readline().strip()

    def leave(self) -> Watched:
        """End it; what came since every one of them watched."""
        self._child.send_signal(signal.SIGTERM)
        got = json.loads(self._line())
        self._child.wait(10)
        return Watched(**got)


def watch(port: int, cookies: list[str], count: int) -> None:
    """Read the stream `count` times over until SIGTERM, with the cookies in turn."""
    over: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    selector = selectors.DefaultSelector()
    fresh = set()
    request = "GET /live/stream?lang=zh HTTP/1.1\r\nHost: localhost\r\nCookie: hutong={}\r\n\r\n"
    for number in range(count):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(request.format(cookies[number % len(cookies)]).encode())
        selector.register(stream, selectors.EVENT_READ)
        fresh.add(stream)
    events = size = 0
    since = time.monotonic()
    while not over:
        for key, _ in selector.select(0.1):
            stream = key.fileobj
            assert isinstance(stream, socket.socket)  # noqa: S101  # only sockets were registered
            data = stream.recv(1 << 18)
            if not data:
                raise SystemExit("a stream ended")
            events += data.count(b"event: live")
            size += len(data)
            if stream in fresh and b"event: live" in data:
                fresh.discard(stream)
                if not fresh:
                    print("watching", flush=True)
                    events, size, since = 0, 0, time.monotonic()
    print(json.dumps({"events": events, "bytes": size, "seconds": time.monotonic() - since}), flush=True)


if __name__ == "__main__":
    watch(int(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]))
