"""Reports as lists show them: which, in what order, how many. Nothing is changed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.records.reading import begins, newest_first
from hutong.kernel.records.report_tables import report_matters, reports
from hutong.reports.store import KEPT, each_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Database
    from hutong.reports.model import Matter, Report

#: Rows that are counted at most; a page says that there are more.
DEPTH: Final = 10_000
_M, _R = report_matters.c, reports.c
_BOTH: Final[list[Any]] = [reports, *(column.label(f"m_{column.name}") for column in report_matters.c)]


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which reports.

    Attributes:
        kind, source: of model.KINDS and model.SOURCES. state: "new" = without a case, "open", "closed".
        finding: of the closed case. text: canonical digits, or the beginning of a sender or web name.
        since_ms, until_ms: received; 0 = no bound.
    """

    kind: str = ""
    source: str = ""
    state: str = ""
    finding: str = ""
    text: str = ""
    since_ms: int = 0
    until_ms: int = 0


class ReportReader:
    """Lists of reports; any thread may.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: ReportQuery, limit: int = 50, offset: int = 0) -> list[tuple[Report, Matter]]:
        """Reports with their matters, the latest first."""
        chosen = _where(sa.select(*_BOTH).join(report_matters, _M.id == _R.matter), query)
        chosen = chosen.order_by(_R.received_ms.desc(), _R.id).limit(limit).offset(offset)
        with self._database.read() as connection:
            return list(each_of(connection.execute(chosen)))

    def every(self, query: ReportQuery) -> Iterator[tuple[Report, Matter]]:
        """All reports with their matters, the latest first; read in pages."""
        chosen = _where(sa.select(*_BOTH).join(report_matters, _M.id == _R.matter), query)
        return each_of(newest_first(self._database, chosen, _R.received_ms, _R.id))

    def count(self, query: ReportQuery) -> int:
        """How many there are, up to DEPTH."""
        some = _where(sa.select(_R.id).join(report_matters, _M.id == _R.matter), query).limit(DEPTH).subquery()
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0

    def unanswered(self) -> int:
        """Subjects that have no answer yet: without a case and not forgotten, or with a case that is open."""
        waiting = sa.select(sa.func.count()).select_from(report_matters)
        waiting = waiting.where(_M.state.in_(("", "open")), KEPT)
        with self._database.read() as connection:
            return connection.scalar(waiting) or 0


def _where(chosen: sa.Select[Any], query: ReportQuery) -> sa.Select[Any]:
    conditions = [
        (query.kind, _R.kind == query.kind),
        (query.source, _R.source == query.source),
        (query.state, _M.state == ("" if query.state == "new" else query.state)),
        (query.finding, sa.and_(_M.state == "closed", _M.finding == query.finding)),
        (query.text, begins(_M.subject, query.text.replace("\0", ""))),
        (query.since_ms, _R.received_ms >= query.since_ms),
        (query.until_ms, _R.received_ms < query.until_ms),
    ]
    return chosen.where(*(condition for asked, condition in conditions if asked))
