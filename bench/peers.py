"""The servers that are measured: each started by its own command on loopback, free to use every core."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
HUTONG = [sys.executable, "-m", "hutong"]
STARTING = 180.0
"""Seconds for a server to start: on a new machine Hutong first compiles its kernels."""

_CONFIG = """\
[windows]
memory_mb = {memory_mb}

[[trunks]]
name = "bench"
kind = "inter-network"
networks = ["198.51.100.0/24"]
"""


def free_port() -> int:
    """A UDP port of the loopback that is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """A server under test: `start` returns when it answers, `stop` when it is gone."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self._log = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def _launch(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, **options)  # type: ignore[call-overload]
        return self._child

    @abstractmethod
    def start(self) -> None:
        """Start the server."""

    def stop(self, *, hard: bool = False) -> None:
        """End it: SIGTERM, or SIGKILL when `hard` or when it does not go within 20 s."""
        if self._child is None:
            return
        if hard:
            self._child.kill()
        self._child.terminate()
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _failed(self) -> RuntimeError:
        return RuntimeError(f"{self.name} did not start:\n{self._log.read_text('utf-8', 'replace')[-2000:]}")

    def _await_answer(self, request: bytes, reply: bytes) -> None:
        """Send `request` until an answer begins with `reply`; every time as a call of its own."""
        deadline = time.monotonic() + STARTING
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.01)
            own = b"%d" % probe.getsockname()[1]
            tries = itertools.count()
            while time.monotonic() < deadline and self._child and self._child.poll() is None:
                call = request.replace(b"TRY", b"%d" % next(tries)).replace(b"OWN", own)
                probe.sendto(call, ("127.0.0.1", self.port))
                with contextlib.suppress(OSError):
                    if probe.recv(4096).startswith(reply):
                        return
        raise self._failed()


class Echo(Server):
    """The raw UDP echo of `echo_peer`."""

    def start(self) -> None:
        """Start it and wait for its first echo."""
        self._launch([sys.executable, "-m", "bench.echo_peer", str(self.port)], cwd=HERE.parent)
        self._await_answer(b"hello", b"hello")


class Kamailio(Server):
    """Kamailio 5.6 with kamailio_peer.cfg."""

    def __init__(self, folder: Path) -> None:
        super().__init__("kamailio", folder)
        self._run = folder / "kamailio"
        self._run.mkdir()

    def start(self) -> None:
        """Start it and wait for its first answer."""
        run = str(self._run)
        places = ["-Y", run, "-w", run, "-P", f"{run}/pid"]
        listen = ["-l", f"udp:127.0.0.1:{self.port}", "-m", "1024", "-M", "16", "-DD", "-E"]
        self._launch(["kamailio", "-f", str(HERE / "kamailio_peer.cfg"), *listen, *places])
        self._await_answer(_invite("13800000000"), b"SIP/2.0 302")


class Hutong(Server):
    """`hutong calls screen` with its shipped rules, one trunk, and windows of `memory_mb`.

    It has started when it says READY and then gives a call from `listed`, where there is one, its right answer.
    """

    def __init__(self, folder: Path, *, memory_mb: int, name: str = "hutong", listed: str = "") -> None:
        super().__init__(name, folder)
        self._probe = (_invite(listed), b"SIP/2.0 608") if listed else (_invite("13800000000"), b"SIP/2.0 302")
        self.data = folder / f"{name}-data"
        self._config = folder / f"{name}.toml"
        self._config.write_text(_CONFIG.format(memory_mb=memory_mb))

    def start(self) -> None:
        """Start it and wait for READY and the first answer."""
        reader, writer = os.pipe()
        listen = ["--listen", f"udp:127.0.0.1:{self.port}", "--config", str(self._config)]
        command = [*HUTONG, "calls", "screen", "--data", str(self.data), *listen]
        environment = {**os.environ, "HUTONG_READY_FD": str(writer)}
        self._launch(command, pass_fds=(writer,), env=environment)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            ready, _, _ = select.select([pipe], [], [], STARTING)
            if not ready or pipe.read(6) != b"READY\n":
                self.stop()
                raise self._failed()
        self._await_answer(*self._probe)

    @property
    def settings(self) -> str:
        """Its settings file."""
        return self._config.read_text("utf-8")

    def command(self, *arguments: str) -> str:
        """Run another `hutong` command on the same data folder; returns what it printed."""
        command = [*HUTONG, *arguments, "--data", str(self.data)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _invite(caller: str) -> bytes:
    """One ordinary call; OWN stands for the port that the answer is to come to, TRY for what makes it unique."""
    return (
        "INVITE sip:13900000000@192.0.2.10 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:OWN;branch=z9hG4bK-TRY-OWN\r\n"
        "Max-Forwards: 69\r\n"
        f"From: <sip:{caller}@198.51.100.20>;tag=a\r\n"
        "To: <sip:13900000000@192.0.2.10>\r\n"
        f"Call-ID: TRY-OWN\r\n"
        "CSeq: 1 INVITE\r\n"
        f"Contact: <sip:{caller}@198.51.100.20:5060>\r\n"
        "X-Hutong-Source: 198.51.100.20\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def has_kamailio() -> bool:
    """Whether the peer is installed here."""
    return shutil.which("kamailio") is not None
