"""The durable store of one device that scans, an SQLite file with `synchronous=FULL`: it needs no network.

A scan is numbered and kept before anybody is told that it is, many in one transaction where many come at once. It
leaves when the centre says that it has it. What the centre refused stays, with its reason.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.scans.errors import ScanError
from hutong.codes.scans.model import MOST_IN_BATCH, Batch, Scan, Source
from hutong.kernel.key_files import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hutong.codes.scans.model import Answer, Refusal

FILE: Final = "scans.db"
SERIES_BYTES: Final = 8
_WAIT_S: Final = 10
_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE about (device TEXT NOT NULL, series TEXT NOT NULL);
CREATE TABLE scans (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    refused TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL
);
CREATE INDEX scans_refused ON scans (refused, sequence);
"""
_scan: Final = msgspec.json.Decoder(Scan)


class Standing(msgspec.Struct, frozen=True):
    """What a device has: scans that wait to be merged, and those that the centre refused (sequence and why)."""

    waiting: int
    refused: tuple[tuple[int, str], ...]


class Device:
    """The store in a folder. Safe to use from several processes; inert until opened.

    Args:
        folder: the device's.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._connection: sqlite3.Connection | None = None

    def make(self, device: str, randomness: bytes) -> None:
        """Lay the store out.

        Args:
            device: its name. randomness: 8 bytes that nobody can predict.

        Raises:
            ScanError: there is one already, the name will not do, or it cannot be made.
        """
        try:
            source = msgspec.convert({"device": device, "series": randomness.hex()}, Source)
        except msgspec.ValidationError as error:
            raise ScanError("A device has a short name in Latin letters and digits.", where=device[:80]) from error
        try:
            make_folder(self.path.parent, 0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            raise ScanError("There is a device already.", where=str(self.path), fix="Choose another folder.") from None
        except OSError as error:
            raise ScanError(f"The device cannot be made: {error.strerror}.", where=str(self.path)) from error
        with self._told():
            self._connection = self._connect()
            self._connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={_VERSION};COMMIT;")
            with self._write() as connection:
                connection.execute("INSERT INTO about VALUES (?, ?)", (source.device, source.series))
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the file's name, too, must survive a power cut
        finally:
            os.close(folder)

    def open(self) -> None:
        """Open the store.

        Raises:
            ScanError: there is none, or this version does not know its form.
        """
        if self._connection is not None:
            return
        if not self.path.is_file():
            raise ScanError("No device has its scans here.", where=str(self.path), fix="Prepare one first.")
        with self._told():
            self._connection = self._connect()
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found != _VERSION:
            self.close()
            raise ScanError(f"The store has form {found}, not {_VERSION}.", where=str(self.path))

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def source(self) -> Source:
        """Who the device is."""
        with self._told():
            device, series = self._opened().execute("SELECT device, series FROM about").fetchone()
        return Source(device, series)

    def keep(self, made: Sequence[Callable[[int], Scan]]) -> list[Scan]:
        """Keep scans, all or none; durable once this returns.

        Args:
            made: each makes a scan from the number that it gets.
        """
        kept = []
        with self._told(), self._write() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'scans'").fetchone()
            for number, make in enumerate(made, 1 + int(row[0] if row else 0)):
                scan = make(number)
                body = msgspec.json.encode(scan).decode()
                connection.execute("INSERT INTO scans (sequence, body) VALUES (?, ?)", (scan.sequence, body))
                kept.append(scan)
        return kept

    def batch(self, clock_ms: int, limit: int = MOST_IN_BATCH, *, live: bool = True) -> Batch:
        """The oldest scans that wait.

        Args:
            clock_ms: the device's clock now. live: it is sent at once.
        """
        with self._told():
            rows = self._opened().execute(
                "SELECT body FROM scans WHERE refused = '' ORDER BY sequence LIMIT ?", (limit,)
            )
            scans = tuple(_scan.decode(body) for (body,) in rows)
        return Batch(self.source(), clock_ms, scans, live=live)

    def answered(self, answer: Answer) -> None:
        """Let go of what the centre has, and note what it refused.

        Raises:
            ScanError: the answer is another device's.
        """
        if answer.source != self.source():
            raise ScanError("This is the answer to another device.", where=answer.source.device)
        with self._told(), self._write() as connection:
            connection.executemany("DELETE FROM scans WHERE sequence = ?", ((it,) for it in answer.taken))
            connection.executemany(
                "UPDATE scans SET refused = ? WHERE sequence = ?", ((_why(it), it.place) for it in answer.refused)
            )

    def again(self) -> int:
        """Let scans that were refused wait again: what was wrong was put right; gives how many."""
        with self._told(), self._write() as connection:
            return connection.execute("UPDATE scans SET refused = '' WHERE refused <> ''").rowcount

    def standing(self) -> Standing:
        """What the device has."""
        with self._told():
            connection = self._opened()
            (waiting,) = connection.execute("SELECT count(*) FROM scans WHERE refused = ''").fetchone()
            refused = connection.execute("SELECT sequence, refused FROM scans WHERE refused <> '' ORDER BY sequence")
            return Standing(waiting, tuple(refused.fetchall()))

    # The file

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        # What left is overwritten: nobody who finds the device reads who was here last week.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ScanError("The device is not open.", where=str(self.path))
        return self._connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            what = f"The device's store fails: {error}."
            raise ScanError(what, where=str(self.path), fix="Check disk space and permissions.") from error


def _why(refusal: Refusal) -> str:
    return f"{refusal.reason}: {refusal.what}"
