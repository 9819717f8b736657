"""What reports count for bulletins: received, numbers (subjects reported), confirmed (found to be fraud)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from hutong.kernel.figures import Count
from hutong.kernel.records.report_tables import report_matters, reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection

_M, _R = report_matters.c, reports.c


def figures(connection: Connection, start_ms: int, end_ms: int) -> Iterator[Count]:
    """Reports of a time, by the reported number's city and operator; `end_ms` does not belong to it."""
    received = sa.and_(_R.received_ms >= start_ms, _R.received_ms < end_ms)
    closed = sa.and_(_M.closed_ms >= start_ms, _M.closed_ms < end_ms, _M.finding == "fraud")
    place = (_M.city, _M.operator)
    of_reports = sa.join(reports, report_matters, _M.id == _R.matter)
    for name, what, source, condition in (
        ("reports.received", sa.func.count(), of_reports, received),
        ("reports.numbers", sa.func.count(sa.distinct(_M.id)), of_reports, received),
        ("reports.confirmed", sa.func.count(), report_matters, closed),
    ):
        chosen = sa.select(*place, what).select_from(source).where(condition).group_by(*place).order_by(*place)
        for city, operator, value in connection.execute(chosen):
            yield Count(name, city, operator, value)
