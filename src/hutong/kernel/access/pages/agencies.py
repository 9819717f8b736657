"""`/agencies`: the partner agencies. Administrators add and disable them; who is bound to one, people's pages say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.access.agencies import KIND_TITLES, KINDS, Agencies, Agency, facts_of
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.pages.desk import Fields, status_of, text_of, words_for
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.agencies import Kind
    from hutong.kernel.access.pages.desk import Desk
    from hutong.kernel.web.console import Console

_FIELDS: Final = ("id", "zh", "en", "kind", "units", "contact")
_DONE: Final = frozenset({"added", "disabled", "enabled"})


def routes(console: Console, desk: Desk) -> list[HTTPRouteHandler]:
    """`/agencies` and what its forms are sent to."""
    agencies = Agencies(desk.database)

    def page(request: Request[Any, Any, Any], *, status: int = 200, **values: Any) -> Response[str]:  # noqa: ANN401  # the form's fields
        done = request.query_params.get("done", "")
        shown = {"wrong": "", "done": done if done in _DONE else "", "given": dict.fromkeys(_FIELDS, ""), **values}
        kinds = {kind: KIND_TITLES[kind][console.language(request)] for kind in KINDS}
        return console.page(request, "agencies.html", status=status, agencies=agencies.all(), kinds=kinds, **shown)

    @get("/agencies", sync_to_thread=True, opt=requires("people.read"))
    def listed(request: Request[Any, Any, Any]) -> Response[str]:
        return page(request)

    @post("/agencies", status_code=200, sync_to_thread=True, opt=requires("people.change"))
    def add(request: Request[Any, Any, Any], data: Fields) -> Response[str]:
        given = {name: text_of(data, name).strip() for name in _FIELDS}
        units = tuple(filter(None, (unit.strip() for unit in given["units"].splitlines())))
        new = Agency(given["id"], given["zh"], given["en"], cast("Kind", given["kind"]), units, given["contact"])
        try:
            with desk.database.write():
                agency = agencies.add(new, console.now_ms())
                desk.record(request, "people.agency_add", agency.id, None, facts_of(agency))
        except AccessError as error:
            return page(request, status=status_of(error), wrong=words_for(console, request, error), given=given)
        return see_other("/agencies?done=added")

    @post("/agencies/{name:str}/standing", status_code=200, sync_to_thread=True, opt=requires("people.change"))
    def set_standing(request: Request[Any, Any, Any], name: FromPath[str], data: Fields) -> Response[str]:
        disabled = text_of(data, "standing") == "disabled"
        try:
            with desk.database.write():
                before = agencies.agency(name)
                agencies.set_disabled(before.id, disabled)
                if before.disabled != disabled:
                    deed = "people.agency_disable" if disabled else "people.agency_enable"
                    desk.record(request, deed, before.id)
        except AccessError:
            raise NotFoundException("") from None
        return see_other(f"/agencies?done={'disabled' if disabled else 'enabled'}")

    return [listed, add, set_standing]
