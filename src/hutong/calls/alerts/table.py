"""Alerts in a table of their own: found, counted, paged, and which of them go on now. Made from the journal.

One SQLite file in the data folder, written by `work` as it follows the journal and read by `serve`. It holds nothing
that the journal does not: lost or damaged, it is made again. How far it has read is kept in the same transaction as
what was read, so every alert is in it once. Events are what is to be told of alerts, in order: raised, ended, lost.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.calls.alerts.queries import (
    DEPTH,
    INDEXES,
    AlertFilters,
    count_query,
    events_query,
    going_on_query,
    rows_query,
)
from hutong.calls.alerts.record import Alert, kind_of
from hutong.kernel.errors import StateError
from hutong.kernel.rules.ruleset import ALERT_STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: The file's name in the data folder.
ALERT_TABLE: Final = "alerts.db"
_VERSION: Final = 2
_BUSY_S: Final = 5.0

_SCHEMA: Final = (
    """CREATE TABLE alerts (
        seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, rule TEXT NOT NULL, version INTEGER NOT NULL,
        kind TEXT NOT NULL, stage TEXT NOT NULL, caller INTEGER NOT NULL, callee INTEGER NOT NULL, trunk TEXT NOT NULL,
        verdict INTEGER NOT NULL, call_id TEXT NOT NULL, ring_ms INTEGER NOT NULL, talk_ms INTEGER NOT NULL,
        answered INTEGER NOT NULL, figures TEXT NOT NULL, conditions TEXT NOT NULL,
        ended_ms INTEGER NOT NULL, end_phase TEXT NOT NULL, total_ms INTEGER NOT NULL, release INTEGER NOT NULL
    )""",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, phase TEXT NOT NULL, stage TEXT NOT NULL,
        alerts TEXT NOT NULL
    )""",
    *INDEXES,
    "CREATE TABLE place (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL)",
    "INSERT INTO place VALUES (1, 0)",
    f"PRAGMA user_version = {_VERSION}",
)

#: What SQLite says of a table that is still to be made, or made anew for this version.
_OLDER: Final = ("no such table", "no such index")
_INSERT: Final = "INSERT OR IGNORE INTO alerts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


class AlertRow(msgspec.Struct, frozen=True):
    """An alert as it stands now.

    Attributes:
        seq: the alert's journal sequence number; time_ms: when it was raised.
        rule, version, kind, stage: the condition.
        caller, callee: number keys. trunk: name. verdict: the call's verdict. call_id: the SIP Call-ID.
        ring_ms, talk_ms, answered: when it was raised.
        figures: what the condition read, by name.
        conditions: digest of the set in force.
        ended_ms: when the call ended, 0 while it goes on; end_phase: "ended" or "lost".
        total_ms: talk in all, once it ended; until then as when it was raised. release: see `outcomes.Outcome`.
    """

    seq: int
    time_ms: int
    rule: str
    version: int
    kind: str
    stage: str
    caller: int
    callee: int
    trunk: str
    verdict: int
    call_id: str
    ring_ms: int
    talk_ms: int
    answered: bool
    figures: dict[str, float | str | bool]
    conditions: str
    ended_ms: int = 0
    end_phase: str = ""
    total_ms: int = 0
    release: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether the call goes on, as far as is known."""
        return self.ended_ms == 0


class AlertEvent(msgspec.Struct, frozen=True):
    """Something to be told of alerts.

    Attributes:
        seq: its journal sequence number: what it is known by. time_ms: when it happened.
        phase: "raised", "ended" or "lost". stage: "alert" where any of the alerts is in it.
        alerts: sequence numbers of the alerts, in order.
    """

    seq: int
    time_ms: int
    phase: str
    stage: str
    alerts: tuple[int, ...]


def row_of(alert: Alert, call_id: str, figures: dict[str, float | str | bool]) -> AlertRow:
    """A raised alert as a row."""
    return AlertRow(
        seq=alert.seq,
        time_ms=alert.time_ms,
        rule=alert.rule,
        version=alert.version,
        kind=kind_of(alert.rule),
        stage=alert.stage,
        caller=alert.caller_key,
        callee=alert.callee_key,
        trunk=alert.trunk,
        verdict=alert.verdict_seq,
        call_id=call_id,
        ring_ms=alert.ring_ms,
        talk_ms=alert.talk_ms,
        answered=alert.answered,
        figures=figures,
        conditions=alert.conditions,
        total_ms=alert.talk_ms,
    )


class AlertTable:
    """The table. One process writes; any may read, also before there is one.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / ALERT_TABLE

    # Writing

    def create(self) -> None:
        """Make the table where there is none of this version.

        Raises:
            StateError: the file cannot be made.
        """
        try:
            if self._path.exists() and not self._is_whole():
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            with closing(self._connect()) as db:
                if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    db.execute("PRAGMA journal_mode = WAL")
                    with db:
                        for statement in _SCHEMA:
                            db.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise StateError(
                f"the table of alerts cannot be made: {error}.", where=str(self._path), fix="Free space on this disk."
            ) from error

    def _is_whole(self) -> bool:
        try:
            with closing(self._connect()) as db:
                return bool(db.execute("PRAGMA user_version").fetchone()[0] == _VERSION)
        except sqlite3.DatabaseError:
            return False

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_S)
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def place(self) -> int:
        """The last journal record that was taken."""
        with closing(self._connect()) as db:
            return int(db.execute("SELECT seq FROM place").fetchone()[0])

    def take(self, changes: Sequence[AlertRow | Alert | tuple[int, int]], place: int) -> None:
        """Take what was read of the journal up to record `place`, as one change.

        Args:
            changes: in order: a raised alert; the end of a call's alerts; or the number and the moment (ms) of a record
                that says that every call was lost from sight.
            place: the last record read.
        """
        with closing(self._connect()) as db, db:
            for change in changes:
                if isinstance(change, AlertRow):
                    db.execute(_INSERT, _values(change))
                    event = AlertEvent(change.seq, change.time_ms, "raised", change.stage, (change.seq,))
                    db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", _event_values(event))
                else:
                    _end(db, change)
            db.execute("UPDATE place SET seq = ?", (place,))

    def forget(self, before_ms: int, most: int = 2_000) -> int:
        """Delete alerts raised before a moment, at most so many at once; gives how many."""
        with closing(self._connect()) as db, db:
            bounds = (before_ms, most)
            # One event raised an alert, another ended it.
            events = (before_ms, 2 * len(ALERT_STAGES) * most)
            db.execute("DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE time_ms < ? LIMIT ?)", events)
            return sum(
                db.execute(
                    "DELETE FROM alerts WHERE seq IN (SELECT seq FROM alerts WHERE stage = ? AND time_ms < ? LIMIT ?)",
                    (stage, *bounds),
                ).rowcount
                for stage in ALERT_STAGES
            )

    # Reading

    def _read(self, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        """Rows; none where there is no table (yet)."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=_BUSY_S)) as db:
                return db.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if self._path.exists() and not any(it in str(error) for it in _OLDER):
                raise StateError(
                    f"the table of alerts cannot be read: {error}.", where=str(self._path), fix="Try again later."
                ) from error
            return []

    def rows(
        self,
        wanted: AlertFilters,
        *,
        limit: int,
        offset: int = 0,
        sort: str = "time",
        descending: bool = True,
    ) -> list[AlertRow]:
        """Alerts that the filters leave, by `sort`: "time", or "talk" among the newest DEPTH; none beyond DEPTH."""
        found = self._read(*rows_query(wanted, limit, offset, sort, descending=descending))
        return [_row(it) for it in found]

    def count(self, wanted: AlertFilters) -> int | None:
        """How many the filters leave; None where there are more than DEPTH."""
        found = self._read(*count_query(wanted))
        number = int(str(found[0][0])) if found else 0
        return None if number > DEPTH else number

    def going_on(self, kind: str = "") -> tuple[int, int]:
        """Calls under alert (stage alert) now, and callees among them; only of one kind where one is named."""
        found = self._read(*going_on_query(kind))
        calls, callees = found[0] if found else (0, 0)
        return int(str(calls)), int(str(callees))

    def events(self, after: int, limit: int, stage: str = "") -> list[AlertEvent]:
        """What is to be told beyond an event, in order; only of a stage where one is named."""
        found = self._read(*events_query(after, limit, stage))
        named = (dict(zip(AlertEvent.__struct_fields__, it, strict=True)) for it in found)
        return [msgspec.convert({**it, "alerts": msgspec.json.decode(str(it["alerts"]))}, AlertEvent) for it in named]

    def newest_event(self) -> int:
        """The last event's number; 0 before the first. Whatever changes, it moves on."""
        found = self._read("SELECT max(seq) FROM events", ())
        return int(str(found[0][0] or 0)) if found else 0

    def by_seqs(self, seqs: Sequence[int]) -> list[AlertRow]:
        """The alerts with these numbers, by number, as far as they are kept."""
        # The text is JSON for SQLite to unpack: a statement takes no list.
        asked = msgspec.json.encode(list(seqs)).decode()
        found = self._read("SELECT * FROM alerts WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq", (asked,))
        return [_row(it) for it in found]

    def rules(self) -> list[str]:
        """Ids of every condition that has an alert on record."""
        # One step of the index for each: a DISTINCT would walk all of it.
        found = self._read(
            "WITH RECURSIVE it (rule) AS (SELECT min(rule) FROM alerts UNION ALL"
            " SELECT (SELECT min(rule) FROM alerts WHERE rule > it.rule) FROM it WHERE it.rule IS NOT NULL)"
            " SELECT rule FROM it WHERE rule IS NOT NULL",
            (),
        )
        return [str(rule) for (rule,) in found]


def _event_values(event: AlertEvent) -> tuple[object, ...]:
    alerts = msgspec.json.encode(event.alerts).decode()
    return (event.seq, event.time_ms, event.phase, event.stage, alerts)


def _end(db: sqlite3.Connection, change: Alert | tuple[int, int]) -> None:
    """End a call's alerts, or all there are; one event tells of them together."""
    if isinstance(change, Alert):
        end = (change.time_ms, change.phase, change.talk_ms, change.release)
        seq = change.seq
        found = db.execute(
            "UPDATE alerts SET ended_ms = ?, end_phase = ?, total_ms = ?, release = ?"
            " WHERE verdict = ? AND ended_ms = 0 RETURNING seq, stage",
            (*end, change.verdict_seq),
        ).fetchall()
    else:
        seq, end = change[0], (change[1], "lost", 0, 0)
        found = db.execute(
            "UPDATE alerts SET ended_ms = ?, end_phase = ? WHERE ended_ms = 0 RETURNING seq, stage", end[:2]
        ).fetchall()
    if found:
        stage = "alert" if any(it == "alert" for _, it in found) else "observe"
        event = AlertEvent(seq, end[0], end[1], stage, tuple(sorted(it for it, _ in found)))
        db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", _event_values(event))


def _values(row: AlertRow) -> tuple[object, ...]:
    values = msgspec.structs.asdict(row)
    values["figures"] = msgspec.json.encode(row.figures).decode()
    return tuple(values.values())


def _row(values: Sequence[object]) -> AlertRow:
    named = dict(zip(AlertRow.__struct_fields__, values, strict=True))
    named["figures"] = msgspec.json.decode(str(named["figures"]))
    return msgspec.convert(named, AlertRow, strict=False)
