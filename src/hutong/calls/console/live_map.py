"""Where the callees' cities lie, and their discs on the wall's map. Pure but for reading its own table.

The map has dots and no outlines: borders on a map of China need an approved base map (审图号), which we do not have.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.calls.live_areas import AreaRow

_CITIES = Path(__file__).parent / "data" / "cities.csv"

WIDTH = 1000
_MARGIN = 44
# Albers' equal-area conic with the parallels and the meridian that maps of China use, so that the dots lie as expected.
_SOUTH, _NORTH, _ORIGIN, _MERIDIAN = (math.radians(degrees) for degrees in (25, 47, 36, 105))
_CONE = (math.sin(_SOUTH) + math.sin(_NORTH)) / 2
_CONSTANT = math.cos(_SOUTH) ** 2 + 2 * _CONE * math.sin(_SOUTH)

LARGEST_DISC, SMALLEST_DISC = 34.0, 4.0
LABELS = 9
_LETTER, _LINE = 14.0, 26.0  # room that a label takes, in units of the map; a Chinese character is two letters wide
_ASCII_END = 128


class City(Struct, frozen=True):
    """One area code and the city that stands for it. Degrees north and east; x and y in units of the map."""

    area: str
    names: dict[str, str]
    latitude: float
    longitude: float
    x: float
    y: float


class Disc(Struct, frozen=True):
    """One city with calls: two discs whose areas are as its calls and its blocked calls."""

    city: City
    row: AreaRow
    radius: float
    blocked_radius: float
    labelled: bool


def _project(latitude: float, longitude: float) -> tuple[float, float]:
    """Degrees to the plane of the cone, east and south positive, in radii of the earth."""

    def distance(parallel: float) -> float:
        return math.sqrt(_CONSTANT - 2 * _CONE * math.sin(parallel)) / _CONE

    angle = _CONE * (math.radians(longitude) - _MERIDIAN)
    r = distance(math.radians(latitude))
    return r * math.sin(angle), r * math.cos(angle) - distance(_ORIGIN)


@cache
def cities() -> dict[str, City]:
    """Every city by its area code."""
    with _CITIES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    places = [_project(float(row["lat"]), float(row["lon"])) for row in rows]
    left, right = min(x for x, _ in places), max(x for x, _ in places)
    top = min(y for _, y in places)
    scale = (WIDTH - 2 * _MARGIN) / (right - left)
    return {
        row["area"]: City(
            row["area"],
            {"zh": row["zh"], "en": row["en"]},
            float(row["lat"]),
            float(row["lon"]),
            round(_MARGIN + (x - left) * scale, 1),
            round(_MARGIN + (y - top) * scale, 1),
        )
        for row, (x, y) in zip(rows, places, strict=True)
    }


@cache
def height() -> int:
    """Of the map, in the units in which it is `WIDTH` wide."""
    return math.ceil(max(city.y for city in cities().values())) + _MARGIN


@cache
def every_dot() -> str:
    """A path with a dot for every city, drawn beneath: it gives the eye the country without a line."""
    return "".join(f"M{city.x:g} {city.y:g}h0" for city in cities().values())


def discs(rows: Sequence[AreaRow], language: str) -> list[Disc]:
    """The cities with calls, largest first so that small discs lie on top; a few are named."""
    known = [(cities()[row.area], row) for row in rows if row.area in cities()]
    known.sort(key=lambda pair: (-pair[1].recent, pair[1].area))
    most = max((row.recent for _, row in known), default=1)
    found, labels = [], _Labels()
    for city, row in known:
        radius = max(LARGEST_DISC * math.sqrt(row.recent / most), SMALLEST_DISC)
        named = labels.take(city.x + radius, city.y, city.names[language])
        found.append(Disc(city, row, round(radius, 1), round(radius * math.sqrt(row.blocked_share), 1), named))
    return found


class _Labels:
    """Names that do not cover one another: first come, first served, up to `LABELS`."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, float, float, float]] = []

    def take(self, x: float, y: float, text: str) -> bool:
        """Whether there is room for `text` to the right of x, y."""
        wide = (1 + sum(1 if ord(letter) < _ASCII_END else 2 for letter in text)) * _LETTER
        box = (x, y - _LINE / 2, x + wide, y + _LINE / 2)
        if len(self._taken) >= LABELS or box[2] > WIDTH or any(_overlap(box, other) for other in self._taken):
            return False
        self._taken.append(box)
        return True


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
