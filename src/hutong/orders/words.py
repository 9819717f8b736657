"""Orders in words: refusals in the reader's language, and scopes, masked unless the trail holds a purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.kernel.lists.targets import Target, describe
from hutong.kernel.numbering import digits_of
from hutong.kernel.reporter import masked
from hutong.orders.model import Order  # noqa: TC001  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.numbering import Numbering
    from hutong.orders.errors import OrderRefused

#: Digits of a prefix that point to nobody: country, area and exchange.
_OPEN_DIGITS: Final = 7
#: What forms call the fields that a refusal names.
_FIELDS: Final = {
    name: f"orders.field.{name}"
    for name in ("kind", "target", "role", "per_hour", "agency", "document", "basis", "basis_text", "reason", "case")
} | {
    "begins_ms": "orders.field.begins",
    "term_s": "orders.field.days",
    "since": "orders.since",
    "until": "orders.until",
    "number": "evidence_pack.kind.number",
    "purpose": "orders.pack_purpose",
}


class Shown(msgspec.Struct, frozen=True):
    """An order as somebody sees it.

    Attributes:
        scope, reason, basis_text, ended_why: masked unless `whole`. hides: whether anything in them is hidden.
    """

    order: Order
    scope: str
    reason: str
    basis_text: str
    ended_why: str
    whole: bool
    hides: bool


def scope_of(order: Order, numbering: Numbering) -> str:
    """The scope as people write it: 13800138000, +86755*, +8621…-+8621…."""
    if order.target == "number":
        return numbering.show(order.key)
    return describe(Target(order.target, order.key, order.last))


def masked_scope(order: Order, numbering: Numbering) -> str:
    """The same with a person's digits hidden; a prefix that points to nobody stays whole."""
    if order.target == "number":
        return numbering.mask(order.key)
    if order.target == "range":
        return "-".join(numbering.mask(key) for key in (order.key, order.last))
    digits = digits_of(order.key)
    return f"+{digits[:_OPEN_DIGITS]}{'*' * (len(digits) - _OPEN_DIGITS)}*"


def shown(order: Order, numbering: Numbering, *, whole: bool = False) -> Shown:
    """An order, masked, or whole where the trail holds a purpose."""
    written = (order.reason, order.basis_text, order.ended_why)
    hidden = (masked_scope(order, numbering), *(masked(text) for text in written))
    plain = (scope_of(order, numbering), *written)
    scope, reason, basis_text, ended_why = plain if whole else hidden
    return Shown(order, scope, reason, basis_text, ended_why, whole, hides=not whole and hidden != plain)


def refusal(refused: OrderRefused, say: Callable[..., Any]) -> str:
    """Why something was refused, in the reader's language.

    Args:
        say: a text by its key, as `Console.say` for a request.
    """
    field = _FIELDS.get(refused.where)
    where = str(say(field)) if field else masked(refused.where)
    return str(say(f"orders.refused.{refused.reason.replace('-', '_')}", where=where))
