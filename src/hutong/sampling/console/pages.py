"""Every page under `/sampling`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.sampling.console import (
    batches,
    districts,
    doubts,
    emergencies,
    overview,
    person,
    results,
    stations,
    tubes,
)

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.console.parts import Parts

_PAGES: Final = (overview, districts, stations, tubes, batches, results, doubts, person, emergencies)


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The pages."""
    return [route for page in _PAGES for route in page.routes(parts)]
