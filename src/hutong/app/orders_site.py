"""Orders on the site: what `site` puts together of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hutong.app.evidence_calls import evidence_desk
from hutong.kernel.web.console import NavItem
from hutong.orders import api, pages
from hutong.orders.evidence.gathering import Turns
from hutong.orders.evidence.paper import HOME

if TYPE_CHECKING:
    from hutong.app.services import Services
    from hutong.kernel.web.api.desk import Desk
    from hutong.kernel.web.api.document import Section
    from hutong.kernel.web.console import Console
    from hutong.orders.evidence.gathering import EvidenceDesk

__all__ = ["HOME", "NAV", "console_pages", "section"]

#: Pages and API make packs by turns together.
_TURNS: Final = Turns()
NAV: Final = NavItem("casework", "/orders", "nav.orders", "orders.read", "f")


def _packs(it: Services) -> EvidenceDesk:
    """Made when a pack is asked for: a wrong case type must not keep orders away."""
    return evidence_desk(it.config, it.database, it.orders.orders, it.cases, it.index, it.stories, it.lists, _TURNS)


def console_pages(services: Services, console: Console) -> list[Any]:
    """The pages."""
    return pages.routes(console, desk=services.orders, trail=services.trail, evidence=lambda: _packs(services))


def section(services: Services, desk: Desk) -> Section:
    """What orders bring to the API."""
    return api.section(services.orders, lambda: _packs(services), desk)
