"""Scans in the records: merged so that none is lost and none doubled, a table for each day, found by keyed hashes.

A device numbers its scans, and which numbers are here is written in the transaction that writes the rows. So a batch
may come twice, cut, out of order or half merged by a process that died: what is not durable was not answered. Merges
stand in one line, over all processes, which is why many scans share a transaction (`group`).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of
from hutong.codes.people.errors import KeyGoneError
from hutong.codes.scans.copies import WINDOW_MS
from hutong.codes.scans.emptying import empty, let_days_go
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.merging import Merging
from hutong.codes.scans.model import Found, Source
from hutong.codes.scans.ranges import Ranges
from hutong.codes.scans.retention import rule_at
from hutong.codes.scans.sealed import HOUR_MS, DaySeal
from hutong.kernel.errors import StateError
from hutong.kernel.records.scan_tables import (
    SLOTS,
    code_scan_days,
    code_scan_findings,
    code_scan_notices,
    code_scan_sources,
    code_scans,
    code_venues,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hutong.codes.scans.merging import Row
    from hutong.codes.scans.model import Batch, Copy, Merged
    from hutong.codes.scans.retention import Rule
    from hutong.kernel.districts import Districts
    from hutong.kernel.records import Connection, Database

#: Scans that one look-up finds at most: each is opened and its person is told.
MOST_FOUND: Final = 100_000
_SOURCES: Final = code_scan_sources
_CHUNK: Final = 500
_T = TypeVar("_T")
_FORGOTTEN_AT_ONCE: Final = 5_000


class DayKeyring(Protocol):
    """Keys of days, as `people.day_keys.DayKeys`; `now_ms` is from when on scans are kept: a day is over that late."""

    def key(self, day: int, now_ms: int) -> bytes:
        """The key of a day. Raises KeyGoneError."""

    def make(self, day: int, now_ms: int) -> bytes:
        """The key of a day, made where there is none yet. Raises KeyGoneError: the day is over."""

    def destroy(self, now_ms: int) -> int:
        """Destroy the keys of days that are over; gives how many."""


class Forgotten(msgspec.Struct, frozen=True):
    """What retention did: keys destroyed; days, devices, and notices of look-ups that went."""

    keys: int
    days: int
    sources: int
    notices: int


class Scans:
    """The scans of a node.

    Args:
        database: opened by whoever made it. keys: of days, in a folder that no backup holds. districts: where they are.
        rules: of retention; those shipped without.
    """

    def __init__(
        self, database: Database, keys: DayKeyring, districts: Districts, rules: tuple[Rule, ...] = ()
    ) -> None:
        self._database, self._keys, self.districts, self._rules = database, keys, districts, rules

    def rule(self, now_ms: int) -> Rule:
        """The rule of retention in force."""
        return rule_at(now_ms, self._rules)

    def merge(self, batches: Sequence[Batch], now_ms: int) -> Merged:
        """Take batches into the records; durable once this returns. What is refused is in the answers.

        Raises:
            RecordsError, StateError: nothing was taken; it may be sent again.
        """
        since_ms = self.rule(now_ms).since_ms(now_ms)
        with self._database.write() as connection:
            self._database.hold(connection, "code-scans")
            merging = Merging(
                self._known(connection, {batch.source for batch in batches}),
                self._districts(connection, {scan.venue for batch in batches for scan in batch.scans}),
                self.districts,
                since_ms,
                now_ms,
            )
            for batch in batches:
                merging.take(batch)
            seals = _Seals(self._keys, since_ms)
            self._find_copies(connection, merging, seals)
            for day, rows in merging.by_day().items():
                table, seal = self._table_for(connection, day), seals[day]
                values = [_values(row, seal) for row in rows]
                connection.execute(sa.insert(table), values)
            self._keep_sources(connection, merging, now_ms)
        return merging.merged()

    # Looking up. Who may ask is decided in `lookups`; nothing else calls these.

    def at_venue(self, venue: str, since_ms: int, until_ms: int, now_ms: int) -> list[Found]:
        """Every scan at a venue from one moment to before another, by time.

        Raises:
            ScanRefused: "too-many": there are more than `MOST_FOUND`.
        """

        def asked(seal: DaySeal, table: sa.Table, from_ms: int, to_ms: int) -> sa.ColumnElement[bool]:
            hours = range(from_ms // HOUR_MS * HOUR_MS, to_ms, HOUR_MS)
            return table.c.place.in_([seal.place(venue, hour) for hour in hours])

        return self._found(asked, since_ms, until_ms, now_ms)

    def of_person(
        self, names: Callable[[int], Iterable[bytes]], since_ms: int, until_ms: int, now_ms: int
    ) -> list[Found]:
        """Every scan of a person from one moment to before another, by time.

        Args:
            names: the pseudonyms that the person's codes showed on a day.

        Raises:
            ScanRefused: as `at_venue`.
        """

        def asked(seal: DaySeal, table: sa.Table, _from_ms: int, _to_ms: int) -> sa.ColumnElement[bool]:
            return table.c.who.in_([seal.who(name.hex()) for name in names(seal.day)])

        return self._found(asked, since_ms, until_ms, now_ms)

    def count(self) -> int:
        """How many scans are kept, by the numbers of rows; what was undone leaves gaps on PostgreSQL."""
        held = 0
        with self._database.read() as connection:
            for table in code_scans:
                # One statement for each end: SQLite goes through the whole table for both at once.
                first = connection.execute(sa.select(sa.func.min(table.c.number))).scalar()
                last = connection.execute(sa.select(sa.func.max(table.c.number))).scalar()
                held += 0 if first is None or last is None else last - first + 1
        return held

    def clocks(self, now_ms: int) -> list[tuple[Source, int, bool, int]]:
        """Devices whose clock is off, the latest contact first: source, ms ahead, whether times were lost, contact."""
        off = (sa.or_(_SOURCES.c.ahead_ms != 0, _SOURCES.c.wrong == 1), _SOURCES.c.contact_ms > now_ms - 86_400_000)
        chosen = sa.select(_SOURCES).where(*off).order_by(_SOURCES.c.contact_ms.desc()).limit(_CHUNK)
        with self._database.read() as connection:
            return [
                (Source(row.device, row.series), row.ahead_ms, bool(row.wrong), row.contact_ms)
                for row in connection.execute(chosen)
            ]

    # Retention

    def forget(self, now_ms: int) -> Forgotten:
        """Let go of what is kept long enough: first the keys, then each day's rows as a whole.

        Raises:
            RecordsError, StateError: something cannot be removed; the next run goes on.
        """
        rule = self.rule(now_ms)
        keys = self._keys.destroy(rule.since_ms(now_ms))
        days = let_days_go(self._database, rule.since_day(now_ms))
        with self._database.write() as connection:
            connection.execute(sa.delete(code_scan_findings).where(code_scan_findings.c.day < rule.since_day(now_ms)))
        sources = self._forget_some(_SOURCES, _SOURCES.c.contact_ms < rule.since_ms(now_ms))
        notices = self._forget_some(code_scan_notices, code_scan_notices.c.until_ms <= now_ms)
        return Forgotten(keys, days, sources, notices)

    def _forget_some(self, table: sa.Table, over: sa.ColumnElement[bool]) -> int:
        key = tuple(table.primary_key.columns)
        gone = 0
        while True:
            some = sa.select(*key).where(over).limit(_FORGOTTEN_AT_ONCE)
            where = sa.tuple_(*key).in_(some) if len(key) > 1 else key[0].in_(some)
            with self._database.write() as connection:
                found = connection.execute(sa.delete(table).where(where)).rowcount
            gone += found
            if found < _FORGOTTEN_AT_ONCE:
                return gone

    # Days

    def _table(self, connection: Connection, day: int) -> sa.Table | None:
        slot = day % SLOTS
        held = sa.select(code_scan_days.c.day).where(code_scan_days.c.slot == slot)
        return code_scans[slot] if connection.execute(held).scalar() == day else None

    def _table_for(self, connection: Connection, day: int) -> sa.Table:
        """The table of a day, given to it if another day's is there, which then is over."""
        slot = day % SLOTS
        held = connection.execute(sa.select(code_scan_days.c.day).where(code_scan_days.c.slot == slot)).scalar()
        if held is not None and held > day:
            raise StateError(
                "Scans of a later day are kept already.", where="scans", fix="Set this node's clock; was it ahead?"
            )
        if held != day:
            if held is not None:
                empty(connection, slot)
            connection.execute(sa.insert(code_scan_days).values(slot=slot, day=day))
        return code_scans[slot]

    def _found(
        self,
        asked: Callable[[DaySeal, sa.Table, int, int], sa.ColumnElement[bool]],
        since_ms: int,
        until_ms: int,
        now_ms: int,
    ) -> list[Found]:
        kept_ms = self.rule(now_ms).since_ms(now_ms)
        since_ms, until_ms = max(since_ms, kept_ms), min(until_ms, now_ms + 1)
        found: list[Found] = []
        if since_ms >= until_ms:
            return found
        with self._database.read() as connection:
            for day in range(day_of(since_ms), day_of(until_ms - 1) + 1):
                table = self._table(connection, day)
                if table is None:
                    continue
                seal = DaySeal(day, self._keys.key(day, kept_ms))
                chosen = sa.select(table.c.code, table.c.sealed).where(asked(seal, table, since_ms, until_ms))
                left = MOST_FOUND + 1 - len(found)
                rows = [(row.code, seal.open(row.sealed)) for row in connection.execute(chosen.limit(left))]
                if len(rows) == left:
                    what = f"There are more than {MOST_FOUND} scans."
                    raise ScanRefused("too-many", what, where="since", fix="Ask for less time.")
                rows = [(code, kept) for code, kept in rows if since_ms <= kept.at_ms < until_ms]
                copies = _copies(connection, day, {code for code, _ in rows if code is not None})
                found += (Found(kept, copies.get(code, ())) for code, kept in rows)
        return sorted(found, key=lambda it: it.kept.at_ms)

    # Merging

    def _known(self, connection: Connection, sources: set[Source]) -> dict[Source, tuple[Ranges, int]]:
        pairs = [(it.device, it.series) for it in sources]
        known = {}
        for some in _some(pairs):
            chosen = sa.select(_SOURCES).where(sa.tuple_(_SOURCES.c.device, _SOURCES.c.series).in_(some))
            for row in connection.execute(chosen):
                ranges = Ranges(msgspec.json.decode(row.ranges, type=list[tuple[int, int]]))
                known[Source(row.device, row.series)] = (ranges, row.ahead_ms)
        return known

    def _districts(self, connection: Connection, venues: set[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for some in _some(sorted(venues)):
            chosen = sa.select(code_venues.c.id, code_venues.c.district).where(code_venues.c.id.in_(some))
            found |= {row.id: row.district for row in connection.execute(chosen)}
        return found

    def _find_copies(self, connection: Connection, merging: Merging, seals: _Seals) -> None:
        """Hold each new sighting of a code against those that are kept, and keep what that proves."""
        wanted: dict[int, set[str]] = {}
        for row in merging.rows:
            if row.code:
                for at_ms in (row.kept.at_ms - WINDOW_MS, row.kept.at_ms + WINDOW_MS):
                    wanted.setdefault(day_of(at_ms), set()).add(row.code)
        for day, codes in wanted.items():
            table = self._table(connection, day)
            seal = None if table is None else seals.get(day)
            if table is None or seal is None:
                continue
            blind = {seal.code(code): code for code in codes}
            for some in _some(blind):
                chosen = sa.select(table.c.code, table.c.sealed).where(table.c.code.in_(some))
                for code, sealed in connection.execute(chosen):
                    merging.know(blind[code], seal.open(sealed))
        unknown = merging.unknown_venues()
        merging.districts_of |= self._districts(connection, unknown) if unknown else {}
        for code, found in merging.judge_copies():
            seal = seals[day_of(found.at_ms[1])]
            key = {"day": seal.day, "code": seal.code(code), "kind": found.kind}
            table = code_scan_findings
            same = [table.c[name] == value for name, value in key.items()]
            if connection.execute(sa.select(table.c.day).where(*same)).first() is None:
                values = key | {"found_ms": merging.now_ms, "sealed": seal.seal_found(found)}
                connection.execute(sa.insert(table).values(values))
                merging.copies.append(found)

    def _keep_sources(self, connection: Connection, merging: Merging, now_ms: int) -> None:
        fresh: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        for source, state in merging.sources.items():
            values = {"device": source.device, "series": source.series, "contact_ms": now_ms}
            values |= {"ranges": msgspec.json.encode(state.ranges.pairs()).decode()}
            values |= {"ahead_ms": state.ahead_ms, "wrong": int(state.wrong)}
            (fresh if state.is_new else changed).append(values)
        if fresh:
            connection.execute(sa.insert(_SOURCES), fresh)
        if changed:
            # One statement for all: each of its own would cost more than everything else about a lone scan.
            same = (_SOURCES.c.device == sa.bindparam("of_device"), _SOURCES.c.series == sa.bindparam("of_series"))
            named = [
                values | {"of_device": values.pop("device"), "of_series": values.pop("series")} for values in changed
            ]
            connection.execute(sa.update(_SOURCES).where(*same), named)


class _Seals:
    """The seals of the days that a merge is about."""

    def __init__(self, keys: DayKeyring, since_ms: int) -> None:
        self._keys, self._since_ms = keys, since_ms
        self._known: dict[int, DaySeal] = {}

    def __getitem__(self, day: int) -> DaySeal:
        if day not in self._known:
            self._known[day] = DaySeal(day, self._keys.make(day, self._since_ms))
        return self._known[day]

    def get(self, day: int) -> DaySeal | None:
        """The seal of a day, if its key is here."""
        try:
            return DaySeal(day, self._keys.key(day, self._since_ms))
        except KeyGoneError:
            return None


def _values(row: Row, seal: DaySeal) -> dict[str, Any]:
    kept = row.kept
    return {
        "who": seal.who(kept.who) if kept.who else None,
        "place": seal.place(kept.venue, kept.at_ms),
        "code": seal.code(row.code) if row.code else None,
        "sealed": seal.seal(kept),
    }


def _copies(connection: Connection, day: int, codes: set[bytes]) -> dict[bytes | None, tuple[Copy, ...]]:
    table = code_scan_findings
    found: dict[bytes | None, tuple[Copy, ...]] = {}
    for some in _some(sorted(codes)):
        chosen = sa.select(table.c.code, table.c.kind).where(table.c.day == day, table.c.code.in_(some))
        for row in connection.execute(chosen.order_by(table.c.kind)):
            found[row.code] = (*found.get(row.code, ()), row.kind)
    return found


def _some(values: Iterable[_T]) -> Iterator[tuple[_T, ...]]:
    """So many at a time, as a statement may name."""
    rest = iter(values)
    while some := tuple(islice(rest, _CHUNK)):
        yield some
