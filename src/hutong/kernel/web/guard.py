"""Who asks, and whether they may: sessions for pages, tokens for programs, checked before any handler runs.

Belongs here: what Litestar needs to hold every route to its permission. Not here: what a session or a token is
(`kernel.access`), what an error looks like (`problems`).

Every handler names its permission, `@get("/lists", opt=requires("lists.read"))`, or says that it is `OPEN`; building
the application fails otherwise. A handler finds the `Viewer` in `request.user` (None where it is open and nobody
signed in) and the account in `request.auth` (None for a token).
"""

from __future__ import annotations

import hmac
import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType, ScopeType
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.plugins import InitPlugin, ReceiveRoutePlugin
from litestar.utils.scope.state import ScopeState
from litestar.utils.sync import AsyncCallable

from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.addresses import parse_network
from hutong.kernel.errors import HutongError
from hutong.kernel.metrics import Metrics
from hutong.kernel.records import RecordsError
from hutong.kernel.web.problems import ToldError, is_for_programs
from hutong.kernel.web.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.config.app import AppConfig
    from litestar.handlers.base import BaseRouteHandler
    from litestar.routes import BaseRoute
    from litestar.types import ASGIApp, Receive, Scope, Send

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock

_PERMISSION: Final = "permission"
_EARLY: Final = "before_new_password"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_MISDIRECTED: Final = 421
_MOST_FIELDS: Final = 1000
_NANOSECONDS_IN_MS: Final = 1_000_000

OPEN: Final[dict[str, Any]] = {_PERMISSION: ""}
"""`opt` of a handler that anybody may ask."""


def requires(permission: str, *, before_new_password: bool = False) -> dict[str, Any]:
    """`opt` of a handler that asks a permission.

    Args:
        permission: its name.
        before_new_password: whether also those may ask who have yet to replace their one-time password.

    Raises:
        KeyError: no such permission exists.
    """
    return {_PERMISSION: PERMISSIONS[permission].name, _EARLY: before_new_password}


class UnguardedRouteError(HutongError):
    """A route names no permission."""


class NewPasswordNeededError(PermissionDeniedException):
    """A one-time password is in use: only a new one may be set."""


class RefusedError(ToldError):
    """The viewer may not, or the request was not the viewer's own wish.

    Args:
        detail, why: as of `ToldError`: permission, site, form.
        permission: the one that lacks; "" where it is not that.
    """

    def __init__(self, detail: str, why: str, permission: str = "") -> None:
        super().__init__(_FORBIDDEN, detail, why)
        self.permission = permission


def demand(viewer: Viewer, permission: str) -> None:
    """For what a handler does only sometimes, and that takes a further permission than its route.

    Raises:
        RefusedError: the viewer lacks it.
    """
    if not viewer.can(permission):
        raise RefusedError(f"This needs the permission {permission}.", "permission", permission)


class AccountFacts(Protocol):
    """What pages need to know of an account."""

    @property
    def must_change(self) -> bool:
        """Whether a one-time password is in use."""

    @property
    def language(self) -> str:
        """What the person chose; "" for the browser's."""

    @property
    def zone(self) -> str:
        """What the person chose; "" for the browser's."""

    @property
    def theme(self) -> str:
        """What the person chose; "" for the browser's."""


class SessionsPort(Protocol):
    """Knows sessions."""

    def viewer(self, cookie: str, address: str, now_ms: int) -> tuple[Viewer, AccountFacts] | None:
        """Whose session it is; None where it is over or never was."""


class TokensPort(Protocol):
    """Knows tokens."""

    def recent(self, secret: str, address: str, now_ms: int) -> Viewer | None:
        """Whose token it is, as far as memory knows; never blocks."""

    def viewer(self, secret: str, address: str, now_ms: int) -> Viewer | None:
        """Whose token it is; None where it is over or never was."""


def permission_of(handler: BaseRouteHandler) -> str | None:
    """What a handler asks: a permission, or None where it is open.

    Raises:
        UnguardedRouteError: it says neither.
    """
    if getattr(handler, "http_methods", None) == {"OPTIONS"} and _PERMISSION not in handler.opt:
        return None  # Litestar's own: it says which methods there are
    permission = handler.opt.get(_PERMISSION)
    if permission is None:
        raise UnguardedRouteError(
            f"{handler} names no permission.",
            where=", ".join(sorted(handler.paths)),
            fix='Give it opt=requires("…"), or opt=OPEN if anybody may ask.',
        )
    return PERMISSIONS[permission].name if permission else None


class Guard(InitPlugin, ReceiveRoutePlugin):
    """A plug-in of the application: `Litestar(plugins=[guard])`.

    Args:
        sessions: asked with the cookie; may block (asked in a thread).
        tokens: asked with the bearer token; may block.
        hosts: names under which the console is reached besides IP addresses and localhost.
        https: whether people reach it over HTTPS.
        proxies: networks of the reverse proxies whose X-Forwarded-For is believed.
        clock: the time.
        turns: how many requests of a person are at work at once.
    """

    def __init__(
        self,
        sessions: SessionsPort,
        tokens: TokensPort,
        hosts: Sequence[str],
        https: bool,  # noqa: FBT001  # a fact of the settings, like its neighbours
        proxies: Sequence[str],
        clock: Clock,
        turns: Turns | None = None,
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._hosts = {host.lower() for host in hosts}
        self._https = https
        self._proxies = [parse_network(it) for it in proxies]
        self._clock = clock
        self._turns = turns or Turns(Metrics())
        self.cookie_name = "__Host-hutong" if https else "hutong"

    # --- what pages use ---

    def cookie(self, secret: str) -> Cookie:
        """The cookie of a session; it goes when the browser does."""
        return Cookie(key=self.cookie_name, value=secret, path="/", httponly=True, secure=self._https, samesite="lax")

    def no_cookie(self) -> Cookie:
        """Takes the cookie away."""
        return Cookie(
            key=self.cookie_name, value="", path="/", httponly=True, secure=self._https, samesite="lax", max_age=0
        )

    def cookie_of(self, request: Request[Any, Any, Any]) -> str:
        """The secret of the session that the browser sent; "" where there is none."""
        return request.cookies.get(self.cookie_name, "")

    def address_of(self, request: Request[Any, Any, Any]) -> str:
        """Where a request comes from: behind a trusted proxy the nearest address that is not one."""
        client = request.scope.get("client")
        address = client[0] if client else ""
        forwarded = ",".join(request.headers.getall("x-forwarded-for", [])).split(",")
        while forwarded and self._is_proxy(address):
            previous = forwarded.pop().strip()
            if not _is_address(previous):
                break
            address = previous
        return address

    def now_ms(self) -> int:
        """Ms since 1970 UTC."""
        return self._clock.wall() // _NANOSECONDS_IN_MS

    async def ask_again(self, request: Request[Any, Any, Any]) -> Viewer | None:
        """Who a request comes from as of now, for answers that go on for long.

        None where the session or token is over, lacks the route's permission, has to get a new password first, or
        cannot be looked up.
        """
        try:
            viewer, account = await self._who(request)
        except RecordsError:
            return None
        needed = permission_of(request.scope["route_handler"])
        if viewer is None or needed not in viewer.permissions or (account is not None and account.must_change):
            return None
        return viewer

    # --- what Litestar uses ---

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Stand before every handler."""
        app_config.middleware.insert(0, self.middleware)
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Refuse a route that does not say who may ask.

        Raises:
            UnguardedRouteError: it does not.
        """
        handlers = getattr(route, "route_handlers", None) or [route.route_handler]  # type: ignore[attr-defined]
        for handler in handlers:
            permission_of(handler)
            _call_once(handler)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """The application behind the checks."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP:
                await self._check(Request(scope, receive, send), scope)
                if (name := _needs_turn(scope)) is not None:
                    async with self._turns.turn(name):
                        await app(scope, receive, send)
                    return
            await app(scope, receive, send)

        return guarded

    # --- the checks, in this order: the host, who asks, whether they may, whether they meant it ---

    async def _check(self, request: Request[Any, Any, Any], scope: Scope) -> None:
        scope["user"], scope["auth"] = None, None
        self.check_host(request)
        handler: BaseRouteHandler = scope["route_handler"]
        permission = permission_of(handler)
        viewer, account = await self._who(request)
        scope["user"], scope["auth"] = viewer, account
        if permission is not None:
            if viewer is None:
                raise NotAuthorizedException(
                    "Sign in first." if not is_for_programs(scope["path"]) else "A valid bearer token is needed.",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            if account is not None and account.must_change and not handler.opt.get(_EARLY):
                raise NewPasswordNeededError("Choose a password of your own first.")
            demand(viewer, permission)
        if request.method not in _SAFE and not is_for_programs(scope["path"]):
            self._check_origin(request)
            await _read_form(request)
            if permission is not None and viewer is not None and viewer.via == "session":
                await _check_csrf(request, viewer)

    def check_host(self, request: Request[Any, Any, Any]) -> None:
        """A name that is not ours means that somebody's DNS leads their pages to us (rebinding).

        IP addresses and localhost need no asking: no other page's name can be one.

        Raises:
            ToldError: 421.
        """
        try:
            name = (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").rstrip(".")
        except ValueError:
            name = ""
        if name != "localhost" and name not in self._hosts and not _is_address(name):
            raise ToldError(_MISDIRECTED, "This name is not served here (serve.hosts).", "host")

    async def _who(self, request: Request[Any, Any, Any]) -> tuple[Viewer | None, AccountFacts | None]:
        path, address, now = request.scope["path"], self.address_of(request), self.now_ms()
        if is_for_programs(path) or path == "/metrics":
            scheme, _, secret = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "bearer" and secret:
                secret = secret.strip()
                # A program that screens calls asks thousands of times a second: a thread for each would cost the most.
                viewer = self._tokens.recent(secret, address, now)
                return viewer or await sync_to_thread(self._tokens.viewer, secret, address, now), None
            if path != "/metrics":
                return None, None
        cookie = self.cookie_of(request)
        found = await sync_to_thread(self._sessions.viewer, cookie, address, now) if cookie else None
        return found or (None, None)

    def _check_origin(self, request: Request[Any, Any, Any]) -> None:
        """Browsers say where a request was begun; programs do not, and have no cookie to be abused."""
        headers: Mapping[str, str] = request.headers
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise RefusedError("The request was begun by a page of another site.", "site")
        if "origin" in headers and not self._is_own(headers["origin"], headers.get("host", "")):
            raise RefusedError("The request was begun by a page of another site.", "site")

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme != "https" and (self._https or parts.scheme != "http"):
            return False
        return parts.netloc.lower() in {host.lower(), *self._hosts}

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in network for network in self._proxies)


def _needs_turn(scope: Scope) -> str | None:
    """Whose turn a request takes; None where it takes none of the threads that all share, or is open to all."""
    handler, viewer = scope["route_handler"], scope["user"]
    if viewer is None or permission_of(handler) is None or not getattr(handler, "sync_to_thread", False):
        return None
    return str(viewer.name)


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _call_once(handler: BaseRouteHandler) -> None:
    """Undo what Litestar 2.25 does to the handlers of a path that has several.

    It wraps a synchronous one anew for each of the others, and then awaits only the outermost wrapper.
    """
    while isinstance(handler.fn, AsyncCallable) and isinstance(handler.fn.func, AsyncCallable):
        handler._fn = handler.fn.func  # noqa: SLF001  # there is no other way to it


async def _read_form(request: Request[Any, Any, Any]) -> None:
    """Read the form where Litestar would: its own reader keeps the last thousand bodies, passwords included."""
    if request.content_type[0] == RequestEncodingType.URL_ENCODED:
        body = (await request.body()).decode("utf-8", "replace")
        try:
            fields = parse_qs(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise ToldError(_BAD_REQUEST, "The form has too many fields.", "fields") from None
        ScopeState.from_scope(request.scope).form = {k: v if len(v) > 1 else v[0] for k, v in fields.items()}


async def _check_csrf(request: Request[Any, Any, Any], viewer: Viewer) -> None:
    sent = request.headers.get("x-csrf-token", "")
    if not sent and request.content_type[0] in {RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART}:
        field = (await request.form()).get("_csrf", "")
        sent = field if isinstance(field, str) else ""
    if not viewer.csrf or not hmac.compare_digest(sent.encode(), viewer.csrf.encode()):
        raise RefusedError("The form belongs to another session. Reload the page and send it again.", "form")


def local_path(text: str) -> str:
    """A place on this site to go on to, as `next=` asks; "/" where it would lead elsewhere.

    Browsers read a backslash as a slash and drop control characters, so neither may be there.
    """
    if not text.startswith("/") or text.startswith("//") or "\\" in text or not text.isprintable():
        return "/"
    parts = urlsplit(text)
    return "/" if parts.scheme or parts.netloc else text
