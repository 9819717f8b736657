"""`/sampling/tubes`: finding tubes and batches; one barcode with its whole story, recalls and decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, read_query, stamp
from hutong.sampling.console.parts import UNFIT, AnyRequest, Parts, actor_of
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.identity import masked_person
from hutong.sampling.listing import FARTHEST, TubeQuery
from hutong.sampling.model import RESULTS, STATES, Result, told_of
from hutong.sampling.table import MOVES

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.web.tables import TableQuery
    from hutong.sampling.model import Kept, Told, Tube

Form = URLEncodedBody[dict[str, str]]
_LONGEST: Final = 200
_CONFLICTS: Final = 200
_COLUMNS: Final = (
    Column("tube", "sampling.column.tube", sortable=False),
    Column("state", "sampling.column.state", sortable=False),
    Column("people", "sampling.column.people", sortable=False, number=True),
    Column("result", "sampling.column.result", sortable=False),
    Column("batch", "sampling.column.batch", sortable=False),
    Column("district", "sampling.column.district", sortable=False),
    Column("opened", "sampling.column.opened", sortable=False),
)


class Person(msgspec.Struct, frozen=True):
    """Somebody in a tube as pages show it."""

    person: str
    at_ms: int
    said_ms: int
    retest: bool
    told: Told


class TubeShown(msgspec.Struct, frozen=True):
    """A tube with its people masked, and what its reader may do with it now."""

    tube: Tube
    people: list[Person]
    recall: bool
    settle: bool


class Step(msgspec.Struct, frozen=True):
    """An event of a barcode. `said`: what it adds, as (name of a text, value)."""

    kept: Kept
    person: str
    said: list[tuple[str, str]]


def table_of(parts: Parts, language: str) -> TableSpec:
    """The table of tubes."""
    places = tuple((code, f"{parts.districts.title(code, language)} {code}") for code in parts.districts.district)
    states = (("waiting", "sampling.state.waiting"), *((it, f"sampling.state.{it}") for it in STATES))
    return TableSpec(
        id="tubes",
        columns=_COLUMNS,
        filters=(
            Filter("state", "sampling.column.state", "choice", states),
            Filter("held", "sampling.held", "choice", (("yes", "sampling.held_only"),)),
            Filter("district", "sampling.column.district", "choice", places),
            Filter("station", "sampling.column.station"),
        ),
    )


def shown(tube: Tube, may: Callable[[str], bool]) -> TubeShown:
    """A tube for a reader; `may`: whether they have a permission."""
    people = [
        Person(masked_person(it.person), it.at_ms, it.said_ms, it.retest, told_of(tube, it)) for it in tube.members
    ]
    return TubeShown(
        tube,
        people,
        recall=may("sampling.recall") and tube.state in MOVES["recall"].sources and tube.calls_people,
        settle=may("sampling.settle") and tube.state in MOVES["settle"].sources and tube.is_held,
    )


def step_of(kept: Kept) -> Step:
    """An event as the story tells it; people masked."""
    deed = kept.event.deed
    fields = {
        name: getattr(deed, name)
        for name in ("batch", "courier", "laboratory", "result", "reason")
        if hasattr(deed, name)
    }
    said = [(name, str(value)) for name, value in fields.items() if value]
    person = getattr(deed, "person", "")
    return Step(kept, masked_person(person) if person else "", said)


def _story(parts: Parts, request: AnyRequest, barcode: str, trouble: str = "") -> Response[Any]:
    sampling = parts.desk.sampling
    barcode = barcode.partition("@")[0]
    events = sampling.events(barcode)
    if not events:
        raise NotFoundException
    story = sampling.story(barcode)
    done = request.query_params.get("done", "")
    return parts.page(
        request,
        "sampling_tube.html",
        status=UNFIT if trouble else 200,
        barcode=barcode,
        tubes=[shown(it, request.user.can) for it in story.tubes],
        steps=[step_of(it) for it in events],
        conflicts=sampling.conflicts(barcode=barcode, limit=_CONFLICTS),
        trouble=trouble,
        done=done if done in {"recalled", "settled"} else "",
        answers=RESULTS,
    )


def _find(parts: Parts, request: AnyRequest) -> Response[Any]:
    """Where a barcode or the number of a batch leads; else the list, which says that there is neither."""
    text = request.query_params.get("q", "").strip()[:_LONGEST]
    barcode = text.partition("@")[0].upper()
    if barcode and parts.desk.sampling.events(barcode):
        return see_other(f"/sampling/tubes/{barcode}")
    if text and parts.desk.sampling.batch(text) is not None:
        return see_other(f"/sampling/batches/{text}")
    return _list(parts, request, missing=text)


def _wanted(query: TableQuery) -> TubeQuery:
    """Which tubes the table is about."""
    of = query.filters.get
    return TubeQuery(of("state", ""), of("district", ""), of("station", ""), held="held" in query.filters)


def _export(parts: Parts, request: AnyRequest) -> Stream:
    table = table_of(parts, parts.console.language(request))
    query, zone = read_query(table, dict(request.query_params)), parts.console.zone(request)
    header = ["tube", "state", "people", "result", "held", "batch", "district", "opened", "tested"]
    found = parts.listing.tubes(_wanted(query), FARTHEST).rows
    rows = (
        (
            *(it.id, it.state, it.people, it.result, it.held, it.batch, it.district),
            *(stamp(it.opened_ms, zone), stamp(it.reported_ms or None, zone)),
        )
        for it in found
    )
    return parts.export(request, "tubes", query, header, rows)


def _list(parts: Parts, request: AnyRequest, missing: str = "") -> Response[Any]:
    table = table_of(parts, parts.console.language(request))
    query = read_query(table, {name: it for name, it in request.query_params.items() if name != "q"})
    found = parts.listing.tubes(_wanted(query), query.size, query.offset)
    more = found.more and query.offset + query.size < FARTHEST
    view = TableView(table, query, found.rows, total=None, more=more)
    return parts.page(request, "sampling_tubes.html", view=view, missing=missing, states_now=parts.figures.states())


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The pages."""

    @get("/sampling/tubes", opt=requires("sampling.read"), sync_to_thread=True)
    def tubes(request: AnyRequest) -> Response[Any] | Stream:
        if asks_export(request):
            return _export(parts, request)
        return _find(parts, request) if request.query_params.get("q", "").strip() else _list(parts, request)

    @get("/sampling/tubes/{barcode:str}", opt=requires("sampling.read"), sync_to_thread=True)
    def story(request: AnyRequest, barcode: FromPath[str]) -> Response[Any]:
        return _story(parts, request, barcode)

    @post("/sampling/tubes/{barcode:str}/recall", opt=requires("sampling.recall"), sync_to_thread=True, status_code=200)
    def recall(request: AnyRequest, barcode: FromPath[str], data: Form) -> Response[Any]:
        try:
            reason = data.get("reason", "").strip()[:_LONGEST]
            tube = data.get("tube") or barcode
            parts.desk.recall(tube, reason, actor_of(request.user), parts.console.now_ms())
        except SamplingRefused as refused:
            return _story(parts, request, barcode, parts.refusal(request, refused))
        return see_other(f"/sampling/tubes/{barcode}?done=recalled")

    @post("/sampling/tubes/{barcode:str}/settle", opt=requires("sampling.settle"), sync_to_thread=True, status_code=200)
    def settle(request: AnyRequest, barcode: FromPath[str], data: Form) -> Response[Any]:
        try:
            reason = data.get("reason", "").strip()[:_LONGEST]
            tube = data.get("tube") or barcode
            result = _result(data.get("result", ""))
            parts.desk.settle(tube, result, reason, actor_of(request.user), parts.console.now_ms())
        except SamplingRefused as refused:
            return _story(parts, request, barcode, parts.refusal(request, refused))
        return see_other(f"/sampling/tubes/{barcode}?done=settled")

    return [tubes, story, recall, settle]


def _result(text: str) -> Result:
    for it in RESULTS:
        if it == text:
            return it
    raise SamplingRefused("field", "This is no result.", where="result")
