"""`/reports`: the inbox, and one report with its matter, its case and what the rules read of its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Stream  # noqa: TC002  # as above

from hutong.kernel.cases.purview import actor_of
from hutong.kernel.reporter import masked
from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import Column, Filter, TableSpec, TableView, export_csv, read_query, stamp, within
from hutong.reports.errors import ReportError
from hutong.reports.model import FINDINGS, KINDS, SOURCES
from hutong.reports.names import read_name
from hutong.reports.public_pages import shown, standing
from hutong.reports.query import DEPTH, ReportQuery, ReportReader
from hutong.reports.receipts import read_receipt, show_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.records import Database
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.tables import TableQuery
    from hutong.reports.model import Matter
    from hutong.reports.store import Reports

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]
_COLUMNS: Final = ("received", "kind", "subject", "reporters", "reports", "lost", "source", "state")
_NUMBERS: Final = frozenset({"reporters", "reports", "lost"})
_EXPORTED: Final = ("receipt", *_COLUMNS, "case")
_STATES: Final = ("new", "open", "closed")
_FEN: Final = 100


def _choices(key: str, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((it, f"reports.{key}.{it}") for it in values)


TABLE: Final = TableSpec(
    id="reports",
    columns=tuple(Column(it, f"reports.column.{it}", sortable=False, number=it in _NUMBERS) for it in _COLUMNS),
    filters=(
        Filter("since", "reports.column.since", "time"),
        Filter("until", "reports.column.until", "time"),
        Filter("kind", "reports.column.kind", "choice", _choices("kind", KINDS)),
        Filter("source", "reports.column.source", "choice", _choices("source", SOURCES)),
        Filter("state", "reports.column.state", "choice", _choices("state", (*_STATES, *FINDINGS))),
        Filter("name", "reports.kind.web"),
    ),
)


class Pages:
    """What the pages share.

    Args:
        console: makes the pages. reports: gives what reports go to, once it is asked. database: the records.
        trail: an export goes there first.
    """

    def __init__(self, console: Console, reports: Callable[[], Reports], database: Database, trail: Trail) -> None:
        self._console, self._reports, self._trail = console, reports, trail
        self._reader = ReportReader(database)

    def _wanted(self, request: AnyRequest, query: TableQuery) -> ReportQuery:
        said: Mapping[str, str] = query.filters
        zone, state = self._console.zone(request), said.get("state", "")
        name = said.get("name", "")
        return ReportQuery(
            kind=said.get("kind", ""),
            source=said.get("source", ""),
            state=state if state in _STATES else "",
            finding=state if state in FINDINGS else "",
            # Numbers and receipts are looked up by fields that are sent as forms: an address would be logged.
            text=(read_name(name) or name.lower()) if name and not name.strip("+").isdigit() else "",
            since_ms=max(query.time_ms("since", zone) or 0, 0),
            until_ms=max(query.time_ms("until", zone) or 0, 0),
        )

    def table(self, request: AnyRequest, *, wrong: bool = False) -> Response[str]:
        """A page of the inbox; a page beyond the end gives the last one. `wrong`: no report has that receipt."""
        query = read_query(TABLE, dict(request.query_params))
        wanted = self._wanted(request, query)
        total = self._reader.count(wanted)
        query = within(query, total)
        rows = self._reader.page(wanted, query.size, query.offset)
        more = query.offset + len(rows) < total
        view = TableView(TABLE, query, rows, total=None if total >= DEPTH else total, more=more)
        return self._console.page(
            request,
            "reports.html",
            status=422 if wrong else 200,
            view=view,
            shown=self._shown,
            stands=_stands,
            unanswered=self._reader.unanswered(),
            wrong=wrong,
        )

    def _shown(self, matter: Matter) -> str:
        return shown(matter, self._reports())

    def export(self, request: AnyRequest) -> Stream:
        """All that the filters leave, numbers masked; on the trail."""
        query = read_query(TABLE, dict(request.query_params))
        viewer, now_ms = request.user, self._console.now_ms()
        self._trail.record(viewer.name, viewer.address, "tables.export", "reports", after=query.filters, now_ms=now_ms)
        header = [self._console.say(request, f"reports.column.{key}") for key in _EXPORTED]
        return export_csv("reports", header, self._cells(request, self._wanted(request, query)))

    def _cells(self, request: AnyRequest, wanted: ReportQuery) -> Iterator[tuple[object, ...]]:
        zone, say = self._console.zone(request), self._console.say
        for report, matter in self._reader.every(wanted):
            yield (
                show_receipt(report.receipt),
                stamp(report.received_ms, zone),
                say(request, f"reports.kind.{report.kind}"),
                self._shown(matter),
                matter.reporters,
                matter.reports,
                report.lost_fen / _FEN,
                say(request, f"reports.source.{report.source}"),
                say(request, f"reports.state.{_stands(matter)}"),
                matter.case,
            )

    def search(self, request: AnyRequest, text: str) -> Response[Any]:
        """Lead to the report of a receipt, by its id."""
        try:
            report, _ = self._reports().report(read_receipt(text) or "-")
        except ReportError:
            return self.table(request, wrong=True)
        return see_other(f"/reports/{report.id}")

    def one(self, request: AnyRequest, of: str) -> Response[str]:
        """A report, what others told of the same, its case, and what rules read of the number.

        Raises:
            NotFoundException: there is none.
        """
        reports = self._reports()
        try:
            report, matter = reports.of_id(of)
        except ReportError as error:
            raise NotFoundException("There is no such report.") from error
        viewer = request.user
        return self._console.page(
            request,
            "reports_one.html",
            it=report,
            matter=matter,
            subject=shown(matter, reports),
            receipt=show_receipt(report.receipt),
            text=masked(report.text),
            stands=_stands(matter),
            others=reports.reports_of(matter.id),
            known=reports.known(matter, self._console.now_ms()),
            may_open=matter.state != "open" and bool(matter.subject) and _may_open(viewer),
        )

    def open_case(self, request: AnyRequest, of: str) -> Response[Any]:
        """Open a case because a person says so."""
        try:
            report, matter = self._reports().of_id(of)
            self._reports().open_case(matter.id, actor_of(request.user), self._console.now_ms())
        except ReportError as error:
            raise NotFoundException("There is no such report.") from error
        return see_other(f"/reports/{report.id}")


def _may_open(viewer: Any) -> bool:  # noqa: ANN401  # a Viewer
    return bool(viewer.can("reports.take") and viewer.can("cases.find"))


def _stands(matter: Matter) -> str:
    """The word of a matter's state: new, open, closed, or the finding."""
    return {"received": "new", "examined": "open"}.get(standing(matter), standing(matter))


def routes(pages: Pages) -> list[HTTPRouteHandler]:
    """`/reports`, `/reports/{id}`."""

    @get("/reports", sync_to_thread=True, opt=requires("reports.read"))
    def table(request: AnyRequest) -> Response[str] | Stream:
        return pages.export(request) if asks_export(request) else pages.table(request)

    @post("/reports/search", sync_to_thread=True, opt=requires("reports.read"), status_code=200)
    def search(request: AnyRequest, data: Form) -> Response[Any]:
        return pages.search(request, data.get("receipt", ""))

    @get("/reports/{id_:str}", sync_to_thread=True, opt=requires("reports.read"))
    def one(request: AnyRequest, id_: FromPath[str]) -> Response[str]:
        return pages.one(request, id_)

    @post("/reports/{id_:str}/case", sync_to_thread=True, opt=requires("reports.take"))
    def open_case(request: AnyRequest, id_: FromPath[str]) -> Response[Any]:
        return pages.open_case(request, id_)

    return [table, search, one, open_case]
