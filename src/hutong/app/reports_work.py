"""Reports in a node: how they are opened with its settings, and what `work` does for them and for marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.app.cases_work import open_cases
from hutong.app.schedule import Job
from hutong.kernel.marks import MARKS, Marks
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url
from hutong.reports.metrics import WAITING
from hutong.reports.opening import OWN, Opening
from hutong.reports.pseudonyms import Pseudonyms
from hutong.reports.query import ReportReader
from hutong.reports.store import Parts, Reports

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.reporter import Reporter

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND
_DAY_MS: Final = 86_400_000


def open_reports(config: Config, database: Database) -> Reports:
    """The reports of a node: cases, marks and rules of its data folder.

    Args:
        database: opened by whoever made it.

    Raises:
        CaseError: a case type is wrong. RuleError: a rule of opening is wrong.
    """
    return Reports(
        Parts(
            database,
            open_cases(config, database),
            Marks(database, config.data / MARKS),
            Opening(config.data / OWN),
            Pseudonyms(config.data / "keys"),
            Numbering(config.calls.home_area),
        )
    )


class ReportWork:
    """What `work` does for reports, and for marks of every kind: the table that screening reads follows the records.

    Args:
        config: the node's settings. reporter: figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._marks = Marks(self._database, config.data / MARKS)
        self._reports: Reports | None = None

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("marks", _SECOND, self._publish),
            Job("marks-forgetting", 10 * _MINUTE, self._forget_marks),
            Job("report-cases", 5 * _SECOND, self._follow),
            Job("report-figures", _MINUTE, self._count),
            Job("report-forgetting", 10 * _MINUTE, self._forget),
        ]

    def _publish(self, now: int) -> int:
        self._database.open()
        return self._marks.publish(now // _MS)

    def _forget_marks(self, now: int) -> int:
        self._database.open()
        return self._marks.forget(now // _MS)

    def _opened(self) -> Reports:
        self._database.open()
        if self._reports is None:
            self._reports = open_reports(self._config, self._database)
        return self._reports

    def _follow(self, now: int) -> int:
        return self._opened().follow(now // _MS)

    def _count(self, _now: int) -> int:
        self._database.open()
        self._reporter.metrics.set(WAITING, ReportReader(self._database).unanswered())
        return 0

    def _forget(self, now: int) -> int:
        return self._opened().forget(now // _MS - self._config.reports.keep_days * _DAY_MS)
