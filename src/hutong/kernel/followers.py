"""How far somebody has followed a numbered line of rows, and which of its numbers are still owed.

The position is written in the transaction of what came of the rows, so that each has its effect once, whatever is
killed in between. What cannot be taken yet is owed: the line goes on, and the number is tried again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.kernel.records.key_tables import follower_owed, follower_positions

if TYPE_CHECKING:
    from collections.abc import Collection

    from hutong.kernel.records import Connection, Database


class Follower:
    """One follower; every method belongs to a transaction that `hold` began.

    Args:
        database: opened by whoever made it. name: of the follower.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name

    def hold(self, connection: Connection) -> None:
        """Let nobody else follow under this name until the transaction ends."""
        self._database.hold(connection, f"follower:{self._name}")

    def position(self, connection: Connection) -> int:
        """The last number that was followed; 0 at the beginning."""
        table = follower_positions
        return connection.execute(sa.select(table.c.number).where(table.c.name == self._name)).scalar() or 0

    def move(self, connection: Connection, number: int) -> None:
        """Remember a new position."""
        insert = self._insert(follower_positions).values(name=self._name, number=number)
        connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"number": number}))

    def owe(self, connection: Connection, numbers: Collection[int], again_ms: int) -> None:
        """Remember numbers that are to be tried again from a time on."""
        for number in sorted(numbers):
            insert = self._insert(follower_owed).values(name=self._name, number=number, again_ms=again_ms)
            again = {"again_ms": again_ms}
            connection.execute(insert.on_conflict_do_update(index_elements=["name", "number"], set_=again))

    def owed(self, connection: Connection, now_ms: int, limit: int) -> list[int]:
        """Numbers whose time to be tried again has come."""
        table = follower_owed
        chosen = sa.select(table.c.number).where(table.c.name == self._name, table.c.again_ms <= now_ms)
        return list(connection.execute(chosen.order_by(table.c.again_ms, table.c.number).limit(limit)).scalars())

    def count(self, connection: Connection) -> int:
        """How many numbers are owed."""
        table = follower_owed
        chosen = sa.select(sa.func.count()).select_from(table).where(table.c.name == self._name)
        return int(connection.execute(chosen).scalar_one())

    def paid(self, connection: Connection, numbers: Collection[int]) -> None:
        """Forget numbers that were owed."""
        table = follower_owed
        connection.execute(sa.delete(table).where(table.c.name == self._name, table.c.number.in_(sorted(numbers))))

    def _insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        return sqlite.insert(table) if self._database.is_sqlite else postgresql.insert(table)
