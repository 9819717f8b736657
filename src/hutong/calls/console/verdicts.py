"""`/verdicts`: every verdict on record, found by time, action, rule, trunk, area and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.calls.console.verdict_table import ACTIONS, VerdictDesk
from hutong.calls.model import ACTIONS as CODES
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.index import Filters, VerdictIndex
    from hutong.calls.stories.stories import Stories
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console


def routes(console: Console, *, stories: Stories, index: VerdictIndex, trail: Trail) -> list[HTTPRouteHandler]:
    """`/verdicts`."""
    desk = VerdictDesk(console, stories, index, trail)

    @get("/verdicts", sync_to_thread=True, opt=requires("verdicts.read"))
    def verdicts(request: Request[Any, Any, Any]) -> Response[str] | Stream:
        if asks_export(request):
            return desk.export(request, "verdicts")
        view, wanted = desk.table(request)
        counts = _counts(index, wanted, view.total)
        return console.page(request, "verdicts.html", view=view, counts=counts, **desk.words(request))

    return [verdicts]


def _counts(index: VerdictIndex, wanted: Filters, total: int | None) -> dict[str, int]:
    """Verdicts by action, of those that the filters leave; nothing where there are too many to count."""
    if total is None or wanted.action:
        return {}
    by_code = index.groups(wanted, "action")
    return {it: by_code.get(CODES.index(it), 0) for it in ACTIONS}
