"""`/alerts`: every alert on record, found by time, kind, condition, stage and whether its call goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.calls.alerts.queries import DEPTH, AlertFilters
from hutong.calls.alerts.record import KINDS
from hutong.kernel.rules.ruleset import ALERT_STAGES
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import (
    Column,
    Filter,
    TableSpec,
    TableView,
    export_csv,
    read_query,
    stamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.alerts.views import AlertView, AlertViews
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.tables import TableQuery

#: Most rows of an export.
MOST_EXPORTED: Final = DEPTH
_AT_ONCE: Final = 1000
_EXPORTED: Final = (
    "id",
    "time",
    "kind",
    "rule",
    "stage",
    "caller",
    "callee",
    "trunk",
    "talk",
    "state",
    "ended",
    "release",
    "call",
)
_COLUMNS: Final = (
    Column("time", "alerts.column.time"),
    Column("kind", "alerts.column.kind", sortable=False),
    Column("rule", "alerts.column.rule", sortable=False),
    Column("caller", "alerts.column.caller", sortable=False),
    Column("callee", "alerts.column.callee", sortable=False),
    Column("trunk", "alerts.column.trunk", sortable=False),
    Column("talk", "alerts.column.talk", number=True),
    Column("state", "alerts.column.state", sortable=False),
)


class AlertPages:
    """What the page and its export share.

    Args:
        console: makes the pages. alerts: finds alerts. trail: an export goes there first.
    """

    def __init__(self, console: Console, alerts: AlertViews, trail: Trail) -> None:
        self._console, self._alerts, self._trail = console, alerts, trail

    def _spec(self, lang: str) -> TableSpec:
        rules = tuple((rule, f"{title.get(lang, rule)} ({rule})") for rule, title in self._alerts.titles().items())
        kinds = tuple((it, f"alerts.kind.{it}") for it in KINDS)
        states = tuple((it, f"alerts.state.{it}") for it in ("on", "over"))
        stages = tuple((it, f"alerts.stage.{it}") for it in ALERT_STAGES)
        return TableSpec(
            id="alerts",
            columns=_COLUMNS,
            filters=(
                Filter("since", "alerts.filter.since", "time"),
                Filter("until", "alerts.filter.until", "time"),
                Filter("kind", "alerts.column.kind", "choice", kinds),
                Filter("rule", "alerts.column.rule", "choice", rules),
                Filter("state", "alerts.column.state", "choice", states),
                Filter("stage", "alerts.filter.stage", "choice", stages),
            ),
            sort="time",
            descending=True,
        )

    def _asked(self, request: Request[Any, Any, Any]) -> tuple[TableSpec, TableQuery, AlertFilters]:
        """The table that a page's address asks for, and which alerts it is about."""
        spec = self._spec(self._console.language(request))
        query = read_query(spec, dict(request.query_params))
        zone, said = self._console.zone(request), query.filters
        until = query.time_ms("until", zone)
        wanted = AlertFilters(
            since_ms=max(query.time_ms("since", zone) or 0, 0),
            # A moment before 1970 leaves nothing; 0 would leave everything.
            until_ms=0 if until is None else max(until, 1),
            kind=said.get("kind", ""),
            stage=said.get("stage", ""),
            rule=said.get("rule", ""),
            state=said.get("state", ""),
        )
        return spec, query, wanted

    def _rows(self, wanted: AlertFilters, query: TableQuery, limit: int, offset: int) -> list[AlertView]:
        found = self._alerts.table.rows(
            wanted, limit=limit, offset=offset, sort=query.sort, descending=query.descending
        )
        return [self._alerts.view(row) for row in found]

    def page(self, request: Request[Any, Any, Any]) -> Response[str]:
        """One page of the table; a page beyond the end gives the last one."""
        spec, query, wanted = self._asked(request)
        table, newest = self._alerts.table, self._alerts.table.newest_event()
        total = table.count(wanted)
        last = -(-(DEPTH if total is None else total) // query.size)
        query = msgspec.structs.replace(query, page=min(query.page, max(last, 1)))
        rows = self._rows(wanted, query, query.size + 1, query.offset)
        view = TableView(spec, query, rows[: query.size], total=total, more=len(rows) > query.size)
        calls, victims = table.going_on()[0], table.going_on("victim")[1]
        return self._console.page(
            request,
            "alerts.html",
            view=view,
            calls=calls,
            victims=victims,
            newest=newest,
            part_sorted=total is None and query.sort == "talk",
            depth=DEPTH,
        )

    def export(self, request: Request[Any, Any, Any]) -> Stream:
        """All alerts that the filters leave, the first MOST_EXPORTED of them, numbers masked; on the trail."""
        _, query, wanted = self._asked(request)
        viewer, now = request.user, self._console.now_ms()
        self._trail.record(viewer.name, viewer.address, "tables.export", "alerts", after=query.filters, now_ms=now)
        header = [self._console.say(request, f"alerts.column.{key}") for key in _EXPORTED]
        return export_csv("alerts", header, self._cells(request, query, wanted))

    def _cells(
        self, request: Request[Any, Any, Any], query: TableQuery, wanted: AlertFilters
    ) -> Iterator[tuple[object, ...]]:
        say, zone = self._console.say, self._console.zone(request)
        # Rows that come while the client reads would shift those that are still to be read.
        newest = next(iter(self._alerts.table.rows(wanted, limit=1)), None)
        wanted = msgspec.structs.replace(wanted, before=newest.seq + 1 if newest is not None else 0)
        for offset in range(0, MOST_EXPORTED, _AT_ONCE):
            rows = self._rows(wanted, query, _AT_ONCE, offset)
            for it in rows:
                yield (
                    it.id,
                    stamp(it.time_ms, zone),
                    say(request, f"alerts.kind.{it.kind}"),
                    it.rule,
                    say(request, f"alerts.stage.{it.stage}"),
                    it.caller,
                    it.callee,
                    it.trunk,
                    round(it.seconds, 1),
                    say(request, "alerts.state.on" if it.goes_on else f"alerts.end.{it.end_phase}"),
                    stamp(it.ended_ms or None, zone),
                    it.release or "",
                    it.call_id,
                )
            if len(rows) < _AT_ONCE:
                return


def routes(console: Console, *, alerts: AlertViews, trail: Trail) -> list[HTTPRouteHandler]:
    """`/alerts`."""
    pages = AlertPages(console, alerts, trail)

    @get("/alerts", sync_to_thread=True, opt=requires("verdicts.read"))
    def page(request: Request[Any, Any, Any]) -> Response[str] | Stream:
        if asks_export(request):
            return pages.export(request)
        return pages.page(request)

    return [page]
