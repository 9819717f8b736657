"""Rows, counters, keys and notices that follow from events, written together with them. Nothing is decided here.

`Changes` gathers what one transaction brings, so that a register of thousands of items is a few statements.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.fields import keys_of
from hutong.kernel.cases.model import Case, CaseEvent, changes_between, fold, plain
from hutong.kernel.cases.notices import notices_of
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.cases.model import Action
    from hutong.kernel.cases.types import CaseType
    from hutong.kernel.records import Connection

CASES, EVENTS, COUNTS, KEYS = tables.cases, tables.case_events, tables.case_counts, tables.case_keys
#: As the partial indexes have them: SQLite uses these only where it sees the same words, not bound values.
IS_PART: Final = CASES.c.parent != sa.literal_column("''")
WAKES: Final = CASES.c.wake_ms > sa.literal_column("0")
WAITS: Final = CASES.c.waits != sa.literal_column("''")
IS_OPEN: Final = CASES.c.is_open == sa.literal_column("1")
#: Divides a register's id from a unit in the name of a counter.
WITHIN: Final = "\n"
_CountKey = tuple[str, str, str]


class Changes:
    """What one transaction changes; written by `write`, once."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._made: dict[str, Case] = {}
        self._changed: dict[str, tuple[int, Case]] = {}
        self._counts: Counter[_CountKey] = Counter()
        self._new_keys: set[tuple[str, str]] = set()
        self._old_keys: set[tuple[str, str]] = set()
        self._notices: list[dict[str, Any]] = []

    def add(  # an event's own parts
        self, kind: CaseType, before: Case | None, after: Case, action: Action, said: object, who: str, now_ms: int
    ) -> Case:
        """An event that makes `after` out of `before`; returns the case with its new version."""
        seq = 1 if before is None else before.version + 1
        changes = changes_between(before, after)
        event = CaseEvent(after.id, seq, now_ms, who, action, msgspec.to_builtins(said), changes)
        case = fold(before, event)
        self._events.append(
            {"case": event.case, "seq": seq, "time_ms": now_ms, "who": who, "action": action}
            | {"said": _json(event.said), "changes": _json(changes)}
        )
        if before is None or case.id in self._made:
            self._made[case.id] = case
        else:
            first = self._changed.get(case.id, (before.version, before))[0]
            self._changed[case.id] = (first, case)
        self._count(before, case)
        self._find(kind, before, case)
        self._notices += [
            {"case": case.id, "seq": seq, "recipient": it.recipient, "body": _json(it), "made_ms": now_ms}
            | {"next_ms": now_ms, "tries": 0, "trouble": ""}
            for it in notices_of(kind, event, before, case)
        ]
        return case

    def _count(self, before: Case | None, after: Case) -> None:
        if before is not None:
            self._counts.subtract(count_keys(before))
        self._counts.update(count_keys(after))

    def _find(self, kind: CaseType, before: Case | None, after: Case) -> None:
        if before is not None and before.fields == after.fields:
            return
        old = set() if before is None else {(key, before.id) for key in keys_of(kind, before.fields)}
        new = {(key, after.id) for key in keys_of(kind, after.fields)}
        self._old_keys |= old - new
        self._new_keys |= new - old

    def write(self, connection: Connection) -> None:
        """Write it all.

        Raises:
            CaseRefused: "changed-meanwhile": somebody else changed one of the cases.
        """
        for version, case in self._changed.values():
            here = sa.and_(CASES.c.id == case.id, CASES.c.version == version)
            if connection.execute(sa.update(CASES).where(here).values(row_of(case))).rowcount != 1:
                raise changed_meanwhile(case.id)
        if self._made:
            connection.execute(sa.insert(CASES), [row_of(case) for case in self._made.values()])
        if self._events:
            connection.execute(sa.insert(EVENTS), self._events)
        for key, case_id in self._old_keys:
            connection.execute(sa.delete(KEYS).where(KEYS.c.key == key, KEYS.c.case == case_id))
        if self._new_keys:
            connection.execute(sa.insert(KEYS), [{"key": key, "case": it} for key, it in sorted(self._new_keys)])
        if self._notices:
            connection.execute(sa.insert(tables.case_notices), self._notices)
        add_counts(connection, self._counts)


def changed_meanwhile(case_id: str) -> CaseRefused:
    """Somebody else was quicker."""
    return CaseRefused("changed-meanwhile", "Somebody else changed the case.", where=case_id, fix="Look at it again.")


def add_counts(connection: Connection, counts: Counter[_CountKey]) -> None:
    """Let counters grow or shrink; in one order, so that writers do not wait for each other in a circle."""
    rows = [
        {"scope": scope, "name": name, "state": state, "count": count}
        for (scope, name, state), count in sorted(counts.items())
        if count
    ]
    if not rows:
        return
    own = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = own.insert(COUNTS)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["scope", "name", "state"], set_={"count": COUNTS.c.count + insert.excluded.count}
        ),
        rows,
    )


def count_keys(case: Case) -> Iterator[_CountKey]:
    """The counters that a case is one of."""
    yield "all", "", case.state
    yield "type", case.type, case.state
    if case.unit:
        yield "unit", case.unit, case.state
    if case.owner:
        yield "owner", case.owner, case.state
    if case.register:
        yield "register", case.register, case.state
        yield "register-unit", f"{case.register}{WITHIN}{case.unit}", case.state


def row_of(case: Case) -> dict[str, Any]:
    """The row of a case."""
    return {
        "id": case.id,
        "type": case.type,
        "state": case.state,
        "is_open": int(case.is_open),
        "level": case.level,
        "waits": "" if case.pending is None else case.pending.request.action,
        "priority": case.priority,
        "owner": case.owner,
        "unit": case.unit,
        "register": case.register,
        "item": case.item,
        "parent": case.parent,
        "next_due_ms": case.next_due_ms,
        "wake_ms": case.wake_ms,
        "found_ms": case.found_ms,
        "changed_ms": case.changed_ms,
        "version": case.version,
        "title": case.title,
        "body": body_of(case),
    }


def body_of(case: Case) -> str:
    """A case as its row holds it: JSON, keys in order, defaults left out."""
    return _json(plain(case))


_case = msgspec.json.Decoder(Case)


def case_of(body: str) -> Case:
    """A case out of its row's body."""
    return _case.decode(body)


def event_of(row: sa.Row[Any]) -> CaseEvent:
    """An event out of its row."""
    return CaseEvent(
        row.case,
        row.seq,
        row.time_ms,
        row.who,
        row.action,
        msgspec.json.decode(row.said),
        msgspec.json.decode(row.changes),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
