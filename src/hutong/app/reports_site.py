"""What reports bring to the site, wired: the console's inbox, the API's section, the public pages behind their gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from litestar import Request

from hutong.kernel.web.flood import FloodGate, Limits
from hutong.reports import api, pages, public_pages
from hutong.reports.metrics import REFUSED
from hutong.reports.pseudonyms import network_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import ASGIApp, Scope

    from hutong.app.services import Services
    from hutong.kernel.web.api.desk import Desk
    from hutong.kernel.web.api.document import Section
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.frame import Frame

HOME, STATIC = public_pages.HOME, public_pages.STATIC


def section(services: Services, desk: Desk) -> Section:
    """The API's part."""
    it = services
    return api.section(api.ReportsDesk(lambda: it.reports, it.database, it.trail, it.reporter.metrics), desk)


def console_pages(services: Services, console: Console) -> list[HTTPRouteHandler]:
    """The inbox."""
    it = services
    return pages.routes(pages.Pages(console, lambda: it.reports, it.database, it.trail))


def public_routes(
    services: Services, frame: Frame, address_of: Callable[[Request[Any, Any, Any]], str]
) -> list[HTTPRouteHandler]:
    """The public pages."""
    it, config = services, services.config
    zone = ZoneInfo(config.calls.time_zone)
    parts = (lambda: it.reports, it.clock, zone, address_of, it.reporter, config.node.name)
    return public_pages.PublicPages(frame, *parts).routes()


def gated(application: ASGIApp, services: Services, address_of: Callable[[Request[Any, Any, Any]], str]) -> ASGIApp:
    """The public application behind the gate that keeps floods of reports off."""
    limits = services.config.reports

    def place(scope: Scope) -> str:
        address = address_of(Request(scope))
        return network_of(address) or address

    return FloodGate(
        application,
        (public_pages.PREFIX,),
        Limits(forms_per_minute=limits.per_minute, forms_per_second=limits.per_second),
        place,
        services.clock.monotonic,
        lambda why: services.reporter.metrics.add(REFUSED, why=why),
    )
