"""What calls bring to the API: routes, limits, the connection to the screening process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from litestar.concurrency import sync_to_thread

from hutong.calls.alerts.table import AlertTable
from hutong.calls.api import bodies
from hutong.calls.api.alert_routes import AlertDesk, alert_routes
from hutong.calls.api.described import describe
from hutong.calls.api.list_routes import ListsDesk, list_routes
from hutong.calls.api.meters import ScreeningMeters
from hutong.calls.api.rule_routes import RulesDesk, rule_routes
from hutong.calls.api.screening import Screening, screening_routes
from hutong.calls.api.stage_routes import StageRoutes, stage_routes
from hutong.calls.api.told import Teller
from hutong.calls.api.verdict_routes import VerdictDesk, verdict_routes
from hutong.calls.api.window_routes import window_routes
from hutong.calls.asking.client import AskClient
from hutong.calls.asking.edge import SOCKET
from hutong.calls.explain import Verdicts
from hutong.calls.windows_reader import WindowsReader
from hutong.kernel.web.api.desk import asker_of
from hutong.kernel.web.api.document import Section, structs_of
from hutong.kernel.web.api.limits import Buckets

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.api.bodies import Screened
    from hutong.calls.evidence.desk import PromotionDesk
    from hutong.calls.index import VerdictIndex
    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.clock import Clock
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.web.api.desk import Desk


_TAGS: Final = (
    ("calls", "呼叫筛查 / Screening calls"),
    ("verdicts", "判决 / Verdicts"),
    ("lists", "名单 / Lists"),
    ("rules", "规则 / Rules"),
    ("windows", "滑动窗口 / Windows"),
)


class ApiLimits(msgspec.Struct, frozen=True):
    """As in the settings, section `api`."""

    max_calls: int
    calls_per_second: int


class ApiParts(msgspec.Struct, frozen=True):
    """What the API works with.

    Attributes:
        data: the data folder.
        rules: the rules as their files say. promotion: moves them.
        index: finds verdicts. lists: the lists, open before the API serves.
        numbering: reads numbers as this node does.
        refs: names numbers on the trail. desk: limits requests and records deeds.
        clock: the time. metrics: where the API's figures go.
        limits: see `ApiLimits`. node: this node's name.
        patience_s: after so long without an answer the screening process counts as hanging: more than the time budget
            of a verdict and of a roaming look-up together.
    """

    data: Path
    rules: RuleShelf
    promotion: PromotionDesk
    index: VerdictIndex
    lists: ListStore
    numbering: Numbering
    refs: Refs
    desk: Desk
    clock: Clock
    metrics: Metrics
    limits: ApiLimits
    node: str = "node1"
    patience_s: float = 2.0


class Api:
    """The routes of calls and what stands behind them. Inert until it is asked; `close` at the end.

    Args:
        parts: see `ApiParts`.
    """

    def __init__(self, parts: ApiParts) -> None:
        limits, clock, desk = parts.limits, parts.clock, parts.desk
        self._ask = AskClient(parts.data / SOCKET, patience_s=parts.patience_s)
        verdicts = Verdicts(parts.data)
        self._verdicts = VerdictDesk(parts.index, verdicts, parts.numbering, parts.refs, desk)
        screening = Screening(
            self._ask,
            Teller(verdicts),
            self._repeated,
            clock,
            max_calls=limits.max_calls,
            calls=Buckets(limits.calls_per_second, limits.max_calls),
            meters=ScreeningMeters(parts.metrics),
        )
        routes = [
            screening_routes(screening, asker_of, limits.max_calls),
            *verdict_routes(self._verdicts, desk),
            *list_routes(ListsDesk(parts.lists, parts.numbering, parts.refs, desk), desk),
            *rule_routes(RulesDesk(parts.rules), desk),
            *stage_routes(StageRoutes(RulesDesk(parts.rules), parts.promotion, desk), desk),
            *alert_routes(AlertDesk(AlertTable(parts.data), parts.node, parts.numbering, desk), desk),
            *window_routes(WindowsReader(parts.data), parts.numbering, desk),
        ]
        self.section = Section(_TAGS, routes, structs_of(bodies), describe)

    async def close(self) -> None:
        """End the connection to the screening process."""
        await self._ask.close()

    async def _repeated(self, seq: int) -> Screened | None:
        """The journal is read in a thread: repetitions are rare."""
        return await sync_to_thread(self._verdicts.screened, seq)
