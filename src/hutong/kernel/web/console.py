"""The console's pages: the frame filled in for who reads it, in their language, zone and theme.

Belongs here: what every page of the console needs besides its own values. Not here: any page.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import ClientException, HTTPException, NotAuthorizedException
from markupsafe import Markup

from hutong.kernel.access.permissions import PERMISSIONS, ROLE_TITLES
from hutong.kernel.web.guard import NewPasswordNeededError, RefusedError, local_path
from hutong.kernel.web.problems import ToldError, phrase, status_of
from hutong.kernel.web.texts import choose_language
from hutong.kernel.web.turns import TooManyAtOnceError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from litestar.datastructures import Cookie

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock
    from hutong.kernel.web.frame import Frame

Form = Literal["minute", "second", "milli", "time", "date"]
Group = Literal["watch", "casework", "codes", "rules", "system"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
"""Groups of the navigation, in their order."""

ZONE_COOKIE: Final = "zone"
THEMES: Final = ("auto", "light", "dark")
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_FORMS: Final[dict[str, str]] = {
    "minute": "%Y-%m-%d %H:%M",
    "second": "%Y-%m-%d %H:%M:%S",
    "milli": "%Y-%m-%d %H:%M:%S.%f",
    "time": "%H:%M:%S",
    "date": "%Y-%m-%d",
}
_MICRO_DIGITS: Final = 3
_NANOSECONDS_IN_MS: Final = 1_000_000
_INTERNAL: Final = 500
_URL_SIGNS: Final = "/?#[]@!$&'()*+,;=:%~"  # RFC 3986: what stands in an address for itself
_HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie, HX-Request"}


class NavItem(msgspec.Struct, frozen=True):
    """A page in the navigation, shown to those who may see it. `key`: the letter that leads there after `g`."""

    group: Group
    path: str
    text_key: str
    permission: str
    key: str = ""


@lru_cache(maxsize=256)
def zone_named(name: str) -> ZoneInfo | None:
    """A zone of the IANA database; None where there is none of this name."""
    if not _ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


class Console:
    """Makes pages for their readers.

    Args:
        frame: with the folders of every system.
        nav: in this order, within their groups.
        node: the node's name.
        clock: the time.
        zone: IANA name of the node's own zone.
    """

    def __init__(
        self, frame: Frame, nav: Sequence[NavItem], node: str, clock: Clock, zone: str = "Asia/Shanghai"
    ) -> None:
        self.frame = frame
        self.node = node
        self._nav = tuple(nav)
        self._clock = clock
        self._zone = zone
        _check_nav(self._nav)

    def now_ms(self) -> int:
        """Ms since 1970 UTC."""
        return self._clock.wall() // _NANOSECONDS_IN_MS

    def home(self, permissions: Collection[str], wanted: str = "/") -> str:
        """Where somebody goes on to: who may not see the front page, to the first page that they may see."""
        front = next((item for item in self._nav if item.path == "/"), None)
        if wanted != "/" or front is None or front.permission in permissions:
            return wanted
        return next((item.path for item in self._nav if item.permission in permissions), "/account")

    def language(self, request: Request[Any, Any, Any]) -> str:
        """The language of the answer: `?lang=`, else the account's, else the browser's, else Chinese."""
        account = request.scope.get("auth")
        wanted = request.query_params.get("lang") or (account.language if account else "")
        return choose_language(wanted, request.headers.get("accept-language", ""))

    def zone(self, request: Request[Any, Any, Any]) -> ZoneInfo:
        """The zone that times are shown in: the account's, else the browser's, else the node's."""
        return self._zone_and_origin(request)[0]

    def theme(self, request: Request[Any, Any, Any]) -> str:
        """The account's choice: auto, light or dark."""
        account = request.scope.get("auth")
        return account.theme if account and account.theme in THEMES else "auto"

    def say(self, request: Request[Any, Any, Any], key: str, **places: object) -> str:
        """A text in the reader's language."""
        return self.frame.texts.say(key, self.language(request), **places)

    def page(
        self,
        request: Request[Any, Any, Any],
        template: str,
        *,
        status: int = 200,
        **values: Any,  # noqa: ANN401  # a template takes any value
    ) -> Response[str]:
        """A page, or a part of one: a template with the frame's values and these."""
        language = self.language(request)
        text = self.frame.render(template, language, **{**self._values(request, language), **values})
        headers = {**_HEADERS, "Content-Language": language}
        return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)

    part = page
    """A fragment for HTMX: the same, with a template that is only a part."""

    def failure(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """The page for an error, or the way to sign in where that is all that is missing."""
        if isinstance(error, NotAuthorizedException):
            return _lead(request, _sign_in(request), 401)
        if isinstance(error, NewPasswordNeededError):
            return _lead(request, "/account/password", 403)
        status = status_of(error)
        known = f"failure.of_{status}.title" in self.frame.texts
        detail = self._detail(request, error) if status < _INTERNAL else ""
        response = self.page(
            request, "failure.html", status=status, failure=str(status) if known else "any", code=status, detail=detail
        )
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    def _detail(self, request: Request[Any, Any, Any], error: Exception) -> str:
        if isinstance(error, ToldError):
            allowed = PERMISSIONS.get(error.permission) if isinstance(error, RefusedError) else None
            permission = getattr(allowed, self.language(request)) if allowed else ""
            return self.say(request, f"failure.{error.why}", permission=permission)
        if isinstance(error, TooManyAtOnceError):
            return self.say(request, "failure.busy")
        # Litestar's own errors say in English what title and hint say in the reader's language.
        if isinstance(error, HTTPException) and not isinstance(error, ClientException):
            return "" if error.detail == phrase(error.status_code) else error.detail
        return ""

    def _zone_and_origin(self, request: Request[Any, Any, Any]) -> tuple[ZoneInfo, str]:
        account = request.scope.get("auth")
        if account and account.zone and (zone := zone_named(account.zone)):
            return zone, "account"
        if zone := zone_named(request.cookies.get(ZONE_COOKIE, "")):
            return zone, "browser"
        return zone_named(self._zone) or ZoneInfo("UTC"), "node"

    def _values(self, request: Request[Any, Any, Any], language: str) -> dict[str, Any]:
        viewer: Viewer | None = request.scope.get("user")
        zone, origin = self._zone_and_origin(request)
        path = request.scope["path"]

        def when(ms: int | None, form: Form = "second") -> Markup:
            return time_element(ms, zone, form)

        return {
            "viewer": viewer,
            "home": self.home(viewer.permissions) if viewer else "/",
            "nav": self._groups(viewer),
            "role_title": lambda role: ROLE_TITLES[role][language],
            "here": self._here(path),
            "page_path": path,
            "page_address": _address(request),
            "node": self.node,
            "theme": self.theme(request),
            "zone": zone.key,
            "zone_origin": origin,
            "when": when,
            "now_ms": self.now_ms(),
            "language_links": {code: _with_language(request, code) for code in ("zh", "en")},
        }

    def _groups(self, viewer: Viewer | None) -> list[tuple[Group, list[NavItem]]]:
        """What a viewer may see of the navigation, by groups; none that is empty."""
        seen = [item for item in self._nav if viewer and viewer.can(item.permission)]
        groups = [(group, [item for item in seen if item.group == group]) for group in GROUPS]
        return [(group, items) for group, items in groups if items]

    def _here(self, path: str) -> str:
        """The path of the navigation's item that a page belongs to: the longest that it lies under."""
        under = [it.path for it in self._nav if path == it.path or (it.path != "/" and path.startswith(f"{it.path}/"))]
        return max(under, key=len, default="")


def _check_nav(nav: Sequence[NavItem]) -> None:
    """A mistake in the navigation is a mistake of the programmer's, so it ends the start.

    Raises:
        KeyError: no such permission exists.
        ValueError: a path or a key stands twice, a group is unknown, or a key is no small letter.
    """
    keys = [item.key for item in nav if item.key]
    for what, given in (("path", [item.path for item in nav]), ("key", keys)):
        twice = sorted({it for it in given if given.count(it) > 1})
        if twice:
            raise ValueError(f"The navigation has the {what} {', '.join(twice)} twice.")
    for item in nav:
        PERMISSIONS[item.permission]
        if item.group not in GROUPS:
            raise ValueError(f"The navigation has no group {item.group!r}.")
        if item.key and item.key not in ascii_lowercase:
            raise ValueError(f"The key {item.key!r} of {item.path} is no small letter.")


def time_element(ms: int | None, zone: ZoneInfo, form: Form = "second") -> Markup:
    """A moment as <time> in a zone; a dash for None."""
    if ms is None:
        return Markup("–")
    moment = datetime.fromtimestamp(ms / 1000, zone)
    text = moment.strftime(_FORMS[form])
    if form == "milli":
        text = text[:-_MICRO_DIGITS]
    exact = moment.isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}" title="{} {}">{}</time>').format(exact, exact, zone.key, text)


def _address(request: Request[Any, Any, Any]) -> str:
    """Path and query of what is asked, to come back to."""
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.scope['path']}?{query}" if query else str(request.scope["path"])


def _with_language(request: Request[Any, Any, Any], code: str) -> str:
    said = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return "?" + urlencode([*said, ("lang", code)])


def _sign_in(request: Request[Any, Any, Any]) -> str:
    """Where to sign in, and come back from to the page that was asked for or that asked."""
    wanted = _address(request) if request.method == "GET" else "/"
    if "hx-current-url" in request.headers:
        _, _, rest = request.headers["hx-current-url"].partition("://")
        wanted = f"/{rest.partition('/')[2]}"
    wanted = local_path(wanted)
    return "/signin" if wanted == "/" else f"/signin?{urlencode({'next': wanted})}"


def see_other(place: str, cookies: Sequence[Cookie] = ()) -> Response[str]:
    """Go on to another page after a form (303). Other scripts than Latin are encoded: headers cannot hold them."""
    headers = {"Location": quote(place, safe=_URL_SIGNS), "Cache-Control": "no-store"}
    return Response("", status_code=303, media_type=MediaType.TEXT, headers=headers, cookies=list(cookies))


def _lead(request: Request[Any, Any, Any], place: str, status: int) -> Response[str]:
    """Go elsewhere: HTMX would put the answer of a redirection into the page's part, so it is told to leave."""
    if "hx-request" in request.headers:
        return Response(
            "",
            status_code=status,
            media_type=MediaType.TEXT,
            headers={"HX-Redirect": place, "Cache-Control": "no-store"},
        )
    return Response(
        "", status_code=303, media_type=MediaType.TEXT, headers={"Location": place, "Cache-Control": "no-store"}
    )
