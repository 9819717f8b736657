"""The records in a form that no database owns: for each table a file of JSON lines, first the columns, then the rows.

So what one engine kept can be restored into the other, and into tables that have gained columns since.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import sqlalchemy as sa

from hutong.kernel.audit.log import number_rest
from hutong.kernel.records import RecordsError
from hutong.kernel.records.change_tables import changes
from hutong.kernel.records.tables import audit_leaves, metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sqlalchemy import Table

    from hutong.kernel.records import Connection, Database

SUFFIX = ".jsonl"
#: Replicas know by their absence that records were restored, and begin anew.
LEFT_OUT = frozenset({changes.name})
_BATCH = 1000


class _Header(msgspec.Struct):
    """The first line of a table's file."""

    table: str
    columns: tuple[str, ...]


def export_records(database: Database, folder: Path, progress: Callable[[int], None]) -> dict[str, int]:
    """Write every table but `LEFT_OUT` into `folder`, all as of one moment; gives the rows of each.

    Args:
        database: open. folder: exists and has none of the files yet.
        progress: told of every so many rows.

    Raises:
        RecordsError: the database fails.
        OSError: a file cannot be written.
    """
    rows = {}
    with database.read() as connection:
        if not database.is_sqlite:
            # One view of all tables, and however long that takes; must come first in the transaction.
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        for table in metadata.sorted_tables:
            if table.name in LEFT_OUT:
                continue
            with (folder / f"{table.name}{SUFFIX}").open("xb") as out:
                rows[str(table.name)] = _export(connection, table, out, progress)
    return rows


def _export(connection: Connection, table: Table, out: BinaryIO, progress: Callable[[int], None]) -> int:
    encode = msgspec.json.Encoder().encode
    out.write(encode(_Header(str(table.name), tuple(str(column.name) for column in table.columns))) + b"\n")
    count = 0
    streamed = connection.execution_options(stream_results=True, max_row_buffer=_BATCH)
    with streamed.execute(sa.select(table).order_by(*table.primary_key)) as result:
        for rows in result.partitions(_BATCH):
            out.write(b"".join(encode(tuple(row)) + b"\n" for row in rows))
            count += len(rows)
            progress(len(rows))
    return count


def import_records(database: Database, folder: Path, counted: dict[str, int], progress: Callable[[int], None]) -> None:
    """Fill an empty database from `folder`, in one transaction.

    Args:
        database: open, its tables empty. folder: of `export_records`.
        counted: the rows that there must be of each table.
        progress: told of every so many rows.

    Raises:
        RecordsError: the database is not empty or fails; a file is of a newer version, or has other rows than counted.
    """
    with database.write() as connection:
        for table in metadata.sorted_tables:
            if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
                raise RecordsError(
                    f"The table {table.name} is not empty.",
                    where=database.place,
                    fix="Name an empty database in records.url.",
                )
        unknown = set(counted) - set(metadata.tables)
        if unknown:
            raise _newer(f"a table {min(unknown)}")
        for table in metadata.sorted_tables:
            if table.name not in counted:
                continue
            with (folder / f"{table.name}{SUFFIX}").open("rb") as source:
                found = _import(connection, table, source, progress)
            if found != counted[table.name]:
                raise RecordsError(f"{found} rows of {table.name} are there, {counted[table.name]} were backed up.")
            if found and not database.is_sqlite:
                _number_on(connection, table)
        if audit_leaves.name not in counted:  # of a version before the trail's entries had numbers
            number_rest(connection)


def _import(connection: Connection, table: Table, source: BinaryIO, progress: Callable[[int], None]) -> int:
    header = msgspec.json.decode(source.readline(), type=_Header)
    for name in header.columns:
        if name not in table.columns:
            raise _newer(f"a column {table.name}.{name}")
    decode = _decoder(table, header.columns)
    count = 0
    while rows := [dict(zip(header.columns, decode(line), strict=True)) for line in islice(source, _BATCH)]:
        connection.execute(sa.insert(table), rows)
        count += len(rows)
        progress(len(rows))
    return count


def _decoder(table: Table, columns: Iterable[str]) -> Callable[[bytes], tuple[Any, ...]]:
    """Reads a row back as the values that the columns hold: JSON alone does not know bytes from text."""
    kinds = tuple(table.columns[name].type.python_type | None for name in columns)
    row: Any = tuple
    return msgspec.json.Decoder(row[kinds]).decode


def _number_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL number new rows from where the restored ones end; SQLite does so by itself."""
    for column in _numbered(table):
        connection.execute(
            sa.text("SELECT setval(pg_get_serial_sequence(:table, :column), :last)"),
            {
                "table": table.name,
                "column": column.name,
                "last": connection.execute(sa.select(sa.func.max(column))).scalar_one(),
            },
        )


def _numbered(table: Table) -> Iterator[sa.Column[Any]]:
    yield from (column for column in table.primary_key if column.autoincrement is True)


def _newer(what: str) -> RecordsError:
    return RecordsError(
        f"The backup has {what}, which this version does not know.",
        fix="Restore it with the version that made it, or a newer one.",
    )
