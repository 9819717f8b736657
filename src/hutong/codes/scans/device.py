"""What one device that scans has in its durable store: it needs no network.

A scan is numbered and kept before anybody is told that it is, many in one transaction where many come at once. It
leaves when the centre says that it has it. What the centre refused stays, with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.scans.errors import ScanError
from hutong.codes.scans.model import MOST_IN_BATCH, Batch, Scan, Source
from hutong.kernel.device_store import DeviceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hutong.codes.scans.model import Answer, Refusal

FILE: Final = "scans.db"
SERIES_BYTES: Final = 8
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
        self.store = DeviceStore(folder / FILE, _TABLES, _VERSION)

    def make(self, device: str, randomness: bytes) -> None:
        """Lay the store out.

        Args:
            device: its name. randomness: 8 bytes that nobody can predict.

        Raises:
            ScanError: the name will not do. StateError: there is a store already, or it cannot be made.
        """
        try:
            source = msgspec.convert({"device": device, "series": randomness.hex()}, Source)
        except msgspec.ValidationError as error:
            raise ScanError("A device has a short name in Latin letters and digits.", where=device[:80]) from error
        self.store.make()
        with self.store.write() as connection:
            connection.execute("INSERT INTO about VALUES (?, ?)", (source.device, source.series))

    def open(self) -> None:
        """Open the store. Raises StateError: there is none, or this version does not know its form."""
        self.store.open()

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self.store.close()

    def source(self) -> Source:
        """Who the device is."""
        with self.store.read() as connection:
            device, series = connection.execute("SELECT device, series FROM about").fetchone()
        return Source(device, series)

    def keep(self, made: Sequence[Callable[[int], Scan]]) -> list[Scan]:
        """Keep scans, all or none; durable once this returns.

        Args:
            made: each makes a scan from the number that it gets.
        """
        kept = []
        with self.store.write() as connection:
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
        with self.store.read() as connection:
            rows = connection.execute("SELECT body FROM scans WHERE refused = '' ORDER BY sequence LIMIT ?", (limit,))
            scans = tuple(_scan.decode(body) for (body,) in rows)
        return Batch(self.source(), clock_ms, scans, live=live)

    def answered(self, answer: Answer) -> None:
        """Let go of what the centre has, and note what it refused.

        Raises:
            ScanError: the answer is another device's.
        """
        if answer.source != self.source():
            raise ScanError("This is the answer to another device.", where=answer.source.device)
        with self.store.write() as connection:
            connection.executemany("DELETE FROM scans WHERE sequence = ?", ((it,) for it in answer.taken))
            connection.executemany(
                "UPDATE scans SET refused = ? WHERE sequence = ?", ((_why(it), it.place) for it in answer.refused)
            )

    def again(self) -> int:
        """Let scans that were refused wait again: what was wrong was put right; gives how many."""
        with self.store.write() as connection:
            return connection.execute("UPDATE scans SET refused = '' WHERE refused <> ''").rowcount

    def standing(self) -> Standing:
        """What the device has."""
        with self.store.read() as connection:
            (waiting,) = connection.execute("SELECT count(*) FROM scans WHERE refused = ''").fetchone()
            refused = connection.execute("SELECT sequence, refused FROM scans WHERE refused <> '' ORDER BY sequence")
            return Standing(waiting, tuple(refused.fetchall()))


def _why(refusal: Refusal) -> str:
    return f"{refusal.reason}: {refusal.what}"
