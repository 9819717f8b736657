"""Calls of a day, counted from the archive: right by city, operator and rule, and the same when counted again."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from hutong.calls.archiving import Archiver
from hutong.calls.daily import DailyCalls
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url, tables
from hutong.kernel.rules.loader import load_ruleset
from verdict_records import NOON_MS, SECOND, verdict_body, write_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
MIDNIGHT_MS = NOON_MS + 14 * 3_600_000
HOUR_MS = 3_600_000
CALLEES = ("02161230001", "13900139000", "18900139000", "110", "051261230001", "alice", "+442079460000")
PLACES = {
    "02161230001": ("021", ""),
    "13900139000": ("", "mobile"),
    "18900139000": ("", "telecom"),
    "110": ("", ""),
    "051261230001": ("0512", ""),
    "alice": ("", ""),
    "+442079460000": ("", ""),
}


def calls() -> Iterator[tuple[str, str, str, int]]:
    """(caller, callee, action, ms): a day's, and three just after it."""
    for at in range(120):
        action = ("block", "pass", "warn", "pass")[at % 4]
        yield f"+4477009{at % 3}{at % 30:04d}", CALLEES[at % len(CALLEES)], action, NOON_MS + at * 60_000
    for at in range(3):
        yield "+447700900001", CALLEES[0], "block", MIDNIGHT_MS + at


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with these calls in its archive."""
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    ruleset.save(tmp_path / "rulesets")
    digest = int(ruleset.digest[:16], 16)
    frames = []
    for caller, callee, action, ms in calls():
        body = verdict_body(
            time_ms=ms,
            caller=caller,
            callee=callee,
            action=action,
            rule=0 if action == "block" else 0xFFFF,
            fired=[(0, ())] if action == "block" else [],
            digest=digest - 2**64 if digest >= 2**63 else digest,
        )
        frames.append([(KIND_VERDICT, body)])
    write_journal(tmp_path, frames)
    archiver = Archiver(tmp_path)
    archiver.run(NOON_MS * 1_000_000 + 10_000 * SECOND)
    archiver.close()
    return tmp_path


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    made = Database(database_url("", data))
    made.open()
    yield made
    made.close()


def counter(data: Path, database: Database, *, all_archived: bool = True) -> DailyCalls:
    zone = ZoneInfo("Asia/Shanghai")
    return DailyCalls(database, data, "node1", zone, Numbering("021"), lambda: all_archived)


def kept(database: Database, table: sa.Table) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return sorted(tuple(row) for row in connection.execute(sa.select(table)))


def test_counts_are_those_of_the_calls_and_the_same_again(data: Path, database: Database) -> None:
    daily = counter(data, database)
    counts = daily.count(DAY, MIDNIGHT_MS + HOUR_MS)
    assert counts is not None
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for _, callee, action, ms in calls():
        if ms < MIDNIGHT_MS:
            expected["calls.attempts", "", *PLACES[callee]] += 1
            if action != "pass":
                expected[f"calls.{action}ed", "", *PLACES[callee]] += 1
    rule = next(iter(counts.groups))[0]
    found = {key: value for key, value in counts.figures.items() if key[0].startswith("calls.")}
    assert found == dict(expected)
    assert counts.figures["rules.blocked", rule, "", ""] == 30
    assert sum(calls for calls, _ in counts.groups.values()) == 30
    assert set(counts.groups) == {(rule, f"+4477009{at}xxxx") for at in range(3)}
    first = {table.name: kept(database, table) for table in (tables.daily_figures, tables.daily_campaigns)}
    assert daily.count_again([DAY], MIDNIGHT_MS + 2 * HOUR_MS) == 1
    assert first == {table.name: kept(database, table) for table in (tables.daily_figures, tables.daily_campaigns)}


def test_a_day_is_counted_once_it_is_over_and_archived(data: Path, database: Database) -> None:
    daily = counter(data, database)
    assert daily.run(MIDNIGHT_MS - 1) == 0
    assert daily.run(MIDNIGHT_MS + HOUR_MS) == 1
    assert daily.run(MIDNIGHT_MS + HOUR_MS) == 0
    assert daily.count(NEXT, MIDNIGHT_MS + HOUR_MS) is not None
    assert daily.run(MIDNIGHT_MS + 25 * HOUR_MS) == 1, "a day that was counted while it went on is counted again"
    assert daily.count(date(2026, 3, 1), MIDNIGHT_MS) is None, "before the archive nothing is known"
    assert kept(database, tables.daily_counted)[0][:3] == ("node1", "2026-03-02", MIDNIGHT_MS)


def test_what_is_not_archived_is_not_taken_for_counted(data: Path, database: Database) -> None:
    """The archive reaches to two minutes after noon, when the last record was given its number."""
    daily = counter(data, database, all_archived=False)
    assert daily.count(DAY, MIDNIGHT_MS + HOUR_MS) is not None
    assert kept(database, tables.daily_counted)[0][:3] == ("node1", "2026-03-02", NOON_MS + 122_000)
    assert counter(data, database).run(MIDNIGHT_MS + HOUR_MS) == 1, "the rest of the day is counted once it is there"


def test_a_day_whose_beginning_the_archive_gave_up_keeps_its_counts(data: Path, database: Database) -> None:
    """Times are UTC's in the archive: its first day ends within one of the node's."""
    daily = counter(data, database)
    assert daily.count(DAY, MIDNIGHT_MS + HOUR_MS) is not None
    before = kept(database, tables.daily_figures)
    for file in sorted((data / "archive").glob("*/**/*.parquet")):
        era, first, last = file.stem.split("-")
        file.rename(file.with_stem(f"{era}-{int(first) + 1:0{len(first)}}-{last}"))
    assert daily.count_again([DAY], MIDNIGHT_MS + HOUR_MS) == 0
    assert kept(database, tables.daily_figures) == before


def test_what_waits_for_the_archive_is_waited_for(data: Path, database: Database) -> None:
    assert counter(data, database, all_archived=False).run(MIDNIGHT_MS + HOUR_MS) == 0
