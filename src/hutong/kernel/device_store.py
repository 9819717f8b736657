"""The durable file of one device that works without the node: SQLite with `synchronous=FULL`. No query belongs here.

What was answered survives `kill -9` and a power cut; several processes may write in turn; what was deleted is
overwritten in the file, so that nobody who finds the device reads what left it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import StateError
from hutong.kernel.key_files import give_to_owner, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAIT_S: Final = 10


class DeviceStore:
    """A file of tables. Inert until made or opened; no message of it holds a bound value.

    Args:
        path: the file. tables: statements that make the tables. version: of their form.
    """

    def __init__(self, path: Path, tables: str, version: int) -> None:
        self.path, self._tables, self._version = path, tables, version
        self._connection: sqlite3.Connection | None = None

    def make(self) -> None:
        """Lay the file out, for its owner alone, and open it.

        Raises:
            StateError: it is there already, or cannot be made.
        """
        try:
            make_folder(self.path.parent, 0o700)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                give_to_owner(descriptor, self.path.parent)
            finally:
                os.close(descriptor)
        except FileExistsError:
            raise StateError("There is a store already.", where=str(self.path), fix="Choose another folder.") from None
        except OSError as error:
            raise StateError(f"The store cannot be made: {error.strerror}.", where=str(self.path)) from error
        with self._told():
            self._connection = self._connect()
            self._connection.executescript(f"BEGIN;{self._tables}PRAGMA user_version={self._version};COMMIT;")
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the file's name, too, must survive a power cut
        finally:
            os.close(folder)

    def open(self) -> None:
        """Open the file; a second call does nothing.

        Raises:
            StateError: there is none, or this version does not know its form.
        """
        if self._connection is not None:
            return
        if not self.path.is_file():
            raise StateError("There is no store here.", where=str(self.path), fix="Prepare the folder first.")
        with self._told():
            connection = self._connect()
            (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found != self._version:
            connection.close()
            raise StateError(f"The store has form {found}, not {self._version}.", where=str(self.path))
        self._connection = connection

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection. Raises StateError where the file fails."""
        with self._told():
            yield self._opened()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable once this returns, undone where the block raises. Raises StateError as above."""
        with self._told():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has undone it already
                    connection.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StateError("The store is not open.", where=str(self.path))
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            what = f"The store fails: {error}."
            raise StateError(what, where=str(self.path), fix="Check disk space and permissions.") from error
