"""The console's pages of cases and of the audit, wired: who may own a case, where references lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.access.pages import audit
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.audit.checkpoints import Checkpoints, trail_key
from hutong.kernel.cases.pages import HOME, STATIC, CaseDesk, Link, Person, case_routes
from hutong.kernel.cases.views import Views

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.app.services import Services
    from hutong.kernel.access.pages import Desk
    from hutong.kernel.web.console import Console

__all__ = ["HOME", "STATIC", "console_pages"]

#: Where references in cases lead, by what stands before their colon.
LINKS: Final = {
    "call": Link("/calls/{}", "verdicts.read"),
    "calls.rules": Link("/rules/{}", "rules.read"),
    "register": Link("/registers/{}", "cases.read"),
    "split": Link("/cases/{}", "cases.read"),
    "order": Link("/orders/{}", "orders.read"),
    "report": Link("/reports/{}", "reports.read"),
    "appeal": Link("/appeals/{}", "appeals.read"),
    "handoff": Link("/handoffs/{}", "handoffs.read"),
}
#: Pages of other systems about a case.
BEYOND: Final = (Link("/orders/packs?case={}", "evidence.pack", "orders.packs"),)


def case_desk(services: Services, console: Console) -> CaseDesk:
    """What the pages of cases work with."""

    def people() -> list[Person]:
        roles = PERMISSIONS["cases.work"].roles
        return [Person(it.name, it.title) for it in services.people.all() if it.role in roles and not it.disabled]

    return CaseDesk(
        console=console,
        database=services.database,
        opened=lambda: services.cases,
        attachments=services.attachments,
        views=Views(services.database),
        trail=services.trail,
        refs=services.refs,
        numbering=services.numbering,
        people=people,
        links=LINKS,
        imports=services.config.data / "run" / "case-imports",
        beyond=BEYOND,
    )


def console_pages(services: Services, console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    """Every page of cases, registers and the audit.

    Args:
        desk: of the pages of access.
    """
    data, node = services.config.data, services.config.node.name
    audits = audit.routes(
        console,
        desk,
        lambda: Checkpoints(services.database, data, trail_key(data, node)),
        lambda: str(trail_key(data, node).public),
    )
    return [*case_routes(case_desk(services, console)), *audits]
