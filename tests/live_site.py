"""A small console with nothing but the live wall, for tests: people by their role, counters that are put in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar
from litestar.static_files import create_static_files_router

from hutong.calls.console import HOME, STATIC, live
from hutong.calls.live.duty import Duty
from hutong.calls.live.feed import LiveFeed
from hutong.calls.live.memory import MemoryLive
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.access.viewer import Viewer
from hutong.kernel.web import frame as web
from hutong.kernel.web.console import Console, NavItem
from hutong.kernel.web.guard import OPEN, Guard
from hutong.kernel.web.problems import error_handlers
from hutong.kernel.web.security import with_security_headers

if TYPE_CHECKING:
    from litestar.types import ASGIApp

    from hutong.kernel.clock import Clock

NAV = (NavItem("watch", "/", "live.title", "live.read", "l"),)


class Account(msgspec.Struct, frozen=True):
    """Preferences of a person who has none but a zone."""

    must_change: bool = False
    language: str = ""
    zone: str = ""
    theme: str = ""


class Everybody:
    """Sessions whose cookie is a role, and after a colon a zone; tokens that nobody has.

    Args:
        people: further cookies, with the role that each stands for at the moment.
    """

    def __init__(self, people: dict[str, str]) -> None:
        self._people = people

    def viewer(self, cookie: str, address: str, _now_ms: int) -> Any:  # noqa: ANN401  # of sessions and of tokens
        role, _, zone = self._people.get(cookie, cookie).partition(":")
        for known in ROLES:
            if role == known:
                viewer = Viewer(role, role.title(), known, permissions_of(known), None, "session", "csrf", address)
                return viewer, Account(zone=zone)
        return None


class Written(msgspec.Struct):
    """A trail that keeps what it is told."""

    deeds: list[tuple[str, str]] = msgspec.field(default_factory=list)

    def record(self, who: str, _address: str, deed: str, *, target: str = "", **_more: object) -> int:
        self.deeds.append((who, f"{deed} {target}"))
        return len(self.deeds)


class WallSite:
    """The wall of a node whose counters are `source`."""

    def __init__(self, clock: Clock, *, mirrored: bool = False) -> None:
        self.source = MemoryLive()
        self.duty = Duty()
        self.trail = Written()
        self.people: dict[str, str] = {}
        frame = web.Frame([HOME])
        wall = live.Wall(frame, live.WallFacts("udp:127.0.0.1:5060", mirrored, "Asia/Shanghai"), lambda: self.duty)
        self.feed = LiveFeed(self.source, clock, wall.draw)
        console = Console(frame, NAV, "test-node", clock)
        everybody = Everybody(self.people)
        static = create_static_files_router(
            path="/static", directories=[web.STATIC, STATIC], cache_control=None, opt=OPEN
        )
        guard = Guard(everybody, everybody, [], https=False, proxies=[], clock=clock)
        litestar = Litestar(
            route_handlers=[*live.routes(console, guard, self.feed, wall, self.trail), static],  # type: ignore[arg-type]
            plugins=[guard],
            exception_handlers=error_handlers(console.failure),
            openapi_config=None,
            logging_config=None,
        )
        self.application: ASGIApp = with_security_headers(litestar)
