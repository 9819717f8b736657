"""A real PostgreSQL from Debian's package, on a socket and a loopback port of its own, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)
USER, PASSWORD = "hutong", "not-for-messages"
_PATIENCE = 60.0
_LASTING = ("max_connections=60",)
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "shared_buffers=16MB")


class Postgres:
    """A server; `url(name)` makes a database that is empty."""

    def __init__(
        self, folder: Path, port: int, environment: dict[str, str], servant: list[str], options: tuple[str, ...]
    ) -> None:
        self._environment = environment
        self._servant = servant
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = folder
        self.port = port
        self._made = 0

    def start(self) -> None:
        """Start it, again if need be, and wait until it answers."""
        assert PROGRAMS is not None
        listening = ("listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}")
        settings = [part for option in (*listening, *self._options) for part in ("-c", option)]
        command = [*self._servant, str(PROGRAMS / "postgres"), "-D", str(self.folder / "data"), *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, cwd="/", stdout=log, stderr=log)
        _await_ready(self, self._process)

    def kill(self) -> None:
        """SIGKILL to all of it, as a power cut would."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def url(self) -> str:
        """The address of a new, empty database, by TCP and password."""
        self._made += 1
        name = f"records{self._made}"
        self.run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", USER, name)
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def run(self, program: str, *arguments: str) -> None:
        assert PROGRAMS is not None
        command = [*self._servant, str(PROGRAMS / program), *arguments]
        done = subprocess.run(command, env=self._environment, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def running_postgres(*, lasting: bool = False) -> Iterator[Postgres]:
    """A server in a folder of its own; what it commits is on disk if `lasting`.

    `initdb` refuses root, so root lets an ordinary user run it.
    """
    assert PROGRAMS is not None
    folder = Path(tempfile.mkdtemp(prefix="hutong-pg-"))  # short: a socket's path has 107 bytes
    servant: list[str] = []
    if os.geteuid() == 0:
        name = next(name for name in ("postgres", "nobody") if _exists(name))
        account = pwd.getpwnam(name)
        os.chown(folder, account.pw_uid, account.pw_gid)
        servant = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": PASSWORD, "HOME": str(folder)}
    server = Postgres(folder, port, environment, servant, _LASTING if lasting else _QUICK)
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o644)
    try:
        server.run(
            "initdb",
            f"--pgdata={folder / 'data'}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
        )
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def _await_ready(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(int(_PATIENCE / 0.05)):
        assert process.poll() is None, (server.folder / "log").read_text()
        try:
            server.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(server.port))
        except AssertionError:
            pause.wait(0.05)
        else:
            return
    raise AssertionError((server.folder / "log").read_text())
