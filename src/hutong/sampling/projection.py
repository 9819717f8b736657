"""Rows that follow from the stories of barcodes, written together with their events. Nothing is decided here.

What changes is the difference of two foldings, so that no row has to be read before it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.kernel.records import sampling_tables as tables
from hutong.kernel.replica.log import tell
from hutong.sampling.counts import CountChanges
from hutong.sampling.model import Tube
from hutong.sampling.replicas import HELD, RESULTS, told_change
from hutong.sampling.rooms import batch_rooms
from hutong.sampling.table import batch_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.kernel.records import Connection, Database
    from hutong.sampling.fold import Story
    from hutong.sampling.model import Conflict

TUBES, PEOPLE, CONFLICTS = tables.sampling_tubes, tables.sampling_people, tables.sampling_conflicts
BATCHES, TOLD = tables.sampling_batches, tables.sampling_told
TWICE: Final = "person-in-two-tubes"
#: Rules of conflicts that are found by looking beyond a barcode: these stay while the tubes have these people.
BEYOND: Final = (TWICE, "sequence-twice")
#: Samples of a person that one more is held against.
MOST_TOGETHER: Final = 20
_tube = msgspec.json.Decoder(Tube)


class Changes:
    """What one transaction changes; written by `write`, once.

    Args:
        database: in which. apart_ms: two tubes of a person are a conflict within this. keep_ms: how long all is kept.
        now_ms: ms since 1970.
    """

    def __init__(self, database: Database, apart_ms: int, keep_ms: int, now_ms: int) -> None:
        self._database, self._apart_ms, self._keep_ms, self._now_ms = database, apart_ms, keep_ms, now_ms
        self._tubes: list[dict[str, Any]] = []
        self._gone: list[str] = []
        self._people: list[dict[str, Any]] = []
        self._new_people: list[dict[str, Any]] = []
        self._people_gone: list[tuple[str, str]] = []
        self._found: list[Conflict] = []
        self._settled: list[Conflict] = []
        self._told: list[dict[str, Any]] = []
        self._batches: set[str] = set()
        self._counts = CountChanges()

    def add(self, before: Story, after: Story, last_ms: int) -> None:
        """What became of a barcode; `last_ms`: of its last event."""
        self._counts.add(before, after)
        old = {it.id: it for it in before.tubes}
        new = {it.id: it for it in after.tubes}
        self._tubes += [row_of(it, last_ms) for it in after.tubes]
        self._gone += sorted(old.keys() - new.keys())
        for it in (*before.tubes, *after.tubes):
            if it.batch and old.get(it.id) != new.get(it.id):
                self._batches.add(it.batch)
        was, now = _people(before), _people(after)
        self._people += [row for key, row in now.items() if was.get(key) != row]
        self._new_people += [row for key, row in now.items() if key not in was]
        gone = sorted(was.keys() - now.keys())
        self._people_gone += gone
        if gone:  # tubes have other ids: what was found of these is looked for again
            self._new_people += [row for key, row in now.items() if key in was]
        self._found += sorted(set(after.conflicts) - set(before.conflicts))
        self._settled += sorted(set(before.conflicts) - set(after.conflicts))
        heard, told = before.told(), after.told()
        # A late part may give a tube another id, or take a person out of it: what does not hold any more is taken back.
        self._told += [
            {"tube": tube, "person": person, "result": told.get((tube, person), ""), "at_ms": self._now_ms}
            for tube, person in dict.fromkeys((*heard, *told))
            if heard.get((tube, person), "") != told.get((tube, person), "")
        ]

    def write(self, connection: Connection) -> None:
        """Write it all."""
        if self._gone:
            connection.execute(sa.delete(TUBES).where(TUBES.c.id.in_(self._gone)))
        put(connection, TUBES, self._tubes, ("id",))
        for tube, person in self._people_gone:
            connection.execute(sa.delete(PEOPLE).where(PEOPLE.c.tube == tube, PEOPLE.c.person == person))
        put(connection, PEOPLE, self._people, ("tube", "person"))
        self._find_twice(connection)
        self._write_conflicts(connection)
        if self._batches:
            # After the names of barcodes and people, by everybody: nobody waits for these while they hold those.
            self._database.hold(connection, *batch_rooms(self._batches))
            put(connection, BATCHES, _batches(connection, sorted(self._batches)), ("id",))
        if self._told:
            # Numbers become visible in their order, so that whoever follows them misses none.
            self._database.hold(connection, HELD)
            connection.execute(sa.insert(TOLD), self._told)
            told = [told_change(**row, keep_ms=self._keep_ms) for row in self._told]
            tell(self._database, connection, RESULTS, told, self._now_ms)

    def _write_conflicts(self, connection: Connection) -> None:
        for it in self._settled:
            same = [CONFLICTS.c[name] == getattr(it, name) for name in ("barcode", "rule", "tube", "about")]
            connection.execute(sa.delete(CONFLICTS).where(*same))
        add_conflicts(connection, [_conflict(it, self._now_ms) for it in self._found])

    def _find_twice(self, connection: Connection) -> None:
        """People who are in another tube within a short time, in this transaction or before it."""
        self._lose_twice(connection)
        new = [row for row in self._new_people if not row["retest"]]
        if not new:
            return
        first = min(row["at_ms"] for row in new) - self._apart_ms
        last = max(row["at_ms"] for row in new) + self._apart_ms
        people = {row["person"] for row in new}
        # The latest alone: one pseudonym in a thousand tubes would be a million conflicts, and say no more.
        nth = sa.func.row_number().over(partition_by=PEOPLE.c.person, order_by=PEOPLE.c.at_ms.desc())
        near = sa.and_(PEOPLE.c.person.in_(people), PEOPLE.c.at_ms.between(first, last), PEOPLE.c.retest == 0)
        latest = sa.select(PEOPLE, nth.label("nth")).where(near).subquery()
        others: dict[str, list[Any]] = {}
        for found in connection.execute(sa.select(latest).where(latest.c.nth <= MOST_TOGETHER)):
            others.setdefault(found.person, []).append(found)
        rows = []
        for row in new:
            for other in others.get(row["person"], ()):
                if other.tube != row["tube"] and abs(other.at_ms - row["at_ms"]) < self._apart_ms:
                    rows += [
                        {"barcode": row["barcode"], "tube": row["tube"], "about": other.tube},
                        {"barcode": other.barcode, "tube": other.tube, "about": row["tube"]},
                    ]
        common = {"rule": TWICE, "found_ms": self._now_ms}
        add_conflicts(connection, [row | common for row in rows])

    def _lose_twice(self, connection: Connection) -> None:
        """Take back what was found of tubes that have other people now."""
        tubes = sorted({tube for tube, _ in self._people_gone})
        if not tubes:
            return
        barcodes = {it.partition("@")[0] for it in tubes}
        chosen = sa.select(CONFLICTS.c.tube, CONFLICTS.c.about).where(
            CONFLICTS.c.barcode.in_(barcodes), CONFLICTS.c.rule == TWICE, CONFLICTS.c.tube.in_(tubes)
        )
        for one, other in connection.execute(chosen).all():
            for tube, about in ((one, other), (other, one)):
                key = {"barcode": tube.partition("@")[0], "rule": TWICE, "tube": tube, "about": about}
                same = [CONFLICTS.c[name] == value for name, value in key.items()]
                connection.execute(sa.delete(CONFLICTS).where(*same))

    def write_numbers(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Say where a number of a station stands for two events. `rows`: of new events that have numbers."""
        if not rows:
            return
        events = tables.sampling_events
        pairs = sorted({(it["station"], it["sequence"]) for it in rows})
        # As a table of its own: SQLite would look at every event for a pair IN a list.
        columns = (sa.column("station", sa.Text), sa.column("sequence", sa.BigInteger))
        wanted = sa.values(*columns, name="wanted").data(pairs).cte("wanted")
        same = sa.and_(events.c.station == wanted.c.station, events.c.sequence == wanted.c.sequence)
        chosen = sa.select(events.c.id, events.c.station, events.c.sequence, events.c.barcode).join(wanted, same)
        kept: dict[tuple[str, int], list[Any]] = {}
        for it in connection.execute(chosen):
            kept.setdefault((it.station, it.sequence), []).append(it)
        common = {"rule": "sequence-twice", "tube": "", "found_ms": self._now_ms}
        twice = [it for held in kept.values() if len(held) > 1 for it in held]
        add_conflicts(connection, [{"barcode": it.barcode, "about": it.id} | common for it in twice])

    def write_counts(self, connection: Connection) -> None:
        """Write how the counts change: last, for many transactions change the same rows."""
        self._counts.write(connection)

    @staticmethod
    def matches(connection: Connection, story: Story) -> bool:
        """Whether the rows of a barcode are those of its story."""
        bodies = set(connection.execute(sa.select(TUBES.c.body).where(TUBES.c.barcode == story.barcode)).scalars())
        people = connection.execute(sa.select(PEOPLE).where(PEOPLE.c.barcode == story.barcode)).mappings()
        chosen = sa.select(CONFLICTS).where(CONFLICTS.c.barcode == story.barcode, CONFLICTS.c.rule.not_in(BEYOND))
        conflicts = {(row.rule, row.tube, row.about) for row in connection.execute(chosen)}
        return (
            bodies == {_json(it) for it in story.tubes}
            and {(row["tube"], row["person"]): dict(row) for row in people} == _people(story)
            and conflicts == {(it.rule, it.tube, it.about) for it in story.conflicts}
        )


def put(
    connection: Connection,
    table: sa.Table,
    rows: list[dict[str, Any]],
    key: tuple[str, ...],
    larger: tuple[str, ...] = (),
) -> None:
    """Insert rows, or change those that are there; of the columns `larger` only to what is larger."""
    if not rows:
        return
    own = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = own.insert(table)
    new = {name: insert.excluded[name] for name in rows[0] if name not in key}
    for name in larger:
        new[name] = sa.case((table.c[name] > insert.excluded[name], table.c[name]), else_=insert.excluded[name])
    connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=new), rows)


def add_conflicts(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert conflicts that are not there yet."""
    if not rows:
        return
    own = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(own.insert(CONFLICTS).on_conflict_do_nothing(), rows)


def row_of(tube: Tube, last_ms: int) -> dict[str, Any]:
    """The row of a tube."""
    return {
        "id": tube.id,
        "barcode": tube.barcode,
        "station": tube.station,
        "district": tube.district,
        "state": tube.state,
        "batch": tube.batch,
        "result": tube.result,
        "held": int(tube.is_held),
        "calls": int(tube.calls_people),
        "people": len(tube.members),
        "opened_ms": tube.opened_ms,
        "reported_ms": tube.reported_ms,
        "last_ms": last_ms,
        "body": _json(tube),
    }


def _people(story: Story) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (tube.id, it.person): {
            "tube": tube.id,
            "person": it.person,
            "barcode": tube.barcode,
            "at_ms": it.at_ms,
            "retest": int(it.retest),
        }
        for tube in story.tubes
        for it in tube.members
    }


def _batches(connection: Connection, ids: list[str]) -> list[dict[str, Any]]:
    """Batches as their tubes make them."""
    bodies: dict[str, list[Tube]] = {it: [] for it in ids}
    chosen = sa.select(TUBES.c.body).where(TUBES.c.batch.in_(ids), TUBES.c.batch != sa.literal_column("''"))
    for body in connection.execute(chosen.order_by(TUBES.c.id)).scalars():
        tube = _tube.decode(body)
        bodies[tube.batch].append(tube)
    rows = []
    for of, held in bodies.items():
        received = [it.received_ms for it in held if it.received_ms]
        expected = max((it.expected for it in held), default=0)
        rows.append(
            {
                "id": of,
                "state": batch_state(max(expected, len(held)), len(received)),
                "station": held[0].station if held else "",
                "courier": next((it.courier for it in held if it.courier), ""),
                "laboratory": next((it.laboratory for it in held if it.received_ms), ""),
                "expected": expected,
                "known": len(held),
                "received": len(received),
                "handed_ms": min((it.handed_ms for it in held if it.handed_ms), default=0) or min(received, default=0),
                "received_ms": max(received, default=0),
            }
        )
    return rows


def _conflict(it: Conflict, now_ms: int) -> dict[str, Any]:
    row = {"barcode": it.barcode, "rule": it.rule, "tube": it.tube, "about": it.about}
    return row | {"found_ms": now_ms}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
