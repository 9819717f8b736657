"""`/sampling/emergencies`: one person asks for emergency sampling of a district, another approves, declines, lifts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody

from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires
from hutong.sampling.console.parts import UNFIT, AnyRequest, Parts, actor_of
from hutong.sampling.emergency.machine import EmergencyRefused
from hutong.sampling.emergency.model import EMERGENCY_MOVES, Wish, presets

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.emergency.model import Emergency, EmergencyAction

Form = URLEncodedBody[dict[str, str]]
FIELDS: Final = ("district", "preset", "hours", "agency", "document", "reason")
_ACTIONS: Final[tuple[EmergencyAction, ...]] = ("approve", "decline", "lift")
_DONE: Final = ("requested", "in-force", "declined", "lifted")
_SHOWN: Final = 100
_LONGEST: Final = 1000
_DIGITS: Final = 6


def _known(parts: Parts, of: str) -> Emergency:
    try:
        return parts.desk.emergencies.order(of)
    except EmergencyRefused as refused:
        raise NotFoundException from refused


def _one(parts: Parts, request: AnyRequest, of: str, trouble: str = "") -> Response[Any]:
    order, viewer = _known(parts, of), request.user
    own = viewer.name == order.requested_by
    may = {
        action: viewer.can(move.who) and order.state in move.sources and not (move.other and own)
        for action, move in EMERGENCY_MOVES.items()
        if action in _ACTIONS
    }
    done = request.query_params.get("done", "")
    return parts.page(
        request,
        "sampling_emergency.html",
        status=UNFIT if trouble else 200,
        order=order,
        preset=presets().get(order.preset),
        may=may,
        own=own,
        trouble=trouble,
        done=done if done in _DONE else "",
    )


def _form(
    parts: Parts, request: AnyRequest, values: dict[str, str], trouble: str = "", field: str = ""
) -> Response[Any]:
    return parts.page(
        request,
        "sampling_emergency_new.html",
        status=UNFIT if trouble else 200,
        values=values,
        trouble=trouble,
        field=field,
        presets=presets(),
        longest=parts.longest_h,
        known=parts.districts.district,
    )


def _ask(parts: Parts, request: AnyRequest, data: dict[str, str]) -> Response[Any]:
    values = {name: data.get(name, "").strip()[:_LONGEST] for name in FIELDS}
    hours = values["hours"]
    whole = int(hours) if hours.isascii() and hours.isdigit() and len(hours) <= _DIGITS else 0
    said = {name: values[name] for name in ("district", "preset", "agency", "document", "reason")}
    try:
        wish = Wish(term_h=whole, **said)
        made = parts.desk.emergencies.request(wish, actor_of(request.user), parts.console.now_ms())
    except EmergencyRefused as refused:
        return _form(parts, request, values, parts.refusal(request, refused), refused.where)
    return see_other(f"/sampling/emergencies/{made.id}?done=requested")


def _do(parts: Parts, request: AnyRequest, of: str, action: EmergencyAction, data: dict[str, str]) -> Response[Any]:
    _known(parts, of)
    reason = data.get("reason", "").strip()[:_LONGEST]
    try:
        after = parts.desk.emergencies.do(of, action, actor_of(request.user), parts.console.now_ms(), reason)
    except EmergencyRefused as refused:
        return _one(parts, request, of, parts.refusal(request, refused))
    return see_other(f"/sampling/emergencies/{of}?done={after.state}")


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The pages."""

    @get("/sampling/emergencies", opt=requires("sampling.read"), sync_to_thread=True)
    def emergencies(request: AnyRequest) -> Response[Any]:
        return parts.page(
            request,
            "sampling_emergencies.html",
            orders_listed=parts.desk.emergencies.listing(_SHOWN),
            current=parts.desk.emergencies.listing(states=("in-force",)),
            asked=parts.desk.emergencies.listing(states=("requested",)),
            presets=presets(),
        )

    @get("/sampling/emergencies/new", opt=requires("sampling.order"), sync_to_thread=True)
    def new(request: AnyRequest) -> Response[Any]:
        return _form(parts, request, {"hours": "48"})

    @post("/sampling/emergencies/new", opt=requires("sampling.order"), sync_to_thread=True, status_code=200)
    def ask(request: AnyRequest, data: Form) -> Response[Any]:
        return _ask(parts, request, data)

    @get("/sampling/emergencies/{of:str}", opt=requires("sampling.read"), sync_to_thread=True)
    def one(request: AnyRequest, of: FromPath[str]) -> Response[Any]:
        return _one(parts, request, of)

    def deciding(action: EmergencyAction) -> HTTPRouteHandler:
        @post(
            f"/sampling/emergencies/{{of:str}}/{action}",
            opt=requires("sampling.approve"),
            sync_to_thread=True,
            status_code=200,
        )
        def decided(request: AnyRequest, of: FromPath[str], data: Form) -> Response[Any]:
            return _do(parts, request, of, action, data)

        return decided

    return [emergencies, new, ask, one, *map(deciding, _ACTIONS)]
