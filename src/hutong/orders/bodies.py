"""The bodies of requests and answers about orders, as typed values; the document is made from what stands here."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.kernel.web.api.bodies import Words  # noqa: TC001  # msgspec reads the annotations
from hutong.orders.model import Action, Effect, Kind, Role, State  # noqa: TC001  # as above

_Time = Annotated[str | None, Meta(description="RFC 3339, UTC")]
_Basis = Annotated[str, Meta(max_length=40, examples=["fraud-act-11"])]


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """申请指令 / An order that is asked for."""

    kind: Kind
    target: Annotated[
        str, Meta(max_length=64, description="号码、号段或区间 / number, prefix or range", examples=["13800138000"])
    ]
    agency: Annotated[str, Meta(max_length=100, description="发文机关 / issuing agency")]
    document: Annotated[str, Meta(max_length=100, description="文号 / number of its document")]
    basis: Annotated[list[_Basis], Meta(min_length=1, max_length=9, description="见 /v1/orders/bases / legal bases")]
    reason: Annotated[str, Meta(max_length=1000)]
    term_s: Annotated[int, Meta(ge=60, le=400_000_000, description="期限,秒 / term in seconds")]
    role: Annotated[Role, Meta(description="作为主叫、被叫或任一 / whose number it is in a call")] = "caller"
    basis_text: Annotated[str, Meta(max_length=500, description="条款说明 / the provision in words")] = ""
    begins: Annotated[str, Meta(max_length=40, description="RFC 3339;空则批准即开始 / empty: with the approval")] = ""
    per_hour: Annotated[int, Meta(ge=0, le=10_000, description="限制:每小时次数 / of a limit: calls an hour")] = 0
    confirmed: Annotated[bool, Meta(description="确认范围受保护或很大 / the scope is known to be guarded")] = False
    case: Annotated[str, Meta(max_length=100, description="案件编号 / id of its case")] = ""


class OrderDeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """审批、撤回或解除 / Deciding, withdrawing or lifting."""

    reason: Annotated[str, Meta(max_length=1000, description="批准以外必填 / needed except for an approval")] = ""
    confirmed: Annotated[bool, Meta(description="确认范围受保护或很大 / the scope is known to be guarded")] = False
    version: Annotated[int, Meta(ge=0, description="所见版本;0 为不论 / the version that was seen; 0 = any")] = 0


class OrderNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """号码 / A number. It stands in the body: addresses are logged."""

    number: Annotated[str, Meta(min_length=1, max_length=64, examples=["13800138000"])]


class OrderAnswer(msgspec.Struct, frozen=True):
    """结果 / What became of a request."""

    order: str
    version: int
    state: State


class OrderTold(msgspec.Struct, frozen=True):
    """指令;号码已掩码 / An order, its numbers masked."""

    id: str
    kind: Kind
    scope: str
    role: Role
    agency: str
    document: str
    basis: list[str]
    basis_text: str
    reason: str
    state: State
    effect: Effect
    per_hour: int
    guarded: str
    case: str
    requested_by: str
    requested: _Time
    decided_by: str
    decided: _Time
    starts: _Time
    ends: _Time
    in_force: _Time
    delay_ms: Annotated[int, Meta(description="批准(或起始)到生效 / from approval, or the beginning, to effect")]
    entry: Annotated[int, Meta(description="名单条目,0 为无 / its list entry, 0 = none")]
    ended: _Time
    ended_by: str
    ended_why: str
    version: int


class OrderEventTold(msgspec.Struct, frozen=True):
    """经过的一步 / Something that happened to an order."""

    seq: int
    time: str
    who: str
    action: Action
    reason: str


class OrderStory(msgspec.Struct, frozen=True):
    """指令及其经过 / An order with its whole story."""

    order: OrderTold
    events: list[OrderEventTold]


class OrderList(msgspec.Struct, frozen=True):
    """一页指令 / A page of orders. `count`: at most 10,001; `cursor`: of the next page, null at the end."""

    orders: list[OrderTold]
    count: int
    cursor: int | None


class PackSubject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """证据包的对象:案件,或号码与期间 / What a pack is about: a case, or a number and a period."""

    case: Annotated[str, Meta(max_length=100, description="案件编号 / id of a case")] = ""
    number: Annotated[str, Meta(max_length=64, description="号码 / a number")] = ""
    since: Annotated[str, Meta(max_length=40, description="RFC 3339")] = ""
    until: Annotated[str, Meta(max_length=40, description="RFC 3339;空为现在 / empty: now")] = ""


class BasisTold(msgspec.Struct, frozen=True):
    """法律依据 / A legal basis."""

    id: str
    title: Words
    kinds: list[Kind]
    needs_text: bool


class BasisList(msgspec.Struct, frozen=True):
    """法律依据表 / Every legal basis."""

    bases: list[BasisTold]
