"""`/tokens`: making tokens for programs, showing the secret once, revoking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.pages.desk import Fields, status_of, text_of, texts_of, words_for
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.web.console import see_other
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import (
    Column,
    Filter,
    TableSpec,
    chosen,
    export_csv,
    page_of,
    read_query,
    stamp,
)

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler
    from litestar.response import Stream

    from hutong.kernel.access.agencies import Agency
    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.access.tokens import Token
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.web.console import Console

_DAY_MS: Final = 24 * 3_600_000
_LIVES: Final = (7, 30, 90, 180, 365)
_PAGES_ONLY: Final = frozenset({"account.own", "tokens.own"})
"""Permissions for which there is only a page: a token cannot use them."""
_UTC: Final = ZoneInfo("UTC")
_STATES: Final = ("live", "expired", "revoked")

TABLE: Final = TableSpec(
    id="tokens",
    columns=(
        Column("title", "tokens.title_"),
        Column("owner", "tokens.owner"),
        Column("scopes", "tokens.scopes", sortable=False),
        Column("state", "tokens.state"),
        Column("created", "tokens.created"),
        Column("expires", "tokens.expires"),
        Column("used", "tokens.used"),
        Column("deeds", "tokens.deeds", sortable=False),
    ),
    filters=(
        Filter("title", "tokens.title_"),
        Filter("state", "tokens.state", "choice", tuple((it, f"tokens.state_{it}") for it in _STATES)),
    ),
    sort="created",
    descending=True,
)


def state_of(token: Token, now_ms: int) -> str:
    """live, expired or revoked."""
    if token.revoked_ms is not None:
        return "revoked"
    return "live" if token.is_live(now_ms) else "expired"


def scopes_of(viewer: Viewer) -> list[str]:
    """What a token of this person may be given."""
    return [name for name in PERMISSIONS if name in viewer.permissions and name not in _PAGES_ONLY]


def routes(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    """`/tokens` and what its forms are sent to."""
    lives = [days for days in _LIVES if days < desk.token_days] + [desk.token_days]

    def page(request: Request[Any, Any, Any], *, status: int = 200, **values: Any) -> Response[str]:  # noqa: ANN401
        now_ms, query = console.now_ms(), read_query(TABLE, request.query_params)
        shown = {"wrong": "", "made": None, "secret": "", "title": "", "picked": [], **values}
        return console.page(
            request,
            "tokens.html",
            status=status,
            view=page_of(TABLE, query, _tokens(desk, request.user), _key_of(now_ms)),
            state_of=lambda token: state_of(token, now_ms),
            revoked=request.query_params.get("done") == "revoked",
            scopes=scopes_of(request.user),
            lives=lives,
            agencies=[it for it in Agencies(desk.database).all() if _may_name(request, it)],
            permissions=PERMISSIONS,
            **shown,
        )

    @get("/tokens", sync_to_thread=True, opt=requires("tokens.own"))
    def tokens(request: Request[Any, Any, Any]) -> Response[Any]:
        if asks_export(request):
            return _export(request, desk, console)
        return page(request)

    @post("/tokens", status_code=200, sync_to_thread=True, opt=requires("tokens.own"))
    def make(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        title, picked, now_ms = text_of(data, "title"), texts_of(data, "scopes"), console.now_ms()
        days = text_of(data, "days")
        expires_ms = now_ms + int(days) * _DAY_MS if days in map(str, lives) else 0
        try:
            with desk.database.write():
                token, secret = desk.tokens.make(
                    request.user.name, title, set(picked) - _PAGES_ONLY, expires_ms, now_ms, text_of(data, "agency")
                )
                desk.record(request, "tokens.make", token.id, None, _facts(token))
        except AccessError as error:
            wrong = words_for(console, request, error)
            return page(request, status=status_of(error), wrong=wrong, title=title, picked=picked)
        return page(request, made=token, secret=secret)

    @post("/tokens/{name:str}/revoke", sync_to_thread=True, opt=requires("tokens.own"))
    def revoke(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[str]:
        token = next((it for it in _tokens(desk, request.user) if it.id == name), None)
        if token is None:
            raise NotFoundException("")
        with desk.database.write():
            after = desk.tokens.revoke(name, console.now_ms())
            desk.record(request, "tokens.revoke", name, _facts(token), _facts(after))
        return see_other("/tokens?done=revoked")

    return [tokens, make, revoke]


def _may_name(request: Request[Any, Any, Any], agency: Agency) -> bool:
    """Who sees the cases of some units alone is not told who else there is."""
    units = request.user.units
    return not agency.disabled and (units is None or units.issuperset(agency.units))


def _tokens(desk: Desk, viewer: Viewer) -> list[Token]:
    return desk.tokens.all() if viewer.can("tokens.change") else desk.tokens.of(viewer.name)


def _key_of(now_ms: int) -> Any:  # noqa: ANN401
    def key_of(token: Token, key: str) -> object:
        values = {"created": token.created_ms, "expires": token.expires_ms, "used": token.used_ms}
        if key in values:
            return values[key]
        return state_of(token, now_ms) if key == "state" else getattr(token, key)

    return key_of


def _facts(token: Token) -> dict[str, object]:
    return {
        "owner": token.owner,
        "title": token.title,
        "scopes": sorted(token.scopes),
        "agency": token.agency or None,
        "expires": stamp(token.expires_ms, _UTC),
        "revoked": stamp(token.revoked_ms, _UTC) or None,
    }


def _export(request: Request[Any, Any, Any], desk: Desk, console: Console) -> Stream:
    now_ms, query = console.now_ms(), read_query(TABLE, request.query_params)
    desk.record(request, "tables.export", "tokens", after=query.filters)
    rows = chosen(TABLE, query, _tokens(desk, request.user), _key_of(now_ms))
    zone = console.zone(request)
    names = ("id", "title_", "owner", "scopes", "state", "created", "expires", "used")
    cells = (
        (
            it.id,
            it.title,
            it.owner,
            " ".join(sorted(it.scopes)),
            console.say(request, f"tokens.state_{state_of(it, now_ms)}"),
            *(stamp(moment, zone) for moment in (it.created_ms, it.expires_ms, it.used_ms)),
        )
        for it in rows
    )
    return export_csv("tokens", [console.say(request, f"tokens.{name}") for name in names], cells)
