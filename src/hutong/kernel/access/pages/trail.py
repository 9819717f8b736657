"""`/trail`: who did what, when, from where; before and after side by side. Exporting it is itself recorded."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from litestar import Request, Response, get

from hutong.kernel.access.trail import SEARCHED, TrailQuery
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import (
    Column,
    Filter,
    TableQuery,
    TableSpec,
    TableView,
    export_csv,
    read_query,
    stamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.access.trail import Sort, TrailEntry
    from hutong.kernel.web.console import Console

_GROUPS: Final = (
    "audit",
    "cases",
    "session",
    "account",
    "people",
    "tokens",
    "lists",
    "rules",
    "orders",
    "evidence",
    "reports",
    "bulletins",
    "appeals",
    "handoffs",
    "numbers",
    "tables",
)

TABLE: Final = TableSpec(
    id="trail",
    columns=(
        Column("time", "trail.time"),
        Column("who", "trail.who"),
        Column("deed", "trail.deed"),
        Column("target", "trail.target"),
        Column("change", "trail.change", sortable=False),
        Column("purpose", "trail.purpose", sortable=False),
        Column("address", "trail.address"),
    ),
    filters=(
        Filter("who", "trail.who"),
        Filter("deed", "trail.deed", choices=tuple((it, f"deeds.group_{it}") for it in _GROUPS)),
        Filter("target", "trail.target"),
        Filter("text", "trail.text"),
        Filter("since", "trail.since", "time"),
        Filter("until", "trail.until", "time"),
    ),
    sort="time",
    descending=True,
    sizes=(50, 100, 200),
)


class Change(msgspec.Struct, frozen=True):
    """One value that a deed changed; `name` is "" where the whole is one value. None: there was or is nothing."""

    name: str
    before: str | None
    after: str | None


def changes(before: object, after: object) -> list[Change]:
    """What differs between two JSON values: name by name where they have names, as a whole otherwise."""
    if {type(before), type(after)} <= {dict, NoneType} and before != after:
        old, new = cast("dict[str, object]", before or {}), cast("dict[str, object]", after or {})
        names = [*old, *(name for name in new if name not in old)]
        differing = [name for name in names if old.get(name) != new.get(name)]
        return [Change(name, _text(old.get(name)), _text(new.get(name))) for name in differing]
    return [] if before == after else [Change("", _text(before), _text(after))]


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(it, str) for it in value):
        return ", ".join(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def routes(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    """`/trail`."""

    @get("/trail", sync_to_thread=True, opt=requires("trail.read"))
    def trail(request: Request[Any, Any, Any]) -> Response[Any]:
        query = read_query(TABLE, request.query_params)
        wanted = _wanted(query, console, request)
        if asks_export(request):
            desk.record(request, "tables.export", "trail", after=query.filters)
            return export_csv("trail", _header(console, request), _cells(console, request, desk.trail.entries(wanted)))
        reach = desk.trail.reach(wanted)
        wanted = msgspec.structs.replace(wanted, reach=reach)
        view = _view(desk, query, wanted)
        return console.page(
            request,
            "trail.html",
            view=view,
            numbers=desk.trail.numbers(view.rows),
            standing=desk.standing(),
            changes=changes,
            reach=reach,
            searched=SEARCHED,
        )

    return [trail]


def _view(desk: Desk, query: TableQuery, wanted: TrailQuery) -> TableView[TrailEntry]:
    """A page of the table. Counting looks at everything once more, so it is done only where an index does it."""

    def rows_of(query: TableQuery) -> list[TrailEntry]:
        sort = cast("Sort", query.sort)
        return desk.trail.page(wanted, sort, descending=query.descending, limit=query.size + 1, offset=query.offset)

    rows = rows_of(query)
    if 0 < len(rows) <= query.size or (not rows and query.page == 1):
        total = query.offset + len(rows)
    elif wanted.text or wanted.target:
        total = None
    else:
        total = desk.trail.count(wanted)
        if not rows:
            query = msgspec.structs.replace(query, page=max(-(-total // query.size), 1))
            rows = rows_of(query)
    return TableView(TABLE, query, rows[: query.size], total=total, more=len(rows) > query.size)


def _wanted(query: TableQuery, console: Console, request: Request[Any, Any, Any]) -> TrailQuery:
    zone, said = console.zone(request), query.filters
    return TrailQuery(
        who=said.get("who", ""),
        deed=said.get("deed", ""),
        target=said.get("target", ""),
        text=said.get("text", ""),
        since_ms=query.time_ms("since", zone) or 0,
        until_ms=query.time_ms("until", zone) or 0,
    )


def _header(console: Console, request: Request[Any, Any, Any]) -> list[str]:
    keys = ("time", "who", "address", "deed", "target", "before", "after", "purpose")
    return [console.say(request, "trail.number"), *(console.say(request, f"trail.{key}") for key in keys)]


def _cells(
    console: Console, request: Request[Any, Any, Any], entries: Iterator[TrailEntry]
) -> Iterator[tuple[object, ...]]:
    zone = console.zone(request)
    for it in entries:
        before, after = _text(it.before), _text(it.after)
        yield it.id, stamp(it.time_ms, zone), it.who, it.address, it.deed, it.target, before, after, it.purpose
