"""Rows by the million of the shape of a few real ones, with the real ones scattered among them; indexes last."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.progress import Progress

    from bench.size.engines import Engine

_AT_ONCE: Final = 500_000


class Fill(NamedTuple):
    """How a table is filled: so many rows, these columns by expressions, the others as a real row has them."""

    table: sa.Table
    rows: int
    columns: dict[str, str]


def fill(engine: Engine, fills: list[Fill], progress: Progress) -> None:
    """Fill tables that hold real rows alone."""
    with engine.filling() as connection:
        for it in fills:
            _fill(engine, connection, it, progress)


def _fill(engine: Engine, connection: Any, it: Fill, progress: Progress) -> None:  # noqa: ANN401  # of either driver
    table, name = it.table, it.table.name
    kept = [column.name for column in table.columns if column.name != "number"]
    chosen = f"SELECT {', '.join(kept)} FROM {name}"  # noqa: S608  # names of our own
    real = list(connection.execute(chosen).fetchall())
    random.Random(7).shuffle(real)
    for index in table.indexes:
        connection.execute(f"DROP INDEX {index.name}")
    connection.execute(f"DELETE FROM {name}")  # noqa: S608  # as above
    columns = _columns(engine, dict(zip(kept, real[0], strict=True)), it.columns)
    marks = f"INSERT INTO {name} ({', '.join(kept)}) VALUES ({', '.join([engine.mark] * len(kept))})"  # noqa: S608
    task = progress.add_task(f"{engine.name} {name}", total=it.rows)
    parts = max(-(-it.rows // _AT_ONCE), 20)
    for part in range(parts):
        first, last = it.rows * part // parts, it.rows * (part + 1) // parts
        connection.execute("BEGIN")
        if last > first:
            connection.execute(engine.insert(name, columns, first, last))
        connection.cursor().executemany(marks, real[part::parts])
        connection.execute("COMMIT")
        progress.update(task, completed=last)
    progress.update(task, description=f"{engine.name} {name}: indexes")
    for index in table.indexes:
        connection.execute(engine.index(index))
    progress.remove_task(task)


def _columns(engine: Engine, real: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    return {name: given.get(name) or _like(engine, value) for name, value in real.items()}


def _like(engine: Engine, value: object) -> str:
    """An expression for a value of the same length."""
    match value:
        case None:
            return "NULL"
        case bytes():
            return engine.noise(len(value))
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            return str(value)
