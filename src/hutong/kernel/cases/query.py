"""Which cases there are: lists, counts and search that stay quick with millions closed. Reads only.

What the console asks goes by an index: open cases by due time, others by their last change. Counts by state are kept
(`case_counts`); other counts go no further than `COUNTED`. A text is looked for at the beginning of searched fields in
all cases, and within titles in open ones and in the latest of the others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.fields import key_of
from hutong.kernel.cases.model import OPEN_STATES, STATES, Case, State
from hutong.kernel.cases.projection import CASES, COUNTS, IS_PART, KEYS, WAKES, WITHIN, case_of
from hutong.kernel.records.reading import begins, by_key, of_keys
from hutong.kernel.reporter import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.cases.purview import Purview
    from hutong.kernel.records import Connection, Database

#: A count goes no further, and pages do not either.
COUNTED: Final = 10_000
#: Titles of cases that are no longer open that a search looks through, the latest first, in each state.
SEARCHED: Final = 10_000
MOST_FOUND: Final = 1000
MOST_TITLES: Final = 200
_NUMBER: Final = re.compile(r"\+?[0-9]+")
#: The counters of units that those of a scope are the sum of.
_OF_UNITS: Final = {"all": "unit", "register": "register-unit"}

Sort = Literal["due", "changed"]
Ranged = Literal["all", "type", "unit", "owner", "register"]
Scope = Ranged | Literal["register-unit"]


class CaseQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which cases: all conditions must hold, empty ones and zeros do not count.

    Attributes:
        states: of these. late_ms: something should have been done before then.
        text: an id, the beginning of a searched field, or part of a title as it is written; digits alone are a number.
        beginnings: a number is found by its beginning too, and a text within numbers of titles. Whoever does not see
            numbers whole finds them whole and no otherwise: from beginnings that find, hidden digits can be told.
        sort: "due": what must be done first stands first; "changed": what changed last. turned: the other way round.
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
    turned: bool = False
    beginnings: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the text is a number, or the beginning of one."""
        return _NUMBER.fullmatch(key_of(self.text.replace("\0", ""))) is not None

    @property
    def asks_digits(self) -> bool:
        """Whether what is found may tell digits of a number."""
        return any(letter.isdigit() for letter in self.text)


class _Found(NamedTuple):
    """Ids of cases that a text finds; whether it would find more."""

    ids: list[str]
    cut: bool


class Late(msgspec.Struct, frozen=True):
    """Open cases of a unit, and how many of them are late."""

    unit: str
    open: int
    late: int


class CaseReader:
    """Reads cases.

    Args:
        database: opened by whoever made it.
        purview: the cases that are read; the others are as if they were not there.
    """

    def __init__(self, database: Database, purview: Purview) -> None:
        self._database, self.purview = database, purview

    def page(self, query: CaseQuery, limit: int = 50, offset: int = 0) -> list[Case]:
        """Cases that the query is about; there is none beyond `COUNTED`."""
        with self._database.read() as connection:
            return _page(connection, query, _conditions(connection, query, self.purview), limit, offset)

    def listing(self, query: CaseQuery, limit: int = 50, offset: int = 0) -> tuple[list[Case], int]:
        """What `page` and `count` say, of one moment and for one search."""
        with self._database.read() as connection:
            conditions = _conditions(connection, query, self.purview)
            return _page(connection, query, conditions, limit, offset), _count(connection, conditions)

    def every(self, query: CaseQuery) -> Iterator[Case]:
        """Each case that the query is about, read in pages: as listed up to `COUNTED`, the oldest first beyond.

        While many are read some change, and with them their places in any order but that of their ids.
        """
        return self._all(query, _order_by(query))

    def items_of(self, register: str) -> Iterator[Case]:
        """Every item of a register in the order of their ids, read in pages."""
        return self._all(CaseQuery(register=register, sort="changed"), CASES.c.id)

    def _all(self, query: CaseQuery, order: sa.ColumnElement[Any]) -> Iterator[Case]:
        chosen = sa.select(CASES.c.id, CASES.c.body)
        with self._database.read() as connection:
            conditions = _conditions(connection, query, self.purview)
            listed = sa.select(CASES.c.id).where(*conditions).order_by(order).limit(COUNTED + 1)
            ids = list(connection.execute(listed).scalars())
            walked = _conditions(connection, query, self.purview, walked=True) if len(ids) > COUNTED else None
        if walked is None:
            rows = of_keys(self._database, chosen.where(*self.purview.conditions()), CASES.c.id, ids)
        else:
            rows = by_key(self._database, chosen.where(*walked), CASES.c.id)
        return (case_of(row.body) for row in rows)

    def cut(self, query: CaseQuery) -> bool:
        """Whether the text of the query would find more than lists hold (`SEARCHED` and what follows it)."""
        with self._database.read() as connection:
            return _found(connection, query, query.states or STATES, self.purview).cut

    def count(self, query: CaseQuery) -> int:
        """How many cases the query is about; `COUNTED` + 1 stands for more."""
        with self._database.read() as connection:
            return _count(connection, _conditions(connection, query, self.purview))

    def figures(self, scope: Scope, name: str = "") -> dict[State, int]:
        """How many cases of a scope are in each state."""
        found = dict.fromkeys(STATES, 0)
        with self._database.read() as connection:
            for _, state, count in self._counts(connection, scope, COUNTS.c.name == name.replace("\0", "\ufffd"), name):
                found[state] += count
        return found

    def board(self, scope: Scope, prefix: str = "") -> dict[str, dict[State, int]]:
        """The figures of every name of a scope, e.g. of all units; of names that begin so."""
        within = begins(COUNTS.c.name, prefix) if prefix else sa.true()
        board: dict[str, dict[State, int]] = {}
        with self._database.read() as connection:
            for name, state, count in self._counts(connection, scope, within):
                if name.startswith(prefix):
                    board.setdefault(name, dict.fromkeys(STATES, 0))[state] += count
        return board

    def _counts(
        self, connection: Connection, scope: Scope, which: sa.ColumnElement[bool], name: str | None = None
    ) -> Iterator[tuple[str, State, int]]:
        """Counters in the order of their names; within a purview made of those of its units, or counted anew."""
        kept = sa.select(COUNTS.c.name, COUNTS.c.state, COUNTS.c.count).order_by(COUNTS.c.name)
        units = self.purview.units
        if units is None or scope in {"unit", "register-unit"}:
            rows = connection.execute(kept.where(COUNTS.c.scope == scope, which))
            yield from ((at, state, n) for at, state, n in rows if units is None or at.rpartition(WITHIN)[2] in units)
        elif scope in {"all", "register"}:
            for at, state, n in connection.execute(kept.where(COUNTS.c.scope == _OF_UNITS[scope])):
                whose, _, unit = at.rpartition(WITHIN)
                if unit in units and name in {None, whose}:
                    yield whose, state, n
        else:
            column = CASES.c[scope]
            chosen = sa.select(column, CASES.c.state, sa.func.count()).where(column != "", *self.purview.conditions())
            counted = chosen if name is None else chosen.where(column == name)
            for at, state, n in connection.execute(counted.group_by(column, CASES.c.state).order_by(column)):
                yield at, state, n

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

    def late(self, now_ms: int, scope: Ranged = "all", name: str = "") -> int:
        """How many open cases of a scope are late."""
        late = sa.select(sa.func.count()).where(CASES.c.is_open == 1, CASES.c.next_due_ms < now_ms)
        late = late.where(*self.purview.conditions())
        if scope != "all":
            late = late.where(CASES.c[scope] == name.replace("\0", "\ufffd"))
        with self._database.read() as connection:
            return int(connection.execute(late).scalar_one())

    def waking(self, now_ms: int, limit: int = 1000) -> list[Case]:
        """Cases that the watch must look at by now, the longest waiting first."""
        due = (WAKES, CASES.c.wake_ms <= now_ms, *self.purview.conditions())
        chosen = sa.select(CASES.c.body).where(*due).order_by(CASES.c.wake_ms).limit(limit)
        with self._database.read() as connection:
            return [case_of(body) for body in connection.execute(chosen).scalars()]


def _page(
    connection: Connection, query: CaseQuery, conditions: Sequence[sa.ColumnElement[bool]], limit: int, offset: int
) -> list[Case]:
    if offset > COUNTED:
        return []
    chosen = sa.select(CASES.c.body).where(*conditions).order_by(_order_by(query)).limit(limit).offset(offset)
    return [case_of(body) for body in connection.execute(chosen).scalars()]


def _order_by(query: CaseQuery) -> sa.ColumnElement[Any]:
    column = CASES.c.next_due_ms if query.sort == "due" else CASES.c.changed_ms
    order = column + 0 if query.text.strip() else column
    return order.desc() if (query.sort == "due") == query.turned else order


def _count(connection: Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
    some = sa.select(sa.literal(1)).select_from(CASES).where(*conditions).limit(COUNTED + 1)
    return int(connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one())


def _conditions(
    connection: Connection, query: CaseQuery, purview: Purview, *, walked: bool = False
) -> list[sa.ColumnElement[bool]]:
    """What must hold; `walked`: of rows read by their id, in a form that draws no other index."""
    states = query.states or (OPEN_STATES if query.sort == "due" else ())
    text = query.text.strip()
    found = _narrowed(query, purview, walked=walked)
    alone = not found and query.sort == "changed" and len(states) == 1
    # What was found by its text, or is narrowed already, must not be looked for by its state.
    is_open = sa.func.coalesce(CASES.c.is_open, 0) if text or walked else CASES.c.is_open
    state = sa.func.coalesce(CASES.c.state, "") if text or found or walked else CASES.c.state
    if states and set(states) <= set(OPEN_STATES) and not alone:
        found.append(is_open == 1)
    if states and set(states) != set(OPEN_STATES):
        found.append(state == states[0] if len(states) == 1 else state.in_(states))
    if query.late_ms:
        found += [is_open == 1, CASES.c.next_due_ms < query.late_ms]
    if text:
        found.append(CASES.c.id.in_(_found(connection, query, states or STATES, purview).ids))
    return found


def _narrowed(query: CaseQuery, purview: Purview, *, walked: bool) -> list[sa.ColumnElement[bool]]:
    """Whose and where, the fewest first. The others stand in a form that no index knows: SQLite would guess wrong."""
    names = ("parent", "owner", "register", "unit", "type")
    equal = [(CASES.c[name], value) for name in names if (value := getattr(query, name).replace("\0", "\ufffd"))]
    found = [
        column == value if at == 0 and not walked else sa.func.coalesce(column, "") == value
        for at, (column, value) in enumerate(equal)
    ]
    if purview.units is not None:
        unit = sa.func.coalesce(CASES.c.unit, "") if found or walked else CASES.c.unit
        found.append(unit.in_(sorted(purview.units)))
    return [*found, IS_PART] if query.parent else found


def _found(connection: Connection, query: CaseQuery, states: Sequence[State], purview: Purview) -> _Found:
    """The cases that a text finds: at most `MOST_FOUND` by their fields, and `MOST_TITLES` by title in each state."""
    text = query.text.strip().replace("\0", "")
    if not text:
        return _Found([], cut=False)
    key = key_of(text)
    ids, cut = {text}, False
    if key:
        known = sa.select(KEYS.c.key, KEYS.c.case).where(_named(query, key))
        if not purview.whole:
            known = known.where(KEYS.c.case.in_(sa.select(CASES.c.id).where(*purview.conditions())))
        rows = connection.execute(known.limit(MOST_FOUND)).all()
        cut = len(rows) == MOST_FOUND
        seen = query.beginnings or query.is_number
        ids |= {row.case for row in rows if seen or row.key == key or masked(row.key).startswith(key)}
    if not query.is_number:
        for state in states:
            chosen, whole = _titles(connection, text, state, purview)
            titles = connection.execute(chosen).all()
            cut = cut or not whole or len(titles) == MOST_TITLES
            ids |= {row.id for row in titles if query.beginnings or text in masked(row.title)}
    return _Found(sorted(ids), cut)


def _named(query: CaseQuery, key: str) -> sa.ColumnElement[bool]:
    if query.is_number and not query.beginnings:
        # A number is kept as it was written: one of another country with its sign, or without.
        return KEYS.c.key.in_({key, f"+{key.removeprefix('+')}"})
    return begins(KEYS.c.key, key)


def _titles(connection: Connection, text: str, state: State, purview: Purview) -> tuple[sa.Select[Any], bool]:
    """The latest cases of a state with a text in their titles; whether all titles of the state are looked through."""
    # Where LIKE must look at every letter, both engines compare bytes: a tenth of the time.
    within = sa.func.instr if connection.dialect.name == "sqlite" else sa.func.strpos
    chosen = sa.select(CASES.c.id, CASES.c.title).where(CASES.c.state == state, within(CASES.c.title, text) > 0)
    chosen = chosen.where(*purview.conditions())
    since = None
    if state not in OPEN_STATES:
        newest = sa.select(CASES.c.changed_ms).where(CASES.c.state == state).order_by(CASES.c.changed_ms.desc())
        since = connection.execute(newest.limit(1).offset(SEARCHED)).scalar()
        if since is not None:
            chosen = chosen.where(CASES.c.changed_ms >= since)
    return chosen.order_by(CASES.c.changed_ms.desc()).limit(MOST_TITLES), since is None
