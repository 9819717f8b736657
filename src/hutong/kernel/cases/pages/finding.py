"""`/cases/new`: a new case, by a form that is made of its type's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.kernel.access.pages.desk import Fields, text_of
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.fields import read_value
from hutong.kernel.cases.model import Finding
from hutong.kernel.cases.pages.desk import AnyRequest, CaseDesk, new_key, own_key, spoken
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.cases.types import CaseType

_UNFIT: Final = 422
_PRIORITIES: Final = {"1": 1, "2": 2, "3": 3}


def _form(
    desk: CaseDesk, request: AnyRequest, kind: CaseType, typed: dict[str, Any] | None = None, trouble: str = ""
) -> Response[str]:
    return desk.console.page(
        request,
        "cases_new.html",
        status=_UNFIT if trouble else 200,
        kind=kind,
        typed=lambda name: text_of(typed or {}, name),
        trouble=trouble,
        key=new_key(request),
        units=desk.units(request),
        owners=desk.owners(request),
    )


def _find(desk: CaseDesk, request: AnyRequest, kind: CaseType, data: dict[str, Any]) -> Response[str]:
    try:
        fields = {spec.name: read_value(spec, text_of(data, f"field_{spec.name}")) for spec in kind.fields}
        finding = Finding(
            kind.id,
            text_of(data, "title"),
            {name: value for name, value in fields.items() if value != ""},
            _PRIORITIES.get(text_of(data, "priority"), 2),  # type: ignore[arg-type]  # one of three
            source=f"person:{request.user.name}",
            unit=text_of(data, "unit").strip(),
            owner=text_of(data, "owner").strip(),
        )
        key = own_key(request, text_of(data, "key"))
        answer = desk.seen(request).find(finding, actor_of(request.user), desk.console.now_ms(), key=key)
    except CaseRefused as refused:
        return _form(desk, request, kind, data, _words(desk, request, kind, refused))
    return see_other(f"/cases/{answer.case}?done=find")


def _words(desk: CaseDesk, request: AnyRequest, kind: CaseType, refused: CaseRefused) -> str:
    """What was wrong; a field is named as its type names it."""
    spec = kind.by_name.get(refused.where)
    if spec is None:
        return spoken(desk, request, refused)
    title = getattr(spec.title, desk.console.language(request))
    return desk.console.say(request, "cases.refused_field", field=title)


def routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """`/cases/new` and a form for each type."""

    def kind_of(name: str) -> CaseType:
        kind = desk.cases.types.by_id.get(name)
        if kind is None:
            raise NotFoundException
        return kind

    @get("/cases/new", sync_to_thread=True, opt=requires("cases.find"))
    def choose(request: AnyRequest) -> Response[str]:
        return desk.console.page(request, "cases_choose.html", types=list(desk.cases.types.by_id.values()))

    @get("/cases/new/{kind:str}", sync_to_thread=True, opt=requires("cases.find"))
    def form(request: AnyRequest, kind: FromPath[str]) -> Response[str]:
        return _form(desk, request, kind_of(kind))

    @post("/cases/new/{kind:str}", status_code=200, sync_to_thread=True, opt=requires("cases.find"))
    def find(request: AnyRequest, kind: FromPath[str], data: Fields) -> Response[str]:
        return _find(desk, request, kind_of(kind), data)

    return [choose, form, find]
