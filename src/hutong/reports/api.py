"""The API of reports: programs of other houses take reports in, list and read them. Numbers are masked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from litestar import get, post
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter

from hutong.kernel.errors import HutongError
from hutong.kernel.reporter import masked
from hutong.kernel.web.api.desk import AnyRequest, Desk, answered, operation, read_ms, refused
from hutong.kernel.web.api.document import Section, structs_of
from hutong.reports import bodies
from hutong.reports.bodies import NewReport, ReportPage, ReportReceipt, ReportTaken, ReportTold
from hutong.reports.errors import ReportError
from hutong.reports.metrics import TAKEN
from hutong.reports.model import Origin, Told
from hutong.reports.public_pages import shown, standing
from hutong.reports.query import ReportQuery, ReportReader
from hutong.reports.receipts import read_receipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.records import Database
    from hutong.reports.model import Matter, Report
    from hutong.reports.store import Reports

Result = TypeVar("Result")
_LONGEST: Final = 32 * 1024
_STATUS: Final = {"no-report": 404, "no-matter": 404, "key-used": 409}
_TAGS: Final = (("reports", "群众举报 / Reports from people"),)
ReportId = Annotated[str, PathParameter(min_length=1, max_length=100, description="举报编号 / id of the report")]
Key = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=100,
        pattern=r"^[\x21-\x7e]*$",
        description="请求键:同键重复请求只受理一次 / a repeated request with the same key has one effect",
    ),
]


class ReportsDesk:
    """Takes reports in for tokens and reads them.

    Args:
        reports: gives what reports go to, once it is asked. database: the records. trail: who took what.
        metrics: counts.
    """

    def __init__(self, reports: Callable[[], Reports], database: Database, trail: Trail, metrics: Metrics) -> None:
        self._reports, self._database, self._trail, self._metrics = reports, database, trail, metrics
        self.reader = ReportReader(database)

    def take(self, told: Told, origin: Origin, address: str, now_ms: int) -> ReportTaken:
        """Take a report in; its line in the trail is in its transaction.

        Raises:
            ReportError: says what is wrong.
        """
        it = self._reports()
        with self._database.write():
            taken = it.take(told, origin, now_ms)
            if not taken.again:
                self._trail.record(origin.taker, address, "reports.take", taken.id, now_ms=now_ms)
        if not taken.again:
            self._metrics.add(TAKEN, kind=told.kind, source=origin.source)
        # It is kept, whatever fails now: `work` brings the mark within a second.
        with suppress(HutongError, OSError):
            it.publish(now_ms)
        return ReportTaken(taken.id, taken.receipt, taken.matter, taken.reporters, taken.joined, taken.case)

    def told(self, found: tuple[Report, Matter], *, text: bool = False) -> ReportTold:
        """A report as it is answered."""
        report, matter = found
        return ReportTold(
            id=report.id,
            receipt=report.receipt,
            kind=report.kind,
            subject=shown(matter, self._reports()),
            source=report.source,
            received_ms=report.received_ms,
            happened_ms=report.happened_ms,
            lost_fen=report.lost_fen,
            reporters=matter.reporters,
            reports=matter.reports,
            stands=standing(matter),  # type: ignore[arg-type]  # one of them
            case=matter.case,
            joined=report.joined,
            forgotten=report.forgotten,
            text=masked(report.text) if text else "",
        )

    def one(self, of: str) -> ReportTold:
        """A report by its id.

        Raises:
            ReportError: there is none.
        """
        return self.told(self._reports().of_id(of), text=True)

    def of_receipt(self, written: str) -> ReportTold:
        """A report by its receipt, as people write it.

        Raises:
            ReportError: there is none.
        """
        return self.told(self._reports().report(read_receipt(written) or "-"), text=True)


def section(reports: ReportsDesk, desk: Desk) -> Section:
    """What reports bring to the API."""
    return Section(_TAGS, _routes(reports, desk), structs_of(bodies))


def _routes(reports: ReportsDesk, desk: Desk) -> list[HTTPRouteHandler]:
    @get(
        "/v1/reports",
        **operation(desk, "reports", "reports.read", "reports", "listReports", "举报 / Reports", 422),
        description="最新在前;号码已掩码。\n\nThe latest first; numbers are masked.",
    )
    def page(  # a query's own parts
        kind: Annotated[Literal["", "call", "message", "web"], QueryParameter(description="对象 / what")] = "",
        state_: Annotated[Literal["", "new", "open", "closed"], QueryParameter(name="state")] = "",
        since: Annotated[str, QueryParameter(max_length=64, description="受理自 / received from, RFC 3339")] = "",
        until: Annotated[str, QueryParameter(max_length=64, description="至 / before, RFC 3339")] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="最多条数 / at most so many")] = 50,
        offset: Annotated[int, QueryParameter(ge=0, le=10_000, description="跳过条数 / skip so many")] = 0,
    ) -> ReportPage:
        bounds = read_ms(since, "since", 0), read_ms(until, "until", 0)
        query = ReportQuery(kind=kind, state=state_, since_ms=bounds[0], until_ms=bounds[1])

        def found() -> ReportPage:
            rows = reports.reader.page(query, limit, offset)
            return ReportPage([reports.told(row) for row in rows], reports.reader.count(query))

        return answered(found)

    @get(
        "/v1/reports/{id_:str}",
        **operation(desk, "reports", "reports.read", "report", "readReport", "一条举报 / One report", 404),
    )
    def one(id_: ReportId) -> ReportTold:
        """进展与内容,号码已掩码 / How it stands and what it says; numbers are masked."""
        return answered(lambda: _said(lambda: reports.one(id_)))

    @post(
        "/v1/reports/search",
        **operation(desk, "reports", "reports.read", "reports.search", "findReport", "按受理编号 / By receipt", 404),
        status_code=200,
        request_max_body_size=_LONGEST,
    )
    def search(data: JSONBody[ReportReceipt]) -> ReportTold:
        """受理编号不写入地址,地址会被记录 / Receipts stand in no address, for addresses are logged."""
        return answered(lambda: _said(lambda: reports.of_receipt(data.receipt)))

    @post(
        "/v1/reports",
        **operation(
            desk, "reports", "reports.take", "reports.take", "takeReport", "受理一条举报 / Take a report in", 409
        ),
        status_code=201,
        request_max_body_size=_LONGEST,
        description="一秒内即为规则所用。\n\nRules read it within a second.",
    )
    def take(request: AnyRequest, data: JSONBody[NewReport], key: Key = "") -> ReportTaken:
        told = Told(
            kind=data.kind,
            number=data.number,
            name=data.name,
            text=data.text,
            happened_ms=read_ms(data.time, "time", 0),
            lost_fen=data.lost_fen,
            reporter=data.reporter,
        )
        viewer = request.user
        origin = Origin(source="api", taker=viewer.name, key=f"api:{viewer.name}:{key}" if key else "")
        return answered(lambda: _said(lambda: reports.take(told, origin, viewer.address, desk.now_ms())))

    return [page, one, search, take]


def _said(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except ReportError as error:
        raise refused(error, _STATUS.get(error.code, 422)) from error
