"""`/sampling/person`: one person's results, for a purpose that is on the trail first. No number is in an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from litestar import Response, get, post
from litestar.params import URLEncodedBody

from hutong.kernel.web.guard import requires
from hutong.sampling.console.parts import UNFIT, AnyRequest, Parts, actor_of
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.identity import IdentityKind

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.query import PersonResult

Form = URLEncodedBody[dict[str, str]]
KINDS: Final[tuple[IdentityKind, ...]] = get_args(IdentityKind)
_SHORTEST: Final = 4
_LONGEST: Final = 300


def kind_of(text: str) -> IdentityKind:
    """A kind of what somebody shows. Raises SamplingRefused."""
    for it in KINDS:
        if it == text:
            return it
    raise SamplingRefused("field", "This is no kind of document.", where="kind")


def check_purpose(text: str) -> None:
    """Whether a purpose says something. Raises SamplingRefused."""
    if len(text) < _SHORTEST:
        raise SamplingRefused("field", "It needs a purpose.", where="purpose")


def _page(
    parts: Parts,
    request: AnyRequest,
    *,
    form: dict[str, str],
    trouble: str = "",
    person: str = "",
    found: list[PersonResult] | None = None,
) -> Response[Any]:
    return parts.page(
        request,
        "sampling_person.html",
        status=UNFIT if trouble else 200,
        kinds=KINDS,
        kind=form.get("kind", ""),
        purpose=form.get("purpose", "")[:_LONGEST] if trouble else "",
        trouble=trouble,
        person=person,
        found=found,
    )


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The page."""

    @get("/sampling/person", opt=requires("sampling.person"), sync_to_thread=True)
    def form(request: AnyRequest) -> Response[Any]:
        return _page(parts, request, form={})

    @post("/sampling/person", opt=requires("sampling.person"), sync_to_thread=True, status_code=200)
    def look(request: AnyRequest, data: Form) -> Response[Any]:
        purpose = data.get("purpose", "").strip()[:_LONGEST]
        try:
            check_purpose(purpose)
            kind = kind_of(data.get("kind", ""))
            actor, now_ms = actor_of(request.user), parts.console.now_ms()
            person, found = parts.desk.person(kind, data.get("identity", "")[:2000], purpose, actor, now_ms)
        except SamplingRefused as refused:
            return _page(parts, request, form=data, trouble=parts.refusal(request, refused))
        return _page(parts, request, form=data, person=person, found=found)

    return [form, look]
