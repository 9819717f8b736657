"""`/sampling/stations`: every station, when it was heard of, its clock, what it still has to send; pairs a tablet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.params import URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.districts import DIGITS
from hutong.kernel.web.exports import asks_export, export_rows
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, page_of, read_query
from hutong.sampling.console.parts import UNFIT, AnyRequest
from hutong.sampling.errors import SamplingError, SamplingRefused
from hutong.sampling.figures import mark_of
from hutong.sampling.station.pairing import CODE_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.web.tables import TableQuery
    from hutong.sampling.console.parts import Parts
    from hutong.sampling.query import StationRow

Form = URLEncodedBody[dict[str, str]]
MARKS: Final = ("silent", "heard", "rested")
_MOST: Final = 5000
_LONGEST: Final = 100
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


def _value(parts: Parts, it: StationRow, key: str) -> Any:  # noqa: ANN401  # a column's
    if key == "mark":
        return mark_of(it, parts.console.now_ms(), parts.figures.silent_ms)
    if key == "district":
        return it.district[:DIGITS]
    names = {"contact": "contact_ms", "offset": "offset_ms"}
    return getattr(it, names.get(key, key))


def _page(
    parts: Parts,
    request: AnyRequest,
    query: TableQuery,
    asked: Mapping[str, str] | None = None,
    trouble: str = "",
    field: str = "",
) -> Response[Any]:
    rows, now_ms = parts.desk.sampling.stations(_MOST), parts.console.now_ms()
    marks = [mark_of(it, now_ms, parts.figures.silent_ms) for it in rows]
    table = table_of(parts, parts.console.language(request))
    return parts.page(
        request,
        "sampling_stations.html",
        status=UNFIT if trouble else 200,
        view=page_of(table, query, rows, partial(_value, parts)),
        mark=lambda it: mark_of(it, now_ms, parts.figures.silent_ms),
        silent=marks.count("silent"),
        count=len(rows),
        silent_s=parts.figures.silent_ms // 1000,
        known=parts.districts.district,
        asked=asked or {},
        trouble=trouble,
        field=field,
    )


def _pair(parts: Parts, request: AnyRequest, data: dict[str, str]) -> Response[Any]:
    viewer, now_ms = request.user, parts.console.now_ms()
    station, district = (data.get(name, "").strip()[:_LONGEST] for name in ("station", "district"))
    try:
        code = parts.pair(station, district, now_ms)
    except SamplingError as error:
        is_refused = isinstance(error, SamplingRefused)
        trouble = parts.refusal(request, error) if is_refused else parts.say(request, "sampling.refused.no-account")
        query = read_query(table_of(parts, parts.console.language(request)), {})
        field = error.where if is_refused else "station"
        return _page(parts, request, query, {"station": station, "district": district}, trouble, field)
    said = {"district": district}
    parts.desk.trail.record(viewer.name, viewer.address, "sampling.pair", station, after=said, now_ms=now_ms)
    return parts.page(
        request, "sampling_pairing.html", station=station, district=district, code=code, lasts_s=CODE_MS // 1000
    )


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The page, and the code that it gives."""

    @get("/sampling/stations", opt=requires("sampling.read"), sync_to_thread=True)
    def stations(request: AnyRequest) -> Response[Any] | Stream:
        table = table_of(parts, parts.console.language(request))
        query = read_query(table, dict(request.query_params))
        if asks_export(request):
            # Whatever a choice hides is said by its code: the file is for programs too.
            rows = parts.desk.sampling.stations(_MOST)
            value = partial(_value, parts)
            return export_rows(parts.console, parts.desk.trail, request, table, query, rows, value)
        return _page(parts, request, query)

    @post("/sampling/stations", opt=requires("sampling.pair"), sync_to_thread=True, status_code=200)
    def pair(request: AnyRequest, data: Form) -> Response[Any]:
        return _pair(parts, request, data)

    return [stations, pair]
