"""Codes for people who work here, on the site: what `site` puts together of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hutong.app.codes_status_work import family_of, people_of, status_desk
from hutong.app.codes_work import code_issuer, day_names, key_ring
from hutong.app.scans_work import scan_parts, venue_key
from hutong.codes.bundles import BundleStore
from hutong.codes.console import HOME, api, appeal_pages, colour_pages, issue_pages, lookup_pages, venue_pages
from hutong.codes.console.desk import StaffDesk
from hutong.codes.scans.lookup_orders import seeker_of
from hutong.codes.status.loading import OWN, rule_sources
from hutong.kernel.web.console import NavItem

if TYPE_CHECKING:
    from hutong.app.services import Services
    from hutong.kernel.web.api.desk import Desk
    from hutong.kernel.web.api.document import Section
    from hutong.kernel.web.console import Console

__all__ = ["HOME", "NAV", "STATIC", "console_pages", "section", "staff_desk"]

STATIC: Final = HOME / "static"
NAV: Final = (
    NavItem("codes", "/colours", "nav.colours", colour_pages.READ),
    NavItem("codes", "/colours/appeals", "nav.colour_appeals", "codes.decide"),
    NavItem("codes", "/venues", "nav.venues", colour_pages.READ),
    NavItem("codes", "/lookups", "nav.lookups", colour_pages.READ),
    NavItem("codes", "/personal-codes", "nav.personal_codes", issue_pages.ISSUE),
    NavItem("codes", "/code-keys", "nav.code_keys", issue_pages.KEYS),
)


def staff_desk(services: Services) -> StaffDesk:
    """Where codes are worked on by hand; colours and scans are opened when somebody asks."""
    config, database, figures = services.config, services.database, services.reporter.metrics
    people = people_of(config, database)
    return StaffDesk(
        database=database,
        status=cache(lambda: status_desk(config, database, lambda: services.cases)),
        scanning=cache(lambda: scan_parts(config, database, figures)),
        people=people,
        family=family_of(config, database),
        issuer=code_issuer(config, database, figures),
        bundles=BundleStore(database),
        ring=key_ring(config),
        names=day_names(config, people),
        venue_key=lambda: venue_key(config.data),
        rule_sources=lambda: rule_sources(config.data / OWN),
        seeker=lambda name, address: seeker_of(database, name, address),
        node=config.node.name,
        trail=services.trail,
    )


def section(desk: StaffDesk, limits: Desk) -> Section:
    """What codes bring to the API."""
    return api.section(desk, limits)


def console_pages(desk: StaffDesk, console: Console) -> list[Any]:
    """The pages."""
    subjects = (colour_pages, appeal_pages, venue_pages, lookup_pages, issue_pages)
    return [route for subject in subjects for route in subject.routes(console, desk)]
