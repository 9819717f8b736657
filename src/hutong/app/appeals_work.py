"""Appeals as a node has them, from its settings, and their jobs in the `work` process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.appeal_blocks import NodeBlocks, OrderFacts
from hutong.app.cases_work import open_cases
from hutong.app.schedule import Job
from hutong.appeals import metrics
from hutong.appeals.codes import Codes
from hutong.appeals.desk import AppealDesk
from hutong.appeals.effect import Lifting
from hutong.appeals.public_desk import PublicDesk
from hutong.appeals.store import AppealQuery, AppealStore
from hutong.kernel.access.refs import Refs
from hutong.kernel.letters import FileCodes, NoCodes, Postbox, WebhookCodes
from hutong.kernel.lists.store import ListStore
from hutong.kernel.marks import MARKS, Marks
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url
from hutong.orders.bases import bases
from hutong.orders.errors import OrderRefused
from hutong.orders.model import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.config import Config
    from hutong.app.services import Services
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.clock import Clock
    from hutong.kernel.letters import CodePort
    from hutong.kernel.reporter import Reporter
    from hutong.kernel.web.frame import Frame
    from hutong.orders.query import OrderReader

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_KEY_FILE: Final = "appeal-codes.key"


def appeal_store(config: Config, database: Database, cases: Callable[[], Cases], refs: Refs) -> AppealStore:
    """A node's appeals; `database` is opened by whoever made it."""
    return AppealStore(database, cases, refs, Numbering(config.calls.home_area), config.appeals.allow_days)


def lifting_of(config: Config, database: Database, store: AppealStore, lists: ListStore) -> Lifting:
    """What puts decided liftings into effect."""
    return Lifting(database, store, lists, Marks(database, config.data / MARKS))


def order_facts(orders: OrderReader, source: str) -> OrderFacts | None:
    """What the order that an entry comes from says; None where it is not kept."""
    try:
        order = orders.order(source.removeprefix(SOURCE))
    except OrderRefused:
        return None
    known = bases()
    cited = [known[it] for it in order.basis if it in known]
    # Further words are whoever asked's own, in one language.
    basis = {
        "zh": "，".join(filter(None, ("、".join(it.zh for it in cited), order.basis_text))),
        "en": ", ".join(filter(None, ("; ".join(it.en for it in cited), order.basis_text))),
    }
    makers = tuple(dict.fromkeys(name for name in (order.requested_by, order.decided_by) if name))
    return OrderFacts(order.agency, basis, makers)


def appeal_desk(services: Services) -> AppealDesk:
    """Where people decide appeals."""
    it = services
    store = appeal_store(it.config, it.database, lambda: it.cases, it.refs)
    blocks = NodeBlocks(it.lists, it.index, it.rules, lambda source: order_facts(it.orders.orders, source))
    return AppealDesk(store, blocks, lifting_of(it.config, it.database, store, it.lists), it.numbering)


def codes_of(config: Config, database: Database, refs: Refs, clock: Clock, reporter: Reporter) -> Codes:
    """A node's one-time codes."""

    def note(result: str, why: str) -> None:
        reporter.metrics.add(metrics.CODES, result=result)
        if why:
            reporter.log.warning("a one-time code was not sent", trouble=why)

    return Codes(database, refs, config.data / "keys" / _KEY_FILE, Postbox(code_port(config, clock), note))


def code_port(config: Config, clock: Clock) -> CodePort:
    """The port that the settings name."""
    it = config.appeals
    if it.code_webhook_url:
        return WebhookCodes(it.code_webhook_url, it.code_webhook_secret, clock)
    return FileCodes(Path(it.code_file)) if it.code_file else NoCodes("appeals.code_webhook_url or appeals.code_file")


def public_desk(services: Services, desk: AppealDesk, codes: Codes, frame: Frame) -> PublicDesk:
    """What strangers are told and may do."""

    def words(language: str, code: str, minutes: int) -> str:
        return frame.texts.say("appeal.letter", language, code=code, minutes=minutes)

    return PublicDesk(
        store=desk.store,
        codes=codes,
        blocks=desk.blocks,
        numbering=services.numbering,
        codes_per_minute=services.config.appeals.codes_per_minute,
        metrics=services.reporter.metrics,
        clock=services.clock,
        words=words,
    )


class AppealWork:
    """What `work` does for appeals: decided liftings every second, figures, forgetting.

    Args:
        config: the node's settings. clock: of the codes' signatures. reporter: logs and figures.
    """

    def __init__(self, config: Config, clock: Clock, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._lists = ListStore(config.data / "lists")
        self._refs = Refs(config.data / "keys" / "refs.key")
        self._codes = codes_of(config, self._database, self._refs, clock, reporter)
        self._store: AppealStore | None = None
        self._lifting: Lifting | None = None

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("appeals", _SECOND, lambda now: self.run(now // _MS)),
            Job("appeal-figures", 10 * _SECOND, lambda now: self.count(now // _MS)),
            Job("appeal-forgetting", 600 * _SECOND, lambda now: self.forget(now // _MS)),
        ]

    def run(self, now_ms: int) -> int:
        """Put decided liftings into effect; gives how many.

        Raises:
            HutongError: records or lists fail; the next run goes on.
        """
        store = self._opened()
        if self._lifting is None:
            self._lifting = lifting_of(self._config, self._database, store, self._lists)
        return self._lifting.run(now_ms)

    def count(self, now_ms: int) -> int:
        """Set the gauges; gives how many appeals there are."""
        store, figures = self._opened(), self._reporter.metrics
        states = store.states()
        for state, count in states.items():
            figures.set(metrics.APPEALS, count, state=state)
        figures.set(metrics.APPEALS_LATE, store.count(AppealQuery(late_ms=now_ms)))
        figures.set(metrics.APPEALS_WAITING, store.waiting())
        return sum(states.values())

    def forget(self, now_ms: int) -> int:
        """Delete codes, and who appealed, when their time is over; gives how many."""
        store = self._opened()
        return self._codes.forget(now_ms) + store.forget(now_ms, self._config.appeals.keep_days)

    def _opened(self) -> AppealStore:
        if self._store is None:
            self._database.open()
            self._lists.open()
            cases = open_cases(self._config, self._database)
            self._store = appeal_store(self._config, self._database, lambda: cases, self._refs)
        return self._store
