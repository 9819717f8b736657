"""The trail: who did what, from where, to what, and how it was before and after. Rows are only ever added.

A change and its row stand or fall together when both are made within one `database.write()`; the row is best made last
there, because from then on nobody else adds to the trail until the block ends: `kernel.audit` numbers every row without
gaps and keeps its hash. Secrets never enter, and telephone numbers are masked. Changes of lists and unmaskings name
numbers by their references (`refs`), those of codes name no person and hold hashes, so these deeds keep target, before
and after as given. Purposes are kept word for word but for what is plainly a telephone number: case
numbers must stay.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from hutong.kernel.audit import log
from hutong.kernel.records import tables
from hutong.kernel.reporter import mask_number, mask_text, mask_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.records import Database

#: Deeds whose target, before and after are kept as given.
WHOLE: Final = ("lists.", "numbers.unmask", "codes.", "sampling.")
_TELEPHONE: Final = re.compile(
    r"\+\d(?:[-. ()]{0,2}\d){6,15}|(?<!\d)(?:(?:00)?86)?(?:1[3-9](?:[- ]?\d){9}|0\d{2,3}(?:[- ]?\d){7,8})(?!\d)"
)
#: Entries that a page looks through for a text that no index can find (a part of a word, in any script): 0.15 s.
SEARCHED: Final = 200_000
_SLACK = 1000  # nodes that share records have clocks of their own: numbers and times do not quite rise together
_PAGE = 500
_LONGEST = 2000
_TRAIL = tables.trail
_ADD = sa.insert(_TRAIL).returning(*log.ENTRY)
Sort = Literal["time", "who", "address", "deed", "target"]
_SORTS: Final[dict[str, sa.ColumnElement[Any]]] = {
    "time": _TRAIL.c.id,
    "who": _TRAIL.c.who,
    "address": _TRAIL.c.address,
    "deed": _TRAIL.c.deed,
    "target": _TRAIL.c.target,
}


class TrailEntry(msgspec.Struct, frozen=True):
    """One deed.

    Attributes:
        id: numbers rise with time. time_ms: ms since 1970.
        who: name of the account; "local:NAME" for a user of this machine. address: where from; "local" likewise.
        deed: a dotted word, e.g. "lists.add". target: what it was done to.
        before, after: JSON values; None where there is nothing to say.
        purpose: what for, in the person's own words.
    """

    id: int
    time_ms: int
    who: str
    address: str
    deed: str
    target: str
    before: Any
    after: Any
    purpose: str


class Reach(msgspec.Struct, frozen=True):
    """The entries that a page looks at: numbers above `above` up to `upto`, from `since_ms` on."""

    above: int
    upto: int
    since_ms: int


class TrailQuery(msgspec.Struct, frozen=True):
    """Which entries: all conditions must hold, empty ones and zeros do not count.

    Attributes:
        who: part of the name. deed: the word or its beginning up to a dot. target: part of it.
        text: part of target, purpose, before or after. since_ms, until_ms: from and before, ms since 1970.
        reach: the numbers to look at; None = all.
    """

    who: str = ""
    deed: str = ""
    target: str = ""
    text: str = ""
    since_ms: int = 0
    until_ms: int = 0
    reach: Reach | None = None


class Trail:
    """The trail in the records.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(  # a deed's own parts
        self,
        who: str,
        address: str,
        deed: str,
        target: str = "",
        before: object = None,
        after: object = None,
        purpose: str = "",
        *,
        now_ms: int,
    ) -> int:
        """Add a deed; returns its number. It is on disk when this returns, or when the outer `write` ends.

        Raises:
            RecordsError: it could not be kept, so what it is about must not happen.
        """
        if not deed.startswith(WHOLE):
            target, before, after = mask_text(target), mask_value("", _plain(before)), mask_value("", _plain(after))
        purpose = _TELEPHONE.sub(lambda found: mask_number(re.sub(r"[^\d+]", "", found[0])), purpose)
        values = {"who": who, "address": address, "deed": deed, "target": target, "purpose": purpose}
        clean: dict[str, Any] = {name: _clean(text)[:_LONGEST] for name, text in values.items()}
        clean |= {"time_ms": now_ms, "before": _json(before), "after": _json(after)}
        with self._database.write() as connection:
            self._database.hold(connection, log.HOLD)
            row = connection.execute(_ADD, clean).one()
            log.add_leaf(connection, row)
            return int(row.id)

    def page(  # a page's own parts
        self,
        query: TrailQuery = TrailQuery(),  # noqa: B008  # frozen
        sort: Sort = "time",
        *,
        descending: bool = True,
        limit: int = 50,
        offset: int = 0,
    ) -> list[TrailEntry]:
        """Entries that the query is about; those that sort alike stand newest first."""
        column = _by_number(query, _SORTS[sort])
        order = [column.desc() if descending else column.asc(), _TRAIL.c.id.desc()]
        chosen = sa.select(_TRAIL).where(*_conditions(query)).order_by(*order).limit(limit).offset(offset)
        with self._database.read() as connection:
            return [_entry_of(row) for row in connection.execute(chosen)]

    def reach(self, query: TrailQuery, searched: int = SEARCHED) -> Reach | None:
        """How far back a page should look for a part of a text; None = at everything.

        A query that says from when it wants to know is taken at its word, however long that takes.
        """
        if not (query.text or query.target) or query.since_ms:
            return None
        column = _TRAIL.c
        latest = sa.select(column.id).order_by(column.time_ms.desc(), column.id.desc()).limit(1)
        if query.until_ms:
            latest = latest.where(column.time_ms < query.until_ms)
        with self._database.read() as connection:
            newest = connection.execute(latest).scalar() or 0
            above = newest - searched
            if above <= 0:
                return None
            first = sa.select(column.time_ms).where(column.id > above).order_by(column.id).limit(1)
            since_ms = connection.execute(first).scalar()
        return None if since_ms is None else Reach(above, newest + _SLACK, since_ms)

    def numbers(self, entries: Sequence[TrailEntry]) -> dict[int, int]:
        """The numbers under which the audit log knows these entries, by their ids."""
        with self._database.read() as connection:
            return log.numbers_of(connection, [entry.id for entry in entries])

    def count(self, query: TrailQuery = TrailQuery()) -> int:  # noqa: B008  # frozen
        """How many entries the query is about."""
        with self._database.read() as connection:
            chosen = sa.select(sa.func.count()).select_from(_TRAIL).where(*_conditions(query))
            return int(connection.execute(chosen).scalar_one())

    def entries(self, query: TrailQuery = TrailQuery()) -> Iterator[TrailEntry]:  # noqa: B008  # frozen
        """Every entry that the query is about, newest first, some at a time; those added meanwhile do not show."""
        below: list[sa.ColumnElement[bool]] = []
        while True:
            chosen = sa.select(_TRAIL).where(*_conditions(query), *below).order_by(_TRAIL.c.id.desc()).limit(_PAGE)
            with self._database.read() as connection:
                found = [_entry_of(row) for row in connection.execute(chosen)]
            yield from found
            if len(found) < _PAGE:
                return
            below = [_TRAIL.c.id < found[-1].id]


def _by_number(query: TrailQuery, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column; within a reach in a form that no index knows, so that the engine goes by number and no further."""
    if query.reach is None or column is _TRAIL.c.id:
        return column
    return column + 0 if column is _TRAIL.c.time_ms else sa.func.coalesce(column, "")


def _conditions(query: TrailQuery) -> list[sa.ColumnElement[bool]]:
    column, time_ms = _TRAIL.c, _by_number(query, _TRAIL.c.time_ms)
    found: list[sa.ColumnElement[bool]] = []
    if query.reach:
        found += [column.id > query.reach.above, column.id <= query.reach.upto]
    if query.who:
        found.append(column.who.icontains(_clean(query.who), autoescape=True))
    if query.deed:
        deed = _clean(query.deed).rstrip(".")
        found.append(sa.or_(column.deed == deed, column.deed.startswith(f"{deed}.", autoescape=True)))
    if query.target:
        found.append(column.target.icontains(_clean(query.target), autoescape=True))
    if query.text:
        places = (column.target, column.purpose, column.before, column.after)
        found.append(sa.or_(*(place.icontains(_clean(query.text), autoescape=True) for place in places)))
    if query.since_ms:
        found.append(time_ms >= query.since_ms)
    if query.until_ms:
        found.append(time_ms < query.until_ms)
    return found


def _entry_of(row: sa.Row[Any]) -> TrailEntry:
    fields = dict(row._mapping)  # noqa: SLF001  # the library's public name for it
    for name in ("before", "after"):
        fields[name] = None if fields[name] is None else msgspec.json.decode(fields[name])
    return TrailEntry(**fields)


def _clean(text: str) -> str:
    """Text that both engines can keep: no NUL, no half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _plain(value: object) -> Any:  # noqa: ANN401  # what JSON can say
    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(_cleaned(_plain(value)), order="sorted").decode()


def _cleaned(value: Any) -> Any:  # noqa: ANN401  # what JSON can say
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(name): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value
