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
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "shared_buffers=16MB")


class Postgres:
    """A server; `url(name)` makes a database that is empty."""

    def __init__(self, folder: Path, port: int, environment: dict[str, str], servant: list[str]) -> None:
        self._environment = environment
        self._servant = servant
        self.folder = folder
        self.port = port
        self._made = 0

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
def running_postgres() -> Iterator[Postgres]:
    """A server in a folder of its own. `initdb` refuses root, so root lets an ordinary user run it."""
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
    server = Postgres(folder, port, environment, servant)
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o644)
    process = None
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
        options = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", *_QUICK)
        settings = [part for option in options for part in ("-c", option)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*servant, str(PROGRAMS / "postgres"), "-D", str(folder / "data"), *settings],
                env=environment,
                cwd="/",
                stdout=log,
                stderr=log,
            )
        _await_ready(server, process)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # fast shutdown: whoever is connected is cut off
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
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
