"""`/trunks`: each trunk as the settings give it, what comes in on it now, and over time. Nothing is changed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from litestar import Request, Response, get

from hutong.calls.console.spans import SPANS, Span, span_of
from hutong.calls.trunks import TRUNK_KINDS, UNLISTED, Trunk
from hutong.kernel.errors import HutongError
from hutong.kernel.web.charts import Chart, Series
from hutong.kernel.web.exports import asks_export, export_rows
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import (
    Column,
    Filter,
    TableSpec,
    page_of,
    read_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.history import History, Point
    from hutong.calls.live.view import LiveView
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]

MOST_DRAWN: Final = 6
"""Trunks with a line of their own in the chart; the busiest."""
LOOKED_BACK_MS: Final = 30 * 86_400_000
"""How far back a trunk's last call is looked for."""

_DAY_MS = 86_400_000
_STILL = frozenset({"absent", "stale"})

TABLE: Final = TableSpec(
    id="trunks",
    columns=(
        Column("name", "trunk_page.column.name"),
        Column("kind", "trunk_page.column.kind"),
        Column("rate", "trunk_page.column.rate", number=True),
        Column("day", "trunk_page.column.day", number=True),
        Column("share", "trunk_page.column.share", number=True),
        Column("last_ms", "trunk_page.column.last"),
        Column("networks", "trunk_page.column.networks", sortable=False),
        Column("ranges", "trunk_page.column.ranges", sortable=False),
        Column("next_hop", "trunk_page.column.next_hop"),
    ),
    filters=(
        Filter(
            "kind",
            "trunk_page.column.kind",
            "choice",
            tuple((kind, f"trunk_page.kind.{kind}") for kind in TRUNK_KINDS),
        ),
        Filter("text", "trunk_page.column.text"),
    ),
    sizes=(50, 100),
)


class Row(NamedTuple):
    """A trunk in the table.

    Attributes:
        trunk: as the settings give it.
        next_hop: its own or the node's. own_hop: whether it is its own.
        rate: calls a second now; None while screening writes no counters.
        day, share: calls of the last 24 hours, and the share that was blocked; None where they cannot be had.
        last_ms: the last minute with a call; None for none within LOOKED_BACK_MS.
    """

    trunk: Trunk
    next_hop: str
    own_hop: bool
    rate: float | None
    day: int | None
    share: float | None
    last_ms: int | None


class TrunkPages:
    """What the page of trunks needs.

    Args:
        console: makes the page.
        trunks: as the settings give them.
        next_hop: where calls go of trunks without one of their own.
        live: the live figures now.
        history: figures over time.
        trail: told of exports.
    """

    def __init__(
        self,
        console: Console,
        *,
        trunks: Sequence[Trunk],
        next_hop: str,
        live: Callable[[], LiveView],
        history: History,
        trail: Trail,
    ) -> None:
        self._console = console
        self._trunks = (*trunks, Trunk(name=UNLISTED, kind=TRUNK_KINDS[0]))
        self._next_hop = next_hop
        self._live = live
        self._history = history
        self._trail = trail

    def page(self, request: AnyRequest) -> Response[Any]:
        """`/trunks`."""
        rows = self._rows()
        query = read_query(TABLE, dict(request.query_params))
        if asks_export(request):
            return export_rows(self._console, self._trail, request, TABLE, query, rows, _value)
        span = span_of(request.query_params)
        unlisted = rows[-1]
        return self._console.page(
            request,
            "trunks.html",
            view=page_of(TABLE, query, rows, _value),
            configured=len(rows) - 1,
            alive=sum(row.last_ms is not None and row.last_ms >= self._console.now_ms() - _DAY_MS for row in rows[:-1]),
            still=self._live().state in _STILL,
            figures=unlisted.day is not None,
            unlisted=unlisted,
            spans=SPANS,
            span=span,
            charts=self._charts(request, span),
        )

    def _rows(self) -> list[Row]:
        """Every trunk, what no trunk claims last."""
        now = self._console.now_ms()
        live = self._live()
        rates = {row.name: row.rate for row in live.trunks} if live.state not in _STILL else None
        try:
            day = self._history.totals("trunk", now - _DAY_MS, now)
            last = self._history.last("trunk", now - LOOKED_BACK_MS)
        except HutongError:
            day, last = None, {}
        rows = []
        for trunk in self._trunks:
            counts = day.get(trunk.name) if day is not None else None
            rows.append(
                Row(
                    trunk=trunk,
                    next_hop=trunk.next_hop or self._next_hop,
                    own_hop=bool(trunk.next_hop),
                    rate=None if rates is None else rates.get(trunk.name, 0.0),
                    day=None if day is None else counts.attempts if counts else 0,
                    share=counts.blocked / counts.attempts if counts and counts.attempts else None,
                    last_ms=last.get(trunk.name),
                )
            )
        return rows

    def _charts(self, request: AnyRequest, span: Span) -> dict[str, Chart] | None:
        now = self._console.now_ms()
        since = span.since(now)
        names = [trunk.name for trunk in self._trunks]
        try:
            totals = self._history.totals("trunk", since, now)
            busiest = sorted((it for it in names if it in totals), key=lambda it: -totals[it].attempts)[:MOST_DRAWN]
            found = self._history.many("trunk", busiest, since, now, span.step)
        except HutongError:
            return None
        series = {name: span.ended(points, now) for name, points in found.items()}
        zone = self._console.zone(request)

        def say(key: str) -> str:
            return self._console.say(request, f"trunk_page.chart.{key}")

        def title(name: str) -> str:
            return say("unlisted") if name == UNLISTED else name

        labels = [span.label(it.at_ms, zone) for it in (next(iter(series.values())) if series else [])]
        return trunk_charts(
            {title(name): points for name, points in series.items()}, labels, span.step * 60, say("from")
        )


def trunk_charts(series: dict[str, list[Point]], labels: list[str], step_s: int, from_: str) -> dict[str, Chart]:
    """Calls a second, and the share that was blocked, by trunk."""
    some = any(it.attempts for points in series.values() for it in points)
    rates = [
        Series(name, [round(it.attempts / step_s, 3) if some else None for it in points])
        for name, points in series.items()
    ]
    shares = [
        Series(name, [round(it.blocked / it.attempts * 100, 2) if it.attempts else None for it in points])
        for name, points in series.items()
    ]
    return {
        "rate": Chart("line", labels, rates, x_text=from_),
        "share": Chart("line", labels, shares, unit="%", x_text=from_),
    }


def _value(row: Row, key: str) -> Any:  # noqa: ANN401  # a column of any type
    match key:
        case "name" | "kind":
            return row.trunk.name if key == "name" else row.trunk.kind
        case "networks" | "ranges":
            return ", ".join(row.trunk.networks if key == "networks" else row.trunk.ranges)
        case "text":
            return " ".join((row.trunk.name, *row.trunk.networks, *row.trunk.ranges, row.next_hop))
        case _:
            return getattr(row, key)


def routes(
    console: Console,
    *,
    trunks: Sequence[Trunk],
    next_hop: str,
    live: Callable[[], LiveView],
    history: History,
    trail: Trail,
) -> list[HTTPRouteHandler]:
    """`/trunks`; the arguments are `TrunkPages`'."""
    pages = TrunkPages(console, trunks=trunks, next_hop=next_hop, live=live, history=history, trail=trail)

    @get("/trunks", opt=requires("trunks.read"), sync_to_thread=True)
    def show(request: AnyRequest) -> Response[Any]:
        return pages.page(request)

    return [show]
