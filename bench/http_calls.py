"""Verdicts a second over HTTP beside bare Litestar on the same web stack, in turn, round after round."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bench.peers import HERE, HUTONG, STARTING, Server
from bench.peers import Hutong as Screen
from bench.tables import table
from hutong.kernel.access.people import People
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: (connections, calls in one request).
SHAPES = ((32, 1), (8, 100))
_DAY_MS = 86_400_000
_SETTINGS = """
[serve]
listen = "127.0.0.1:{port}"
public_listen = "127.0.0.1:{public}"
"""
_API = """
[api]
calls_per_second = 1000000
"""


def free_tcp_port() -> int:
    """A TCP port of the loopback that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class HttpServer(Server):
    """A server under test that answers POST /v1/calls/screen."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self.port = free_tcp_port()
        self.token = ""

    def _await_port(self) -> None:
        deadline = time.monotonic() + STARTING
        while time.monotonic() < deadline and self._child and self._child.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                time.sleep(0.02)
        raise self._failed()


class Bare(HttpServer):
    """`http_peer`."""

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._launch([sys.executable, "-m", "bench.http_peer", str(self.port)], cwd=HERE.parent)
        self._await_port()


class Serve(HttpServer):
    """`hutong serve` on the data folder of a screening node, with that node's settings and some more."""

    def __init__(self, name: str, screen: Screen, folder: Path, more: str = "") -> None:
        super().__init__(name, folder)
        self.data = screen.data
        self._config = folder / f"{name}-serve.toml"
        ports = _SETTINGS.format(port=self.port, public=free_tcp_port())
        self._config.write_text(f"{screen.settings}{ports}{more}", encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._launch([*HUTONG, "serve", "--config", str(self._config), "--data", str(self.data)])
        self._await_port()


class ServeToken(Serve):
    """With a token of an operator that may screen as many calls as it likes."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        super().__init__("hutong", screen, folder, _API)

    def start(self) -> None:
        """Make the token, start it and wait until it listens."""
        database = Database(database_url("", self.data))
        database.open()
        now_ms = time.time_ns() // 10**6
        People(database).add("bench", "Bench", "operator", now_ms)
        _, self.token = Tokens(database, 365).make("bench", "bench", ["calls.screen"], now_ms + _DAY_MS, now_ms)
        database.close()
        super().start()


class Run(NamedTuple):
    """One run of the client: see `http_client`."""

    seconds: float
    requests: int
    calls: int
    p50: float
    p99: float
    share: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


Runs = dict[tuple[int, int], dict[str, list[Run]]]


def run(server: HttpServer, seconds: float, connections: int, calls: int) -> Run:
    """One closed loop, by a client of its own process."""
    arguments = [str(server.port), str(seconds), str(connections), str(calls), server.token]
    command = [sys.executable, "-m", "bench.http_client", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE.parent)
    return Run(**json.loads(done.stdout))


def verdicts(servers: Sequence[HttpServer], *, rounds: int, seconds: float) -> Runs:
    """Runs by shape and server name, interleaved so that a disturbance of the machine meets all alike."""
    for server in servers:
        for connections, calls in SHAPES:
            run(server, 0.5, connections, calls)
    runs: Runs = {shape: {server.name: [] for server in servers} for shape in SHAPES}
    for _ in range(rounds):
        for shape in SHAPES:
            for server in servers:
                runs[shape][server.name].append(run(server, seconds, *shape))
    return runs


def measure(folder: Path, *, memory_mb: int, rounds: int, seconds: float) -> str:
    """Start both servers, measure them, and give the table."""
    with ExitStack() as stack:
        screen = Screen(folder, memory_mb=memory_mb, name="screen")
        both = [ServeToken(screen, folder), Bare("bare", folder)]
        for it in (screen, *both):
            stack.callback(it.stop)
            it.start()
        return http_table(verdicts(both, rounds=rounds, seconds=seconds))


def http_table(runs: Runs) -> str:
    """Median rates with their spread, ratios round by round, median answer times."""
    rows = []
    for (connections, calls), by_name in runs.items():
        for name, results in by_name.items():
            rates = [result.rate for result in results]
            ratios = [one.rate / other.rate for one, other in zip(results, by_name["bare"], strict=True)]
            rows.append(
                (
                    f"{calls} × {connections}",
                    name,
                    f"{statistics.median(rates):,.0f}",
                    f"{min(rates):,.0f} – {max(rates):,.0f}",
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})",
                    f"{statistics.median(result.p50 for result in results):,.0f}",
                    f"{statistics.median(result.p99 for result in results):,.0f}",
                    f"{statistics.median(result.share for result in results):.0%}",
                )
            )
    head = ("calls × lines", "server", "verdicts/s", "min – max", "× bare", "p50 µs", "p99 µs", "client's core")
    return table(head, rows)
