"""Which cases there are: lists, counts and search that stay quick with millions closed. Reads only.

What the console asks goes by an index: open cases by due time, others by their last change. Counts by state are kept
(`case_counts`); other counts go no further than `COUNTED`. A text is looked for at the beginning of searched fields in
all cases, and within titles in open ones and in the latest of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.fields import key_of
from hutong.kernel.cases.model import OPEN_STATES, STATES, Case, State
from hutong.kernel.cases.projection import CASES, COUNTS, IS_PART, KEYS, WAKES, case_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.kernel.records import Connection, Database

#: A count goes no further, and pages do not either.
COUNTED: Final = 10_000
#: Titles of cases that are no longer open that a search looks through, the latest first, in each state.
SEARCHED: Final = 10_000
_MOST_FOUND: Final = 1000
_MOST_TITLES: Final = 200
_LAST_LETTER: Final = "\U0010ffff"

Sort = Literal["due", "changed"]
Scope = Literal["all", "type", "unit", "owner", "register", "register-unit"]


class CaseQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which cases: all conditions must hold, empty ones and zeros do not count.

    Attributes:
        states: of these. late_ms: something should have been done before then.
        text: an id, the beginning of a searched field, or part of a title as it is written; digits alone are a number.
        sort: "due": what must be done first stands first; "changed": what changed last.
    """

    states: tuple[State, ...] = ()
    type: str = ""
    owner: str = ""
    unit: str = ""
    register: str = ""
    parent: str = ""
    late_ms: int = 0
    text: str = ""
    sort: Sort = "due"


class Late(msgspec.Struct, frozen=True):
    """Open cases of a unit, and how many of them are late."""

    unit: str
    open: int
    late: int


class CaseReader:
    """Reads cases.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: CaseQuery, limit: int = 50, offset: int = 0) -> list[Case]:
        """Cases that the query is about; there is none beyond `COUNTED`."""
        with self._database.read() as connection:
            return _page(connection, query, _conditions(connection, query), limit, offset)

    def listing(self, query: CaseQuery, limit: int = 50, offset: int = 0) -> tuple[list[Case], int]:
        """What `page` and `count` say, of one moment and for one search."""
        with self._database.read() as connection:
            conditions = _conditions(connection, query)
            return _page(connection, query, conditions, limit, offset), _count(connection, conditions)

    def count(self, query: CaseQuery) -> int:
        """How many cases the query is about; `COUNTED` + 1 stands for more."""
        with self._database.read() as connection:
            return _count(connection, _conditions(connection, query))

    def figures(self, scope: Scope, name: str = "") -> dict[State, int]:
        """How many cases of a scope are in each state."""
        found = sa.select(COUNTS.c.state, COUNTS.c.count).where(COUNTS.c.scope == scope, COUNTS.c.name == name)
        with self._database.read() as connection:
            counts = {state: int(count) for state, count in connection.execute(found)}
        return {state: counts.get(state, 0) for state in STATES}

    def board(self, scope: Scope, begins: str = "") -> dict[str, dict[State, int]]:
        """The figures of every name of a scope, e.g. of all units; of names that begin so."""
        found = sa.select(COUNTS.c.name, COUNTS.c.state, COUNTS.c.count).where(COUNTS.c.scope == scope)
        if begins:
            found = found.where(COUNTS.c.name.startswith(begins, autoescape=True))
        board: dict[str, dict[State, int]] = {}
        with self._database.read() as connection:
            for name, state, count in connection.execute(found.order_by(COUNTS.c.name)):
                board.setdefault(name, dict.fromkeys(STATES, 0))[state] = int(count)
        return board

    def lateness(self, now_ms: int) -> list[Late]:
        """Of each unit with open cases how many are late, the most first."""
        open_ones = {unit: sum(figures[state] for state in OPEN_STATES) for unit, figures in self.board("unit").items()}
        found = []
        with self._database.read() as connection:
            for unit, count in open_ones.items():
                if count:
                    late = sa.select(sa.func.count()).where(
                        CASES.c.unit == unit, CASES.c.is_open == 1, CASES.c.next_due_ms < now_ms
                    )
                    found.append(Late(unit, count, int(connection.execute(late).scalar_one())))
        return sorted(found, key=lambda it: (-it.late, it.unit))

    def late(self, now_ms: int) -> int:
        """How many open cases are late."""
        late = sa.select(sa.func.count()).where(CASES.c.is_open == 1, CASES.c.next_due_ms < now_ms)
        with self._database.read() as connection:
            return int(connection.execute(late).scalar_one())

    def waking(self, now_ms: int, limit: int = 1000) -> list[Case]:
        """Cases that the watch must look at by now, the longest waiting first."""
        due = (WAKES, CASES.c.wake_ms <= now_ms)
        chosen = sa.select(CASES.c.body).where(*due).order_by(CASES.c.wake_ms).limit(limit)
        with self._database.read() as connection:
            return [case_of(body) for body in connection.execute(chosen).scalars()]


def _page(
    connection: Connection, query: CaseQuery, conditions: Sequence[sa.ColumnElement[bool]], limit: int, offset: int
) -> list[Case]:
    if offset > COUNTED:
        return []
    column = CASES.c.next_due_ms if query.sort == "due" else CASES.c.changed_ms
    order = column + 0 if query.text.strip() else column
    chosen = (
        sa.select(CASES.c.body)
        .where(*conditions)
        .order_by(order if query.sort == "due" else order.desc())
        .limit(limit)
        .offset(offset)
    )
    return [case_of(body) for body in connection.execute(chosen).scalars()]


def _count(connection: Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
    some = sa.select(sa.literal(1)).select_from(CASES).where(*conditions).limit(COUNTED + 1)
    return int(connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one())


def _conditions(connection: Connection, query: CaseQuery) -> list[sa.ColumnElement[bool]]:
    states = query.states or (OPEN_STATES if query.sort == "due" else ())
    text = query.text.strip()
    found = _narrowed(query)
    alone = not found and query.sort == "changed" and len(states) == 1
    # What was found by its text, or is narrowed already, must not be looked for by its state.
    is_open = sa.func.coalesce(CASES.c.is_open, 0) if text else CASES.c.is_open
    state = sa.func.coalesce(CASES.c.state, "") if text or found else CASES.c.state
    if states and set(states) <= set(OPEN_STATES) and not alone:
        found.append(is_open == 1)
    if states and set(states) != set(OPEN_STATES):
        found.append(state == states[0] if len(states) == 1 else state.in_(states))
    if query.late_ms:
        found += [is_open == 1, CASES.c.next_due_ms < query.late_ms]
    if text:
        found.append(CASES.c.id.in_(_found(connection, text, states or STATES)))
    return found


def _narrowed(query: CaseQuery) -> list[sa.ColumnElement[bool]]:
    """Whose and where, the fewest first. The others stand in a form that no index knows: SQLite would guess wrong."""
    names = ("parent", "owner", "register", "unit", "type")
    equal = [(CASES.c[name], value) for name in names if (value := getattr(query, name))]
    found = [
        column == value if at == 0 else sa.func.coalesce(column, "") == value
        for at, (column, value) in enumerate(equal)
    ]
    return [*found, IS_PART] if query.parent else found


def _found(connection: Connection, text: str, states: Sequence[State]) -> list[str]:
    """Ids of the cases that a text finds: at most 1000 by their fields, and 200 by title in each state."""
    text = text.replace("\0", "")
    if not text:
        return []
    key = key_of(text)
    ids = {text}
    if key:
        known = sa.select(KEYS.c.case).where(KEYS.c.key >= key, KEYS.c.key < key + _LAST_LETTER)
        ids |= set(connection.execute(known.limit(_MOST_FOUND)).scalars())
    if not key.isdecimal():
        for state in states:
            ids |= set(connection.execute(_titles(connection, text, state)).scalars())
    return sorted(ids)


def _titles(connection: Connection, text: str, state: State) -> sa.Select[str]:
    # Where LIKE must look at every letter, both engines compare bytes: a tenth of the time.
    within = sa.func.instr if connection.dialect.name == "sqlite" else sa.func.strpos
    chosen = sa.select(CASES.c.id).where(CASES.c.state == state, within(CASES.c.title, text) > 0)
    if state not in OPEN_STATES:
        newest = sa.select(CASES.c.changed_ms).where(CASES.c.state == state).order_by(CASES.c.changed_ms.desc())
        since = connection.execute(newest.limit(1).offset(SEARCHED)).scalar()
        if since is not None:
            chosen = chosen.where(CASES.c.changed_ms >= since)
    return chosen.order_by(CASES.c.changed_ms.desc()).limit(_MOST_TITLES)
