"""The two engines: empty records, a connection that fills them fast, files out of the page cache, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import create_mock_engine
from sqlalchemy.schema import CreateIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

_PROGRAMS: Final = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)
_USER: Final = "hutong"
_PATIENCE_S: Final = 600
_LASTING: Final = ("shared_buffers=1GB", "max_wal_size=2GB", "wal_level=minimal", "max_wal_senders=0", "jit=off")
_QUICK: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "maintenance_work_mem=1GB")


class Engine(ABC):
    """Records in a folder of their own. `url`: what `Database` takes."""

    name: str
    driver: str
    url: str
    mark: str  # where a value stands in a statement

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def filling(self) -> contextlib.AbstractContextManager[Any]:
        """A connection (PEP 249) that need not survive a power cut, while nobody else is connected."""

    @abstractmethod
    def rest(self) -> None:
        """Whoever is connected let go: stop what serves."""

    @abstractmethod
    def wake(self) -> None:
        """Serve again."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything."""

    # Expressions: `n` counts rows. Numbers alone go in.

    @abstractmethod
    def insert(self, table: str, columns: dict[str, str], first: int, last: int) -> str:
        """A statement that inserts a row for each number."""

    @abstractmethod
    def hex(self, number: str, digits: int) -> str:
        """A number as so many hexadecimal digits."""

    @abstractmethod
    def digits(self, number: str, digits: int) -> str:
        """A number as so many digits."""

    @abstractmethod
    def noise(self, length: int) -> str:
        """Bytes that are others in each row."""

    def index(self, index: sa.Index) -> str:
        """The statement that makes an index."""
        made = create_mock_engine(f"{self.name}+{self.driver}://", lambda *_: None)
        return str(CreateIndex(index).compile(dialect=made.dialect))

    def chill(self) -> None:
        """Take the files out of the page cache."""
        self.rest()
        for file in self.folder.rglob("*"):
            with contextlib.suppress(OSError), file.open("rb") as held:
                os.fsync(held.fileno())
                os.posix_fadvise(held.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.wake()

    def size(self) -> int:
        """Bytes on disk."""
        return sum(it.stat().st_blocks * 512 for it in self.folder.rglob("*") if it.is_file())


class Sqlite(Engine):
    """A file."""

    name, driver, mark = "sqlite", "pysqlite", "?"

    def __init__(self, folder: Path) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="hutong-size-", dir=folder)))
        self._file = self.folder / "records.db"
        self.url = f"sqlite:///{self._file}"

    @contextlib.contextmanager
    def filling(self) -> Iterator[sqlite3.Connection]:
        """See `Engine.filling`."""
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            os.environ["SQLITE_TMPDIR"] = str(self.folder)
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-800000", "locking_mode=EXCLUSIVE"):
                connection.execute(f"PRAGMA {pragma}")
            yield connection
            connection.execute("PRAGMA locking_mode=NORMAL")
            connection.execute("PRAGMA journal_mode=WAL")

    def rest(self) -> None:
        """See `Engine.rest`."""

    def wake(self) -> None:
        """See `Engine.wake`."""

    def close(self) -> None:
        """See `Engine.close`."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def insert(self, table: str, columns: dict[str, str], first: int, last: int) -> str:
        """See `Engine.insert`."""
        return (
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608  # names and numbers of our own
            f"WITH RECURSIVE it (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM it WHERE n < {last - 1}) "
            f"SELECT {', '.join(columns.values())} FROM it"
        )

    def hex(self, number: str, digits: int) -> str:
        """See `Engine.hex`."""
        return f"printf('%0{digits}x', {number})"

    def digits(self, number: str, digits: int) -> str:
        """See `Engine.digits`."""
        return f"printf('%0{digits}d', {number})"

    def noise(self, length: int) -> str:
        """See `Engine.noise`."""
        return f"randomblob({length})"


class Postgresql(Engine):
    """A server of its own, as Debian's package has it."""

    name, driver, mark = "postgresql", "psycopg", "%s"

    def __init__(self, folder: Path) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="hutong-pg-", dir=folder)))
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._servant: list[str] = []
        for above in (*self.folder.parents[:-1], self.folder):
            if above.is_relative_to(tempfile.gettempdir()) and above != Path(tempfile.gettempdir()):
                above.chmod(above.stat().st_mode | 0o011)  # the server's user goes through
        if os.geteuid() == 0:  # which `initdb` refuses
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._servant = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        self._run("initdb", "--pgdata", str(self.folder / "data"), "--username", _USER, "--auth=trust", "--no-sync")
        self.wake()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", _USER, "records")

    def _run(self, program: str, *arguments: str) -> bool:
        assert _PROGRAMS is not None, "postgresql is not installed"  # noqa: S101  # a bench
        command = [*self._servant, str(_PROGRAMS / program), *arguments]
        return not subprocess.run(command, cwd="/", capture_output=True, check=program != "pg_isready").returncode

    def _start(self, options: tuple[str, ...]) -> None:
        if not self.url:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._port = probe.getsockname()[1]
            self.url = f"postgresql://{_USER}@127.0.0.1:{self._port}/records"
        listening = ("listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories=")
        settings = [part for option in (*listening, *options) for part in ("-c", option)]
        command = [*self._servant, str(_PROGRAMS) + "/postgres", "-D", str(self.folder / "data"), *settings]
        self._process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        began = time.monotonic()
        while not self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)):
            if time.monotonic() - began > _PATIENCE_S or self._process.poll() is not None:
                raise RuntimeError("PostgreSQL does not start")
            time.sleep(0.05)

    @contextlib.contextmanager
    def filling(self) -> Iterator[psycopg.Connection[Any]]:
        """See `Engine.filling`."""
        self.rest()
        self._start((*_LASTING, *_QUICK))
        with contextlib.closing(psycopg.connect(self.url, autocommit=True)) as connection:
            yield connection
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
        self.rest()
        self.wake()

    def rest(self) -> None:
        """See `Engine.rest`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def wake(self) -> None:
        """See `Engine.wake`."""
        self._start(_LASTING)

    def close(self) -> None:
        """See `Engine.close`."""
        self.rest()
        shutil.rmtree(self.folder, ignore_errors=True)

    def insert(self, table: str, columns: dict[str, str], first: int, last: int) -> str:
        """See `Engine.insert`."""
        return (
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608  # names and numbers of our own
            f"SELECT {', '.join(columns.values())} FROM generate_series({first}::bigint, {last - 1}) AS it (n)"
        )

    def hex(self, number: str, digits: int) -> str:
        """See `Engine.hex`."""
        return f"lpad(to_hex({number}), {digits}, '0')"

    def digits(self, number: str, digits: int) -> str:
        """See `Engine.digits`."""
        return f"lpad(({number})::text, {digits}, '0')"

    def noise(self, length: int) -> str:
        """See `Engine.noise`."""
        blob, rest = "uuid_send(gen_random_uuid())", length - 16
        return f"{blob} || '\\x{'5a' * rest}'::bytea" if rest > 0 else f"substr({blob}, 1, {length})"


ENGINES: Final[dict[str, type[Engine]]] = {"sqlite": Sqlite, "postgresql": Postgresql}
