"""`/sampling/recalls` and `/sampling/conflicts`: whom to call for single tests, and what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, read_query, stamp
from hutong.sampling.conflicts import EFFECT_TITLES, conflict_rules
from hutong.sampling.console.parts import AnyRequest  # noqa: TC001  # Litestar reads the annotation
from hutong.sampling.identity import masked_person
from hutong.sampling.listing import FARTHEST

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.console.parts import Parts

_MOST: Final = 1000
_CALLS: Final = 100


def table_of(language: str) -> TableSpec:
    """The table of conflicts."""
    rules = tuple((it.id, it.zh if language == "zh" else it.en) for it in conflict_rules().values())
    return TableSpec(
        id="conflicts",
        columns=(
            Column("found", "sampling.column.found", sortable=False),
            Column("rule", "sampling.column.rule", sortable=False),
            Column("tube", "sampling.column.tube", sortable=False),
            Column("about", "sampling.column.about", sortable=False),
            Column("effect", "sampling.column.effect", sortable=False),
        ),
        filters=(
            Filter("rule", "sampling.column.rule", "choice", rules),
            Filter("barcode", "sampling.column.barcode"),
        ),
    )


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The pages."""

    @get("/sampling/recalls", opt=requires("sampling.read"), sync_to_thread=True)
    def recalls(request: AnyRequest) -> Response[Any]:
        calls = parts.desk.sampling.calls(_CALLS)
        rows = [(it.tube, [masked_person(one) for one in it.open]) for it in calls]
        return parts.page(
            request,
            "sampling_recalls.html",
            rows=rows,
            people=sum(len(it.open) for it in calls),
            more=len(calls) == _CALLS,
        )

    @get("/sampling/conflicts", opt=requires("sampling.read"), sync_to_thread=True)
    def conflicts(request: AnyRequest) -> Response[Any] | Stream:
        table = table_of(parts.console.language(request))
        query = read_query(table, dict(request.query_params))
        barcode = query.filters.get("barcode", "").upper()
        if asks_export(request):
            zone, rule = parts.console.zone(request), query.filters.get("rule", "")
            every = parts.desk.sampling.conflicts(barcode=barcode, rule=rule, limit=FARTHEST)
            cells = ((stamp(it.found_ms, zone), it.rule, it.barcode, it.tube, it.about) for it in every)
            return parts.export(request, "conflicts", query, ["found", "rule", "barcode", "tube", "about"], cells)
        wanted = min(query.offset + query.size + 1, _MOST)
        found = parts.desk.sampling.conflicts(barcode=barcode, rule=query.filters.get("rule", ""), limit=wanted)
        rows = found[query.offset : query.offset + query.size]
        view = TableView(table, query, rows, total=None, more=len(found) > query.offset + query.size)
        counts = parts.desk.sampling.conflict_counts()
        return parts.page(
            request,
            "sampling_conflicts.html",
            view=view,
            counts=counts,
            total=sum(counts.values()),
            held=parts.figures.held(),
            effects=EFFECT_TITLES,
        )

    return [recalls, conflicts]
