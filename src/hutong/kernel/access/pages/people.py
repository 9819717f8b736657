"""`/people`: accounts. Administrators make and change them; auditors read.

A role, a disabling or a new one-time password is one form each on the person's own page, so that nothing is changed by
the way. One-time passwords are shown in the answer to the form and nowhere again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.pages.desk import Fields, status_of, text_of, words_for
from hutong.kernel.access.pages.tokens import state_of
from hutong.kernel.access.permissions import PERMISSIONS, ROLE_TITLES, ROLES
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
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler
    from litestar.response import Stream

    from hutong.kernel.access.account import Account
    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.access.permissions import Role
    from hutong.kernel.web.console import Console

_READ: Final = requires("people.read")
_CHANGE: Final = requires("people.change")
_DONE: Final = frozenset({"role", "agency", "disabled", "enabled"})
_STATES: Final = ("enabled", "one_time", "disabled")

TABLE: Final = TableSpec(
    id="people",
    columns=(
        Column("name", "people.name"),
        Column("title", "people.title_"),
        Column("role", "people.role"),
        Column("state", "people.state"),
        Column("origin", "people.origin"),
        Column("signed_in", "people.signed_in"),
        Column("created", "people.created"),
    ),
    filters=(
        Filter("who", "people.who"),
        Filter("role", "people.role", "choice", tuple((role, f"role.{role}") for role in ROLES)),
        Filter("state", "people.state", "choice", tuple((it, f"people.state_{it}") for it in _STATES)),
    ),
    sort="name",
)


def account_state(account: Account) -> str:
    """enabled, one_time (has yet to choose a password) or disabled."""
    if account.disabled:
        return "disabled"
    return "one_time" if account.must_change else "enabled"


def _key_of(account: Account, key: str) -> object:
    if key == "who":
        return f"{account.name} {account.title}"
    if key == "state":
        return account_state(account)
    return getattr(account, {"origin": "external", "signed_in": "signed_in_ms", "created": "created_ms"}.get(key, key))


def routes(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    """`/people`, a page for each of them, and what the forms are sent to."""

    def page(request: Request[Any, Any, Any], *, status: int = 200, **values: str) -> Response[str]:
        query = read_query(TABLE, request.query_params)
        shown = {"wrong": "", "name": "", "title": "", "role": "viewer", "added": "", "password": "", **values}
        return console.page(
            request,
            "people.html",
            status=status,
            view=page_of(TABLE, query, desk.people.all(), _key_of),
            account_state=account_state,
            roles=ROLES,
            **shown,
        )

    @get("/people", sync_to_thread=True, opt=_READ)
    def people(request: Request[Any, Any, Any]) -> Response[Any]:
        if asks_export(request):
            return _export(request, desk, console)
        return page(request)

    @post("/people", status_code=200, sync_to_thread=True, opt=_CHANGE)
    def add(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        name, title, role = (text_of(data, it).strip() for it in ("name", "title", "role"))
        try:
            fresh = desk.people.one_time()
            with desk.database.write():
                password = desk.people.add(name, title, cast("Role", role), console.now_ms(), fresh)
                account = desk.people.account(name)
                desk.record(request, "people.add", account.name, None, {"title": account.title, "role": account.role})
        except AccessError as error:
            wrong = words_for(console, request, error)
            return page(request, status=status_of(error), wrong=wrong, name=name, title=title, role=role)
        return page(request, added=account.name, password=password)

    return [people, add, *_person(console, desk), _binding(console, desk)]


def _person(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    @get("/people/{name:str}", sync_to_thread=True, opt=_READ)
    def person(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[str]:
        return _person_page(console, desk, request, name)

    @post("/people/{name:str}/role", status_code=200, sync_to_thread=True, opt=_CHANGE)
    def set_role(request: Request[Any, Any, Any], name: FromPath[str], data: Fields) -> Response[str]:
        def change(before: Account) -> str:
            after = desk.people.set_role(before.name, cast("Role", text_of(data, "role")))
            if before.role != after.role:
                desk.record(request, "people.role", before.name, before.role, after.role)
            return "role"

        return _changed(console, desk, request, name, change)

    @post("/people/{name:str}/standing", status_code=200, sync_to_thread=True, opt=_CHANGE)
    def set_standing(request: Request[Any, Any, Any], name: FromPath[str], data: Fields) -> Response[str]:
        disabled = text_of(data, "standing") == "disabled"

        def change(before: Account) -> str:
            after = desk.people.set_disabled(before.name, disabled, console.now_ms())
            if before.disabled != after.disabled:
                deed = "people.disable" if disabled else "people.enable"
                desk.record(request, deed, before.name, account_state(before), account_state(after))
            return "disabled" if disabled else "enabled"

        return _changed(console, desk, request, name, change)

    @post("/people/{name:str}/password", status_code=200, sync_to_thread=True, opt=_CHANGE)
    def reset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[str]:
        before = _account(desk, name)
        try:
            fresh = desk.people.one_time()
            with desk.database.write():
                password = desk.people.reset_password(before.name, console.now_ms(), fresh)
                desk.record(request, "people.reset", before.name)
        except AccessError as error:
            return _refused(console, desk, request, name, error)
        return _person_page(console, desk, request, before.name, password=password)

    return [person, set_role, set_standing, reset]


def _binding(console: Console, desk: Desk) -> HTTPRouteHandler:
    @post("/people/{name:str}/agency", status_code=200, sync_to_thread=True, opt=_CHANGE)
    def set_agency(request: Request[Any, Any, Any], name: FromPath[str], data: Fields) -> Response[str]:
        def change(before: Account) -> str:
            after = desk.people.set_agency(before.name, text_of(data, "agency"))
            if before.agency != after.agency:
                desk.record(request, "people.agency", before.name, before.agency, after.agency)
            return "agency"

        return _changed(console, desk, request, name, change)

    return set_agency


def _person_page(
    console: Console, desk: Desk, request: Request[Any, Any, Any], name: str, *, status: int = 200, **values: str
) -> Response[str]:
    account, now_ms, done = _account(desk, name), console.now_ms(), request.query_params.get("done", "")
    shown = {"wrong": "", "password": "", "done": done if done in _DONE else "", **values}
    return console.page(
        request,
        "person.html",
        status=status,
        account=account,
        state=account_state(account),
        tokens=desk.tokens.of(account.name),
        state_of=lambda token: state_of(token, now_ms),
        permissions=[it for it in PERMISSIONS.values() if account.role in it.roles],
        roles=ROLES,
        agencies=Agencies(desk.database).all(),
        **shown,
    )


def _changed(
    console: Console, desk: Desk, request: Request[Any, Any, Any], name: str, change: Callable[[Account], str]
) -> Response[str]:
    """Make a change and its line in the trail together, then show what was done; or say why not."""
    before = _account(desk, name)
    try:
        with desk.database.write():
            done = change(before)
    except AccessError as error:
        return _refused(console, desk, request, name, error)
    return see_other(f"/people/{quote(before.name)}?done={done}")


def _refused(
    console: Console, desk: Desk, request: Request[Any, Any, Any], name: str, error: AccessError
) -> Response[str]:
    wrong = words_for(console, request, error)
    return _person_page(console, desk, request, name, status=status_of(error), wrong=wrong)


def _account(desk: Desk, name: str) -> Account:
    try:
        return desk.people.account(name)
    except AccessError:
        raise NotFoundException("") from None


def _export(request: Request[Any, Any, Any], desk: Desk, console: Console) -> Stream:
    query, zone, language = read_query(TABLE, request.query_params), console.zone(request), console.language(request)
    desk.record(request, "tables.export", "people", after=query.filters)
    header = [console.say(request, column.text) for column in TABLE.columns]
    cells = (
        (
            it.name,
            it.title,
            ROLE_TITLES[it.role][language],
            console.say(request, f"people.state_{account_state(it)}"),
            console.say(request, f"people.origin_{'provider' if it.external else 'here'}"),
            stamp(it.signed_in_ms, zone),
            stamp(it.created_ms, zone),
        )
        for it in chosen(TABLE, query, desk.people.all(), _key_of)
    )
    return export_csv("people", header, cells)
