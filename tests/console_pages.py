"""Pages of the console for tests: a small site with real records, people, sessions and trail, asked in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router
from litestar.testing import TestClient

from hutong import calls
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import ROLES
from hutong.kernel.access.refs import Refs
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import ManualClock
from hutong.kernel.records import Database
from hutong.kernel.web import frame as web
from hutong.kernel.web.console import Console, NavItem
from hutong.kernel.web.guard import OPEN, Guard
from hutong.kernel.web.problems import error_handlers
from hutong.kernel.web.security import with_security_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from httpx import Response
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import ASGIApp, Scope

    from hutong.kernel.access.trail import TrailEntry
    from hutong.kernel.clock import Clock

CALLS = Path(calls.__file__).parent
NOW = 1_800_000_000
"""Seconds: what the site's clock says."""


class ConsoleSite:
    """Makes a site of some routes, with somebody of each role signed in.

    Args:
        data: a folder of its own.
        texts, folders: of the pages that are tested.
        clock: the time; ManualClock at NOW unless given.
    """

    def __init__(
        self,
        data: Path,
        *,
        texts: Sequence[Path],
        folders: Sequence[Path] = (),
        nav: Sequence[NavItem] = (),
        clock: Clock | None = None,
    ) -> None:
        self.data = data
        self.clock = clock or ManualClock(NOW * 1_000_000_000)
        self.database = Database(f"sqlite:///{data.absolute() / 'records.db'}")
        self.database.open()
        self.trail = Trail(self.database)
        self.refs = Refs(data / "keys" / "refs")
        self.sessions = Sessions(self.database, 12, 60)
        people = People(self.database)
        self.cookies = {}
        now = self.console_now
        for role in ROLES:
            account = people.arrive(Identity(f"{role}-1", f"{role} one", role, f"subject:{role}"), now).account
            self.cookies[role] = self.sessions.start(account, "127.0.0.1", now)
        self.frame = web.Frame([CALLS, *folders], texts)
        self.console = Console(self.frame, nav, "node1", self.clock, "Asia/Shanghai")
        self.guard = Guard(self.sessions, Tokens(self.database, 365), [], https=False, proxies=[], clock=self.clock)
        self.errors: list[Exception] = []
        self._app: Litestar | None = None

    @property
    def console_now(self) -> int:
        """Ms since 1970."""
        return self.clock.wall() // 1_000_000

    def build(self, routes: Sequence[HTTPRouteHandler]) -> None:
        """Put the routes behind the guard."""
        static = create_static_files_router(
            path="/static", directories=[web.STATIC, CALLS / "static"], cache_control=None, opt=OPEN
        )
        self._app = Litestar(
            route_handlers=[*routes, static],
            plugins=[self.guard],
            exception_handlers=error_handlers(self.console.failure),
            after_exception=[self._remember],
            openapi_config=None,
            logging_config=None,
        )

    async def _remember(self, error: Exception, _scope: Scope) -> None:
        if not isinstance(error, HTTPException):
            self.errors.append(error)

    @property
    def application(self) -> ASGIApp:
        """The site as ASGI."""
        assert self._app is not None
        return with_security_headers(self._app)

    def browser(self, role: str = "operator") -> Browser:
        """Somebody of this role at a browser."""
        assert self._app is not None
        return Browser(self, TestClient(self._app, base_url="http://127.0.0.1"), role)

    def deeds(self, deed: str = "") -> list[TrailEntry]:
        """The trail, newest first."""
        return [entry for entry in self.trail.entries() if entry.deed.startswith(deed)]

    def close(self) -> None:
        """Let go of the records; what went wrong inside the site goes wrong here."""
        self.database.close()
        if self.errors:
            raise self.errors[0]


class Browser:
    """Asks as one signed-in person, in one language."""

    def __init__(self, site: ConsoleSite, client: TestClient[Litestar], role: str) -> None:
        self._client = client
        cookie = site.cookies[role]
        client.cookies.set("hutong", cookie)
        found = site.sessions.viewer(cookie, "127.0.0.1", site.console_now)
        assert found is not None
        self.viewer, _ = found
        self._headers = {"accept": "text/html", "host": "127.0.0.1"}

    def get(self, path: str, *, lang: str = "en", **headers: str) -> Response:
        """A page."""
        joined = f"{path}{'&' if '?' in path else '?'}lang={lang}"
        return self._client.get(joined, headers={**self._headers, **headers}, follow_redirects=False)

    def post(
        self, path: str, *, lang: str = "en", files: Mapping[str, tuple[str, bytes, str]] | None = None, **fields: str
    ) -> Response:
        """A form."""
        return self._client.post(
            f"{path}?lang={lang}",
            data={"_csrf": self.viewer.csrf, **fields},
            files=files,
            headers=self._headers,
            follow_redirects=False,
        )
