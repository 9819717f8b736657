"""Reading many rows in pages, and texts by how they begin: the same on both engines, by an index.

Pages follow one another by key, each read by itself: no transaction is open while rows are used, so whoever takes them
slowly holds up nobody, and memory holds one page however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.sql.compiler import SQLCompiler

    from hutong.kernel.records.database import Database

#: Rows of a page.
AT_ONCE: Final = 500
_LAST_LETTER: Final = "\U0010ffff"


class by_bytes(FunctionElement[str]):  # noqa: N801  # a function of SQL
    """A text compared byte by byte, as SQLite does anyway; PostgreSQL otherwise goes by the rules of a language."""

    inherit_cache = True
    type = sa.Text()


@compiles(by_bytes)
def _plain(element: by_bytes, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401  # the library's own
    return compiler.process(element.clauses, **more)


@compiles(by_bytes, "postgresql")
def _collated(element: by_bytes, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401  # as above
    return f'({compiler.process(element.clauses, **more)} COLLATE "C")'


def begins(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Texts that begin so: a range, which an index by bytes (`COLLATE "C"`) answers; `LIKE 'x%'` asks every row."""
    return sa.and_(by_bytes(column) >= text, by_bytes(column) < text + _LAST_LETTER)


def newest_first(
    database: Database, chosen: sa.Select[Any], moment: sa.Column[int], key: sa.Column[str], at_once: int = AT_ONCE
) -> Iterator[sa.Row[Any]]:
    """Every row that a query is about, each once.

    Args:
        chosen: holds both columns, in no order. moment: never changes. key: no two rows have the same.
    """
    after: list[sa.ColumnElement[bool]] = []
    while True:
        page = chosen.where(*after).order_by(moment.desc(), key).limit(at_once)
        with database.read() as connection:
            rows = connection.execute(page).all()
        yield from rows
        if len(rows) < at_once:
            return
        last = rows[-1]._mapping  # noqa: SLF001  # the library's public name for it
        behind = sa.or_(moment < last[moment], sa.and_(moment == last[moment], key > last[key]))
        after = [moment <= last[moment], behind]


def by_key(
    database: Database, chosen: sa.Select[Any], key: sa.Column[str], at_once: int = AT_ONCE
) -> Iterator[sa.Row[Any]]:
    """Every row that a query is about, each once, in the order of its key; conditions must not draw an index away."""
    last = ""
    while True:
        page = chosen.where(key > last).order_by(key).limit(at_once)
        with database.read() as connection:
            rows = connection.execute(page).all()
        yield from rows
        if len(rows) < at_once:
            return
        last = rows[-1]._mapping[key]  # noqa: SLF001  # as above


def of_keys(
    database: Database, chosen: sa.Select[Any], key: sa.Column[str], keys: Sequence[str], at_once: int = AT_ONCE
) -> Iterator[sa.Row[Any]]:
    """The rows of these keys, in their order; those that are no longer what the query is about are left out."""
    for start in range(0, len(keys), at_once):
        part = keys[start : start + at_once]
        with database.read() as connection:
            rows = {row._mapping[key]: row for row in connection.execute(chosen.where(key.in_(part)))}  # noqa: SLF001  # as above
        yield from (rows[it] for it in part if it in rows)
