"""Sampling on the site: what `site` puts together of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hutong.app.sampling_desk import open_desk
from hutong.app.stations_site import pairings_of
from hutong.kernel.districts import load_districts
from hutong.kernel.web.console import NavItem
from hutong.sampling.console import HOME, STATIC, api, pages
from hutong.sampling.console.parts import Parts
from hutong.sampling.figures import Figures
from hutong.sampling.listing import Listing

if TYPE_CHECKING:
    from hutong.app.services import Services
    from hutong.kernel.web.api.desk import Desk
    from hutong.kernel.web.api.document import Section
    from hutong.kernel.web.console import Console

__all__ = ["HOME", "NAV", "STATIC", "console_pages", "parts_of", "section"]

NAV: Final = NavItem("watch", "/sampling", "nav.sampling", "sampling.read", "n")
_MINUTE_MS: Final = 60_000


def parts_of(services: Services, console: Console) -> Parts:
    """What pages and API work with.

    Raises:
        ConfigError: the file of districts is not as it must be.
    """
    config = services.config
    file = config.scans.districts
    return Parts(
        console=console,
        desk=open_desk(config, services.database, services.trail, services.clock),
        figures=Figures(services.database, config.sampling.silent_minutes * _MINUTE_MS),
        listing=Listing(services.database),
        districts=load_districts(Path(file) if file else None),
        imports=config.data / "run" / "sampling-imports",
        longest_h=config.sampling.emergency_hours,
        pair=lambda *asked: pairings_of(config, services.database).begin(*asked),
    )


def console_pages(parts: Parts) -> list[Any]:
    """The pages."""
    return pages.routes(parts)


def section(parts: Parts, desk: Desk) -> Section:
    """What sampling brings to the API."""
    return api.section(parts, desk)
