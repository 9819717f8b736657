"""The API as it is served: real people and tokens in records of its own, a real guard, uvicorn on a loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self

import httpx
import uvicorn
import uvloop
from litestar import Litestar

from ask_servers import until
from case_samples import CALENDAR, TYPES
from fresh_records import lay_out
from hutong.app import codes_console, sampling_console
from hutong.app.config import load_config
from hutong.app.console import load_api
from hutong.app.console.load_facts import LoadSource
from hutong.app.evidence_calls import evidence_desk
from hutong.bulletins import api as bulletins_api
from hutong.bulletins import paper
from hutong.bulletins.desk import Desk as BulletinDesk
from hutong.bulletins.losses import Losses
from hutong.calls import console
from hutong.calls.api import Api, ApiLimits, ApiParts
from hutong.calls.evidence.desk import PromotionDesk
from hutong.calls.evidence.promotion import Limits
from hutong.calls.evidence.store import EvidenceStore
from hutong.calls.index import VerdictIndex
from hutong.calls.rule_book import RuleShelf
from hutong.calls.stories.stories import Stories
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.access.refs import Refs
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.api import CaseParts, case_section
from hutong.kernel.cases.attachments import Attachments
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.clock import SystemClock
from hutong.kernel.lists.store import ListStore
from hutong.kernel.metrics import Metrics
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database
from hutong.kernel.rules.proposals import PROPOSALS_FILE
from hutong.kernel.web.api.desk import Desk
from hutong.kernel.web.api.limits import Buckets
from hutong.kernel.web.api.meters import Meters
from hutong.kernel.web.api.whole import WholeApi
from hutong.kernel.web.frame import Frame
from hutong.kernel.web.guard import Guard
from hutong.kernel.web.port import BoundedHttp, Connections
from hutong.kernel.web.problems import error_handlers, problem_response
from hutong.kernel.web.texts import Texts
from hutong.orders import api as orders_api
from hutong.orders.evidence.gathering import Turns
from hutong.reports.api import ReportsDesk
from hutong.reports.api import section as reports_section
from order_samples import Station
from report_nodes import reports_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hutong.codes.console.desk import StaffDesk
    from hutong.kernel.access.permissions import Role
    from hutong.kernel.access.trail import TrailEntry
    from hutong.kernel.clock import Clock
    from hutong.orders.evidence.gathering import EvidenceDesk
    from hutong.sampling.console.parts import Parts as SamplingParts

LIMITS = ApiLimits(max_calls=1000, calls_per_second=100_000)
_DAY_MS = 86_400_000


class ApiServer:
    """Everything of one node but its screening process, whose data folder this is."""

    def __init__(
        self,
        data: Path,
        *,
        limits: ApiLimits = LIMITS,
        requests_per_second: int = 100_000,
        clock: Clock | None = None,
        patience_s: float = 20.0,
        most_connections: int = 10_000,
        proxies: Sequence[str] = (),
    ) -> None:
        self.clock = clock or SystemClock()
        self.data = data
        self.database = Database(f"sqlite:///{data}/records.db")
        self.people = People(self.database)
        self.tokens = Tokens(self.database, 365)
        self.trail = Trail(self.database)
        self.refs = Refs(data / "keys" / "refs.key")
        self.lists = ListStore(data / "lists")
        self.metrics = Metrics()
        self.numbering = Numbering("021")
        shelf = RuleShelf(data)
        self.promotion = PromotionDesk(
            shelf, EvidenceStore(data / "evidence"), Limits(), data / PROPOSALS_FILE, self.trail, self.people
        )
        meters = Meters(self.metrics)
        desk = Desk(self.trail, self.clock, Buckets(requests_per_second), meters)
        self.calls = Api(
            ApiParts(
                data=data,
                rules=shelf,
                promotion=self.promotion,
                index=VerdictIndex(data),
                lists=self.lists,
                numbering=self.numbering,
                refs=self.refs,
                desk=desk,
                clock=self.clock,
                metrics=self.metrics,
                limits=limits,
                patience_s=patience_s,
            )
        )
        self.cases = Cases(self.database, TYPES, CALENDAR, "node1", WHOLE)
        self.orders = Station(self.database, data, self.lists)
        parts = CaseParts(lambda: self.cases, self.database, Attachments(data, self.database))
        self.reports, _ = reports_on(self.database, data)
        reports = ReportsDesk(lambda: self.reports, self.database, self.trail, self.metrics)
        texts = Texts([paper.HOME / "texts.toml"])
        bulletins = BulletinDesk(self.database, data, "node1", "Asia/Shanghai", self.trail, texts, {}, dict)
        self.api = WholeApi(
            [
                self.calls.section,
                case_section(parts, desk),
                reports_section(reports, desk),
                bulletins_api.section(bulletins, Losses(self.database, self.trail), desk),
                orders_api.section(self.orders.desk, self._packs, desk),
                codes_console.section(self._codes_desk(), desk),
                sampling_console.section(self._sampling(), desk),
                load_api.section(self._load(), desk),
            ],
            "0",
            meters,
            Frame([console.HOME], console.TEXTS),
        )
        guard = Guard(
            Sessions(self.database, 12, 60),
            self.tokens,
            ["testserver.local"],
            https=False,
            proxies=(),
            clock=self.clock,
        )
        self.app = Litestar(
            route_handlers=self.api.routes,
            plugins=[guard],
            exception_handlers=error_handlers(problem_response),
            before_send=[self.api.before_send],
            openapi_config=None,
            logging_config=None,
        )
        self._http = partial(BoundedHttp, connections=Connections(proxies, self.metrics, most_connections))
        self._server: uvicorn.Server | None = None
        self._secrets: dict[tuple[str, frozenset[str]], str] = {}

    def _load(self) -> LoadSource:
        listen = {"HUTONG_CODES__LISTEN": "127.0.0.1:8085"}
        return LoadSource(load_config(None, data=self.data, environ=listen), self.clock.wall)

    def _codes_desk(self) -> StaffDesk:
        """Codes, with a key of venues and keys of people in this folder."""
        config = load_config(None, data=self.data, environ={})
        parts = {"config": config, "database": self.database, "trail": self.trail, "cases": self.cases}
        services = SimpleNamespace(**parts, reporter=SimpleNamespace(metrics=self.metrics))
        return codes_console.staff_desk(services)  # type: ignore[arg-type]  # what it uses of a node

    def _sampling(self) -> SamplingParts:
        """Sampling; no page is made here."""
        config = load_config(None, data=self.data, environ={})
        services = SimpleNamespace(config=config, database=self.database, trail=self.trail, clock=self.clock)
        return sampling_console.parts_of(services, None)  # type: ignore[arg-type]  # what it uses of a node

    def _packs(self) -> EvidenceDesk:
        config, index = load_config(None, data=self.data, environ={}), VerdictIndex(self.data)
        stories = Stories(self.data, index, self.refs.ref)
        return evidence_desk(config, self.database, self.orders.orders, self.cases, index, stories, self.lists, Turns())

    @property
    def now_ms(self) -> int:
        return int(self.clock.wall() // 10**6)

    def token(self, role: Role = "operator", *scopes: str, expires_ms: int = _DAY_MS) -> str:
        """A new token's secret of somebody with this role; all that the role may do unless scopes are named."""
        wanted = frozenset(scopes) or permissions_of(role)
        return self.tokens.make(role, "test", wanted, self.now_ms + expires_ms, self.now_ms)[1]

    def secret(self, role: Role = "operator") -> str:
        """The same one again and again."""
        key = (role, frozenset[str]())
        if key not in self._secrets:
            self._secrets[key] = self.token(role)
        return self._secrets[key]

    def deeds(self) -> list[TrailEntry]:
        """What is on the trail, newest first."""
        return self.trail.page()

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        if not (self.data / "records.db").exists():
            lay_out(self.data / "records.db")
        self.database.open()
        self.lists.open()
        for role in ROLES:
            # At a provider: no password is hashed for nobody to use.
            self.people.arrive(Identity(role, role.title(), role, f"subject:{role}"), self.now_ms)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        config = uvicorn.Config(
            self.app,
            http=self._http,  # type: ignore[arg-type]  # makes a protocol
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
        )
        server = uvicorn.Server(config)
        self._listener, self._server = listener, server
        self._thread = threading.Thread(target=self._run, args=(server, listener))
        self._thread.start()
        until(lambda: server.started)
        return self

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(server, listener))

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        await server.serve([listener])
        await self.calls.close()

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()
        self.lists.close()
        self.database.close()

    @contextlib.contextmanager
    def client(self, role: Role | None = "operator", secret: str = "") -> Iterator[httpx.Client]:
        """An HTTP client with a token of this role (none for None)."""
        secret = secret or (self.secret(role) if role else "")
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30, trust_env=False) as it:
            yield it
