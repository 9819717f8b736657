"""`/cases`: all cases with filters, search, saved views, an export, and the same done with many at once.

A number that is looked for goes in a form's body and then by its reference, so that no address holds it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from litestar import Response, get, post
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation
from msgspec.structs import replace

from hutong.kernel.access.pages.desk import Fields, text_of, texts_of
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.model import OPEN_STATES, STATES, Action, Case, Request, State
from hutong.kernel.cases.pages.desk import AnyRequest, CaseDesk, new_key, own_key, spoken
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.query import COUNTED, MOST_FOUND, MOST_TITLES, SEARCHED, CaseQuery
from hutong.kernel.cases.table import MOVES, STATE_TITLES
from hutong.kernel.cases.views import LONGEST_NAME, View
from hutong.kernel.numbering import digits_of
from hutong.kernel.reporter import masked
from hutong.kernel.web.console import see_other
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

    from hutong.kernel.cases.pages.desk import Person

_CHINA: Final = "86"
#: What may be a telephone number, as people write it; beside a letter digits are part of an id.
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])[+(]{0,2}[0-9][0-9 ()./-]*[0-9](?![0-9A-Za-z])")
_MOST_PICKED: Final = 200
_LIMITS: Final = {"fields": MOST_FOUND, "titles": MOST_TITLES, "latest": SEARCHED}
#: What may be done with many: what needs no proof of each one's own.
BULK: Final[tuple[Action, ...]] = ("assign", "accept", "close", "return", "transfer", "supervise", "comment")
_KEPT: Final = ("state", "late", "type", "unit", "owner", "register", "number", "text", "sort")
#: What a page may be about besides its filters: where other pages lead to.
_BESIDE: Final = ("register", "number")
_COLUMNS: Final = (
    Column("pick", "cases.pick", sortable=False),
    Column("title", "cases.title_", sortable=False),
    Column("state", "cases.state", sortable=False),
    Column("due", "cases.due"),
    Column("unit", "cases.unit", sortable=False),
    Column("owner", "cases.owner", sortable=False),
    Column("changed", "cases.changed"),
)


def spec_of(desk: CaseDesk, request: AnyRequest, units: list[str], owners: list[Person]) -> TableSpec:
    """The table as this viewer has it."""
    language = desk.console.language(request)
    states = [(state, STATE_TITLES[state][language]) for state in STATES]
    types = [(name, getattr(kind.title, language)) for name, kind in desk.cases.types.by_id.items()]
    return TableSpec(
        id="cases",
        columns=_COLUMNS,
        filters=(
            Filter("unit", "cases.unit", choices=tuple((unit, unit) for unit in units)),
            Filter("owner", "cases.owner", choices=tuple((it.name, f"{it.name} {it.title}") for it in owners)),
            Filter("state", "cases.state", "choice", (*states, ("any", "cases.any_state"))),
            Filter("late", "cases.late", "choice", (("yes", "cases.late_only"),)),
            Filter("type", "cases.type", "choice", tuple(types)),
            Filter("text", "cases.text"),
        ),
        sort="due",
    )


def asked(desk: CaseDesk, request: AnyRequest, query: TableQuery) -> CaseQuery:
    """Which cases a table is about. What is no longer open has no due time, and comes in the order of its changes."""
    said = {**dict(query.others), **query.filters}
    state = said.get("state", "")
    states: tuple[State, ...] = () if state == "any" else (state,) if state else OPEN_STATES  # type: ignore[assignment]
    due = query.sort == "due" and set(states) <= set(OPEN_STATES) and states != ()
    number = desk.refs.key(said["number"]) if said.get("number") else None
    digits = digits_of(number) if number is not None else ""
    # Fields hold Chinese numbers without their country code.
    text = digits.removeprefix(_CHINA) if digits else said.get("text", "")
    if said.get("number") and not digits:
        text = "\x7f"  # a reference that is not ours finds nothing
    wanted = CaseQuery(
        states=states,
        type=said.get("type", ""),
        owner=said.get("owner", ""),
        unit=said.get("unit", ""),
        register=said.get("register", ""),
        late_ms=desk.console.now_ms() if said.get("late") else 0,
        text=text,
        sort="due" if due else "changed",
        turned=query.descending if due else query.sort == "changed" and not query.descending,
    )
    part = not digits or desk.numbering.read(f"+{digits}").fault == "too-short"
    return replace(wanted, beginnings=part and wanted.asks_digits and request.user.can("cases.unmask"))


def _recorded(desk: CaseDesk, request: AnyRequest, wanted: CaseQuery) -> CaseQuery:
    """The query; that somebody looks for numbers by their beginning is on the trail first."""
    viewer = request.user
    if wanted.beginnings:
        after = {"text": wanted.text}
        desk.trail.record(viewer.name, viewer.address, "cases.search", after=after, now_ms=desk.console.now_ms())
    return wanted


def _page(desk: CaseDesk, request: AnyRequest) -> Response[str]:
    units, owners = desk.units(request), desk.owners(request)
    spec = spec_of(desk, request, units, owners)
    query = read_query(spec, request.query_params)
    wanted = _recorded(desk, request, asked(desk, request, query))
    found, count = desk.seen(request).listing(wanted, query.size + 1, query.offset)
    many = count > COUNTED
    cards = desk.cards(request, found[: query.size])
    view = TableView(spec, query, cards, total=None if many else count, more=len(found) > query.size)
    offered = [action for action in BULK if request.user.can(MOVES[action].who)]
    language = desk.console.language(request)
    return desk.console.page(
        request,
        "cases_list.html",
        view=view,
        count=count,
        counted=COUNTED,
        cut=bool(wanted.text) and desk.seen(request).cut(wanted),
        limits=_LIMITS,
        views=desk.views.of(request.user.name, desk.seen(request).purview),
        kept=urlencode([(k, v) for k, v in request.query_params.items() if k in _KEPT]),
        bulk=[(it, MOVES[it].zh if language == "zh" else MOVES[it].en) for it in offered],
        key=new_key(request),
        units=units,
        owners=owners,
        whose=_number_shown(desk, query),
        register=_register_shown(desk, request, query),
        bare=urlencode([(k, v) for k, v in request.query_params.items() if k in _KEPT and k not in _BESIDE]),
        longest=LONGEST_NAME,
        wrong=request.query_params.get("wrong", "") == "view",
    )


def _number_shown(desk: CaseDesk, query: TableQuery) -> str:
    ref = dict(query.others).get("number", "")
    key = desk.refs.key(ref) if ref else None
    return "" if key is None else desk.numbering.mask(key)


def _register_shown(desk: CaseDesk, request: AnyRequest, query: TableQuery) -> str:
    of = dict(query.others).get("register", "")
    try:
        return desk.registers(request).register(of).title if of else ""
    except CaseRefused:
        return of


def _search(desk: CaseDesk, request: AnyRequest, text: str) -> Response[str]:
    """Where a search leads: a number by its reference, a case that has this id to itself, anything else to the list."""
    text = text.strip()[:200]
    if not text:
        return see_other("/cases")
    try:
        return see_other(f"/cases/{desk.seen(request).case(text).id}")
    except CaseRefused:
        pass
    within = _NUMBER.search(unicodedata.normalize("NFKC", text))
    # Words around a number would take it into the address.
    if within is not None and (within[0] == within.string or masked(within[0]) != within[0]):
        number = desk.numbering.read(re.sub(r"[^0-9+]", "", within[0]))
        if number.digits:
            return see_other(f"/cases?{urlencode({'state': 'any', 'number': desk.refs.ref(number.key)})}")
    return see_other(f"/cases?{urlencode({'state': 'any', 'text': text})}")


def _export(desk: CaseDesk, request: AnyRequest) -> Stream:
    """Every case that the filters leave, masked; on the trail first. What a search leaves out is said at the end."""
    query = read_query(spec_of(desk, request, desk.units(request), desk.owners(request)), request.query_params)
    viewer, now_ms = request.user, desk.console.now_ms()
    desk.trail.record(
        viewer.name, viewer.address, "tables.export", "cases", after={"filters": query.filters}, now_ms=now_ms
    )
    keys = ("id", "title_", "type", "state", "due", "unit", "owner", "supervision", "changed")
    wanted = _recorded(desk, request, asked(desk, request, query))
    return export_csv("cases", [desk.console.say(request, f"cases.{it}") for it in keys], _cells(desk, request, wanted))


def _cells(desk: CaseDesk, request: AnyRequest, wanted: CaseQuery) -> Iterator[tuple[object, ...]]:
    zone, language = desk.console.zone(request), desk.console.language(request)
    cases = desk.seen(request)
    for it in cases.every(wanted):
        due, state = stamp(it.next_due_ms or None, zone), STATE_TITLES[it.state][language]
        kind = desk.type_title(it.type, language)
        yield it.id, masked(it.title), kind, state, due, it.unit, it.owner, it.level, stamp(it.changed_ms, zone)
    if wanted.text and cases.cut(wanted):
        yield (desk.console.say(request, "cases.search_cut", **_LIMITS),)


def _bulk(desk: CaseDesk, request: AnyRequest, data: dict[str, Any]) -> Response[str]:
    """The same with every case that was ticked; what became of each."""
    ids, action = texts_of(data, "case")[:_MOST_PICKED], text_of(data, "action")
    results: list[tuple[str, Case | None, str]] = []
    if action in BULK:
        wanted = Request(
            action,
            reason=text_of(data, "reason").strip(),
            owner=text_of(data, "owner").strip(),
            unit=text_of(data, "unit").strip(),
        )
        cases = desk.seen(request)
        key = own_key(request, text_of(data, "key"))
        for it in cases.do_many(ids, wanted, actor_of(request.user), desk.console.now_ms(), key=key):
            words = "" if it.answer else spoken(desk, request, CaseRefused(it.reason, it.what))  # type: ignore[arg-type]  # one of REASONS
            try:
                results.append((it.case, cases.case(it.case), words))
            except CaseRefused:
                results.append((it.case, None, words))
    return desk.console.page(
        request,
        "cases_bulk.html",
        status=200 if results else 422,
        results=[(of, desk.card(request, case) if case else None, words) for of, case, words in results],
        done=sum(1 for *_, words in results if not words),
        action=action if action in BULK else "",
        moves=MOVES,
        back=text_of(data, "back") if text_of(data, "back").startswith("/cases") else "/cases",
    )


def routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """`/cases`, the search, work with many, and saved views."""

    @get("/cases", sync_to_thread=True, opt=requires("cases.read"))
    def page(request: AnyRequest) -> Response[str] | Stream:
        return _export(desk, request) if asks_export(request) else _page(desk, request)

    @post("/cases/search", status_code=200, sync_to_thread=True, opt=requires("cases.read"))
    def search(request: AnyRequest, data: Fields) -> Response[str]:
        return _search(desk, request, text_of(data, "q"))

    @post("/cases/bulk", status_code=200, sync_to_thread=True, opt=requires("cases.work"))
    def bulk(request: AnyRequest, data: Fields) -> Response[str]:
        return _bulk(desk, request, data)

    @post("/cases/views", status_code=200, sync_to_thread=True, opt=requires("cases.read"))
    def views(request: AnyRequest, data: Fields) -> Response[str]:
        said = parse_qsl(text_of(data, "query")[:500])
        query = urlencode([(k, v) for k, v in said if k in _KEPT])
        if text_of(data, "drop"):
            desk.views.drop(request.user.name, text_of(data, "drop"))
            return see_other("/cases")
        try:
            shares = request.user.can("cases.work") and desk.seen(request).purview.whole
            shared = text_of(data, "shared") == "yes" and shares
            desk.views.save(View(request.user.name, text_of(data, "name"), query, shared))
        except CaseRefused:
            return see_other(f"/cases?{query}&wrong=view")
        return see_other(f"/cases?{query}")

    return [page, search, bulk, views]
