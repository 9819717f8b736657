"""Calls counted by day from the archive: by callee's city and operator, by rule, and in groups like campaigns.

`work` counts a day of the node's zone once it has ended and is archived whole; what was counted is replaced where it
is counted again, so any day that the archive still has can be made anew. Bulletins read the counts, never the archive:
a month is some thousand rows, however many calls there were.

What a campaign is, nobody tells: calls that one rule blocked and whose callers share a block of 10,000 numbers, as
they are assigned and as number pools are rented, are one group.
"""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from hutong.calls.archiving import FOLDER, TABLES, empty_tables
from hutong.kernel.archive.query import ArchiveQuery
from hutong.kernel.numbering import digits_of
from hutong.kernel.numbering.keys import KIND_NUMBER
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    import duckdb

    from hutong.kernel.numbering import Numbering
    from hutong.kernel.records import Database

#: Groups that are kept of a day, and calls that make one.
MOST_GROUPS: Final = 200
LEAST_CALLS: Final = 10
#: After a day's end the last verdicts are still on their way for so long.
_SETTLED_MS: Final = 60_000
#: Calls of a day's last minutes may come to the journal so long after its end.
_LATE_MS: Final = 600_000
_FRESH_MS: Final = 60_000
_BLOCK: Final = 10_000
_SHORT: Final = 11  # canonical digits below which a number is a service's and its block its own
_VALUE: Final = (1 << 50) - 1
_NAMES: Final = {"warn": "warned", "block": "blocked"}
_FIGURES, _GROUPS, _COUNTED = tables.daily_figures, tables.daily_campaigns, tables.daily_counted


class DayCounts(NamedTuple):
    """What was counted of a day: (name, item, city, operator) → calls, and (rule, block) → calls, different callers."""

    figures: dict[tuple[str, str, str, str], int]
    groups: dict[tuple[str, str], tuple[int, int]]


class DailyCalls:
    """Counts days of one node's archive into the records.

    Args:
        database: opened by whoever made it. data: the data folder. node: its name. zone: whose days.
        numbering: says whose a number is.
        all_archived: whether nothing of the journal waits for the archive.
    """

    def __init__(
        self,
        database: Database,
        data: Path,
        node: str,
        zone: ZoneInfo,
        numbering: Numbering,
        all_archived: Callable[[], bool],
    ) -> None:
        self._database, self._node, self._zone, self._numbering = database, node, zone, numbering
        self._archive = ArchiveQuery(data / FOLDER, TABLES)
        self._all_archived = all_archived
        self._one_at_once = threading.Lock()

    def run(self, now_ms: int, most: int = 1) -> int:
        """Count days that ended and were not counted whole, the latest first; returns how many.

        Raises:
            ArchiveError: the archive cannot be asked. RecordsError: the records fail.
        """
        done = 0
        for day in self._waiting(now_ms):
            if done == most:
                break
            self.count(day, now_ms)
            done += 1
        return done

    def settled(self, end_ms: int, now_ms: int) -> bool:
        """Whether nothing before a moment waits to be archived, and no day to be counted: more will not be known soon.

        Raises:
            ArchiveError: the archive cannot be asked. RecordsError: the records fail.
        """
        return self._reached(end_ms, now_ms) == end_ms and next(self._waiting(now_ms), None) is None

    def count(self, day: date, now_ms: int) -> DayCounts | None:
        """Count a day, as far as it is over and archived, in place of what was counted.

        None where the archive has nothing of it, or no longer has the beginning of a day that was counted whole.

        Raises:
            ArchiveError: the archive cannot be asked. RecordsError: the records fail.
        """
        start_ms, end_ms = self._bounds(day)
        files = self._archive.files("verdicts")
        if not files or end_ms <= self._begins(files[0].day) or start_ms > now_ms:
            return None
        cut = files[0].first > 1 and start_ms < self._begins(files[0].day)
        if cut and self._until().get(day.isoformat(), 0) >= end_ms:
            return None
        # What is archived while it is counted is not certainly in it.
        until_ms = self._reached(end_ms, now_ms)
        if until_ms <= start_ms:
            return None
        with self._archive.opened(empty_tables()) as engine:
            counts = DayCounts(self._figures(engine, start_ms, end_ms), dict(self._groups_of(engine, start_ms, end_ms)))
        self._keep(day, counts, until_ms, now_ms)
        return counts

    def count_today(self, now_ms: int) -> None:
        """Count the day that goes on, unless that was done within the last minute.

        Raises:
            ArchiveError: the archive cannot be asked. RecordsError: the records fail.
        """
        day = datetime.fromtimestamp(now_ms / 1000, self._zone).date()
        where = (_COUNTED.c.node == self._node, _COUNTED.c.day == day.isoformat())
        with self._one_at_once:
            with self._database.read() as connection:
                counted_ms = connection.execute(sa.select(_COUNTED.c.counted_ms).where(*where)).scalar()
            if counted_ms is None or not 0 <= now_ms - int(counted_ms) < _FRESH_MS:
                self.count(day, now_ms)

    def count_again(self, days: list[date], now_ms: int) -> int:
        """Count days that the archive still has whole or in part; returns how many."""
        return sum(self.count(day, now_ms) is not None for day in days)

    def _waiting(self, now_ms: int) -> Iterator[date]:
        files = self._archive.files("verdicts")
        if not files:
            return
        until = self._until()
        day = datetime.fromtimestamp(now_ms / 1000, self._zone).date() - timedelta(days=1)
        first = datetime.fromtimestamp(self._begins(files[0].day) / 1000, self._zone).date()
        while day >= first:
            _, end_ms = self._bounds(day)
            waits = until.get(day.isoformat(), 0) < end_ms and now_ms >= end_ms + _SETTLED_MS
            if waits and self._reached(end_ms, now_ms) == end_ms:
                yield day
            day -= timedelta(days=1)

    def _until(self) -> dict[str, int]:
        """How far days were counted."""
        chosen = sa.select(_COUNTED.c.day, _COUNTED.c.until_ms).where(_COUNTED.c.node == self._node)
        with self._database.read() as connection:
            return {row.day: int(row.until_ms) for row in connection.execute(chosen)}

    def _reached(self, end_ms: int, now_ms: int) -> int:
        """How far calls are archived, to `end_ms` at most: to this moment where nothing waits for the archive."""
        reached_ms = self._archive.position.wall_ns // 1_000_000
        certain = not end_ms <= now_ms < end_ms + _LATE_MS
        if reached_ms < end_ms and certain and self._all_archived():
            reached_ms = now_ms
        return min(reached_ms, end_ms, now_ms)

    def _bounds(self, day: date) -> tuple[int, int]:
        after = day + timedelta(days=1)
        begins = (datetime(it.year, it.month, it.day, tzinfo=self._zone) for it in (day, after))
        start, end = (int(it.timestamp() * 1000) for it in begins)
        return start, end

    @staticmethod
    def _begins(day: date) -> int:
        """When a day of the archive, which is one of UTC, begins."""
        return (day - date(1970, 1, 1)).days * 86_400_000

    # Asking

    def _figures(
        self, engine: duckdb.DuckDBPyConnection, start_ms: int, end_ms: int
    ) -> dict[tuple[str, str, str, str], int]:
        found: dict[tuple[str, str, str, str], int] = {}

        def add(name: str, item: str, place: tuple[str, str], calls: int) -> None:
            key = (name, item, *place)
            found[key] = found.get(key, 0) + calls

        places: dict[int, tuple[str, str]] = {}
        asked = f"SELECT {_block_of('callee_key')} AS block, action, count(*) {_of(start_ms, end_ms)} GROUP BY ALL"
        for block, action, calls in _rows(engine, asked):
            if block not in places:
                places[block] = self._place(block)
            add("calls.attempts", "", places[block], calls)
            if name := _NAMES.get(str(action)):
                add(f"calls.{name}", "", places[block], calls)
        decided = f"SELECT rule, action, count(*) {_of(start_ms, end_ms)} AND action IN ('warn', 'block') GROUP BY ALL"
        for rule, action, calls in _rows(engine, decided):
            add(f"rules.{_NAMES[str(action)]}", rule or "", ("", ""), calls)
        return found

    def _place(self, block: int) -> tuple[str, str]:
        digits = digits_of(block)
        if not digits:
            return "", ""
        number = self._numbering.read(f"+{digits}")
        return _known(number.area), _known(number.operator)

    def _groups_of(
        self, engine: duckdb.DuckDBPyConnection, start_ms: int, end_ms: int
    ) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
        asked = (
            f"SELECT rule, {_block_of('caller_key')} AS block, count(*) AS calls, count(DISTINCT caller_key) "
            f"{_of(start_ms, end_ms)} AND action = 'block' AND rule IS NOT NULL AND caller_key >> 55 = {KIND_NUMBER} "
            f"AND (caller_key >> 50 & 31) >= {_SHORT} "
            f"GROUP BY ALL HAVING calls >= {LEAST_CALLS} ORDER BY calls DESC, rule, block LIMIT {MOST_GROUPS}"
        )
        for rule, block, calls, numbers in _rows(engine, asked):
            yield (rule, f"+{digits_of(block)[:-4]}xxxx"), (calls, numbers)

    # Keeping

    def _keep(self, day: date, counts: DayCounts, until_ms: int, now_ms: int) -> None:
        at = {"node": self._node, "day": day.isoformat()}
        names = ("name", "item", "city", "operator")
        figures = [
            at | dict(zip(names, key, strict=True)) | {"value": calls} for key, calls in sorted(counts.figures.items())
        ]
        groups = [
            at | {"rule": rule, "block": block, "calls": calls, "numbers": numbers}
            for (rule, block), (calls, numbers) in sorted(counts.groups.items())
        ]
        with self._database.write() as connection:
            self._database.hold(connection, f"daily-calls {self._node}")
            for table in (_FIGURES, _GROUPS, _COUNTED):
                gone = (table.c.node == self._node, table.c.day == at["day"])
                connection.execute(sa.delete(table).where(*gone))
            for table, rows in ((_FIGURES, figures), (_GROUPS, groups)):
                if rows:
                    connection.execute(sa.insert(table), rows)
            connection.execute(sa.insert(_COUNTED).values(at | {"until_ms": until_ms, "counted_ms": now_ms}))


def _of(start_ms: int, end_ms: int) -> str:
    return f"FROM verdicts WHERE time >= to_timestamp({start_ms} / 1000.0) AND time < to_timestamp({end_ms} / 1000.0)"


def _block_of(key: str) -> str:
    """SQL for the block of 10,000 that a number is of, as the key of its first one; a short number's is itself."""
    whole = f"{key} >> 55 = {KIND_NUMBER}"
    long = f"({key} >> 50 & 31) >= {_SHORT}"
    return f"CASE WHEN {whole} AND {long} THEN {key} - ({key} & {_VALUE}) % {_BLOCK} WHEN {whole} THEN {key} ELSE 0 END"


def _rows(engine: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return engine.execute(query).fetchall()


def _known(name: str) -> str:
    return "" if name == "none" else name
