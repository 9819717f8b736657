"""What the demo needs around its gateway: a throw-away folder, a whole node, Kamailio where it is installed.

Everything started here is ended here, by process id, in the reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from hutong.app.demo import city_plan
from hutong.app.demo.gateway import Route
from hutong.app.demo.people import ENTERPRISE, ENTERPRISE_RANGE, TRUNKS
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import ROLE_TITLES
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import HutongError
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering import Numbering
from hutong.kernel.readiness import READY_LINE, READY_VARIABLE
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOPBACK = "127.0.0.1"
_START_S = 300  # compiled code may have to be made afresh
_PROXY_START_S = 10
_STOP_S = 8
_KAMAILIO_CONFIG = Path(__file__).resolve().parents[4] / "deploy" / "kamailio" / "kamailio.cfg"


class DemoError(HutongError):
    """The demo cannot start what it needs."""


class Places(Struct, frozen=True):
    """Where everything listens."""

    web: str
    public: str
    codes: str
    stations: str
    sip: int
    mirror: int
    proxy: int
    callees: int
    kamailio: str
    """The program, empty where there is none."""

    @property
    def page(self) -> str:
        """Address of the console."""
        return f"http://{self.web}/"

    @property
    def appeal(self) -> str:
        """Address of the public page where owners of blocked numbers appeal."""
        return f"http://{self.public}/appeal"

    @property
    def phones(self) -> str:
        """Address of the public page of codes."""
        return f"http://{self.codes}/codes/"

    @property
    def route(self) -> Route:
        """Where the gateway sends its calls."""
        first = self.proxy if self.kamailio else self.sip
        return Route(first_hop=(_LOOPBACK, first), through_proxy=bool(self.kamailio), callees=(_LOOPBACK, self.callees))


def trunk_addresses() -> dict[str, str]:
    """The loopback address that each trunk's calls come from."""
    return {name: f"127.0.{10 + i}.1" for i, name in enumerate(TRUNKS)}


def find_places(port: int, *, direct: bool) -> Places:
    """Free ports, the page's as wished where it is free.

    Args:
        port: wished for the page; 0 for any.
        direct: leave Kamailio out even where it is installed.
    """
    web = port
    try:
        socket.create_server((_LOOPBACK, port)).close()
    except OSError:
        web = 0
    sip, mirror, proxy, callees = (_free(socket.SOCK_DGRAM) for _ in range(4))
    ports = [web or _free(socket.SOCK_STREAM), *(_free(socket.SOCK_STREAM) for _ in range(3))]
    console, public, codes, stations = (f"{_LOOPBACK}:{it}" for it in ports)
    kamailio = "" if direct else _kamailio()
    return Places(console, public, codes, stations, sip, mirror, proxy, callees, kamailio)


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _kamailio() -> str:
    program = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return program if program and _KAMAILIO_CONFIG.is_file() else ""


def node_config(places: Places, codes: Path) -> str:
    """The node's configuration file (TOML); `codes`: where one-time codes of appeals go, for want of a gateway."""
    low, high = ENTERPRISE_RANGE
    trunks = [
        f'[[trunks]]\nname = "{name}"\nkind = "{kind}"\nnetworks = ["{trunk_addresses()[name]}/32"]\n'
        + (f'ranges = ["{low}-{high}"]\n' if name == ENTERPRISE else "")
        for name, kind in TRUNKS.items()
    ]
    return "\n".join(
        (
            '[node]\nname = "demo"\n',
            f'[sip]\nlisten = ["udp:{_LOOPBACK}:{places.sip}"]\nnext_hop = "{_LOOPBACK}:{places.callees}"',
            f'redress_url = "http://{places.public}/redress"\n',
            f'[mirror]\nlisten = ["udp:{_LOOPBACK}:{places.mirror}"]\n' if places.kamailio else "",
            '[calls]\nhome_area = "021"\n',
            "[windows]\nmemory_mb = 64\n",
            f'[serve]\nlisten = "{places.web}"\npublic_listen = "{places.public}"\n',
            f'[appeals]\ncode_file = "{codes}"\n',
            f'[codes]\nlisten = "{places.codes}"\n',
            f'[sampling]\nlisten = "{places.stations}"\n',
            '[log]\nlevel = "warning"\n',
            *trunks,
        )
    )


class Surroundings:
    """Starts the node and the proxy; a context manager that ends what it started and removes the folder.

    Args:
        places: where everything listens.
        roaming: subscribers who are abroad, national format; they go into the roaming table.
        keep: leave the folder behind.
    """

    def __init__(self, places: Places, roaming: Sequence[str], *, keep: bool) -> None:
        self._places, self._roaming, self._keep = places, roaming, keep
        self._processes: list[subprocess.Popen[bytes]] = []
        self.folder, self._city = Path(), Path()
        self.password = ""

    def __enter__(self) -> Self:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="hutong-demo-"))
        (self.folder / "hutong.toml").write_text(node_config(self._places, self.codes), encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started, remove the folder."""
        for process in reversed(self._processes):
            _end(process)
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        """The node's data folder."""
        return self.folder / "data"

    @property
    def codes(self) -> Path:
        """The file that one-time codes of appeals are written to."""
        return self.folder / "codes.jsonl"

    async def start(self) -> None:
        """Start the node, then the proxy; returns when both answer.

        Raises:
            DemoError: one of them does not start; what it said is in the folder's .log files.
        """
        self._fill_roaming_table()
        self._invite_people()
        node = (*_hutong(), "up", "--config", str(self.folder / "hutong.toml"), "--data", str(self.data))
        await self._start_ready("hutong", node)
        # Its hours before the demo are over before calls come: both would want the same processor.
        await self._start_ready("city", (sys.executable, "-P", "-m", "hutong.app.demo.city", str(self._city)))
        if self._places.kamailio:
            await self._start_proxy()

    def _fill_roaming_table(self) -> None:
        numbering = Numbering()
        entries = [
            draft(f"+86{number}", numbering=numbering, list="allow", role="caller", reason="roaming", who="demo")
            for number in self._roaming
        ]
        store = ListStore(self.data / "roaming")
        store.open()
        try:
            store.add(entries, SystemClock().wall() // 1_000_000_000)
        finally:
            store.close()

    def _invite_people(self) -> None:
        """An account for each role, named like it, all with one password that this demo makes up."""
        self.password = f"demo-{secrets.token_urlsafe(9)}"
        database = Database(database_url("", self.data))
        database.open()
        try:
            people, now = People(database), SystemClock().wall() // 1_000_000
            for role, titles in ROLE_TITLES.items():
                first = people.add(role, f"{titles['zh']} {titles['en']}", role, now)
                people.set_password(role, first, self.password, now)
            self._city = city_plan.prepare(database, self.folder, f"http://{self._places.stations}", now)
        finally:
            database.close()

    async def _start_ready(self, name: str, command: Sequence[str]) -> None:
        """Start what says when it is ready, and wait for that."""
        read_end, write_end = os.pipe()
        process = self._spawn(name, command, {READY_VARIABLE: str(write_end)}, write_end)
        os.close(write_end)
        try:
            said = await asyncio.wait_for(_first_words(read_end), _START_S)
        except TimeoutError:
            said = b""
        finally:
            os.close(read_end)
        if READY_LINE not in said:
            raise self._failed(name, process)

    async def _start_proxy(self) -> None:
        places, folder = self._places, self.folder
        nodes = folder / "dispatcher.list"
        nodes.write_text(f"1 sip:{_LOOPBACK}:{places.sip}\n", encoding="utf-8")
        # A short name: the path of a Unix socket may have 104 bytes, and the folder may lie deep.
        run = folder / "k"
        run.mkdir()
        defines = {
            "LISTEN": f"udp:{_LOOPBACK}:{places.proxy}",
            "NEXT_HOP": f'"{_LOOPBACK}:{places.callees}"',
            "NODES": f'"{nodes}"',
            "HEP": f'"sip:{_LOOPBACK}:{places.mirror}"',
            "CHILDREN": "2",
        }
        options = [word for name, value in defines.items() for word in ("-A", f"{name}={value}")]
        command = (places.kamailio, "-DD", "-E", "-f", str(_KAMAILIO_CONFIG), "-Y", str(run), "-m", "64", "-M", "8")
        process = self._spawn("kamailio", (*command, "-P", str(run / "kamailio.pid"), *options), {}, None)
        if not await asyncio.to_thread(_answers_options, places.proxy):
            raise self._failed("kamailio", process)

    def _spawn(
        self, name: str, command: Sequence[str], extra: dict[str, str], pass_fd: int | None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  # our own command, or Debian's Kamailio
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **extra},
                pass_fds=() if pass_fd is None else (pass_fd,),
                start_new_session=True,  # a Ctrl-C is for the demo, which then ends the others in order
            )
        self._processes.append(process)
        return process

    def _failed(self, name: str, process: subprocess.Popen[bytes]) -> DemoError:
        log = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        state = "does not become ready" if process.poll() is None else f"ended with status {process.returncode}"
        tail = "\n  ".join(log[-8:])
        return DemoError(f"{name} {state}.", fix=f"It said:\n  {tail}" if tail else "It said nothing.")


async def _first_words(pipe: int) -> bytes:
    """What a pipe's other end writes first, empty when it closes it. Not in a thread: those cannot be called off."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(pipe)
    return os.read(pipe, 64)


def _hutong() -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "hutong")


def _answers_options(port: int) -> bool:
    """Whether the proxy answers an OPTIONS in time."""
    request = (
        f"OPTIONS sip:{_LOOPBACK}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {_LOOPBACK};rport;branch=z9hG4bK-ready\r\n"
        f"From: <sip:demo@{_LOOPBACK}>;tag=1\r\nTo: <sip:{_LOOPBACK}>\r\nCall-ID: ready@demo.invalid\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((_LOOPBACK, port))
        client.settimeout(0.25)
        for _ in range(_PROXY_START_S * 4):
            try:
                client.send(request)
                if client.recv(4096).startswith(b"SIP/2.0 200"):
                    return True
            except ConnectionRefusedError:
                # Nobody listens yet; the refusal came at once, so the wait is ours.
                with contextlib.suppress(OSError):
                    client.recv(1)
            except OSError:
                continue
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the one process, which ends its own children; SIGKILL to its group if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
