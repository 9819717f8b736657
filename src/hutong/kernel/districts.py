"""The districts of a node, as data: names, where they are, how long the way between two takes, where a map draws them.

A map of tiles needs no geometry and no internet: each district is one tile, and rows and columns are what an operator
writes beside its name. Pure but for its file.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hutong.kernel.errors import ConfigError

FILE: Final = Path(__file__).with_name("districts.toml")
#: Digits of the code of a district (GB/T 2260); streets and communities below it have nine and twelve.
DIGITS: Final = 6
_EARTH_KM: Final = 6371.0
_HOUR_MS: Final = 3_600_000

_Degrees = tuple[Annotated[float, Meta(ge=-90, le=90)], Annotated[float, Meta(ge=-180, le=180)]]
_Place = Annotated[int, Meta(ge=1, le=16)]


class District(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A district.

    Attributes:
        at: latitude and longitude of about its middle, degrees.
        tile: row and column of its tile on the map, from 1 at the top left; none: it stands after the others.
    """

    zh: str
    en: str
    at: _Degrees
    tile: tuple[_Place, _Place] | None = None


class Districts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The districts of a node by their codes.

    Attributes:
        slack_km: is taken off every distance. fastest_km_h: nobody gets around faster.
    """

    slack_km: Annotated[float, Meta(ge=0)]
    fastest_km_h: Annotated[float, Meta(gt=0)]
    district: dict[str, District]

    def __post_init__(self) -> None:
        """Refuse two districts in one place of the map.

        Raises:
            ValueError: says which.
        """
        taken: dict[tuple[int, int], str] = {}
        for code, it in self.district.items():
            if it.tile is not None and taken.setdefault(it.tile, code) != code:
                raise ValueError(f"{code} and {taken[it.tile]} have the same tile")

    def way_ms(self, one: str, other: str) -> int:
        """How long the way from one district to another takes at least; 0 where that is not known, or nothing."""
        here, there = self.district.get(one), self.district.get(other)
        if one == other or here is None or there is None:
            return 0
        return round(max(_distance_km(here.at, there.at) - self.slack_km, 0) / self.fastest_km_h * _HOUR_MS)

    def title(self, code: str, language: str) -> str:
        """What a district is called; its code where it is not known."""
        found = self.district.get(code[:DIGITS])
        return code if found is None else getattr(found, language)


def load_districts(file: Path | None = None) -> Districts:
    """The districts in a file; those shipped without one.

    Raises:
        ConfigError: it cannot be read, or is not as it must be.
    """
    file = file or FILE
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Districts)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"The districts cannot be read: {error}.", where=str(file), fix="Compare it with docs/scans.md."
        ) from error


def _distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along the great circle, by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, it)) for it in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
