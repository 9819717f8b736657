"""The whole site against the table of permissions: each role × each route of console and API, as it is served."""

from __future__ import annotations

import asyncio
import inspect
import io
import re
from typing import TYPE_CHECKING

import pytest

import authorisation
from asgi_browser import Browser
from case_samples import DUTY, number_case
from fresh_records import lay_out
from hutong.app.config import load_config
from hutong.app.services import Services
from hutong.app.site import NAV, Site
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.access.oidc import Identity
from hutong.kernel.access.permissions import PERMISSIONS, ROLES, permissions_of
from hutong.kernel.cases.model import Request
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import Reporter
from hutong.kernel.web.guard import permission_of
from hutong.kernel.web.problems import is_for_programs
from hutong.kernel.web.security import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from litestar.types import Message

    from hutong.calls.live.figures import LiveSnapshot
    from hutong.kernel.access.permissions import Role

_MS = 1_000_000


class Badges:
    """Somebody in each role, a new session each time."""

    def __init__(self, services: Services, site: Site) -> None:
        self._services = services
        self.cookie_name = site.guard.cookie_name
        self._tokens = {}
        now = services.clock.wall() // _MS
        for role in ROLES:
            services.people.arrive(Identity(f"{role}-1", role, role, f"subject:{role}"), now)
            scopes = permissions_of(role)
            self._tokens[role] = services.tokens.make(f"{role}-1", role, scopes, now + 3_600_000, now)[1]

    def session(self, role: Role) -> tuple[str, str]:
        now = self._services.clock.wall() // _MS
        account = self._services.people.account(f"{role}-1")
        cookie = self._services.sessions.start(account, "127.0.0.1", now)
        found = self._services.sessions.viewer(cookie, "127.0.0.1", now)
        assert found is not None
        return cookie, found[0].csrf

    def token(self, role: Role) -> str:
        return self._tokens[role]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    config = load_config(None, data=tmp_path / "data", environ={})
    it = Services(config, SystemClock(), Reporter("serve", level="error"))
    config.data.mkdir()
    lay_out(config.data / "records.db")
    it.open()
    yield it
    it.close()


def test_every_route_asks_what_the_table_says(services: Services) -> None:
    site = Site(services, 0)
    assert len(list(authorisation.routes_of(site.routes))) > 50
    assert asyncio.run(authorisation.tried(site.console, site.routes, Badges(services, site))) == []


def test_whatever_keeps_a_thread_busy_waits_for_its_turn(services: Services) -> None:
    """Turns are for handlers that Litestar runs in a thread; one that waits by itself must have little to do."""
    handlers = [it for route in Site(services, 0).routes for it in getattr(route, "route_handlers", [])]
    waiting = {
        path
        for it in handlers
        for path in it.paths
        if inspect.iscoroutinefunction(getattr(it.fn, "func", it.fn)) and permission_of(it) is not None
    }
    assert waiting == {"/v1/calls/screen", "/live/stream", "/lists/import"}


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("viewer", ["/rules", "/trunks", "/health", "/live/cities"]),
        ("administrator", ["/rules", "/trunks", "/health", "/live/cities", "/settings", "/people", "/tokens"]),
    ],
)
def test_an_export_without_the_permission_is_refused_everywhere(
    services: Services, role: Role, paths: list[str]
) -> None:
    site = Site(services, 0)
    badges = Badges(services, site)
    for path in paths:
        headers = {"cookie": f"{badges.cookie_name}={badges.session(role)[0]}"}
        page = asyncio.run(authorisation.ask(site.console, "GET", path, headers))
        export = asyncio.run(authorisation.ask(site.console, "GET", f"{path}?format=csv", headers))
        assert (page.status, export.status) == (200, 403), path


def test_no_page_shows_a_partner_what_is_of_other_agencies(services: Services) -> None:
    """Every page and route of the API that a partner may read, asked about a case, a register and a file of others."""
    now, site = services.clock.wall() // _MS, Site(services, 0)
    badges = Badges(services, site)
    Agencies(services.database).add(Agency("mobile", "移动", "Mobile", "operator", ("移动",)), now)
    services.people.set_agency("partner-1", "mobile")
    services.people.arrive(Identity("secret-person", "机密", "operator", "subject:secret"), now)
    own, other = (
        services.cases.find(number_case(unit=unit, owner="secret-person" if unit != "移动" else ""), DUTY, now).case
        for unit in ("移动", "机密单位")
    )
    services.cases.do(other, Request("amend", "机密", fields={"operator": "机密"}), DUTY, now)

    def attach(sha256: str) -> None:
        services.cases.do(other, Request("attach", attachment=sha256), DUTY, now)

    content = io.BytesIO("机密".encode())
    file = services.attachments.keep(content, "机密.txt", "secret-person", now, attach)[0].sha256
    registers = Registers(services.database, services.cases)
    register = registers.make("机密台账", "rectification", [AssignRule("机密单位")], DUTY, now).id
    registers.take_in(register, "标题,整治对象,问题\n机密,机密,机密\n".encode(), DUTY, now)
    asked = 0
    for route in site.routes:
        for handler in getattr(route, "route_handlers", []):
            permission = permission_of(handler)
            if "GET" not in handler.http_methods or permission not in permissions_of("partner"):
                continue
            programs = is_for_programs(route.path)
            cookie = f"{badges.cookie_name}={badges.session('partner')[0]}"
            headers = {"authorization": f"Bearer {badges.token('partner')}"} if programs else {"cookie": cookie}
            for of in {other, register} if "{" in route.path else {other}:
                path = re.sub(r"\{(\w+):[^}]+\}", lambda it, of=of: file if it[1] == "sha256" else of, route.path)
                for query in ("", "?text=1380013", "?format=csv", "?sort=changed", "?owner=secret-person"):
                    reply = Browser(site.console).get(path + query, **headers)
                    text = reply.body.decode(errors="replace")
                    assert reply.status < 500, path
                    assert "机密" not in text, path + query
                    assert other in path or other not in text, path + query
                    asked += 1
    assert asked > 30
    story = Browser(site.console).get(f"/cases/{own}", cookie=f"{badges.cookie_name}={badges.session('partner')[0]}")
    assert (story.status, own in story.text) == (200, True), "and what is theirs is shown"


def test_every_permission_protects_something(services: Services) -> None:
    asked = {route.permission for route in authorisation.routes_of(Site(services, 0).routes)}
    # Exporting is a way of reading a table, unmasking of reading a number: their routes ask for them within.
    within = {"tables.export", "numbers.unmask", "tokens.change"}
    # What devices and replicas ask is asked of processes of their own.
    within |= {"codes.merge", "replica.follow"}
    assert set(PERMISSIONS) - asked <= within


def test_the_navigation_names_the_permissions_of_its_pages(services: Services) -> None:
    asked = {route.path: route.permission for route in authorisation.routes_of(Site(services, 0).routes)}
    assert {item.path: item.permission for item in NAV} == {item.path: asked[item.path] for item in NAV}


def test_public_pages_are_on_their_own_port_and_nothing_else_is(services: Services) -> None:
    site = Site(services, 9)
    answers = {}
    for port in (8, 9):
        for path in ("/redress", "/signin", "/lists", "/v1/lists", "/metrics"):
            answers[port, path] = _status(site, path, port)
    assert answers[9, "/redress"] == 200
    assert answers[8, "/redress"] == 404
    assert {answers[9, path] for path in ("/signin", "/lists", "/v1/lists", "/metrics")} == {404}


def _status(site: Site, path: str, port: int) -> int:
    async def through(scope: object, receive: object, send: object) -> None:
        scope["server"] = ("127.0.0.1", port)  # type: ignore[index]
        await site.application(scope, receive, send)  # type: ignore[arg-type]

    return asyncio.run(authorisation.ask(through, "GET", path, {})).status


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/signin", "/nowhere", "/lists", "/v1/lists", "/static/console.css"]
)
def test_every_answer_has_the_security_headers(services: Services, path: str) -> None:
    site = Site(services, 0)
    answer = asyncio.run(authorisation.ask(site.console, "GET", path, {}))
    assert {name.lower(): value for name, value in SECURITY_HEADERS.items()}.items() <= answer.headers.items()


@pytest.mark.parametrize("path", ["/static/../texts.toml", "/static/%2e%2e/texts.toml", "/static//etc/passwd"])
def test_static_files_stay_in_their_folders(services: Services, path: str) -> None:
    assert asyncio.run(authorisation.ask(Site(services, 0).console, "GET", path, {})).status == 404


class _BrokenCounters:
    """Live counters with a fault of ours in them."""

    def snapshot(self) -> LiveSnapshot:
        raise ZeroDivisionError


def test_work_behind_the_pages_that_breaks_off_is_logged(tmp_path: Path, wait_until: Callable[..., object]) -> None:
    config, log = load_config(None, data=tmp_path / "data", environ={}), io.StringIO()
    services = Services(config, SystemClock(), Reporter("serve", stream=log), _BrokenCounters())
    services.open()
    site = Site(services, 0)

    async def live() -> list[str]:
        told: list[str] = []
        turns: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        turns.put_nowait({"type": "lifespan.startup"})

        async def send(message: Message) -> None:
            told.append(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        life = asyncio.create_task(site.application(scope, turns.get, send))  # type: ignore[arg-type]
        await asyncio.to_thread(wait_until, lambda: "background work failed" in log.getvalue(), 30)
        turns.put_nowait({"type": "lifespan.shutdown"})
        await life
        return told

    assert asyncio.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert "live-feed" in log.getvalue()
    assert "ZeroDivisionError" in log.getvalue()
    services.close()


def test_machines_are_told_how_it_stands(services: Services) -> None:
    site = Site(services, 0)
    for path in ("/healthz", "/readyz"):
        assert asyncio.run(authorisation.ask(site.console, "GET", path, {})).status == 200
