"""Exports of tables: who may take one, and a table whose rows are all in memory, first on the trail, then as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from hutong.kernel.web.guard import demand
from hutong.kernel.web.tables import chosen, export_csv, wants_export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar import Request
    from litestar.response import Stream

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.web.console import Console
    from hutong.kernel.web.tables import TableQuery, TableSpec

Row = TypeVar("Row")


def asks_export(request: Request[Any, Any, Any], prefix: str = "") -> bool:
    """Whether the address asks for a table's export rather than its page; `prefix` as in `TableSpec`.

    Raises:
        RefusedError: it does, and the viewer may not take one.
    """
    if not wants_export(request.query_params, prefix):
        return False
    demand(request.user, "tables.export")
    return True


def export_rows(
    console: Console,
    trail: Trail,
    request: Request[Any, Any, Any],
    spec: TableSpec,
    query: TableQuery,
    rows: Iterable[Row],
    value: Callable[[Row, str], Any],
) -> Stream:
    """Every row that the filters leave, a column for each of the table's, under the table's name.

    Args:
        console: has the time. trail: told who took what.
        value: a row's value of a column.

    Raises:
        RecordsError: it could not be kept on the trail, so nothing leaves.
    """
    viewer: Viewer = request.user
    after = {"filters": query.filters}
    trail.record(viewer.name, viewer.address, "tables.export", target=spec.id, after=after, now_ms=console.now_ms())
    header = [it.key for it in spec.columns]
    kept = chosen(spec, query, rows, value)
    return export_csv(spec.id, header, ([value(row, key) for key in header] for row in kept))
