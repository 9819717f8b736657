"""The durable store of one station: an SQLite file of its own with `synchronous=FULL`.

SQLite rather than LMDB: it keeps more small transactions a second on the same disk, its file has no largest size that a
long day could meet, and several commands of a station may write to it in turn. What was answered
survives `kill -9` and a power cut. Events are only ever added; what the centre has taken stays until it is forgotten,
so that a tube's story is whole and the centre can be given everything again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.device_store import DeviceStore
from hutong.sampling import machine
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.fold import Story, fold
from hutong.sampling.model import Deed, Event, HandOver, Kept, Refusal, Register, Seal, Terms, event_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FILE: Final = "station.db"
_RANDOM_BYTES: Final = 8
_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tube TEXT NOT NULL,
    person TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    standing TEXT NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_tube ON events (tube);
CREATE INDEX events_person ON events (person, at_ms) WHERE person <> '';
CREATE INDEX events_standing ON events (standing, sequence) WHERE standing <> 'taken';
"""
_event = msgspec.json.Decoder(Event)


class About(msgspec.Struct, frozen=True):
    """What a station is: its name and district, how it samples, and when people in two tubes are too close."""

    name: str
    district: str = ""
    terms: Terms = Terms()
    apart_ms: int = 12 * 3_600_000


class Standing(msgspec.Struct, frozen=True):
    """What a station has: events in all, of these not yet at the centre, refused there; tubes that are open."""

    events: int
    waiting: int
    refused: tuple[Refusal, ...]
    open: tuple[str, ...]
    last_merge_ms: int


class StationStore:
    """The store in a folder. Safe to use from several processes; inert until opened.

    Args:
        folder: the station's.

    Raises:
        StateError: of what reads or writes, where the file cannot be made, opened, read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._file = DeviceStore(folder / FILE, _TABLES, _VERSION)

    def make(self, about: About) -> None:
        """Lay the store out; there must be none."""
        self._file.make()
        with self._file.write() as connection:
            _set(connection, "about", _json(about))

    def open(self) -> None:
        """Open the store."""
        self._file.open()

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._file.close()

    def about(self) -> About:
        """What this station is."""
        with self._file.read() as connection:
            return _about(connection)

    def do(
        self, deed: Register | Seal | HandOver, by: str, now_ms: int, randomness: bytes, *, twice: bool = False
    ) -> Event:
        """Do something, as soon as the rules allow it; durable once this returns.

        Args:
            randomness: 8 bytes that nobody can predict. twice: the person may be in another tube of today.

        Raises:
            SamplingRefused: says why not.
        """
        (event,) = self.do_all([deed], by, now_ms, [randomness], twice=twice)
        return event

    def do_all(
        self, deeds: Sequence[Deed], by: str, now_ms: int, randomness: Sequence[bytes], *, twice: bool = False
    ) -> list[Event]:
        """Do several things in one transaction: all of them, or none. Raises SamplingRefused."""
        done: list[Event] = []
        with self._file.write() as connection:
            about = _about(connection)
            for deed, chance in zip(deeds, randomness, strict=True):
                sequence = _next(connection)
                of = event_id(about.name, sequence, chance[:_RANDOM_BYTES])
                event = Event(id=of, station=about.name, sequence=sequence, at_ms=now_ms, by=by, deed=deed)
                machine.judge(self.story(deed.tube), event, about.terms, now_ms)
                if isinstance(deed, Register) and not (twice or deed.retest):
                    _check_elsewhere(connection, deed, now_ms, about.apart_ms)
                _add(connection, event)
                done.append(event)
        return done

    def story(self, barcode: str) -> Story:
        """What the station knows of a barcode."""
        with self._file.read() as connection:
            rows = connection.execute("SELECT body FROM events WHERE tube = ?", (barcode,)).fetchall()
        return fold(barcode, (Kept(_event.decode(body)) for (body,) in rows))

    # Merging

    def waiting(self, limit: int, after: int = 0) -> list[Event]:
        """Events that the centre has not taken, from the number after `after` on, in the order of their numbers."""
        return self._events("standing = 'waiting' AND sequence > ?", (after,), limit)

    def events(self, limit: int, after: int = 0) -> list[Event]:
        """All events likewise: the centre may be given everything again."""
        return self._events("sequence > ?", (after,), limit)

    def merged(self, taken: Iterable[str], refused: Iterable[Refusal], terms: Terms | None, now_ms: int) -> None:
        """Note what the centre answered. What it has taken once stays taken, whatever an old answer says."""
        with self._file.write() as connection:
            connection.executemany("UPDATE events SET standing = 'taken' WHERE id = ?", ((it,) for it in taken))
            connection.executemany(
                "UPDATE events SET standing = 'refused', reason = ? WHERE id = ? AND standing <> 'taken'",
                ((f"{it.reason}: {it.what}", it.id) for it in refused),
            )
            _set(connection, "merged_ms", str(now_ms))
            if terms is not None:
                _set(connection, "about", _json(msgspec.structs.replace(_about(connection), terms=terms)))

    def forget(self, before_ms: int) -> int:
        """Forget tubes of which the centre has taken everything, before this time; returns how many events."""
        kept = "SELECT tube FROM events WHERE standing <> 'taken' OR at_ms >= ?"
        with self._file.write() as connection:
            return connection.execute(f"DELETE FROM events WHERE tube NOT IN ({kept})", (before_ms,)).rowcount  # noqa: S608  # our own words

    def count_waiting(self) -> int:
        """How many events the centre has not answered."""
        with self._file.read() as connection:
            row = connection.execute("SELECT count(*) FROM events WHERE standing = 'waiting'").fetchone()
        return int(row[0])

    def standing(self) -> Standing:
        """What the station has."""
        with self._file.read() as connection:
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
            refused = connection.execute("SELECT id, reason FROM events WHERE standing = 'refused' ORDER BY sequence")
            told = tuple(Refusal(of, *reason.split(": ", 1)) for of, reason in refused)
            tubes = connection.execute(
                "SELECT tube FROM events GROUP BY tube HAVING sum(person = '') = 0 ORDER BY min(sequence)"
            ).fetchall()
            return Standing(
                count,
                self.count_waiting(),
                told,
                tuple(tube for (tube,) in tubes),
                int(_get(connection, "merged_ms") or 0),
            )

    def _events(self, where: str, values: tuple[int, ...], limit: int) -> list[Event]:
        text = f"SELECT body FROM events WHERE {where} ORDER BY sequence LIMIT ?"  # noqa: S608  # our own words
        with self._file.read() as connection:
            return [_event.decode(body) for (body,) in connection.execute(text, (*values, limit))]


def _check_elsewhere(connection: sqlite3.Connection, deed: Register, now_ms: int, apart_ms: int) -> None:
    row = connection.execute(
        "SELECT tube FROM events WHERE person = ? AND at_ms > ? AND tube <> ? ORDER BY sequence DESC LIMIT 1",
        (deed.person, now_ms - apart_ms, deed.tube),
    ).fetchone()
    if row is not None:
        raise SamplingRefused(
            "person-elsewhere",
            f"This person is in the tube {row[0]} already.",
            where=deed.tube,
            fix="Confirm it if it is so.",
        )


def _add(connection: sqlite3.Connection, event: Event) -> None:
    person = event.deed.person if isinstance(event.deed, Register) else ""
    connection.execute(
        "INSERT INTO events (sequence, id, tube, person, at_ms, standing, reason, body) "
        "VALUES (?, ?, ?, ?, ?, 'waiting', '', ?)",
        (event.sequence, event.id, event.deed.tube, person, event.at_ms, _json(event)),
    )


def _next(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0] if row else 0) + 1


def _about(connection: sqlite3.Connection) -> About:
    return msgspec.json.decode(_get(connection, "about"), type=About)


def _get(connection: sqlite3.Connection, name: str) -> str:
    row = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def _set(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)", (name, value))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
