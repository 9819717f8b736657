"""What `serve` serves, wired: console and API on one port, public pages on another. Nothing is decided here."""

from __future__ import annotations

import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar, Response, get
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router

from hutong.app import bulletins_site, cases_site, codes_console, orders_site, reports_site, sampling_console
from hutong.app import console as app_console
from hutong.app.appeals_work import public_desk
from hutong.app.console import health, load, load_api, settings
from hutong.app.console.health_facts import HealthSource
from hutong.app.console.load_facts import LoadSource
from hutong.app.console.metrics_files import merged_metrics
from hutong.app.handoff_work import desks_of
from hutong.app.screen import trunks_of
from hutong.app.up import processes_of
from hutong.appeals import api as appeals_api
from hutong.appeals import pages as appeals_pages
from hutong.appeals import public_api as appeals_public_api
from hutong.appeals import public_pages as appeals_public_pages
from hutong.calls import console as calls_console
from hutong.calls import metrics, redress_pages
from hutong.calls.api import Api, ApiLimits, ApiParts
from hutong.calls.console import alerts, backtests, call, lists, live, numbers, rules, search, trunks, verdicts
from hutong.calls.console.rule_stages import StageViews
from hutong.calls.live.duty import REFRESH_S
from hutong.calls.live.feed import LiveFeed
from hutong.handoff import api as handoff_api
from hutong.handoff import pages as handoff_pages
from hutong.kernel.access import pages as access
from hutong.kernel.audit.standing import read_standing
from hutong.kernel.cases.api import CaseParts, case_section
from hutong.kernel.errors import HutongError
from hutong.kernel.web import frame as web
from hutong.kernel.web.api.desk import Desk as ApiDesk
from hutong.kernel.web.api.limits import Buckets
from hutong.kernel.web.api.meters import Meters
from hutong.kernel.web.api.whole import WholeApi
from hutong.kernel.web.console import Console, NavItem
from hutong.kernel.web.guard import OPEN, Guard, requires
from hutong.kernel.web.problems import error_handlers, public_page
from hutong.kernel.web.security import with_security_headers
from hutong.kernel.web.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from litestar.routes import BaseRoute
    from litestar.types import ASGIApp, Receive, Scope, Send

    from hutong.app.services import Services

_FRESH_S: Final = 1.0
#: For pages and queries, of which each person has a few at once, and for 18 who sign in at the same time.
_THREADS: Final = 40
#: How long serving waits to be warm. Code that has to be compiled, or a journal without index, takes longer: people
#: must not be kept out by it.
_WARM_S: Final = 3.0
#: For the way to the screening process and back, beyond its own time budgets.
_MORE_PATIENCE_S: Final = 1.0
#: Bytes of a request; who takes files says so. What nobody has signed in for must not fill the memory.
_LONGEST_BODY: Final = 64 * 1024
_TEXTS: Final = Path(__file__).with_name("texts.toml")
_HOMES: Final = (
    *(appeals_public_pages.HOME, handoff_pages.HOME, reports_site.HOME),
    *(orders_site.HOME, bulletins_site.HOME, cases_site.HOME, codes_console.HOME, sampling_console.HOME),
)
NAV: Final = (
    NavItem("watch", "/", "nav.live", "live.read", "l"),
    NavItem("watch", "/overdue", "nav.overdue", "cases.read", "x"),
    NavItem("watch", "/verdicts", "nav.verdicts", "verdicts.read", "v"),
    NavItem("watch", "/alerts", "nav.alerts", "verdicts.read", "w"),
    NavItem("watch", "/load", "nav.load", "health.read", "q"),
    sampling_console.NAV,
    NavItem("casework", "/work", "nav.work", "cases.read", "m"),
    NavItem("casework", "/cases", "nav.cases", "cases.read", "c"),
    NavItem("casework", "/registers", "nav.registers", "cases.read", "z"),
    orders_site.NAV,
    NavItem("casework", "/appeals", "nav.appeals", "appeals.read", "e"),
    NavItem("casework", "/handoffs", "nav.handoffs", "handoffs.read", "d"),
    NavItem("casework", "/reports", "nav.reports", "reports.read", "o"),
    bulletins_site.NAV,
    *codes_console.NAV,
    NavItem("rules", "/lists", "nav.lists", "lists.read", "i"),
    NavItem("rules", "/rules", "nav.rules", "rules.read", "r"),
    NavItem("rules", "/trunks", "nav.trunks", "trunks.read", "t"),
    NavItem("system", "/health", "nav.health", "health.read", "h"),
    NavItem("system", "/settings", "nav.settings", "settings.read", "s"),
    NavItem("system", "/trail", "nav.trail", "trail.read", "a"),
    NavItem("system", "/audit", "nav.audit", "trail.read", "y"),
    NavItem("system", "/people", "nav.people", "people.read", "p"),
)


class Site:
    """The web applications of one node and the feed behind its live wall.

    Args:
        services: what the pages work with; opened before the site serves.
        public_port: requests to this port see the public pages only.
    """

    def __init__(self, services: Services, public_port: int) -> None:
        self._services = services
        self._public_port = public_port
        config = services.config
        self._frame = web.Frame(
            [access.HOME, calls_console.HOME, app_console.HOME, *_HOMES], [*calls_console.TEXTS, _TEXTS]
        )
        self._console = Console(self._frame, NAV, config.node.name, services.clock, config.calls.time_zone)
        facts = live.WallFacts(", ".join(config.sip.listen), bool(config.mirror.listen), config.calls.time_zone)
        self._wall = live.Wall(self._frame, facts, lambda: services.duty.now)
        self.feed = LiveFeed(services.live, services.clock, self._wall.draw)
        self._load = LoadSource(config, services.clock.wall)
        self._codes = codes_console.staff_desk(services)
        self._sampling = sampling_console.parts_of(services, self._console)
        self._meters = Meters(services.reporter.metrics)
        asked = Buckets(config.api.requests_per_second)
        self._api_desk = ApiDesk(services.trail, services.clock, asked, self._meters)
        self._calls_api = self._calls_api_of()
        self._api = WholeApi(
            [
                self._calls_api.section,
                reports_site.section(services, self._api_desk),
                bulletins_site.section(services, self._api_desk),
                orders_site.section(services, self._api_desk),
                case_section(
                    CaseParts(lambda: services.cases, services.database, services.attachments), self._api_desk
                ),
                appeals_api.section(services.appeals, self._api_desk),
                handoff_api.section(services.handoffs, services.numbering, self._api_desk),
                load_api.section(self._load, self._api_desk),
                codes_console.section(self._codes, self._api_desk),
                sampling_console.section(self._sampling, self._api_desk),
            ],
            version("hutong"),
            self._meters,
            self._frame,
        )
        self.console = self._private()
        self.public = self._open_to_all()

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Every route of console and API."""
        return self._litestar.routes

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application of the port that was asked."""
        # The lifespan's scope has no server: it belongs to the console, which has the feed.
        server = scope.get("server")
        public = server is not None and server[1] == self._public_port
        await (self.public if public else self.console)(scope, receive, send)

    def _private(self) -> ASGIApp:
        services, config = self._services, self._services.config
        self.guard = Guard(
            services.sessions,
            services.tokens,
            config.serve.hosts,
            config.serve.https or bool(config.serve.tls_certificate),
            config.serve.proxies,
            services.clock,
            Turns(services.reporter.metrics),
        )
        self._litestar = Litestar(
            route_handlers=[
                *access.access_routes(self._console, self._desk(), services.provider),
                *self._calls_pages(),
                *self._node_pages(),
                *reports_site.console_pages(services, self._console),
                *bulletins_site.console_pages(services, self._console),
                *orders_site.console_pages(services, self._console),
                *cases_site.console_pages(services, self._console, self._desk()),
                *codes_console.console_pages(self._codes, self._console),
                *sampling_console.console_pages(self._sampling),
                *self._redress_pages(),
                *self._api.routes,
                *_for_machines(self.feed, services),
                _static(),
            ],
            plugins=[self.guard],
            lifespan=[self._life],
            exception_handlers=error_handlers(self._console.failure),
            after_exception=[self._went_wrong],
            before_send=[self._api.before_send],
            request_max_body_size=_LONGEST_BODY,
            openapi_config=None,
            logging_config=None,
        )
        return with_security_headers(self._litestar)

    def _calls_pages(self) -> list[Any]:
        it, console, config = self._services, self._console, self._services.config
        return [
            *live.routes(console, self.guard, self.feed, self._wall, it.trail),
            *search.routes(console, stories=it.stories, refs=it.refs),
            *verdicts.routes(console, stories=it.stories, index=it.index, trail=it.trail),
            *numbers.routes(console, stories=it.stories, index=it.index, trail=it.trail, refs=it.refs),
            *call.routes(console, stories=it.stories, index=it.index, trail=it.trail, alerts=it.alerts),
            *alerts.routes(console, alerts=it.alerts, trail=it.trail),
            *lists.routes(
                console,
                store=it.lists,
                numbering=it.numbering,
                trail=it.trail,
                refs=it.refs,
                clock=it.clock,
                imports=config.data / "run" / "imports",
            ),
            *rules.routes(console, shelf=it.rules, history=it.history, trail=it.trail, promotion=it.promotion),
            *backtests.routes(
                console,
                shelf=it.rules,
                desk=it.backtests,
                store=it.promotion.store,
                views=StageViews(console, it.promotion),
            ),
            *trunks.routes(
                console,
                trunks=trunks_of(config),
                next_hop=config.sip.next_hop,
                live=lambda: self.feed.view,
                history=it.history,
                trail=it.trail,
            ),
        ]

    def _node_pages(self) -> list[Any]:
        it, config = self._services, self._services.config
        source = HealthSource(
            config.data,
            keep_hours=config.journal.keep_hours,
            names=tuple(processes_of(config)),
            mirrored=bool(config.mirror.listen),
            live=lambda: self.feed.view,
            watchers=lambda: self.feed.watchers,
            history=it.history,
            database=it.database,
            lists=it.lists,
            clock=it.clock,
            demoted=lambda: len(it.duty.now.demoted),
        )
        return [
            *health.routes(self._console, source=source, trail=it.trail),
            *load.routes(self._console, source=self._load),
            *settings.routes(
                self._console,
                config=config,
                file=it.file,
                environ=os.environ,
                digest=it.rules.in_force,
                trail=it.trail,
            ),
        ]

    def _redress_pages(self) -> list[Any]:
        it, console = self._services, self._console
        enabled = bool(desks_of(it.config, it.clock))
        handed = handoff_pages.Pages(console, it.handoffs, it.numbering, it.trail, enabled=enabled)
        return [*appeals_pages.routes(console, desk=it.appeals, trail=it.trail), *handoff_pages.routes(handed)]

    def _calls_api_of(self) -> Api:
        it, config = self._services, self._services.config
        limits = config.api
        return Api(
            ApiParts(
                data=config.data,
                rules=it.rules,
                promotion=it.promotion,
                index=it.index,
                lists=it.lists,
                numbering=it.numbering,
                refs=it.refs,
                desk=self._api_desk,
                clock=it.clock,
                metrics=it.reporter.metrics,
                limits=ApiLimits(limits.max_calls, limits.calls_per_second),
                node=config.node.name,
                patience_s=(config.calls.budget_ms + config.roaming.http_budget_ms) / 1000 + _MORE_PATIENCE_S,
            )
        )

    def _desk(self) -> access.Desk:
        it = self._services
        return access.Desk(
            database=it.database,
            people=it.people,
            sessions=it.sessions,
            tokens=it.tokens,
            trail=it.trail,
            guard=self.guard,
            reporter=it.reporter,
            token_days=it.config.access.token_days,
            standing=lambda: read_standing(it.config.data),
        )

    def _open_to_all(self) -> ASGIApp:
        services, node = self._services, self._services.config.node.name
        desk = public_desk(services, services.appeals, services.codes, self._frame)
        appeals = appeals_public_pages.PublicPages(self._frame, desk, node, self.guard.address_of)
        litestar = Litestar(
            route_handlers=[
                *redress_pages.routes(self._frame, services.card, node),
                *reports_site.public_routes(services, self._frame, self.guard.address_of),
                *appeals_public_pages.routes(appeals),
                *appeals_public_api.routes(desk, self.guard.address_of),
                _static(),
            ],
            exception_handlers=error_handlers(public_page(self._frame)),
            after_exception=[self._went_wrong],
            request_max_body_size=_LONGEST_BODY,
            openapi_config=None,
            logging_config=None,
        )
        return with_security_headers(reports_site.gated(litestar, services, self.guard.address_of))

    @contextlib.asynccontextmanager
    async def _life(self, _application: Litestar) -> AsyncIterator[None]:
        # As many as people and their turns need: Python's own choice (six, on two cores) is taken by two people.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "serve"))
        warm = asyncio.create_task(asyncio.to_thread(self._services.warm_up), name="warm-up")
        beats = [
            asyncio.create_task(self.feed.run(), name="live-feed"),
            asyncio.create_task(self._keep_fresh(warm), name="index-refresh"),
            asyncio.create_task(self._read_duty(), name="duty"),
            asyncio.create_task(self._load.run(), name="load"),
        ]
        for work in (warm, *beats):
            work.add_done_callback(self._ended)
        try:
            await asyncio.wait([warm], timeout=_WARM_S)
            yield
        finally:
            self.feed.close()
            for beat in beats[1:]:
                beat.cancel()
            await asyncio.gather(*beats, return_exceptions=True)
            await self._calls_api.close()

    async def _keep_fresh(self, warm: asyncio.Task[None]) -> None:
        """Take note of new verdicts every second, so that nobody's page pays for all of them at once."""
        services = self._services
        await asyncio.wait([warm])
        while True:
            with contextlib.suppress(HutongError, OSError):
                await asyncio.to_thread(services.index.refresh)
            await asyncio.sleep(_FRESH_S)

    async def _read_duty(self) -> None:
        """Read what the wall says of alerts and demoted rules: a slow disk must not keep its beat waiting."""
        while True:
            await asyncio.to_thread(self._services.duty.refresh)
            await asyncio.sleep(REFRESH_S)

    def _ended(self, work: asyncio.Task[None]) -> None:
        """Nobody waits for this work, so nobody else would tell that it failed."""
        if not work.cancelled() and (error := work.exception()) is not None:
            self._services.reporter.log.error("background work failed", work=work.get_name(), exc_info=error)

    async def _went_wrong(self, error: Exception, scope: Scope) -> None:
        if not isinstance(error, HTTPException):
            self._services.reporter.log.error("request failed", path=scope.get("path", ""), exc_info=error)


def _static() -> Any:  # noqa: ANN401  # what Litestar takes
    return create_static_files_router(
        path="/static",
        directories=[
            web.STATIC,
            access.STATIC,
            calls_console.STATIC,
            appeals_public_pages.STATIC,
            reports_site.STATIC,
            bulletins_site.STATIC,
            cases_site.STATIC,
            sampling_console.STATIC,
            codes_console.STATIC,
        ],
        cache_control=None,
        opt=OPEN,
    )


def _for_machines(feed: LiveFeed, services: Services) -> list[Any]:
    """`/healthz`, `/readyz`, `/metrics`."""

    @get("/healthz", opt=OPEN, sync_to_thread=False)
    def healthz() -> Response[str]:
        return Response("ok\n", media_type="text/plain")

    @get("/readyz", opt=OPEN, sync_to_thread=False)
    def readyz() -> dict[str, str]:
        """Whether this process serves. It must also serve while screening is down: that is when people look."""
        return {"serve": "ready", "screening": feed.view.state}

    @get("/metrics", opt=requires("metrics.read"), sync_to_thread=True)
    def exposition() -> Response[bytes]:
        own = metrics.exposition(feed.view, feed.watchers) + services.reporter.metrics.expose()
        return Response(merged_metrics(services.config.data / "run", own), media_type=metrics.CONTENT_TYPE)

    return [healthz, readyz, exposition]
