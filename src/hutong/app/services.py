"""What the web process works with, made once from the settings: records, people, feed, index. Inert until opened."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hutong.app.appeals_work import appeal_desk, codes_of
from hutong.app.cases_work import open_cases
from hutong.app.handoff_work import handoffs_of
from hutong.app.orders_work import order_desk
from hutong.app.reports_work import open_reports
from hutong.app.stage_desk import promotion_desk
from hutong.calls.alerts.views import AlertViews
from hutong.calls.evidence.asking import BacktestDesk
from hutong.calls.history import History
from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.live.duty import DutyReader
from hutong.calls.live.figures import LiveSource
from hutong.calls.redress import RedressCard
from hutong.calls.rule_book import RuleShelf
from hutong.calls.stories.stories import Stories
from hutong.kernel.access.oidc import OidcSettings, Provider
from hutong.kernel.access.people import People
from hutong.kernel.access.refs import Refs
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.attachments import Attachments
from hutong.kernel.errors import HutongError
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering import Numbering
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.appeals.codes import Codes
    from hutong.appeals.desk import AppealDesk
    from hutong.calls.live.feed import SnapshotSource
    from hutong.handoff.store import Handoffs
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter
    from hutong.reports.store import Reports


class Services:
    """One node's parts, for its pages and its API.

    Args:
        config: the node's settings.
        clock: the time.
        reporter: logs and figures of this process.
        source: the live counters; the data folder's unless given.
        file: the settings file that `config` came from.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        reporter: Reporter,
        source: SnapshotSource | None = None,
        file: Path | None = None,
    ) -> None:
        self.config, self.clock, self.reporter, self.file = config, clock, reporter, file
        self.live = source or LiveSource(config.data)
        self.database = Database(database_url(config.records.url, config.data))
        self.attachments = Attachments(config.data, self.database)
        self.people = People(self.database)
        self.sessions = Sessions(self.database, config.access.session_hours, config.access.idle_minutes)
        self.tokens = Tokens(self.database, config.access.token_days)
        self.trail = Trail(self.database)
        self.refs = Refs(config.data / "keys" / "refs.key")
        self.numbering = Numbering(config.calls.home_area)
        self.lists = ListStore(config.data / "lists")
        self.rules = RuleShelf(config.data, (Path(config.calls.rules_dir),) if config.calls.rules_dir else ())
        self.promotion = promotion_desk(config, self.rules, self.trail, self.people)
        self.orders = order_desk(config, self.database, self.lists, self.refs)
        self.backtests = BacktestDesk(config.data, self.rules, self.trail)
        self.index = VerdictIndex(config.data)
        self.history = History(self.database, config.node.name)
        self.stories = Stories(config.data, self.index, self.refs.ref, config.calls.home_area)
        self.alerts = AlertViews(config.data, config.node.name, self.numbering, self.refs.ref)
        self.duty = DutyReader(self.alerts, self.rules, clock)
        self.provider = _provider(config)
        self.card = RedressCard(config.data / "keys", config.node.name, config.sip.redress_url, clock)

    @cached_property
    def cases(self) -> Cases:
        """Every case, once somebody asks: a wrong type in the data folder must not keep the other pages away.

        Raises:
            CaseError: a type or a year of the calendar is wrong.
        """
        return open_cases(self.config, self.database)

    @cached_property
    def appeals(self) -> AppealDesk:
        """Where people decide appeals."""
        return appeal_desk(self)

    @cached_property
    def codes(self) -> Codes:
        """One-time codes of appeals."""
        return codes_of(self.config, self.database, self.refs, self.clock, self.reporter)

    @cached_property
    def handoffs(self) -> Handoffs:
        """Hand-offs to the dissuasion desk."""
        return handoffs_of(self.config, self.database, lambda: self.cases, self.refs)

    @cached_property
    def reports(self) -> Reports:
        """Reports from people, once somebody asks.

        Raises:
            CaseError: a case type is wrong. RuleError: a rule of opening is wrong.
        """
        return open_reports(self.config, self.database)

    def open(self) -> None:
        """Open what needs it.

        Raises:
            HutongError: something cannot be opened; the message says what to do.
        """
        self.config.data.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.card.open()
        self.database.open()
        self.lists.open()

    def warm_up(self) -> None:
        """Load what is compiled, read the rules and look through the index, before a first page waits for it."""
        self.stories.warm_up()
        with contextlib.suppress(HutongError):
            self.rules.book()
        with contextlib.suppress(HutongError, OSError):
            self.index.groups(Filters(), "action")

    def close(self) -> None:
        """Let go of everything."""
        if self.provider is not None:
            self.provider.close()
        if "codes" in vars(self):  # not made only to be closed
            self.codes.postbox.close()
        self.lists.close()
        self.database.close()


def _provider(config: Config) -> Provider | None:
    oidc = config.oidc
    if not oidc.issuer:
        return None
    return Provider(
        OidcSettings(
            issuer=oidc.issuer,
            client_id=oidc.client_id,
            client_secret=oidc.client_secret,
            redirect_url=oidc.redirect_url,
            groups_claim=oidc.groups_claim,
            roles=tuple((it.group, it.role) for it in config.oidc_roles),
        )
    )
