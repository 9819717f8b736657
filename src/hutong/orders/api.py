"""Orders for programs: /v1/orders. What may be done is decided by the machine; here it gets its HTTP form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from litestar import Response, get, post
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter

from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.reporter import masked, rfc3339_ms, rfc3339_or_none
from hutong.kernel.web.api.desk import (
    AnyRequest,
    Desk,
    Purpose,
    Unmask,
    answered,
    operation,
    read_ms,
    read_purpose,
    refused,
)
from hutong.kernel.web.api.document import Section, structs_of
from hutong.orders import bodies
from hutong.orders.bases import bases
from hutong.orders.bodies import (
    BasisList,
    BasisTold,
    NewOrder,
    OrderAnswer,
    OrderDeed,
    OrderEventTold,
    OrderList,
    OrderNumber,
    OrderStory,
    OrderTold,
    PackSubject,
)
from hutong.orders.errors import OrderRefused
from hutong.orders.model import Action, Deed, Kind, State, Wish  # Litestar reads the annotations
from hutong.orders.pages import actor_of, packed
from hutong.orders.query import COUNTED, OrderQuery
from hutong.orders.words import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.orders.desk import OrderDesk
    from hutong.orders.evidence.gathering import EvidenceDesk
    from hutong.orders.model import Order
    from hutong.orders.store import Answer

Result = TypeVar("Result")
_TAGS: Final = (("orders", "指令 / Orders"),)
_BODY: Final = 16 * 1024
_STATUS: Final = {
    "no-order": 404,
    "not-allowed": 403,
    "same-person": 403,
    "not-yours": 403,
    "not-from-here": 409,
    "changed-meanwhile": 409,
    "taken": 409,
    "allowed": 409,
    "key-used": 409,
    "busy": 503,
}
_RETRY_S: Final = "10"
_REFUSALS: Final = (403, 404, 409)
_ZIP: Final = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
OrderId = Annotated[str, PathParameter(min_length=1, max_length=100, description="指令编号 / id of the order")]
Key = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=100,
        pattern=r"^[\x21-\x7e]*$",
        description="请求键:重复的请求只生效一次 / a repeated request with this key has one effect and the same "
        "answer; keys are each account's own",
    ),
]


def section(orders: OrderDesk, evidence: Callable[[], EvidenceDesk], desk: Desk) -> Section:
    """What orders bring to the API.

    Args:
        orders: where orders are asked for and decided. evidence: makes packs. desk: limits and the trail.
    """
    routes = [*_reading(orders, desk), *_changing(orders, desk), *_packs(evidence, desk)]
    return Section(_TAGS, routes, structs_of(bodies), _describe)


def _describe(schema: dict[str, Any]) -> None:
    for path in ("/v1/orders/{order}/pack", "/v1/orders/packs"):
        schema["paths"][path]["post"]["responses"]["200"]["content"] = _ZIP


def _done(work: Callable[[], Result]) -> Result:
    """What the desk answers; a refusal as a problem."""

    def done() -> Result:
        try:
            return work()
        except OrderRefused as error:
            problem = refused(error, _STATUS.get(error.reason, 422))
            if error.reason == "busy":
                problem.headers = {"Retry-After": _RETRY_S}
            raise problem from error
        except CaseRefused as error:
            raise refused(error, 404 if error.reason == "no-case" else 422) from error

    return answered(done)


def _told(order: Order, desk: OrderDesk, *, whole: bool = False) -> OrderTold:
    row = shown(order, desk.orders.numbering, whole=whole)

    return OrderTold(
        id=order.id,
        kind=order.kind,
        scope=row.scope,
        role=order.role,
        agency=order.agency,
        document=order.document,
        basis=list(order.basis),
        basis_text=row.basis_text,
        reason=row.reason,
        state=order.state,
        effect=order.effect,
        per_hour=order.per_hour,
        guarded=order.guarded,
        case=order.case,
        requested_by=order.requested_by,
        requested=rfc3339_or_none(order.requested_ms),
        decided_by=order.decided_by,
        decided=rfc3339_or_none(order.decided_ms),
        starts=rfc3339_or_none(order.starts_ms),
        ends=rfc3339_or_none(order.ends_ms),
        in_force=rfc3339_or_none(order.in_force_ms),
        delay_ms=order.delay_ms,
        entry=order.entry,
        ended=rfc3339_or_none(order.ended_ms),
        ended_by=order.ended_by,
        ended_why=row.ended_why,
        version=order.version,
    )


def _page(orders: OrderDesk, query: OrderQuery, limit: int, offset: int) -> OrderList:
    found, count = orders.orders.listing(query, limit, offset)
    following = offset + len(found)
    more = following < min(count, COUNTED) and bool(found)
    return OrderList([_told(it, orders) for it in found], count, following if more else None)


def _reading(orders: OrderDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "orders", "orders.read")

    @get("/v1/orders/bases", **declared("orders.bases", "listBases", "法律依据 / Legal bases"))
    def list_bases() -> BasisList:
        """指令可依据的规定 / What orders may rest on."""
        return BasisList(
            [BasisTold(it.id, {"zh": it.zh, "en": it.en}, list(it.kinds), it.needs_text) for it in bases().values()]
        )

    @get("/v1/orders", **declared("orders", "listOrders", "指令 / List orders"))
    def page(  # a filter each
        states: Annotated[
            list[State] | None, QueryParameter(name="state", description="状态,可多个 / states, may be repeated")
        ] = None,
        kind: Annotated[Kind | None, QueryParameter(description="类别 / kind")] = None,
        agency: Annotated[str, QueryParameter(max_length=100, description="发文机关 / issuing agency")] = "",
        text: Annotated[str, QueryParameter(max_length=100, description="编号或文号开头 / id, begin of document")] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="每页件数 / orders on a page")] = 50,
        cursor: Annotated[int, QueryParameter(ge=0, le=COUNTED, description="上一页给出的 / of the page before")] = 0,
    ) -> OrderList:
        """最近变动者在前;号码已掩码 / What changed last first; numbers are masked."""
        query = OrderQuery(states=tuple((states or [])[:8]), kind=kind or "", agency=agency, text=text)
        return _done(lambda: _page(orders, query, limit, cursor))

    @post(
        "/v1/orders/search",
        **declared("orders.search", "searchOrders", "按号码查指令 / Orders that cover a number"),
        status_code=200,
        request_max_body_size=_BODY,
    )
    def search(data: JSONBody[OrderNumber]) -> OrderList:
        """最多 500 件 / At most 500."""
        key = orders.orders.numbering.read(data.number).key
        return _done(lambda: _page(orders, OrderQuery(number=key or -1), 500, 0))

    @get(
        "/v1/orders/{order:str}",
        **declared("order", "readOrder", "一件指令及其经过 / One order and its story", 404, 422),
        description="号码已掩码;`unmask=true` 须有 numbers.unmask 权限,并在 Hutong-Purpose 头中说明用途。\n\n"
        "Numbers are masked; `unmask=true` needs the permission numbers.unmask and a purpose in the header "
        "Hutong-Purpose.",
    )
    def story(
        request: AnyRequest,
        order: OrderId,
        unmask: Unmask = False,  # noqa: FBT002  # a query's switch
        purpose: Purpose = "",
    ) -> OrderStory:
        found = _done(lambda: orders.orders.order(order))
        if unmask:
            desk.unmask(request, purpose, target=f"orders/{found.id}")
        events = [
            OrderEventTold(
                it.seq,
                rfc3339_ms(it.time_ms),
                it.who,
                it.action,
                str(it.said.get("reason", "")) if unmask else masked(str(it.said.get("reason", ""))),
            )
            for it in _done(lambda: orders.orders.events(order))
        ]
        return OrderStory(_told(found, orders, whole=unmask), events)

    return [list_bases, page, search, story]


def _changing(orders: OrderDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "orders")

    def do(request: AnyRequest, order: str, action: Action, data: OrderDeed, key: str) -> OrderAnswer:
        deed = Deed(action, data.reason, confirmed=data.confirmed)
        actor, now = actor_of(request), desk.now_ms()
        return _done(lambda: _answer(orders.do(order, deed, actor, now, version=data.version, key=key)))

    @post(
        "/v1/orders",
        **declared("orders.request", "orders.request", "requestOrder", "申请指令 / Ask for an order", 403, 404, 409),
        request_max_body_size=_BODY,
    )
    def ask(request: AnyRequest, data: JSONBody[NewOrder], key: Key = "") -> OrderAnswer:
        """须由另一人批准 / Another person must approve it."""
        begins_ms = read_ms(data.begins, "begins", 0)
        names = ("kind", "target", "role", "agency", "document", "basis_text", "reason", "term_s", "per_hour", "case")
        wish = Wish(
            **{name: getattr(data, name) for name in names},
            basis=tuple(data.basis),
            begins_ms=begins_ms,
            confirmed=data.confirmed,
        )
        return _done(lambda: _answer(orders.request(wish, actor_of(request), desk.now_ms(), key=key)))

    def deciding(permission: str, action: Action, id_: str, summary: str) -> HTTPRouteHandler:
        @post(
            f"/v1/orders/{{order:str}}/{action}",
            **declared(permission, f"orders.{action}", id_, summary, *_REFUSALS),
            status_code=200,
            request_max_body_size=_BODY,
            description="决定即记录在案,一秒内在筛查进程生效;名单或数据库繁忙时由系统补上,无需重发。\n\n"
            "The decision is on record when this is answered, and in force in screening within a second; where lists "
            "or records are busy the node catches up by itself."
            if action in {"approve", "lift"}
            else "尚未批准的申请 / A request that was not approved.",
        )
        def decided(request: AnyRequest, order: OrderId, data: JSONBody[OrderDeed], key: Key = "") -> OrderAnswer:
            return do(request, order, action, data, key)

        return decided

    return [
        ask,
        deciding("orders.approve", "approve", "approveOrder", "批准 / Approve an order"),
        deciding("orders.approve", "decline", "declineOrder", "驳回 / Decline an order"),
        deciding("orders.request", "withdraw", "withdrawOrder", "撤回 / Withdraw a request"),
        deciding("orders.lift", "lift", "liftOrder", "提前解除 / Lift an order early"),
    ]


def _answer(answer: Answer) -> OrderAnswer:
    return OrderAnswer(answer.order, answer.version, answer.state)


def _packs(evidence: Callable[[], EvidenceDesk], desk: Desk) -> list[HTTPRouteHandler]:
    @post(
        "/v1/orders/{order:str}/pack",
        **operation(
            desk, "orders", "evidence.pack", "orders.pack", "packOrder", "制作证据包 / Evidence pack", 403, 404, 422
        ),
        status_code=200,
        request_max_body_size=_BODY,
        description="用途写在 Hutong-Purpose 头中,记入操作记录;号码未掩码。\n\nThe purpose is in the header "
        "Hutong-Purpose, and on the trail; numbers in the pack are whole.",
    )
    def pack(request: AnyRequest, order: OrderId, purpose: Purpose = "") -> Response[bytes]:
        said = read_purpose(purpose)
        return _done(lambda: packed(evidence().of_order(order, said, actor_of(request), desk.now_ms()), order))

    @post(
        "/v1/orders/packs",
        **operation(desk, "orders", "evidence.pack", "orders.packs", "makePack", "案件或号码的证据包 / Pack", 404, 422),
        status_code=200,
        request_max_body_size=_BODY,
        description="案件,或号码与期间;用途写在 Hutong-Purpose 头中,记入操作记录。\n\nOf a case, or of a number and a "
        "period. The purpose is in the header Hutong-Purpose, and on the trail.",
    )
    def of(request: AnyRequest, data: JSONBody[PackSubject], purpose: Purpose = "") -> Response[bytes]:
        said, actor, now_ms = read_purpose(purpose), actor_of(request), desk.now_ms()
        since_ms, until_ms = read_ms(data.since, "since", 0), read_ms(data.until, "until", now_ms)

        def made() -> Response[bytes]:
            if bool(data.case) == bool(data.number):
                raise OrderRefused("field", "Name a case or a number.", where="case")
            if data.case:
                return packed(evidence().of_case(data.case, said, actor, now_ms), "case")
            return packed(evidence().of_number(data.number, since_ms, until_ms, said, actor, now_ms), "number")

        return _done(made)

    return [pack, of]
