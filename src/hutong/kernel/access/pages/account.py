"""`/account`: one's own name, preferences, password and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException

from hutong.kernel.access.errors import AccessError, SignInRefused
from hutong.kernel.access.pages.desk import Fields, status_of, text_of, words_for
from hutong.kernel.access.passwords import SHORTEST
from hutong.kernel.web.console import THEMES, see_other
from hutong.kernel.web.guard import local_path, requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.account import Account
    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.web.console import Console

_OWN: Final = requires("account.own")
_EARLY: Final = requires("account.own", before_new_password=True)
_DONE: Final = frozenset({"saved", "password", "ended"})


def routes(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    """`/account` and what its forms are sent to, and `/account/password`."""

    def page(request: Request[Any, Any, Any], *, status: int = 200, wrong: str = "", title: str = "") -> Response[str]:
        account = desk.people.account(request.user.name)
        done = request.query_params.get("done", "")
        return console.page(
            request,
            "account.html",
            status=status,
            wrong=wrong,
            title=title or account.title,
            done=done if done in _DONE and not wrong else "",
            account=account,
            sessions=desk.sessions.of(account.name, desk.guard.cookie_of(request), console.now_ms()),
            zones=sorted(available_timezones()),
            themes=THEMES,
        )

    def prefer(request: Request[Any, Any, Any], language: str, zone: str, theme: str) -> None:
        before = desk.people.account(request.user.name)
        with desk.database.write():
            after = desk.people.set_preferences(before.name, language, zone, theme)
            if _preferences(before) != _preferences(after):
                desk.record(request, "account.preferences", before.name, _preferences(before), _preferences(after))

    @get("/account", sync_to_thread=True, opt=_OWN)
    def account(request: Request[Any, Any, Any]) -> Response[str]:
        return page(request)

    @post("/account", status_code=200, sync_to_thread=True, opt=_OWN)
    def save(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        before, title = desk.people.account(request.user.name), text_of(data, "title")
        try:
            with desk.database.write():
                if not before.external and title != before.title:
                    after = desk.people.set_title(before.name, title)
                    desk.record(request, "account.title", before.name, before.title, after.title)
                prefer(request, text_of(data, "language"), text_of(data, "zone").strip(), text_of(data, "theme"))
        except AccessError as error:
            return page(request, status=status_of(error), wrong=words_for(console, request, error), title=title)
        desk.sessions.renew(desk.guard.cookie_of(request))
        return see_other("/account?done=saved")

    @post("/account/appearance", sync_to_thread=True, opt=_OWN)
    def appearance(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        """The switches of the frame: each sends only what it changes."""
        own = desk.people.account(request.user.name)
        wanted = {name: text_of(data, name) or getattr(own, name) for name in ("language", "theme")}
        try:
            prefer(request, wanted["language"], own.zone, wanted["theme"])
        except AccessError as error:
            raise HTTPException(words_for(console, request, error), status_code=status_of(error)) from error
        desk.sessions.renew(desk.guard.cookie_of(request))
        return see_other(local_path(text_of(data, "next") or "/"))

    return [account, save, appearance, _other_sessions(desk), *_password(console, desk)]


def _other_sessions(desk: Desk) -> HTTPRouteHandler:
    @post("/account/sessions/end", sync_to_thread=True, opt=_OWN)
    def end_others(request: Request[Any, Any, Any]) -> Response[str]:
        with desk.database.write():
            ended = desk.sessions.end_others(request.user.name, desk.guard.cookie_of(request))
            desk.record(request, "session.end_others", request.user.name, after={"ended": ended})
        return see_other("/account?done=ended")

    return end_others


def _password(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    def form(request: Request[Any, Any, Any], *, status: int = 200, wrong: str = "", field: str = "") -> Response[str]:
        own = desk.people.account(request.user.name)
        values = {"account": own, "wrong": wrong, "field": field, "shortest": SHORTEST}
        return console.page(request, "password.html", status=status, **values)

    @get("/account/password", sync_to_thread=True, opt=_EARLY)
    def password(request: Request[Any, Any, Any]) -> Response[str]:
        return form(request)

    @post("/account/password", status_code=200, sync_to_thread=True, opt=_EARLY)
    def change(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        name, address, now_ms = request.user.name, request.user.address, console.now_ms()
        new = text_of(data, "new")
        if new != text_of(data, "again"):
            return form(request, status=422, wrong=console.say(request, "password.differ"), field="again")
        try:
            proven = desk.people.new_password(name, text_of(data, "old"), new, now_ms, address)
            with desk.database.write():
                account = desk.people.put_password(proven, now_ms, address)
                cookie = desk.sessions.start(account, address, now_ms)
                desk.record(request, "account.password", name)
        except SignInRefused:
            desk.record(request, "account.password_refused", name)
            return form(request, status=422, wrong=console.say(request, "password.old_wrong"), field="old")
        except AccessError as error:
            return form(request, status=status_of(error), wrong=words_for(console, request, error), field="new")
        return see_other("/account?done=password", [desk.guard.cookie(cookie)])

    return [password, change]


def _preferences(account: Account) -> dict[str, str]:
    return {"language": account.language, "zone": account.zone, "theme": account.theme}
