"""What orders count for bulletins: requested, approved, in force at the end, expired and lifted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from hutong.kernel.figures import Count
from hutong.kernel.numbering import Numbering, digits_of
from hutong.orders.model import STANDING
from hutong.orders.query import EVENTS, ORDERS, order_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection
    from hutong.orders.model import Order

_COUNTED: Final = {
    "request": "requested",
    "approve": "approved",
    "expire": "expired",
    "lift": "lifted",
    "supersede": "lifted",
    "notice": "lifted",
}
_BEGINS: Final = "acknowledge"
_NUMBERS: Final = Numbering()


def figures(connection: Connection, start_ms: int, end_ms: int) -> Iterator[Count]:
    """Orders of a time; `start_ms` belongs to it, `end_ms` does not."""
    counts: Counter[tuple[str, str, str]] = Counter()
    event, row = EVENTS.c, ORDERS.c
    joined = sa.join(EVENTS, ORDERS, event.order == row.id)
    within = (event.time_ms >= start_ms, event.time_ms < end_ms, event.action.in_(tuple(_COUNTED)))
    chosen = sa.select(event.action, row.body).select_from(joined).where(*within)
    for action, body in connection.execute(chosen):
        counts[f"orders.{_COUNTED[action]}", *_place(order_of(body))] += 1
    began = sa.select(event.order).where(event.action == _BEGINS, event.time_ms < end_ms)
    # What ended before and was not touched since is not read: there are years of that.
    perhaps = sa.or_(row.state.in_(STANDING), row.changed_ms >= end_ms)
    for body in connection.execute(sa.select(row.body).where(perhaps, row.id.in_(began))).scalars():
        order = order_of(body)
        if not order.ended_ms or order.ended_ms >= end_ms:
            counts["orders.in-force", *_place(order)] += 1
    for (name, city, operator), value in sorted(counts.items()):
        yield Count(name, city, operator, value)


def _place(order: Order) -> tuple[str, str]:
    """City and operator of a number; a prefix or range has none of its own."""
    if order.target != "number":
        return "", ""
    return _NUMBERS.read(f"+{digits_of(order.key)}").place
