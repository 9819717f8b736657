"""`/lists`: what is listed, why and until when; one number's entries; exports. Whole only for a stated purpose.

Belongs here: the overview, the table, the search by number, one entry. Not here: changes (`list_changes`), files that
people bring (`list_import`, `list_import_pages`), finding entries (`list_table`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.calls.console.error_words import say_words
from hutong.calls.console.list_changes import DONE, change_routes, entry_page
from hutong.calls.console.list_desk import AnyRequest, Form, ListDesk, Row
from hutong.calls.console.list_import_pages import import_routes
from hutong.calls.console.list_table import EXPIRIES, SOON, Wanted, every, find
from hutong.calls.list_targets import masked
from hutong.kernel.errors import ListError
from hutong.kernel.lists.csv_file import COLUMNS, show_time
from hutong.kernel.lists.entries import KINDS, LAST_ID, LISTS, ROLES, Entry
from hutong.kernel.lists.targets import describe, read_target
from hutong.kernel.numbering.keys import MAX_DIGITS
from hutong.kernel.reporter import masked as masked_text
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import demand, requires
from hutong.kernel.web.tables import Column, Filter, TableQuery, TableSpec, TableView, export_csv, read_query
from hutong.kernel.web.unmasking import PURPOSES, Unmasking, put_on_trail, read_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from litestar.handlers import HTTPRouteHandler
    from litestar.response import Stream

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.clock import Clock
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.web.console import Console

_NS = 1_000_000_000
_DAY = 86_400
_LONGEST_NUMBER = 64
_REFUSED = 422


def _choices(name: str, values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((value, f"lists.{name}.{value}") for value in values)


TABLE: Final = TableSpec(
    id="entries",
    columns=(
        Column("id", "lists.column.id"),
        Column("list", "lists.column.list"),
        Column("target", "lists.column.target"),
        Column("role", "lists.column.role"),
        Column("reason", "lists.column.reason", sortable=False),
        Column("source", "lists.column.source"),
        Column("who", "lists.column.who"),
        Column("created", "lists.column.created", sortable=False),
        Column("expires", "lists.column.expires"),
    ),
    filters=(
        Filter("list", "lists.column.list", "choice", _choices("list", LISTS)),
        Filter("kind", "lists.column.kind", "choice", _choices("kind", KINDS)),
        Filter("role", "lists.column.role", "choice", _choices("role", ROLES)),
        Filter("expiry", "lists.column.expires", "choice", _choices("expiry", EXPIRIES)),
        Filter("source", "lists.column.source"),
        Filter("who", "lists.column.who"),
        Filter("text", "lists.column.text"),
    ),
    sort="id",
    descending=True,
)


def wanted_of(query: TableQuery) -> Wanted:
    """What a table's query asks of the lists."""
    start = dict(query.others).get("start", "")
    return Wanted(
        **{name: query.filters.get(name, "") for name in ("list", "kind", "role", "expiry", "source", "who", "text")},
        sort=query.sort,
        descending=query.descending,
        start=int(start) if start.isascii() and start.isdigit() and len(start) < len(str(LAST_ID)) else 0,
    )


class _Table(msgspec.Struct, frozen=True):
    """The table of entries and what is to be said about how it was found."""

    view: TableView[Row]
    looked_to: int
    stored: int
    whole: bool
    sorted: bool
    further: str


def _table(desk: ListDesk, request: AnyRequest) -> _Table:
    query = read_query(TABLE, dict(request.query_params))
    wanted, now = wanted_of(query), desk.now()
    found = find(desk.store, wanted, now, offset=query.offset, size=query.size)
    if found.total is not None and query.page > 1 and not found.entries:
        query = msgspec.structs.replace(query, page=max(-(-found.total // query.size), 1))
        found = find(desk.store, wanted, now, offset=query.offset, size=query.size)
    rows = desk.rows(found.entries, request.user)
    view = TableView(TABLE, query, rows, total=found.total, more=found.more)
    stored = desk.store.count()
    further = _further(view, found.looked_to) if found.looked_to < stored and not found.more else ""
    return _Table(view, found.looked_to, stored, found.looked_to >= stored, found.sorted, further)


def _further(view: TableView[Row], start: int) -> str:
    """The same query, further back in the list."""
    said = [(name, value) for name, value in parse_qsl(view.url(page=None).removeprefix("?")) if name != "start"]
    return "?" + urlencode([*said, ("start", start)])


def _export(desk: ListDesk, request: AnyRequest, said: Unmasking | None = None) -> Stream:
    """Every entry that the filters leave: masked, or whole for what `said` says; on the trail before the first byte.

    Raises:
        RecordsError: it could not be kept there.
    """
    query = read_query(TABLE, dict(request.query_params))
    if said is None:
        desk.record(request.user, "tables.export", target="lists", after={"filters": query.filters})
    else:
        put_on_trail(desk, request, said, "lists", filters=query.filters)
    wanted = msgspec.structs.replace(wanted_of(query), start=0)
    entries = every(desk.store, wanted, desk.now())
    return export_csv("lists", COLUMNS, _lines(desk, entries, whole=said is not None))


def _lines(desk: ListDesk, entries: Iterable[Entry], *, whole: bool) -> Iterator[tuple[object, ...]]:
    """As `kernel.lists.csv_file` reads them; 00 for +, which a spreadsheet would take for a formula."""
    for entry in entries:
        target = describe(entry) if whole else masked(entry, desk.numbering)
        reason, source = (text if whole else masked_text(text) for text in (entry.reason, entry.source))
        yield (
            entry.list,
            target.replace("+", "00"),
            entry.role,
            reason,
            source,
            entry.who,
            show_time(entry.expires),
            entry.respond,
        )


def _number_key(desk: ListDesk, text: str) -> int:
    meant = read_target(text, desk.numbering)
    if meant.kind != "number":
        raise ListError(f"{text!r} is not a telephone number of 1 to {MAX_DIGITS} digits.")
    return meant.key


def _search(desk: ListDesk, request: AnyRequest, text: str) -> Response[str]:
    """The entries that cover a number, or the one that is exactly what was written."""
    trouble, entries, target = None, [], ""
    try:
        key = _number_key(desk, text[:_LONGEST_NUMBER])
        target = desk.numbering.mask(key)
        entries = desk.store.matching(key)
    except ListError as error:
        # What was typed may be a number but for a slip.
        trouble = say_words(desk.console.frame.texts, masked_text(error.what), error.fix, desk.language(request))
    rows = desk.rows(entries, request.user)
    acts = [row for row in rows if row.expiry != "over"]
    verdict = _outcome(acts) if trouble is None else ""
    return desk.console.page(
        request,
        "lists_search.html",
        status=200 if trouble is None else _REFUSED,
        rows=rows,
        target=target,
        trouble=trouble,
        verdict=verdict,
    )


def _outcome(rows: list[Row]) -> str:
    """What entries in force do to a number: an allow entry of the same side wins over every block entry."""
    sides = {}
    for side in ("caller", "callee"):
        lists = {row.entry.list for row in rows if row.entry.role in {side, "any"}}
        sides[side] = "allow" if "allow" in lists else "block" if lists else "none"
    return f"{sides['caller']}_{sides['callee']}"


def _overview(desk: ListDesk, request: AnyRequest, said: Unmasking = Unmasking()) -> Response[str]:  # noqa: B008  # frozen
    table = _table(desk, request)
    text = table.view.query.filters.get("text", "")
    return desk.console.page(
        request,
        "lists.html",
        status=_REFUSED if said.trouble else 200,
        table=table,
        counts=desk.census.counts(desk.now()),
        soon_days=SOON // _DAY,
        lists=LISTS,
        kinds=KINDS,
        number_as_text=masked_text(text) != text,
        said=said,
        purposes=PURPOSES,
    )


def _known(desk: ListDesk, number: int) -> Entry:
    found = desk.entry(number)
    if found is None:
        raise NotFoundException
    return found


def read_routes(desk: ListDesk) -> list[HTTPRouteHandler]:
    """The pages that change nothing."""

    @get("/lists", opt=requires("lists.read"), sync_to_thread=True)
    def lists(request: AnyRequest) -> Response[Any]:
        if asks_export(request):
            return _export(desk, request)
        return _overview(desk, request)

    @post("/lists", opt=requires("numbers.unmask"), sync_to_thread=True, status_code=200)
    def export_whole(request: AnyRequest, data: Form) -> Response[Any]:
        demand(request.user, "tables.export")
        said = read_form(data)
        return _overview(desk, request, said) if said.trouble else _export(desk, request, said)

    @post("/lists/search", opt=requires("lists.read"), sync_to_thread=True, status_code=200)
    def search(request: AnyRequest, data: Form) -> Response[str]:
        return _search(desk, request, data.get("number", ""))

    @get("/lists/{number:int}", opt=requires("lists.read"), sync_to_thread=True)
    def entry(request: AnyRequest, number: FromPath[int]) -> Response[str]:
        done = request.query_params.get("done", "")
        return entry_page(desk, request, _known(desk, number), done=done if done in DONE else "")

    @post("/lists/{number:int}", opt=requires("numbers.unmask"), sync_to_thread=True, status_code=200)
    def unmask(request: AnyRequest, number: FromPath[int], data: Form) -> Response[str]:
        found, said = _known(desk, number), read_form(data)
        if said.trouble:
            return entry_page(desk, request, found, said=said)
        put_on_trail(desk, request, said, f"lists/{found.id}", numbers=[desk.name(found)])
        return entry_page(desk, request, found, said=said, whole=True)

    return [lists, export_whole, search, entry, unmask]


def routes(
    console: Console,
    *,
    store: ListStore,
    numbering: Numbering,
    trail: Trail,
    refs: Refs,
    clock: Clock,
    imports: Path,
) -> list[HTTPRouteHandler]:
    """Everything under `/lists`; the arguments are `ListDesk`'s."""
    desk = ListDesk(console, store=store, numbering=numbering, trail=trail, refs=refs, clock=clock, imports=imports)
    return [*read_routes(desk), *change_routes(desk), *import_routes(desk)]
