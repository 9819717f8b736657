"""Where the callees' cities lie, and their discs on the wall's map. Pure but for reading its own table.

The map has dots and no outlines: borders on a map of China need an approved base map (审图号), which we do not have.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.calls.live.areas import AreaRow

_CITIES = Path(__file__).parent / "data" / "cities.csv"

WIDTH = 1000
_MARGIN = 44
# Albers' equal-area conic with the parallels and the meridian that maps of China use, so that the dots lie as expected.
_SOUTH, _NORTH, _ORIGIN, _MERIDIAN = (math.radians(degrees) for degrees in (25, 47, 36, 105))
_CONE = (math.sin(_SOUTH) + math.sin(_NORTH)) / 2
_CONSTANT = math.cos(_SOUTH) ** 2 + 2 * _CONE * math.sin(_SOUTH)

LARGEST_DISC, SMALLEST_DISC = 30.0, 4.0
LABELS = 9
# Room that a label takes, in units of the map; a Chinese character is two letters wide.
_LETTER, _LINE, _GAP = 14.0, 26.0, 5.0
_ASCII_END = 128

Box = tuple[float, float, float, float]


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
    label: Literal["", "start", "end"]
    """On which side the name stands: after the disc, before it, or nowhere for want of room."""

    @property
    def label_x(self) -> float:
        """Where the name begins, or ends."""
        away = self.radius + _GAP
        return round(self.city.x + (away if self.label == "start" else -away), 1)


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
    radii = [round(max(LARGEST_DISC * math.sqrt(row.recent / most), SMALLEST_DISC), 1) for _, row in known]
    # Names keep clear of one another and of discs that are large enough to hide a letter.
    boxes = [_around(city, radius) for (city, _), radius in zip(known, radii, strict=True) if radius > _LETTER]
    found: list[Disc] = []
    for (city, row), radius in zip(known, radii, strict=True):
        side, box = _label(city, radius, city.names[language], boxes)
        if sum(bool(disc.label) for disc in found) >= LABELS:
            side = ""
        if side:
            boxes.append(box)
        found.append(Disc(city, row, radius, round(radius * math.sqrt(row.blocked_share), 1), side))
    return found


def _label(city: City, radius: float, text: str, taken: Sequence[Box]) -> tuple[Literal["", "start", "end"], Box]:
    """The side of a disc on which its name has room, and the room."""
    wide = sum(1 if ord(letter) < _ASCII_END else 2 for letter in text) * _LETTER
    after, before = city.x + radius + _GAP, city.x - radius - _GAP
    own = _around(city, radius)
    sides: tuple[tuple[Literal["start", "end"], float], ...] = (("start", after), ("end", before - wide))
    for side, left in sides:
        box = (left, city.y - _LINE / 2, left + wide, city.y + _LINE / 2)
        if left >= 0 and box[2] <= WIDTH and not any(_overlap(box, other) for other in taken if other != own):
            return side, box
    return "", own


def _around(city: City, radius: float) -> Box:
    return (city.x - radius, city.y - radius, city.x + radius, city.y + radius)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
