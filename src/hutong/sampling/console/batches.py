"""`/sampling/batches`: batches on their way, which tubes are missing, receiving one at the laboratory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, read_query, stamp
from hutong.sampling.console.parts import UNFIT, AnyRequest, Parts, actor_of
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.listing import FARTHEST
from hutong.sampling.table import BATCH_TITLES

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.web.tables import TableQuery
    from hutong.sampling.desk import Received

Form = URLEncodedBody[dict[str, str]]
_LONGEST: Final = 200
_MOST_TUBES: Final = 1000

TABLE: Final = TableSpec(
    id="batches",
    columns=(
        Column("batch", "sampling.column.batch", sortable=False),
        Column("state", "sampling.column.state", sortable=False),
        Column("known", "sampling.column.known", sortable=False, number=True),
        Column("received", "sampling.column.received", sortable=False, number=True),
        Column("courier", "sampling.column.courier", sortable=False),
        Column("laboratory", "sampling.column.laboratory", sortable=False),
        Column("handed", "sampling.column.handed", sortable=False),
    ),
    filters=(
        Filter("state", "sampling.column.state", "choice", tuple((it, f"sampling.batch.{it}") for it in BATCH_TITLES)),
        Filter("missing", "sampling.incomplete", "choice", (("yes", "sampling.incomplete_only"),)),
    ),
)


def _one(
    parts: Parts, request: AnyRequest, of: str, *, trouble: str = "", received: Received | None = None
) -> Response[Any]:
    found = parts.desk.sampling.batch(of)
    if found is None:
        raise NotFoundException
    tubes = parts.desk.sampling.batch_tubes(of)
    refused = [] if received is None else [(tube, parts.refusal(request, it)) for tube, it in received.refused]
    return parts.page(
        request,
        "sampling_batch.html",
        status=UNFIT if trouble else 200,
        batch=found,
        tubes=tubes,
        missing=[it for it in tubes if not it.received_ms],
        unknown=max(found.expected - found.known, 0),
        trouble=trouble,
        received=received,
        refused=refused,
    )


def _export(parts: Parts, request: AnyRequest, query: TableQuery) -> Stream:
    zone = parts.console.zone(request)
    state, incomplete = query.filters.get("state", ""), "missing" in query.filters
    found = parts.listing.batches(FARTHEST, state=state, incomplete=incomplete).rows
    header = ["batch", "state", "expected", "known", "received", "courier", "laboratory", "handed"]
    rows = (
        (
            it.id,
            it.state,
            it.expected,
            it.known,
            it.received,
            it.courier,
            it.laboratory,
            stamp(it.handed_ms or None, zone),
        )
        for it in found
    )
    return parts.export(request, "batches", query, header, rows)


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The pages."""

    @get("/sampling/batches", opt=requires("sampling.read"), sync_to_thread=True)
    def batches(request: AnyRequest) -> Response[Any] | Stream:
        query = read_query(TABLE, dict(request.query_params))
        if asks_export(request):
            return _export(parts, request, query)
        found = parts.listing.batches(
            query.size, query.offset, state=query.filters.get("state", ""), incomplete="missing" in query.filters
        )
        more = found.more and query.offset + query.size < FARTHEST
        view = TableView(TABLE, query, found.rows, total=None, more=more)
        return parts.page(request, "sampling_batches.html", view=view)

    @get("/sampling/batches/{of:str}", opt=requires("sampling.read"), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[Any]:
        return _one(parts, request, of)

    @post("/sampling/batches/{of:str}/receive", opt=requires("sampling.results"), sync_to_thread=True, status_code=200)
    def receive(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
        laboratory = data.get("laboratory", "").strip()[:_LONGEST]
        tubes = data.get("tubes", "").upper().split()[:_MOST_TUBES]
        try:
            done = parts.desk.receive(of, tubes, laboratory, actor_of(request.user), parts.console.now_ms())
        except SamplingRefused as refused:
            if refused.reason == "no-tube" and refused.where == "batch":
                raise NotFoundException from refused
            return _one(parts, request, of, trouble=parts.refusal(request, refused))
        return _one(parts, request, of, received=done)

    return [batches, one, receive]
