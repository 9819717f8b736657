"""What is compared, as real processes on one core: Hutong with its edge; without admission; behind a plain rate limit.

All of them ask one PostgreSQL, which keeps what it commits on disk, and one data folder. The last two are the same
processes of Hutong without a gate, behind an nginx of their own each.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import psycopg
from tests.e2e.processes import HUTONG, Process, free_port, hutong
from tests.postgres import running_postgres

from bench.crowd.processor import Reading, read
from bench.load import pinned
from hutong.app.edge.writing import NAMES
from hutong.kernel.overload.classes import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVING, ASKING = 0, 1
"""The cores of what serves and of the generator."""

HERE: Final = Path(__file__).resolve().parent
_NGINX: Final = "/usr/sbin/nginx"
_SETTINGS: Final = """\
[node]
name = "crowd"

[records]
url = "{records}"

[codes]
listen = "127.0.0.1:{codes}"

[sampling]
listen = "127.0.0.1:{stations}"

[edge]
listen = "127.0.0.1:{public_edge}"
application = "127.0.0.1:{codes}"
workers = 1
stations_listen = "127.0.0.1:{stations_edge}"
stations_application = "127.0.0.1:{stations}"
connections = 65000

[overload]
window_s = 10
horizon_s = 60
"""
#: As the edge is, without Lua: listeners, connections kept, nothing logged.
_PLAIN: Final = """\
user root;
worker_processes 1;
pid {name}.pid;
error_log {name}.err crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {name}-body;
    proxy_temp_path {name}-proxy;
    fastcgi_temp_path {name}-fastcgi;
    uwsgi_temp_path {name}-uwsgi;
    scgi_temp_path {name}-scgi;
    keepalive_timeout 20s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 8 16k;
    proxy_connect_timeout 1s;
    proxy_read_timeout 10s;
    {zone}
    upstream codes {{ server 127.0.0.1:{codes} max_fails=0; keepalive 64; }}
    upstream stations {{ server 127.0.0.1:{stations} max_fails=0; keepalive 64; }}
    server {{ listen 127.0.0.1:{public_edge} backlog=4096; location / {{ {limit} proxy_pass http://codes; }} }}
    server {{ listen 127.0.0.1:{stations_edge} backlog=4096; location / {{ {limit} proxy_pass http://stations; }} }}
}}
"""
_ZONE: Final = "limit_req_zone $nginx_version zone=all:1m rate={rate}r/s; limit_req_status 503;"
_LIMIT: Final = "limit_req zone=all burst={burst} nodelay;"
#: An instance is at rest when all that serves takes less than this share of the core.
_RESTING: Final = 0.08
_LOOK_S: Final = 0.25
#: Of 16 MB: more than all rounds write.
_LOG_FILES: Final = 64
_MOST_REST_S: Final = 15.0


class Service(NamedTuple):
    """One of those compared: its name, the ports of its classes, and those behind its edge."""

    name: str
    ports: dict[Kind, int]
    behind: dict[Kind, int]


class Services:
    """All of them; a context.

    Args:
        folder: with a short path, for sockets.

    Attributes:
        data: the data folder. records: URL of the records.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.data = folder, folder / "data"
        self.data.mkdir()
        self._stack = ExitStack()
        self._roots: dict[str, list[int]] = {}
        self._ports: dict[str, dict[str, int]] = {}
        self.records = ""

    def __enter__(self) -> Self:
        """Start the database, write settings."""
        with pinned(SERVING), ExitStack() as stack:
            server = stack.enter_context(running_postgres(lasting=True))
            self.records = server.url()
            _make_log_files(self.records)
            (self._folder / "hutong.toml").write_text(self._settings("hutong"), "utf-8")
            (self._folder / "straight.toml").write_text(self._settings("straight"), "utf-8")
            self._stack = stack.pop_all()
        self._roots["records"] = [int((server.folder / "data" / "postmaster.pid").read_text().split()[0])]
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._stack.close()

    @property
    def config(self) -> Path:
        """The settings of Hutong."""
        return self._folder / "hutong.toml"

    def start(self, *, straight: bool) -> None:
        """Start Hutong, and where asked the same without a gate."""
        with pinned(SERVING):
            place = ["--config", str(self.config), "--data", str(self.data)]
            self._process("codes", [*HUTONG, "codes", "serve", *place])
            self._process("stations", [*HUTONG, "sampling", "serve", *place])
            hutong("edge", "write", *place)
            edge = self.data / "edge"
            for name in NAMES:
                command = [_NGINX, "-p", str(edge), "-c", str(edge / f"{name}.conf"), "-g", "daemon off;"]
                self._nginx(f"nginx-{name}", command, edge / "run" / f"{name}.sock")
            if straight:
                for name in ("codes", "stations"):
                    program = [sys.executable, str(HERE / "straight.py"), name]
                    self._process(f"straight-{name}", [*program, str(self._folder / "straight.toml"), str(self.data)])

    def hutong(self) -> Service:
        """The service itself."""
        return _service("hutong", self._ports["hutong"])

    def straight(self) -> Service:
        """Without admission: nginx passes everything on."""
        return self._plain("without admission", "straight", "", "")

    def limited(self, rate: float) -> Service:
        """Behind nginx's own limit of so many requests a second, whatever they are."""
        zone = _ZONE.format(rate=max(round(rate), 1))
        return self._plain("rate limit", "limited", zone, _LIMIT.format(burst=max(round(rate / 5), 1)))

    def read(self) -> Reading:
        """Processor time so far."""
        return read(self._roots, SERVING)

    def rest(self) -> float:
        """Wait until nothing is left to do; seconds."""
        began, before = time.monotonic(), self.read()
        while (spent := time.monotonic() - began) < _MOST_REST_S:
            time.sleep(_LOOK_S)
            now = self.read()
            if sum(now.since(before).parts.values()) < _RESTING * _LOOK_S:
                return spent
            before = now
        return spent

    def _settings(self, name: str) -> str:
        own = self._ports[name] = {it: free_port() for it in ("codes", "stations", "public_edge", "stations_edge")}
        return _SETTINGS.format(records=self.records, **own)

    def _plain(self, title: str, name: str, zone: str, limit: str) -> Service:
        mine = {**self._ports["straight"], "public_edge": free_port(), "stations_edge": free_port()}
        file = self._folder / f"{name}.conf"
        file.write_text(_PLAIN.format(name=name, zone=zone, limit=limit, **mine), "utf-8")
        command = [_NGINX, "-p", str(self._folder), "-c", str(file), "-g", "daemon off;"]
        with pinned(SERVING):
            self._nginx(f"nginx-{name}", command, self._folder / f"{name}.pid")
        return _service(title, mine)

    def _process(self, name: str, command: Sequence[str]) -> None:
        process = Process(name, command, self._folder)
        self._stack.callback(process.stop)
        process.start_until_ready()
        self._roots.setdefault(name.removeprefix("straight-"), []).append(process.pid)

    def _nginx(self, name: str, command: Sequence[str], sign: Path) -> None:
        process = Process(name, command, self._folder)
        self._stack.callback(process.stop)
        process.launch()
        process.wait_until(sign.exists)
        self._roots.setdefault("nginx", []).append(process.pid)


def _make_log_files(records: str) -> None:
    """As on a server that has run for a while: files for its log are there, and none is made while it is asked."""
    with psycopg.connect(records, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET min_wal_size = '{_LOG_FILES * 16}MB'")
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(_LOG_FILES):
            connection.execute("SELECT pg_logical_emit_message(false, 'bench', 'x'), pg_switch_wal()")
        connection.execute("CHECKPOINT")


def _service(name: str, ports: dict[str, int]) -> Service:
    def of(public: str, stations: str) -> dict[Kind, int]:
        return {kind: ports[stations if kind is Kind.CRITICAL else public] for kind in Kind}

    return Service(name, of("public_edge", "stations_edge"), of("codes", "stations"))
