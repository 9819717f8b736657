"""Cases in the `work` process, and how they are opened with a node's settings: the watch, notices, forgetting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.checks import is_mail
from hutong.app.schedule import Job
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases import watch
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.delivery import deliver, forget_notices
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.model import OPEN_STATES
from hutong.kernel.cases.notices import FileNotices, Mailbox, MailNotices, WebhookNotices
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.metrics import CASES_LATE, CASES_OPEN, NOTICES_FAILED
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.app.config import Config
    from hutong.kernel.access.agencies import Agency
    from hutong.kernel.cases.notices import NoticePort
    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter

#: Folders of the data folder: years of the calendar and case types that are a node's own.
CALENDAR: Final = "calendar"
TYPES: Final = "case-types"

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND


def open_cases(config: Config, database: Database) -> Cases:
    """The cases of a node: shipped types and years, and those of its data folder.

    Args:
        database: opened by whoever made it.

    Raises:
        CaseError: a type or a year is wrong; says which and why.
    """
    types = load_types(SHIPPED, config.data / TYPES, permissions=PERMISSIONS)
    return Cases(database, types, load_calendar(config.data / CALENDAR), config.node.name, WHOLE)


class CaseWork:
    """What `work` does for cases. Types and years are read once, at the first run.

    Args:
        config: the node's settings.
        clock: for signatures. reporter: logs and figures.
    """

    def __init__(self, config: Config, clock: Clock, reporter: Reporter) -> None:
        self._config, self._clock, self._reporter = config, clock, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._cases: Cases | None = None

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("case-watch", _MINUTE, self._watch),
            Job("case-notices", 5 * _SECOND, self._notify),
            Job("case-forgetting", 10 * _MINUTE, self._forget),
        ]

    def _opened(self) -> Cases:
        if self._cases is None:
            self._database.open()
            self._cases = open_cases(self._config, self._database)
        return self._cases

    def _watch(self, now: int) -> int:
        cases, now_ms = self._opened(), now // _MS
        done = watch.run(cases, now_ms)
        figures = cases.figures("all")
        for state in OPEN_STATES:
            self._reporter.metrics.set(CASES_OPEN, figures[state], state=state)
        self._reporter.metrics.set(CASES_LATE, cases.late(now_ms))
        return done

    def _notify(self, now: int) -> int:
        self._opened()
        agencies = Agencies(self._database).all() if self._config.cases.smtp_server else ()
        ports = ports_of(self._config, self._clock, agencies)
        return deliver(self._database, ports, now // _MS, tell=self._failed)

    def _failed(self, port: str, why: str) -> None:
        self._reporter.metrics.add(NOTICES_FAILED, port=port)
        self._reporter.log.warning("a notice was not taken, it is brought again", port=port, trouble=why)

    def _forget(self, now: int) -> int:
        cases, now_ms = self._opened(), now // _MS
        return cases.forget_requests(now_ms) + forget_notices(self._database, now_ms)


def ports_of(config: Config, clock: Clock, agencies: Sequence[Agency] = ()) -> list[NoticePort]:
    """The ports that the settings name; letters go to the agencies of a unit too, where their contact is an address."""
    cases = config.cases
    found: list[NoticePort] = []
    if cases.file:
        found.append(FileNotices(Path(cases.file)))
    if cases.webhook_url:
        found.append(WebhookNotices(cases.webhook_url, cases.webhook_secret, clock.wall))
    if cases.smtp_server:
        host, _, port = cases.smtp_server.rpartition(":")
        box = Mailbox(host, int(port), cases.smtp_sender, cases.smtp_user, cases.smtp_password, cases.smtp_tls)
        found.append(MailNotices(box, _addresses(config, agencies)))
    return found


def _addresses(config: Config, agencies: Sequence[Agency]) -> dict[str, tuple[str, ...]]:
    found = {it.recipient: it.mail for it in config.case_contacts}
    for agency in agencies:
        if is_mail(agency.contact) and not agency.disabled:
            for unit in agency.units:
                to = found.get(f"unit:{unit}", ())
                found[f"unit:{unit}"] = tuple(dict.fromkeys((*to, agency.contact)))
    return found
