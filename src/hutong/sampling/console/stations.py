"""`/sampling/stations`: every station, when it was heard of, its clock, and what it still has to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.districts import DIGITS
from hutong.kernel.web.exports import asks_export, export_rows
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, page_of, read_query
from hutong.sampling.console.parts import AnyRequest  # noqa: TC001  # Litestar reads the annotation
from hutong.sampling.figures import mark_of

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.console.parts import Parts
    from hutong.sampling.query import StationRow

MARKS: Final = ("silent", "heard", "rested")
_MOST: Final = 5000
_COLUMNS: Final = (
    Column("station", "sampling.column.station"),
    Column("district", "sampling.column.district"),
    Column("mark", "sampling.column.mark", sortable=False),
    Column("contact", "sampling.column.contact"),
    Column("offset", "sampling.column.offset", number=True),
    Column("waiting", "sampling.column.unmerged", number=True),
    Column("sequence", "sampling.column.sequence", number=True),
)


def table_of(parts: Parts, language: str) -> TableSpec:
    """The table, with the districts to choose from."""
    places = tuple((code, f"{parts.districts.title(code, language)} {code}") for code in parts.districts.district)
    return TableSpec(
        id="stations",
        columns=_COLUMNS,
        filters=(
            Filter("district", "sampling.column.district", "choice", places),
            Filter("mark", "sampling.column.mark", "choice", tuple((it, f"sampling.mark.{it}") for it in MARKS)),
            Filter("station", "sampling.column.station"),
        ),
        sort="contact",
    )


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The page."""

    def value(it: StationRow, key: str) -> Any:  # noqa: ANN401  # a column's
        if key == "mark":
            return mark_of(it, parts.console.now_ms(), parts.figures.silent_ms)
        if key == "district":
            return it.district[:DIGITS]
        names = {"contact": "contact_ms", "offset": "offset_ms"}
        return getattr(it, names.get(key, key))

    @get("/sampling/stations", opt=requires("sampling.read"), sync_to_thread=True)
    def stations(request: AnyRequest) -> Response[Any] | Stream:
        table = table_of(parts, parts.console.language(request))
        query = read_query(table, dict(request.query_params))
        rows = parts.desk.sampling.stations(_MOST)
        if asks_export(request):
            # Whatever a choice hides is said by its code: the file is for programs too.
            return export_rows(parts.console, parts.desk.trail, request, table, query, rows, value)
        now_ms = parts.console.now_ms()
        marks = [mark_of(it, now_ms, parts.figures.silent_ms) for it in rows]
        return parts.page(
            request,
            "sampling_stations.html",
            view=page_of(table, query, rows, value),
            mark=lambda it: mark_of(it, now_ms, parts.figures.silent_ms),
            silent=marks.count("silent"),
            count=len(rows),
            silent_s=parts.figures.silent_ms // 1000,
        )

    return [stations]
