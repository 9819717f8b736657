"""The connection to the records: opening, transactions, errors. No query belongs here.

Both engines give a reader one unchanging view and a writer one transaction; SQLite has one writer at a time, so writers
of this process queue here and those of other processes wait for the file.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hutong.kernel.errors import HutongError
from hutong.kernel.records import upgrade
from hutong.kernel.reporter import mask_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import ConnectionPoolEntry

__all__ = ["MOST_CONNECTIONS", "Connection", "Database", "RecordsError", "database_url"]

_WAIT_S = 10  # how long a writer waits for another before it gives up
_CONNECT_S = 5
#: Connections of a process at once, and as many of them as are kept when nobody needs them.
MOST_CONNECTIONS = 20
_KEPT = 5
#: Sent to PostgreSQL at connecting: no statement of a page, and no forgotten transaction, may hold rows for long.
_SESSION = f"-c statement_timeout=30s -c lock_timeout={_WAIT_S}s -c idle_in_transaction_session_timeout=60s"
_WRITES = "hutong_writes"
_HOLD = sa.text(
    "SELECT pg_advisory_xact_lock(hashtext('hutong'), key) FROM "
    "(SELECT DISTINCT hashtext(name) AS key FROM unnest(CAST(:names AS text[])) AS name ORDER BY 1) AS held"
)
_READS: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
#: What a statement did wrong, rather than the database.
_MISTAKES = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.InternalError)


class RecordsError(HutongError):
    """The records cannot be reached, read or written, or are of a version that this one does not know."""


def database_url(url: str, data: Path) -> str:
    """What `Database` takes: the setting `records.url`, or where it is empty SQLite in the data folder."""
    return url or f"sqlite:///{data.absolute() / 'records.db'}"


class Database:
    """The records at a URL: `sqlite:////absolute/path` or `postgresql://user:password@host:port/database`.

    Safe to use from many threads; inert until opened. No message of it holds a password or a bound value.

    Args:
        kept: connections that stay open once they were needed, `MOST_CONNECTIONS` at most. Making one costs PostgreSQL
            more than a few reads, which a process that a crowd asks would pay again and again.

    Raises:
        RecordsError: the URL is empty or of another kind.
    """

    def __init__(self, url: str, *, kept: int = _KEPT) -> None:
        self._kept = kept
        self._url = _read_url(url)
        self._engine: Engine | None = None
        self._writer = threading.Lock()
        self._mine = threading.local()

    @property
    def place(self) -> str:
        """Where the records are, without user and password."""
        if self.is_sqlite:
            return self._url.database or ""
        host = self._url.query.get("host") or self._url.host or "localhost"
        port = f":{self._url.port}" if self._url.port else ""
        return f"postgresql://{host}{port}/{self._url.database}"

    @property
    def is_sqlite(self) -> bool:
        """Whether the records are a file of this machine."""
        return self._url.get_backend_name() == "sqlite"

    def open(self) -> None:
        """Connect, and bring the tables to this version; other processes may do so at the same time.

        Raises:
            RecordsError: not reachable, not writable, or written by a newer version.
        """
        if self._engine is not None:
            return
        self._engine = self._sqlite() if self.is_sqlite else self._postgresql()
        try:
            if self.is_sqlite:
                with self._alone():
                    self._migrate()
            else:
                self._migrate()
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        with self.read() as connection:
            state = upgrade.state_of(connection)
        if state is upgrade.State.OLD:
            with self.write() as connection:
                self.hold(connection, "migration")
                if not self.is_sqlite:
                    connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                state = upgrade.run(connection)
        if state is upgrade.State.NEWER:
            raise RecordsError(
                "These records were written by a newer version of Hutong.",
                where=self.place,
                fix="Start that version, or restore a backup that this version made.",
            )

    def close(self) -> None:
        """Let go of every connection; a second call does nothing."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the records and changes nothing; within `write`, the writer's own.

        Within another `read` of this thread it is that one's: what is asked together is one view and one transaction.

        Raises:
            RecordsError: the database fails.
        """
        outer = self._current() or self._viewing()
        if outer is not None:
            with self._told():
                yield outer
            return
        with self._told(), self._opened().connect() as connection:
            reading = connection if self.is_sqlite else connection.execution_options(**_READS)
            with reading.begin():
                self._mine.view = reading
                try:
                    yield reading
                finally:
                    self._mine.view = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, kept when the block ends and undone when it raises; durable once this returns.

        Within another `write` of this thread the block joins that one, so that a change and its line in the trail
        stand or fall together; an inner block that raises undoes only itself. The block must not await: what else runs
        in this thread meanwhile would join it. Within a `read` there is no writing: it would need a second connection,
        which threads that all hold a first one would wait for in vain, and that view would not see it.

        Raises:
            RecordsError: the database fails, or another writer keeps it for more than 10 s.
            RuntimeError: within `read`.
        """
        outer = self._current()
        if outer is not None:
            with self._told(), outer.begin_nested():
                yield outer
            return
        if self._viewing() is not None:
            raise RuntimeError("A write within a read.")
        with self._told(), self._turn(), self._opened().connect() as connection:
            writing = connection.execution_options(**{_WRITES: True})
            with writing.begin():
                self._mine.connection = writing
                try:
                    yield writing
                finally:
                    self._mine.connection = None

    def hold(self, connection: Connection, *names: str) -> None:
        """Within `write`: wait until no other transaction holds these names, and hold them to the end.

        For what a row lock cannot guard, such as "nobody exists yet". SQLite has one writer anyway. Several names are
        held in one order, whoever asks, so that those who hold what each other wants cannot be; ask once.
        """
        if not self.is_sqlite:
            connection.execute(_HOLD, {"names": list(names)})

    # Engines

    def _sqlite(self) -> Engine:
        path = Path(self._url.database or "")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_file(path)
        except OSError as error:
            raise RecordsError(
                f"The records cannot be opened: {error.strerror}.",
                where=str(path),
                fix="Check that this user may write there.",
            ) from error
        engine = self._engine_of(connect_args={"timeout": _WAIT_S, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _postgresql(self) -> Engine:
        arguments = {
            "connect_timeout": _CONNECT_S,
            "options": _SESSION,
            "application_name": "hutong",
            # A machine that is gone says nothing: without these TCP waits for it a quarter of an hour. One that takes
            # nothing in while a statement waits for a lock is there: that wait must end first.
            "tcp_user_timeout": (_WAIT_S + _CONNECT_S) * 1000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }
        given = {name: value for name, value in arguments.items() if name not in self._url.query}
        engine = self._engine_of(connect_args=given)
        event.listen(engine, "checkin", _note_used)
        event.listen(engine, "checkout", _check_alive)
        return engine

    def _engine_of(self, **options: Any) -> Engine:  # noqa: ANN401  # the library's own options
        try:
            return sa.create_engine(
                self._url,
                hide_parameters=True,
                pool_size=self._kept,
                max_overflow=MOST_CONNECTIONS - self._kept,
                pool_timeout=_WAIT_S,
                **options,
            )
        except ModuleNotFoundError as error:
            raise RecordsError(
                "PostgreSQL needs the driver psycopg, which is not installed.",
                where=self.place,
                fix="Install hutong[postgresql].",
            ) from error

    # Turns and errors

    def _opened(self) -> Engine:
        if self._engine is None:
            raise RecordsError("The records are not open.", where=self.place)
        return self._engine

    def _current(self) -> Connection | None:
        return getattr(self._mine, "connection", None)

    def _viewing(self) -> Connection | None:
        return getattr(self._mine, "view", None)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer of this process after the other: waiting for SQLite's file is by chance, not in order."""
        if not self.is_sqlite:
            yield
            return
        if not self._writer.acquire(timeout=_WAIT_S):
            raise RecordsError("The records are busy with another change.", where=self.place, fix="Try again.")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process opens the same SQLite file: two that switch it to WAL at once would both fail."""
        path = Path(self._url.database or "")
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the driver says, in our words; wrong statements and broken constraints stay as they are."""
        try:
            yield
        except (sa.exc.DatabaseError, sa.exc.InterfaceError, PoolTimeout) as error:
            if isinstance(error, _MISTAKES):
                raise
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise RecordsError(
                f"The records fail: {_one_line(cause)}.",
                where=self.place,
                fix="Check that the database runs, that the settings name it rightly, and that its disk is not full.",
            ) from error


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
        if url.get_backend_name() == "sqlite" and url.database:
            return url.set(drivername="sqlite+pysqlite")
        if url.get_backend_name() == "postgresql" and url.database:
            return url.set(drivername="postgresql+psycopg")
    except (ArgumentError, NoSuchModuleError, ValueError):
        pass
    raise RecordsError(
        "This is not the address of a database.",
        where="records.url",
        fix="Write it like postgresql://user:password@host:5432/database, or leave it empty for SQLite.",
    ) from None


def _make_file(path: Path) -> None:
    """Make the file before SQLite does, which would let the group read it; its side files take over mode and owner."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    else:
        if os.geteuid() == 0:  # a command that root gave must not keep the node's own user out
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    os.close(descriptor)


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401  # a sqlite3.Connection
    connection.isolation_level = None  # transactions begin where we say, not where the driver thinks
    for pragma in (f"busy_timeout={_WAIT_S * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first and then writes would fail where another wrote meanwhile.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql(f"PRAGMA query_only={0 if writes else 1}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _note_used(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info["used"] = True


def _check_alive(connection: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401  # of psycopg
    # Who was asked nothing says nothing: what can be read from a connection at rest is that it was cut. That is known
    # without asking the server, which would take as long as a short question itself.
    if "used" in entry.info and (connection.closed or _has_news(connection.fileno())):
        raise InvalidatePoolError("The server has cut this connection.")


def _has_news(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _one_line(error: BaseException | None) -> str:
    return mask_text(" ".join(str(error).split())).rstrip(".")
