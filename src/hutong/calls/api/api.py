"""The API of one node, put together: routes, limits, figures, the connection to the screening process."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.concurrency import sync_to_thread

from hutong.calls.alerts.table import AlertTable
from hutong.calls.api.alert_routes import AlertDesk, alert_routes
from hutong.calls.api.document import document
from hutong.calls.api.limits import Buckets
from hutong.calls.api.list_routes import ListsDesk, list_routes
from hutong.calls.api.meters import Meters
from hutong.calls.api.readers import Desk, TrailPort, asker_of
from hutong.calls.api.reference_page import reference_routes
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
from hutong.kernel.web.problems import is_for_programs

if TYPE_CHECKING:
    from pathlib import Path

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Message, Scope

    from hutong.calls.api.bodies import Screened
    from hutong.calls.evidence.desk import PromotionDesk
    from hutong.calls.index import VerdictIndex
    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.clock import Clock
    from hutong.kernel.lists import ListStore
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.web.frame import Frame


_NOT_KEPT: Final = (b"cache-control", b"no-store")


class ApiLimits(msgspec.Struct, frozen=True):
    """As in the settings, section `api`."""

    max_calls: int
    calls_per_second: int
    requests_per_second: int


class ApiParts(msgspec.Struct, frozen=True):
    """What the API works with.

    Attributes:
        data: the data folder.
        rules: the rules as their files say. promotion: moves them.
        index: finds verdicts. lists: the lists, open before the API serves.
        numbering: reads numbers as this node does.
        trail: deeds go there first. refs: names numbers there.
        clock: the time. metrics: where the API's figures go. frame: for the page of the reference.
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
    trail: TrailPort
    refs: Refs
    clock: Clock
    metrics: Metrics
    frame: Frame
    limits: ApiLimits
    node: str = "node1"
    patience_s: float = 2.0


class Api:
    """The routes and what stands behind them. Inert until it is asked; `close` at the end.

    Args:
        parts: see `ApiParts`.
    """

    def __init__(self, parts: ApiParts) -> None:
        limits, clock = parts.limits, parts.clock
        self._meters = Meters(parts.metrics)
        self._ask = AskClient(parts.data / SOCKET, patience_s=parts.patience_s)
        verdicts = Verdicts(parts.data)
        desk = Desk(parts.trail, clock, Buckets(limits.requests_per_second), self._meters)
        self._verdicts = VerdictDesk(parts.index, verdicts, parts.numbering, parts.refs, desk)
        screening = Screening(
            self._ask,
            Teller(verdicts),
            self._repeated,
            clock,
            max_calls=limits.max_calls,
            calls=Buckets(limits.calls_per_second, limits.max_calls),
            meters=self._meters,
        )
        described: list[HTTPRouteHandler] = [
            screening_routes(screening, asker_of, limits.max_calls),
            *verdict_routes(self._verdicts, desk),
            *list_routes(ListsDesk(parts.lists, parts.numbering, parts.refs, desk), desk),
            *rule_routes(RulesDesk(parts.rules), desk),
            *stage_routes(StageRoutes(RulesDesk(parts.rules), parts.promotion, desk), desk),
            *alert_routes(AlertDesk(AlertTable(parts.data), parts.node, parts.numbering, desk), desk),
            *window_routes(WindowsReader(parts.data), parts.numbering, desk),
        ]
        self.document: dict[str, Any] = document(described, version("hutong"))
        body = msgspec.json.encode(self.document)
        self.routes: list[HTTPRouteHandler] = [*described, *reference_routes(self.document, body, parts.frame)]

    async def before_send(self, message: Message, scope: Scope) -> None:
        """For `Litestar(before_send=…)`: counts answers, and lets nobody keep what programs are told of people."""
        if message["type"] == "http.response.start" and is_for_programs(scope["path"]):
            headers = message["headers"]
            if all(name != b"cache-control" for name, _ in headers):
                message["headers"] = [*headers, _NOT_KEPT]
        await self._meters.before_send(message, scope)

    async def close(self) -> None:
        """End the connection to the screening process."""
        await self._ask.close()

    async def _repeated(self, seq: int) -> Screened | None:
        """The journal is read in a thread: repetitions are rare."""
        return await sync_to_thread(self._verdicts.screened, seq)
