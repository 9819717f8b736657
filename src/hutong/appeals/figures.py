"""What appeals count for bulletins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from hutong.kernel.figures import Count
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection

_ROWS: Final = tables.appeals


def figures(connection: Connection, start_ms: int, end_ms: int) -> Iterator[Count]:
    """Appeals received, upheld (the block stays), lifted (wrong block), and overdue at the end of the time."""
    column = _ROWS.c
    decided = sa.and_(column.decided_ms >= start_ms, column.decided_ms < end_ms)
    still_open = sa.or_(column.decided_ms.is_(None), column.decided_ms >= end_ms)
    counted = {
        "appeals.received": sa.and_(column.found_ms >= start_ms, column.found_ms < end_ms),
        "appeals.upheld": sa.and_(decided, column.state == "upheld"),
        "appeals.lifted": sa.and_(decided, column.state == "lifted"),
        "appeals.overdue": sa.and_(column.found_ms < end_ms, column.due_ms < end_ms, still_open),
    }
    for name, condition in counted.items():
        chosen = sa.select(column.city, column.operator, sa.func.count()).where(condition)
        for city, operator, value in connection.execute(chosen.group_by(column.city, column.operator)):
            yield Count(name, city, operator, int(value))
