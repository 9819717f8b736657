"""Who may ask what, tried on a whole application: every route, as everybody, against the table of permissions.

    mistakes = asyncio.run(tried(application, litestar.routes, badges))
    assert not mistakes

Requests go through the application as its server would send them, each with a session of its own, because some routes
end sessions. Only the status is awaited, so endless streams and large answers cost nothing. Parameters of paths name
things that do not exist and forms are empty: what is allowed finds nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import msgspec

from hutong.kernel.access.permissions import PERMISSIONS, ROLES
from hutong.kernel.web.guard import permission_of
from hutong.kernel.web.problems import is_for_programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from litestar.routes import BaseRoute
    from litestar.types import ASGIApp, Message

    from hutong.kernel.access.permissions import Role

_ABSENT = {"str": "absent", "int": "999999999", "path": "absent", "uuid": "00000000-0000-0000-0000-000000000000"}
_UNAUTHENTICATED, _FORBIDDEN, _SEE_OTHER = 401, 403, 303
_SAFE = ("GET", "HEAD")


class Badges(Protocol):
    """Makes proofs of who asks."""

    cookie_name: str

    def session(self, role: Role) -> tuple[str, str]:
        """A new session of somebody in this role: the cookie's value, and what its forms send back."""

    def token(self, role: Role) -> str:
        """A token with every permission of this role."""


class Route(msgspec.Struct, frozen=True):
    """One method of one path, and the permission that it names; None where it is open."""

    method: str
    path: str
    permission: str | None

    def allows(self, role: Role) -> bool:
        return self.permission is None or role in PERMISSIONS[self.permission].roles


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]

    @property
    def leads_to_sign_in(self) -> bool:
        place = self.headers.get("location", "")
        return self.status == _SEE_OTHER and (place == "/signin" or place.startswith("/signin?next="))

    @property
    def refused(self) -> bool:
        return self.status in {_UNAUTHENTICATED, _FORBIDDEN} or self.leads_to_sign_in


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Every method of every path but OPTIONS, which says which methods there are."""
    for route in routes:
        path = re.sub(r"\{[^:}]+:(\w+)\}", lambda found: _ABSENT.get(found[1], "1"), route.path)
        for handler in getattr(route, "route_handlers", []):
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield Route(str(method), path, permission_of(handler))


async def ask(application: ASGIApp, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    """What the application answers, as soon as it begins to."""
    path, _, query = path.partition("?")
    named = {"host": "localhost", "accept": "text/html", "content-length": str(len(body)), **headers}
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080), "state": {},
    }  # fmt: skip
    began: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            began.set_result(Answer(message["status"], told))
        await asyncio.Event().wait()  # takes no more: whoever asked has gone

    asking = asyncio.ensure_future(application(scope, receive, send))  # type: ignore[arg-type]
    await asyncio.wait([asking, began], return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    return began.result()


async def tried(application: ASGIApp, routes: Iterable[BaseRoute], badges: Badges) -> list[str]:
    """What does not go by the table of permissions, in words; nothing where all is well."""
    mistakes = []
    for route in routes_of(routes):
        programs = is_for_programs(route.path)
        mistakes += await _anonymous(application, route, programs=programs)
        for role in ROLES:
            mistakes += await _in_role(application, route, role, badges, programs=programs)
    return mistakes


async def _anonymous(application: ASGIApp, route: Route, *, programs: bool) -> Iterable[str]:
    answer = await ask(application, route.method, route.path, {})
    if route.permission is None:
        return [] if not answer.refused else [f"{route.method} {route.path} is open, but refuses: {answer.status}"]
    wanted = answer.status == _UNAUTHENTICATED if programs else answer.refused and answer.status != _FORBIDDEN
    return [] if wanted else [f"{route.method} {route.path} answers anybody: {answer.status}"]


async def _in_role(application: ASGIApp, route: Route, role: Role, badges: Badges, *, programs: bool) -> Iterable[str]:
    mistakes = []
    cookie, csrf = badges.session(role)
    signed_in = {"cookie": f"{badges.cookie_name}={cookie}"}
    bearer = {"authorization": f"Bearer {badges.token(role)}"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"" if route.method in _SAFE or programs else urlencode({"_csrf": csrf}).encode()
    own, other = (bearer, signed_in) if programs else (signed_in, bearer)
    answer = await ask(application, route.method, route.path, {**own, **form}, body)
    if route.allows(role) == answer.refused:
        must = "must be allowed" if route.allows(role) else "must be refused"
        mistakes.append(f"{route.method} {route.path} as {role} {must} ({route.permission}): {answer.status}")
    if route.permission is not None and route.path != "/metrics":
        answer = await ask(application, route.method, route.path, {**other, **form}, body)
        if not answer.refused:
            mistakes.append(f"{route.method} {route.path} takes {'a cookie' if programs else 'a token'}: {role}")
    if body and route.permission is not None:
        fresh, _ = badges.session(role)
        answer = await ask(application, route.method, route.path, {"cookie": f"{badges.cookie_name}={fresh}", **form})
        if answer.status != _FORBIDDEN:
            mistakes.append(f"{route.method} {route.path} as {role} takes a form without a token: {answer.status}")
    return mistakes
