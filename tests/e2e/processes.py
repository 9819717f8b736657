"""Real processes for end-to-end tests: started by command, waited for by asking, stopped by their own id.

Waiting is always waiting *for* something: a pipe, an answer, a process that may end. Nothing here sleeps.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
SERVER_PORTS = (20_000, 32_000)
STARTING = 120.0
"""Seconds a process may take to start: on a new machine Hutong first compiles its kernels."""


def free_port() -> int:
    """A loopback port that is free for both UDP and TCP, IPv4 and IPv6 at this moment.

    Below the range that the system hands out by itself, so that nobody takes it while its server is being restarted.
    """
    for port in random.sample(range(*SERVER_PORTS), 50):
        with contextlib.ExitStack() as stack:
            every = (
                (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
                (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
                (socket.AF_INET6, socket.SOCK_DGRAM, "::1"),
                (socket.AF_INET6, socket.SOCK_STREAM, "::1"),
            )
            try:
                for family, kind, host in every:
                    stack.enter_context(socket.socket(family, kind)).bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no loopback port is free for UDP and TCP at once")


class Process:
    """One child process with its output in a file. `start` returns when `ready` says so."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The operating system's number for it."""
        return self.child.pid

    @property
    def child(self) -> subprocess.Popen[bytes]:
        """The running child."""
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child

    def launch(self, *, pass_fds: Sequence[int] = (), env: dict[str, str] | None = None) -> None:
        """Start it and return at once."""
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                env={**os.environ, "TERM": "dumb", **(env or {})},
                cwd=self.log.parent,
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float = STARTING) -> None:
        """Ask `ready` until it is true; fails with the process's own words when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=0.02)
                raise AssertionError(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")
            assert time.monotonic() < deadline, f"{self.name} was not ready in {seconds} s:\n{self.tail()}"

    def finish(self, seconds: float) -> int:
        """Wait for it to end by itself; returns its exit status."""
        try:
            return self.child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end in {seconds} s:\n{self.tail()}") from None

    def start_until_ready(self) -> None:
        """Start and wait for the READY that processes of `hutong` write."""
        reader, writer = os.pipe()
        try:
            self.launch(pass_fds=(writer,), env={"HUTONG_READY_FD": str(writer)})
            os.close(writer)
            writer = -1
            ready, _, _ = select.select([reader], [], [], STARTING)
            said = os.read(reader, 16) if ready else b""
            assert said == b"READY\n", f"{self.name} did not become ready:\n{self.tail()}"
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)

    def kill(self) -> None:
        """SIGKILL: as a power cut, or the kernel short of memory, would."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def stop(self, seconds: float = 10.0) -> None:
        """SIGTERM, and SIGKILL for one that does not go."""
        if self._child is None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text("utf-8", "replace")[-4000:] if self.log.exists() else ""


class HutongNode(Process):
    """`hutong calls screen` on a data folder of its own, at one loopback port over UDP and TCP."""

    def __init__(self, name: str, folder: Path, config: Path, *, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.data = folder / f"{name}-data"
        shown = f"[{host}]" if ":" in host else host
        self.address = f"{shown}:{self.port}"
        listens = [f"--listen={transport}:{self.address}" for transport in ("udp", "tcp")]
        super().__init__(name, [*HUTONG, "calls", "screen", *self._common(config), *listens], folder)

    def _common(self, config: Path) -> list[str]:
        return ["--data", str(self.data), "--config", str(config)]

    def start(self) -> None:
        """Start and wait until it answers calls."""
        self.start_until_ready()


HUTONG = [sys.executable, "-m", "hutong"]


def hutong(*arguments: str) -> str:
    """Run one `hutong` command; returns what it printed, fails with its words when it fails."""
    done = subprocess.run([*HUTONG, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"hutong {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def running(*processes: Process) -> Iterator[None]:
    """Stop every process, whatever happens within."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.stop()
