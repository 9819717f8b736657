"""What hand-offs count for bulletins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from hutong.kernel.figures import Count
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection

_ROWS: Final = tables.handoffs


def figures(connection: Connection, start_ms: int, end_ms: int) -> Iterator[Count]:
    """People handed over; of those answered in the time how many were reached or not; money saved and lost, yuan."""
    column = _ROWS.c
    made = sa.and_(column.found_ms >= start_ms, column.found_ms < end_ms)
    answered = sa.and_(column.answered_ms >= start_ms, column.answered_ms < end_ms)
    counted: dict[str, tuple[sa.ColumnElement[int], sa.ColumnElement[bool]]] = {
        "handoff.made": (sa.func.count(), made),
        "handoff.reached": (sa.func.count(), sa.and_(answered, column.answer == "reached")),
        "handoff.not-reached": (sa.func.count(), sa.and_(answered, column.answer == "not-reached")),
        "handoff.saved": (sa.func.sum(column.saved), answered),
        "handoff.lost": (sa.func.sum(column.lost), answered),
    }
    for name, (value, condition) in counted.items():
        chosen = sa.select(column.city, column.operator, value).where(condition)
        for city, operator, found in connection.execute(chosen.group_by(column.city, column.operator)):
            if found:
                yield Count(name, city, operator, int(found))
