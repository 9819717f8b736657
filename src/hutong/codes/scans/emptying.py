"""Tables of days that are over, emptied; their keys were destroyed before, so their rows say nothing.

PostgreSQL empties a table at once. SQLite visits each of its pages, and nobody else writes meanwhile: with seven
million scans of a day that took longer than writers wait. So there it goes in parts, indexes first, and whoever wants
to write comes between two of them. What a process that died leaves half empty is emptied by the next run.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, DropIndex

from hutong.kernel.records.scan_tables import code_scan_days, code_scans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.kernel.records import Connection, Database

#: Numbers of rows that one transaction deletes: some hundredths of a second.
AT_ONCE: Final = 50_000
#: SQLite looks every tenth of a second whether it may write.
_PAUSE_S: Final = 0.15
#: PostgreSQL's lock_not_available: what it says when a lock was not had in time.
_LOCKED: Final = "55P03"


def let_days_go(database: Database, since_day: int, pause: Callable[[float], None] = time.sleep) -> int:
    """Empty the tables of days before one; gives how many.

    Args:
        pause: waits some seconds, for others to write.

    A day that somebody reads, such as a backup, is left to the next run.

    Raises:
        RecordsError: something cannot be removed; the next run goes on.
    """
    over = code_scan_days.c.day < since_day
    with database.read() as connection:
        slots = sorted(connection.execute(sa.select(code_scan_days.c.slot).where(over)).scalars())
    days = 0
    for slot in slots:
        if database.is_sqlite:
            _thin(database, slot, since_day, pause)
        days += _let_day_go(database, slot, since_day)
    return days


def _let_day_go(database: Database, slot: int, since_day: int) -> bool:
    with database.write() as connection:
        database.hold(connection, "code-scans")
        if not _is_over(connection, slot, since_day):
            return False
        if not database.is_sqlite:
            # A backup that reads keeps the table for as long as it takes; scans that come must not wait for it.
            connection.execute(sa.text("SET LOCAL lock_timeout = '500ms'"))
        try:
            with connection.begin_nested():
                empty(connection, slot)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != _LOCKED:
                raise
            return False
    return True


def empty(connection: Connection, slot: int) -> None:
    """Empty a day's table, and let another day have it; within the transaction of who holds `code-scans`."""
    table = code_scans[slot]
    if connection.dialect.name == "sqlite":
        with _not_zeroed(connection):
            connection.execute(sa.delete(table))  # without a condition SQLite lets go of the pages whole
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    else:
        connection.execute(sa.text(f"TRUNCATE {table.name}"))
    connection.execute(sa.delete(code_scan_days).where(code_scan_days.c.slot == slot))


def _thin(database: Database, slot: int, since_day: int, pause: Callable[[float], None]) -> None:
    table = code_scans[slot]
    first = sa.select(sa.func.min(table.c.number)).scalar_subquery()
    parts: list[sa.Executable] = [DropIndex(index, if_exists=True) for index in table.indexes]
    some = sa.delete(table).where(table.c.number < first + AT_ONCE)
    while True:
        with database.write() as connection, _not_zeroed(connection):
            if not _is_over(connection, slot, since_day):
                return  # another process was faster
            if parts:
                connection.execute(parts.pop())
            elif connection.execute(some).rowcount == 0:
                return
        pause(_PAUSE_S)


def _is_over(connection: Connection, slot: int, since_day: int) -> bool:
    held = connection.execute(sa.select(code_scan_days.c.day).where(code_scan_days.c.slot == slot)).scalar()
    return held is not None and held < since_day


@contextmanager
def _not_zeroed(connection: Connection) -> Iterator[None]:
    """Debian's SQLite writes zeros over what it deletes: twice the work, and nothing gained for what has no key."""
    before = connection.exec_driver_sql("PRAGMA secure_delete").scalar_one()
    connection.exec_driver_sql("PRAGMA secure_delete=FAST")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA secure_delete={int(before)}")
