"""Bulletins on the site: what `site` puts together of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hutong.app.bulletin_desk import bulletin_desk
from hutong.bulletins import api, pages
from hutong.bulletins.losses import Losses
from hutong.bulletins.paper import HOME
from hutong.kernel.web.console import NavItem

if TYPE_CHECKING:
    from hutong.app.services import Services
    from hutong.bulletins.desk import Desk
    from hutong.kernel.web.api.desk import Desk as ApiDesk
    from hutong.kernel.web.api.document import Section
    from hutong.kernel.web.console import Console

__all__ = ["HOME", "NAV", "STATIC", "console_pages", "section"]

NAV: Final = NavItem("casework", "/bulletins", "nav.bulletins", "bulletins.read", "b")
STATIC: Final = HOME / "static"


def _desk(it: Services) -> Desk:
    return bulletin_desk(it.config, it.database, it.rules)


def console_pages(services: Services, console: Console) -> list[Any]:
    """The pages."""
    losses = Losses(services.database, services.trail)
    return pages.routes(pages.BulletinPages(console, _desk(services), losses, services.trail))


def section(services: Services, desk: ApiDesk) -> Section:
    """What bulletins bring to the API."""
    return api.section(_desk(services), Losses(services.database, services.trail), desk)
