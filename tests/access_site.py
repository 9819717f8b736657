"""A console with the pages of access and real records, for tests: asked in this process, or served to a browser."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from litestar.static_files import create_static_files_router
from litestar.testing import TestClient

from fresh_records import lay_out
from hutong.kernel.access import pages
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.passwords import Passwords
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.access.trail import Trail
from hutong.kernel.audit.standing import Standing
from hutong.kernel.clock import ManualClock
from hutong.kernel.records import Database
from hutong.kernel.reporter import Reporter
from hutong.kernel.web import frame as web
from hutong.kernel.web.console import Console, NavItem
from hutong.kernel.web.guard import OPEN, Guard
from hutong.kernel.web.problems import error_handlers
from hutong.kernel.web.security import with_security_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import httpx
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Scope

    from hutong.kernel.access.pages.signin import ProviderPort
    from hutong.kernel.access.permissions import Role
    from hutong.kernel.clock import Clock

HOST = "testserver.local"
NOW_S = 1_800_000_000
PASSWORD = "lamp harbour seventeen quilt"  # noqa: S105  # of made-up people
NAV = (
    NavItem("system", "/people", "nav.people", "people.read", "p"),
    NavItem("system", "/trail", "nav.trail", "trail.read", "t"),
    NavItem("system", "/tokens", "nav.tokens", "tokens.own", "k"),
)


class AccessSite:
    """One node's pages of access.

    Args:
        data: an empty folder.
        clock: stands at NOW_S unless given.
        more: further routes of the same application, and folders: of their templates.
        standing: how the trail stands.
    """

    def __init__(
        self,
        data: Path,
        *,
        clock: Clock | None = None,
        https: bool = False,
        hosts: Sequence[str] = (),
        proxies: Sequence[str] = (),
        provider: ProviderPort | None = None,
        more: Sequence[HTTPRouteHandler] = (),
        folders: Sequence[Path] = (),
        standing: Callable[[], Standing] = Standing,
    ) -> None:
        self.clock = clock or ManualClock(NOW_S * 1_000_000_000)
        self.database = Database(f"sqlite:///{data.absolute() / 'records.db'}")
        if not (data / "records.db").exists():
            lay_out(data / "records.db")
        self.database.open()
        self.people = People(self.database, Passwords())
        self.sessions = Sessions(self.database, 12, 60)
        self.tokens = Tokens(self.database, 365)
        self.trail = Trail(self.database)
        self.guard = Guard(self.sessions, self.tokens, [HOST, *hosts], https, proxies, self.clock)
        self.log = io.StringIO()
        self.reporter = Reporter("serve", stream=self.log, clock=self.clock)
        self.frame = web.Frame([pages.HOME, *folders])
        self.console = Console(self.frame, NAV, "node-1", self.clock)
        desk = pages.Desk(
            self.database,
            self.people,
            self.sessions,
            self.tokens,
            self.trail,
            self.guard,
            self.reporter,
            token_days=365,
            standing=standing,
        )
        self.errors: list[Exception] = []
        self.litestar = Litestar(
            route_handlers=[
                *pages.access_routes(self.console, desk, provider),
                *more,
                create_static_files_router(
                    path="/static", directories=[web.STATIC, pages.STATIC], cache_control=None, opt=OPEN
                ),
            ],
            plugins=[self.guard],
            exception_handlers=error_handlers(self.console.failure),
            after_exception=[self._note],
            openapi_config=None,
            logging_config=None,
        )
        self.application = with_security_headers(self.litestar)

    async def _note(self, error: Exception, _scope: Scope) -> None:
        self.errors.append(error)

    @property
    def now_ms(self) -> int:
        return self.clock.wall() // 1_000_000

    def person(self, name: str, role: Role, *, one_time: bool = False) -> str:
        """Make an account; returns its password."""
        password = self.people.add(name, f"{name.title()} 张", role, self.now_ms)
        if one_time:
            return password
        self.people.set_password(name, password, PASSWORD, self.now_ms)
        return PASSWORD

    def cookie(self, name: str) -> str:
        """A session without signing in."""
        return self.sessions.start(self.people.account(name), "127.0.0.1", self.now_ms)

    def visitor(self, cookie: str = "", **headers: str) -> Visitor:
        """A browser, signed in with a session's cookie where one is given."""
        return Visitor(self, cookie, headers)


class SiteBadges:
    """Proofs for `authorisation.tried`: somebody in each role, a new session each time.

    Args:
        site: without people so far.
    """

    def __init__(self, site: AccessSite) -> None:
        self._site = site
        self.cookie_name = site.guard.cookie_name
        self._tokens = {}
        for role in ROLES:
            site.people.arrive(Identity(f"{role}-1", role, role, f"subject:{role}"), site.now_ms)
            scopes, until_ms = permissions_of(role), site.now_ms + 3_600_000
            self._tokens[role] = site.tokens.make(f"{role}-1", role, scopes, until_ms, site.now_ms)[1]

    def session(self, role: Role) -> tuple[str, str]:
        """A new session's cookie and what its forms send back."""
        cookie = self._site.cookie(f"{role}-1")
        found = self._site.sessions.viewer(cookie, "127.0.0.1", self._site.now_ms)
        return cookie, found[0].csrf if found else ""

    def token(self, role: Role) -> str:
        """A token with every permission of this role."""
        return self._tokens[role]


class Visitor:
    """Asks as a browser does: keeps cookies, follows nothing by itself, sends the form's token."""

    def __init__(self, site: AccessSite, cookie: str, headers: dict[str, str]) -> None:
        self._site = site
        scheme = "https" if site.guard.cookie_name.startswith("__Host-") else "http"
        self.client: TestClient[Any] = TestClient(
            site.litestar, base_url=f"{scheme}://{HOST}", raise_server_exceptions=False
        )
        self.client.follow_redirects = False
        self.client.headers.update({"accept": "text/html", "accept-language": "en", **headers})
        if cookie:
            self.client.cookies.set(site.guard.cookie_name, cookie)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    @property
    def cookie(self) -> str:
        return self.client.cookies.get(self._site.guard.cookie_name) or ""

    @property
    def csrf(self) -> str:
        found = self._site.sessions.viewer(self.cookie, "127.0.0.1", self._site.now_ms) if self.cookie else None
        return found[0].csrf if found else ""

    def post(
        self, path: str, fields: dict[str, Any] | None = None, *, csrf: str | None = None, **headers: str
    ) -> httpx.Response:
        """Send a form with the session's token, or with the one given."""
        data = {**(fields or {}), "_csrf": self.csrf if csrf is None else csrf}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, data=data, headers=named)


def sign_in(site: AccessSite, name: str, password: str = PASSWORD, **fields: str) -> Visitor:
    visitor = site.visitor()
    visitor.post("/signin", {"name": name, "password": password, **fields})
    return visitor
