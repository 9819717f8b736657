"""`/sampling/map`: the districts as tiles, coloured by one measure; a table beside them says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, get

from hutong.kernel.web.guard import requires
from hutong.sampling.console.parts import AnyRequest  # noqa: TC001  # Litestar reads the annotation
from hutong.sampling.figures import DistrictFigures

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.districts import Districts
    from hutong.sampling.console.parts import Parts

#: What a map may show; the first where nobody asks.
MEASURES: Final = ("hourly", "waiting", "oldest", "positives", "silent", "load")
#: Shades; the lightest is nought.
SHADES: Final = 5
_STATIONS: Final = 5000


class Tile(msgspec.Struct, frozen=True):
    """A district on the map.

    Attributes:
        row, column: from 1. shade: 0 = nothing of the measure, 4 = most of all districts. value: of the measure; of
            `oldest` ms.
    """

    figures: DistrictFigures
    row: int
    column: int
    shade: int
    value: int


def value_of(it: DistrictFigures, measure: str, now_ms: int) -> int:
    """A measure of a district; of `oldest` how long its oldest tube has waited, ms."""
    if measure == "oldest":
        return max(now_ms - it.oldest_ms, 0) if it.oldest_ms else 0
    return int(getattr(it, measure))


def tiles_of(figures: list[DistrictFigures], districts: Districts, measure: str, now_ms: int) -> list[Tile]:
    """Every district that is known or has something, in the order of the map. Pure.

    Those that have no place on it stand below it, side by side.
    """
    known = {it.code: it for it in figures}
    every = {code: known.get(code, DistrictFigures(code)) for code in (*districts.district, *known)}
    values = {code: value_of(it, measure, now_ms) for code, it in every.items()}
    most = max(values.values(), default=0)
    placed = {code: it.tile for code, it in districts.district.items() if it.tile is not None}
    columns = max((column for _, column in placed.values()), default=SHADES)
    below = max((row for row, _ in placed.values()), default=0)
    rest = [code for code in every if code not in placed]
    for at, code in enumerate(rest):
        placed[code] = (below + 1 + at // columns, at % columns + 1)
    return [
        Tile(it, *placed[code], _shade(values[code], most), values[code])
        for code, it in sorted(every.items(), key=lambda item: placed[item[0]])
    ]


def _shade(value: int, most: int) -> int:
    return min(1 + (SHADES - 1) * value // (most + 1), SHADES - 1) if value else 0


def read_districts(parts: Parts, now_ms: int) -> list[DistrictFigures]:
    """How each district does."""
    return parts.figures.districts(parts.desk.sampling.stations(_STATIONS), now_ms)


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The page."""

    @get("/sampling/map", opt=requires("sampling.read"), sync_to_thread=True)
    def districts(request: AnyRequest) -> Response[Any]:
        now_ms = parts.console.now_ms()
        asked = request.query_params.get("measure", "")
        measure = asked if asked in MEASURES else MEASURES[0]
        tiles = tiles_of(read_districts(parts, now_ms), parts.districts, measure, now_ms)
        return parts.page(
            request,
            "sampling_map.html",
            tiles=tiles,
            measure=measure,
            measures=MEASURES,
            columns=max((it.column for it in tiles), default=1),
            most=max((it.value for it in tiles), default=0),
            shades=SHADES,
        )

    return [districts]
