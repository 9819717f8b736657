"""`/signin` and `/signout`: with a password, or at the OpenID provider where one is set.

Every sign-in and every refusal goes to the trail, and what a provider changes of an account by vouching for somebody.
Attempts that are put off do not: they are not looked at, and whoever floods the form would flood the trail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, unquote

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie

from hutong.kernel.access.errors import AccessError, SignInRefused, Throttled
from hutong.kernel.access.pages.desk import Fields, status_of, text_of, words_for
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import OPEN, local_path, requires

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.account import Account
    from hutong.kernel.access.oidc import Identity
    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.web.console import Console

_ROUND_TRIP_S: Final = 600
_LONGEST_NEXT: Final = 1000


class ProviderPort(Protocol):
    """An OpenID provider, as the pages use it."""

    def begin(self, now_ms: int) -> tuple[str, str]:
        """Where to send the browser, and what it keeps until it comes back."""

    def finish(self, pending: str, params: Mapping[str, str], now_ms: int) -> Identity:
        """Whom the provider vouches for."""


class Door:
    """What signing in does, however somebody proves who they are."""

    def __init__(self, console: Console, desk: Desk, *, provider: bool) -> None:
        self._console = console
        self._desk = desk
        self._provider = provider

    def form(self, request: Request[Any, Any, Any], *, status: int = 200, **values: str) -> Response[str]:
        """The page; `values` are wrong, notice, name and next."""
        shown = {"wrong": "", "notice": "", "name": "", "next": "/", **values}
        return self._console.page(request, "signin.html", status=status, provider=self._provider, **shown)

    def refuse(self, request: Request[Any, Any, Any], error: AccessError, **values: str) -> Response[str]:
        """Record and show the page again, saying why."""
        wrong = words_for(self._console, request, error)
        response = self.form(request, status=status_of(error), wrong=wrong, **values)
        if isinstance(error, Throttled):
            response.headers["Retry-After"] = str(error.retry_after_s)
            return response
        who = error.account if isinstance(error, SignInRefused) else ""
        address, now_ms = self._desk.guard.address_of(request), self._console.now_ms()
        self._desk.trail.record(who, address, "session.refused", after={"reason": error.reason}, now_ms=now_ms)
        return response

    def arrive(self, request: Request[Any, Any, Any], identity: Identity) -> Account:
        """The account of whom a provider vouches for; what the provider changed of it is the provider's own deed."""
        desk, now_ms, address = self._desk, self._console.now_ms(), self._desk.guard.address_of(request)
        came = desk.people.arrive(identity, now_ms)
        before, after = came.before, came.account
        deeds: list[tuple[str, object, object]] = []
        if before is None:
            deeds.append(("people.add", None, {"title": after.title, "role": after.role}))
        else:
            deeds.append(("people.role", before.role, after.role))
            deeds.append(("account.title", before.title, after.title))
        for deed, old, new in deeds:
            if old != new:
                desk.trail.record(identity.provider, address, deed, after.name, old, new, now_ms=now_ms)
        return after

    def enter(self, request: Request[Any, Any, Any], account: Account, next_: str, by: str) -> Response[str]:
        """A session of its own for every sign-in: a cookie that was planted before is worth nothing after."""
        desk, now_ms, address = self._desk, self._console.now_ms(), self._desk.guard.address_of(request)
        with desk.database.write():
            if old := desk.guard.cookie_of(request):
                desk.sessions.end(old)
            cookie = desk.sessions.start(account, address, now_ms)
            desk.trail.record(account.name, address, "session.start", after={"by": by}, now_ms=now_ms)
        home = self._console.home(permissions_of(account.role), next_)
        return see_other("/account/password" if account.must_change else home, [desk.guard.cookie(cookie)])


def routes(console: Console, desk: Desk, provider: ProviderPort | None = None) -> list[HTTPRouteHandler]:
    """`/signin`, `/signout`, and with a provider `/signin/oidc` and its call-back."""
    door = Door(console, desk, provider=provider is not None)

    @get("/signin", sync_to_thread=True, opt=OPEN)
    def signin(request: Request[Any, Any, Any]) -> Response[str]:
        next_ = local_path(request.query_params.get("next", "/"))
        if request.user is not None:
            return see_other(console.home(request.user.permissions, next_))
        over = "signin.over" if desk.guard.cookie_of(request) else ""
        said = "signin.out" if request.query_params.get("done") == "out" else over
        return door.form(request, next=next_, notice=console.say(request, said) if said else "")

    @post("/signin", status_code=200, sync_to_thread=True, opt=OPEN)
    def sign_in(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        name, next_ = text_of(data, "name").strip(), local_path(text_of(data, "next") or "/")
        address = desk.guard.address_of(request)
        try:
            account = desk.people.sign_in(name, text_of(data, "password"), address, console.now_ms())
            return door.enter(request, account, next_, "password")
        except AccessError as error:
            return door.refuse(request, error, name=name, next=next_)

    @post("/signout", sync_to_thread=True, opt=requires("account.own", before_new_password=True))
    def sign_out(request: Request[Any, Any, Any]) -> Response[str]:
        """Whatever else fails, the session ends: its line in the trail follows if it can."""
        with desk.anyway(request, "session.end"):
            desk.sessions.end(desk.guard.cookie_of(request))
        with desk.anyway(request, "session.end"):
            desk.record(request, "session.end", "")
        return see_other("/signin?done=out", [desk.guard.no_cookie()])

    elsewhere = [] if provider is None else _provider_routes(console, desk, door, provider)
    return [signin, sign_in, sign_out, *elsewhere]


def _provider_routes(console: Console, desk: Desk, door: Door, provider: ProviderPort) -> list[HTTPRouteHandler]:
    name = f"{desk.guard.cookie_name}-oidc"

    def cookie(value: str, seconds: int) -> Cookie:
        """Ties the round trip to this browser. Lax, because the way back is begun by the provider's page."""
        secure = desk.guard.cookie(value).secure
        return Cookie(key=name, value=value, path="/", httponly=True, secure=secure, samesite="lax", max_age=seconds)

    @get("/signin/oidc", sync_to_thread=True, opt=OPEN)
    def to_provider(request: Request[Any, Any, Any]) -> Response[str]:
        next_ = local_path(request.query_params.get("next", "/"))
        try:
            url, pending = provider.begin(console.now_ms())
        except AccessError as error:
            return door.refuse(request, error, next=next_)
        place = quote(next_, safe="") if len(next_) < _LONGEST_NEXT else ""
        return see_other(url, [cookie(f"{pending}.{place}", _ROUND_TRIP_S)])

    @get("/signin/oidc/callback", sync_to_thread=True, opt=OPEN)
    def from_provider(request: Request[Any, Any, Any]) -> Response[str]:
        now_ms = console.now_ms()
        pending, _, place = request.cookies.get(name, "").partition(".")
        next_ = local_path(unquote(place) or "/")
        try:
            identity = provider.finish(pending, dict(request.query_params), now_ms)
            with desk.database.write():
                response = door.enter(request, door.arrive(request, identity), next_, "provider")
        except AccessError as error:
            response = door.refuse(request, error, next=next_)
        response.set_cookie(cookie("", 0))
        return response

    return [to_provider, from_provider]
