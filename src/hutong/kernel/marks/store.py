"""The truth about marks: rows of SQL, and which numbers they changed. What screening reads is made from here.

A mark is added in the transaction of what it comes from: a report, an order, a decided appeal. Every change leaves a
line in `mark_changes`; `Marks.publish` follows these lines, so that whatever was killed in between, the table comes
after the rows.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.marks.file import Writer
from hutong.kernel.marks.table import FOREVER, Known
from hutong.kernel.records.tables import mark_changes, marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hutong.kernel.records.database import Connection, Database

REPORT: Final = "report"
WRONG_BLOCK: Final = "wrong-block"
LIMIT: Final = "limit"

_DAY_MS: Final = 86_400_000
#: How far back the counts of reporters look, longest last.
_SPANS_MS: Final = (_DAY_MS, 7 * _DAY_MS, 30 * _DAY_MS)
#: How long a mark stands that does not say until when; a limit stands until it is dropped.
_TERMS_MS: Final = {REPORT: _SPANS_MS[-1], WRONG_BLOCK: 365 * _DAY_MS}
_NEVER_MS: Final = 1 << 62
#: Counts are looked at again this often for what has grown too old.
_AGED_MS: Final = 60_000
#: No transaction stays open for longer (`records.database`), so that every change until then is seen.
_OPEN_MS: Final = 70_000
#: Changes are kept for a day; a table that was last brought up earlier is made anew.
_KEPT_MS: Final = _DAY_MS
_AT_ONCE: Final = 500
_LAST: Final = sa.select(sa.func.max(mark_changes.c.id))
_CHANGE: Final = sa.insert(mark_changes).returning(mark_changes.c.id)


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is known of a number.

    Attributes:
        key: number key. kind: REPORT, WRONG_BLOCK or LIMIT. ref: what it comes from: a report, a case, an order.
        who: whose it is, a reporter's pseudonym; distinct ones are counted. at_ms: since when.
        until_ms: till when; 0 = 30 days for a report, 365 for a wrong block, without end for a limit.
        value: calls an hour that a limit allows, 1 to LONGEST_LIMIT.
    """

    key: int
    kind: str
    ref: str
    at_ms: int
    who: str = ""
    until_ms: int = 0
    value: int = 0


class Marks:
    """Marks in the records, and the table of them in a folder.

    Args:
        database: opened by whoever made it. folder: where the table is; made by the first `publish`.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._writer = database, Writer(folder)
        # Up to here this process has seen every change, and these beyond: numbers of others may become visible later.
        self._upto, self._seen = 0, set[int]()

    def add(self, connection: Connection, mark: Mark, now_ms: int = 0) -> int:
        """Add a mark in the caller's transaction; gives the change's number, which the table's version reaches.

        Args:
            connection: the transaction's. mark: what to add.
            now_ms: the time, where the mark is about something of before.

        Raises:
            ValueError: a limit without a number of calls.
        """
        if mark.kind == LIMIT and mark.value < 1:
            raise ValueError("a limit allows at least one call an hour; fewer is a block")
        until = mark.until_ms or (mark.at_ms + _TERMS_MS[mark.kind] if mark.kind in _TERMS_MS else _NEVER_MS)
        row = {**msgspec.structs.asdict(mark), "until_ms": until}
        connection.execute(marks.insert().values(row))
        return self._change(connection, mark.key, max(now_ms, mark.at_ms))

    def drop(self, connection: Connection, kind: str, ref: str, at_ms: int) -> int:
        """End every mark of a kind that comes from `ref`; gives the last change's number, 0 where there was none."""
        mine = sa.and_(marks.c.kind == kind, marks.c.ref == ref, marks.c.dropped_ms.is_(None))
        keys = connection.scalars(sa.select(marks.c.key).where(mine).distinct()).all()
        if not keys:
            return 0
        connection.execute(marks.update().where(mine).values(dropped_ms=at_ms))
        return max(self._change(connection, key, at_ms) for key in keys)

    def _change(self, connection: Connection, key: int, at_ms: int) -> int:
        return int(connection.scalar(_CHANGE, {"key": key, "at_ms": at_ms}) or 0)

    def known(self, connection: Connection, key: int, now_ms: int) -> Known:
        """What is known of a number now, from the records."""
        return _known(connection, [key], now_ms).get(key, Known())

    def publish(self, now_ms: int) -> int:
        """Bring the table up to the records, after the transaction; gives how many numbers were written.

        Any process may, at any time and again: what is written is what the records say now.

        Raises:
            OSError: the folder cannot be written.
            RecordsError: the records cannot be read.
        """
        with self._writer.held() as table:
            if table.is_new or now_ms - table.aged_ms > _KEPT_MS // 2:
                return self._publish_anew(now_ms)
            start = max(table.floor, self._upto)
            with self._database.read() as connection:
                last = connection.scalar(_LAST)
                if last is not None and last < table.version:
                    # The records are those of before, brought back from a backup: their next changes have old numbers.
                    return self._publish_anew(now_ms)
                later = sa.select(mark_changes.c.id, mark_changes.c.key).where(mark_changes.c.id > start)
                changes = connection.execute(later).all()
                unseen = [change for change in changes if change.id not in self._seen]
                keys = {change.key for change in unseen}
                aged = now_ms >= table.aged_ms + _AGED_MS or now_ms < table.aged_ms
                if aged:
                    keys.update(_aged(connection, table.aged_ms, now_ms))
                for part in _parts(sorted(keys)):
                    self._write(connection, part, now_ms)
            seen = {change.id for change in changes}
            table.stand(max(seen, default=start), now_ms, aged=aged, settle_ms=_OPEN_MS)
            self._upto = next(number for number in count(start) if number + 1 not in seen)
            self._seen = {number for number in seen if number > self._upto}
        return len(keys)

    def _publish_anew(self, now_ms: int) -> int:
        self._writer.begin_anew()
        done = 0
        with self._database.read() as connection:
            last = connection.scalar(_LAST) or 0
            query = sa.select(marks.c.key).where(_standing(now_ms)).distinct().order_by(marks.c.key)
            for part in _parts(list(connection.scalars(query))):
                self._write(connection, part, now_ms)
                done += len(part)
        self._upto, self._seen = 0, set()
        # What is not visible yet has at most some numbers less than the last.
        self._writer.finish_anew(last, max(last - 10 * _AT_ONCE, 0), now_ms)
        return done

    def _write(self, connection: Connection, keys: Sequence[int], now_ms: int) -> None:
        found = _known(connection, keys, now_ms)
        limits = sorted(known.mark for known in found.values() if known.mark)
        if limits:
            rows = connection.execute(sa.select(marks.c.id, marks.c.ref).where(marks.c.id.in_(limits)))
            self._writer.refs.note({row.id: row.ref for row in rows})
        for key in keys:
            self._writer.put(key, found.get(key, Known()))

    def forget(self, now_ms: int) -> int:
        """Delete marks that ended a day ago, and changes that every table has seen; gives how many marks."""
        before = now_ms - _KEPT_MS
        with self._database.write() as connection:
            over = sa.or_(marks.c.until_ms <= before, marks.c.dropped_ms <= before)
            gone = connection.execute(marks.delete().where(over)).rowcount
            connection.execute(mark_changes.delete().where(mark_changes.c.at_ms <= before))
        return int(gone)


def _parts(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def _standing(now_ms: int) -> sa.ColumnElement[bool]:
    return sa.and_(marks.c.dropped_ms.is_(None), marks.c.until_ms > now_ms)


def _aged(connection: Connection, since_ms: int, now_ms: int) -> set[int]:
    """Numbers of which a mark has grown too old for a count, or ended, since then."""
    passed = [
        sa.and_(marks.c.kind == REPORT, marks.c.at_ms > since_ms - span, marks.c.at_ms <= now_ms - span)
        for span in _SPANS_MS
    ]
    passed.append(sa.and_(marks.c.until_ms > since_ms, marks.c.until_ms <= now_ms))
    return {key for one in passed for key in connection.scalars(sa.select(marks.c.key).where(one).distinct())}


def _known(connection: Connection, keys: Sequence[int], now_ms: int) -> dict[int, Known]:
    mine = sa.and_(marks.c.key.in_(keys), _standing(now_ms))
    reports = sa.and_(mine, marks.c.kind == REPORT)
    spans = [sa.func.count(sa.distinct(sa.case((marks.c.at_ms > now_ms - span, marks.c.who)))) for span in _SPANS_MS]
    found: dict[int, Known] = {}
    for key, *counts in connection.execute(sa.select(marks.c.key, *spans).where(reports).group_by(marks.c.key)):
        found[key] = Known(reporters=(counts[0], counts[1], counts[2]))
    wrong = sa.select(marks.c.key, sa.func.count()).where(mine, marks.c.kind == WRONG_BLOCK).group_by(marks.c.key)
    for key, blocks in connection.execute(wrong):
        found[key] = found.get(key, Known())._replace(wrong=blocks)
    # The strictest limit is the one that holds; of equal ones that which lasts longest.
    limits = (
        sa.select(marks.c.key, marks.c.id, marks.c.value, marks.c.until_ms)
        .where(mine, marks.c.kind == LIMIT)
        .order_by(marks.c.key, marks.c.value.desc(), marks.c.until_ms, marks.c.id)
    )
    for key, number, value, until in connection.execute(limits):
        end = min(-(-until // 1000), FOREVER)
        found[key] = found.get(key, Known())._replace(limit=value, mark=number, until=end)
    return found
