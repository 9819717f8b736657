"""What is burning: late cases by unit, step of the chain and owner; what is due soon; what waits for a second person.

Groups are counted in an index alone (`ix_cases_late`), however many cases there are. Reads only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.projection import CASES, IS_OPEN, WAITS, case_of

if TYPE_CHECKING:
    from hutong.kernel.cases.model import Case
    from hutong.kernel.cases.purview import Purview
    from hutong.kernel.records import Database

_MOST_WAITING: Final = 200


class Heat(msgspec.Struct, frozen=True):
    """Late cases of a unit or a person at one step of the chain; `oldest_ms`: the earliest due time among them."""

    name: str
    level: int
    late: int
    oldest_ms: int


class CaseBoards:
    """Counts what is late or waits.

    Args:
        database: opened by whoever made it.
        purview: the cases that are counted.
    """

    def __init__(self, database: Database, purview: Purview) -> None:
        self._database, self._purview = database, purview

    def heat(self, by: Literal["unit", "owner"], now_ms: int) -> list[Heat]:
        """Late cases by unit or owner and by step of the chain."""
        column = CASES.c[by]
        chosen = (
            sa.select(column, CASES.c.level, sa.func.count(), sa.func.min(CASES.c.next_due_ms))
            .where(IS_OPEN, CASES.c.next_due_ms < now_ms, *self._purview.conditions())
            .group_by(column, CASES.c.level)
        )
        with self._database.read() as connection:
            rows = connection.execute(chosen).all()
        found = [Heat(name, level, int(late), int(oldest)) for name, level, late, oldest in rows]
        return sorted(found, key=lambda it: (it.name, it.level))

    def due_between(self, now_ms: int, until_ms: int) -> int:
        """How many open cases are due between two moments."""
        between = (CASES.c.next_due_ms >= now_ms, CASES.c.next_due_ms < until_ms)
        chosen = sa.select(sa.func.count()).select_from(CASES).where(IS_OPEN, *between, *self._purview.conditions())
        with self._database.read() as connection:
            return int(connection.execute(chosen).scalar_one())

    def waiting(self) -> list[Case]:
        """Cases in which an action waits for a second person, what is due first stands first; 200 at most."""
        chosen = (
            sa.select(CASES.c.body)
            .where(WAITS, *self._purview.conditions())
            .order_by(CASES.c.next_due_ms)
            .limit(_MOST_WAITING)
        )
        with self._database.read() as connection:
            return [case_of(body) for body in connection.execute(chosen).scalars()]

    def waits(self) -> int:
        """How many cases `waiting` gives."""
        some = (
            sa.select(sa.literal(1))
            .select_from(CASES)
            .where(WAITS, *self._purview.conditions())
            .order_by(CASES.c.next_due_ms)
            .limit(_MOST_WAITING)
        )
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one())
