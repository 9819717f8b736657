"""`/health`: is the node well, what is wrong, what to do about it; then every figure behind that answer.

Belongs here: routes and what they render. Not here: gathering (`health_facts`), judging (`health_checks`).
"""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, get

from hutong.app.console.health_checks import assess, overall
from hutong.kernel.web.exports import asks_export, export_rows
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import (
    Column,
    TableSpec,
    page_of,
    read_query,
)

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.app.console.health_facts import HealthSource, ProcessFact
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]

EVERY_S: Final = 5
"""The page looks again after so many seconds."""

PROCESSES: Final = TableSpec(
    id="processes",
    columns=(
        Column("name", "health_page.process.name"),
        Column("state", "health_page.process.state"),
        Column("pid", "health_page.process.pid", number=True),
        Column("uptime_s", "health_page.process.uptime", number=True),
        Column("restarts", "health_page.process.restarts", number=True),
        Column("rss", "health_page.process.rss", number=True),
        Column("cpu", "health_page.process.cpu", number=True),
        Column("threads", "health_page.process.threads", number=True),
    ),
)
_JOINED: Final = "\N{NO-BREAK SPACE}"
_UNITS: Final = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def in_bytes(value: float | None) -> str:
    """A size for people: 512 B, 1.5 MiB, 240 GiB."""
    if value is None:
        return "–"
    for unit, size in _UNITS:
        if value >= size:
            figure = f"{value / size:.3g}" if value < 1000 * size else f"{value / size:,.0f}"
            return f"{figure}{_JOINED}{unit}"
    return f"{value:.0f}{_JOINED}B"


class HealthPages:
    """The page about health.

    Args:
        console: makes it.
        source: knows the node.
        trail: told of exports.
    """

    def __init__(self, console: Console, *, source: HealthSource, trail: Trail) -> None:
        self._console = console
        self._source = source
        self._trail = trail

    def page(self, request: AnyRequest) -> Response[Any]:
        """`/health`, whole or the part that is looked at again and again."""
        facts = self._source.facts()
        query = read_query(PROCESSES, dict(request.query_params))
        if asks_export(request):
            return export_rows(self._console, self._trail, request, PROCESSES, query, facts.processes, _value)
        findings = assess(facts)
        return self._console.page(
            request,
            "health.html",
            facts=facts,
            answer=overall(findings),
            wrong=[it for it in findings if it.level != "ok"],
            right=[it for it in findings if it.level == "ok"],
            bad=sum(it.level == "bad" for it in findings),
            view=page_of(PROCESSES, query, facts.processes, _value),
            every=EVERY_S,
            size=in_bytes,
            endless=isinf,
        )


def _value(row: ProcessFact, key: str) -> Any:  # noqa: ANN401  # a column of any type
    return getattr(row, key)


def routes(console: Console, *, source: HealthSource, trail: Trail) -> list[HTTPRouteHandler]:
    """`/health`; the arguments are `HealthPages`'."""
    pages = HealthPages(console, source=source, trail=trail)

    @get("/health", opt=requires("health.read"), sync_to_thread=True)
    def show(request: AnyRequest) -> Response[Any]:
        return pages.page(request)

    return [show]
