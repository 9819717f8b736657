"""Brings the notices that wait to their ports, at least once; one that is not taken waits longer each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.notices import Notice, NoticeError
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.kernel.cases.notices import NoticePort
    from hutong.kernel.records import Database

FIRST_WAIT_MS: Final = 10_000
LONGEST_WAIT_MS: Final = 3_600_000
#: How long a notice is tried to be brought, and how long one that was brought is kept.
KEPT_MS: Final = 7 * 24 * 3_600_000
_TABLE = tables.case_notices


def deliver(
    database: Database,
    ports: Sequence[NoticePort],
    now_ms: int,
    limit: int = 100,
    tell: Callable[[str, str], None] | None = None,
) -> int:
    """Bring what waits to every port; returns how many were taken by all. Nobody to take them = they count as taken.

    Args:
        tell: hears of each that was not taken: the port's name and why.
    """
    chosen = sa.select(_TABLE).where(_TABLE.c.next_ms <= now_ms).order_by(_TABLE.c.next_ms, _TABLE.c.id).limit(limit)
    with database.read() as connection:
        waiting = connection.execute(chosen).all()
    taken = 0
    for row in waiting:
        trouble = _bring(ports, msgspec.json.decode(row.body, type=Notice), tell)
        wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(row.tries, 20))
        over = not trouble or now_ms - row.made_ms > KEPT_MS
        values = {"tries": row.tries + 1, "trouble": trouble[:500], "next_ms": None if over else now_ms + wait_ms}
        with database.write() as connection:
            connection.execute(sa.update(_TABLE).where(_TABLE.c.id == row.id).values(values))
        taken += not trouble
    return taken


def _bring(ports: Sequence[NoticePort], notice: Notice, tell: Callable[[str, str], None] | None) -> str:
    """What kept a port from taking it; empty where all did. Ports that took it before get it again: it has an id."""
    troubles = []
    for port in ports:
        try:
            port.deliver(notice)
        except NoticeError as error:
            troubles.append(f"{port.name}: {error}")
            if tell is not None:
                tell(port.name, str(error))
    return "; ".join(troubles)


def forget_notices(database: Database, now_ms: int) -> int:
    """Delete those that were brought, or given up, and are old; returns how many."""
    old = sa.delete(_TABLE).where(_TABLE.c.made_ms < now_ms - KEPT_MS, _TABLE.c.next_ms.is_(None))
    with database.write() as connection:
        return connection.execute(old).rowcount
