"""Brings the notices that wait to their ports, at least once; one that is not taken waits longer each time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.notices import Notice, NoticeError, NoticeUnreachedError
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.kernel.cases.notices import NoticePort
    from hutong.kernel.records import Database

FIRST_WAIT_MS: Final = 10_000
LONGEST_WAIT_MS: Final = 3_600_000
#: How long a notice is tried to be brought, and how long one that was brought is kept.
KEPT_MS: Final = 7 * 24 * 3_600_000
#: How often nobody may answer at a port in one round.
PATIENT: Final = 3
_NOT_ASKED: Final = "Nobody answered before."
_LONGEST: Final = 200
_TABLE = tables.case_notices


def deliver(
    database: Database,
    ports: Sequence[NoticePort],
    now_ms: int,
    limit: int = 100,
    tell: Callable[[str, str], None] | None = None,
) -> int:
    """Bring what waits to every port; returns how many were taken by all. Nobody to take them = they count as taken.

    A port that took a notice does not get it again because another one did not. One that did not answer `PATIENT` times
    is not waited for again in this round.

    Args:
        tell: hears of each that was not taken: the port's name and why.
    """
    chosen = sa.select(_TABLE).where(_TABLE.c.next_ms <= now_ms).order_by(_TABLE.c.next_ms, _TABLE.c.id).limit(limit)
    with database.read() as connection:
        waiting = connection.execute(chosen).all()
    taken, silent = 0, Counter[str]()
    for row in waiting:
        owed = _owed(row.trouble)
        asked = [port for port in ports if not owed or port.name in owed]
        troubles = _bring(asked, msgspec.json.decode(row.body, type=Notice), silent, tell)
        trouble = msgspec.json.encode(troubles).decode() if troubles else ""
        wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(row.tries, 20))
        over = not trouble or now_ms - row.made_ms > KEPT_MS
        values = {"tries": row.tries + 1, "trouble": trouble, "next_ms": None if over else now_ms + wait_ms}
        with database.write() as connection:
            connection.execute(sa.update(_TABLE).where(_TABLE.c.id == row.id).values(values))
        taken += not trouble
    return taken


def _bring(
    ports: Sequence[NoticePort], notice: Notice, silent: Counter[str], tell: Callable[[str, str], None] | None
) -> dict[str, str]:
    """What kept each port from taking it; empty where all did."""
    troubles = {}
    for port in ports:
        if silent[port.name] >= PATIENT:
            troubles[port.name] = _NOT_ASKED
            continue
        try:
            port.deliver(notice)
        except NoticeError as error:
            silent[port.name] += isinstance(error, NoticeUnreachedError)
            troubles[port.name] = str(error)[:_LONGEST]
            if tell is not None:
                tell(port.name, str(error))
    return troubles


def _owed(trouble: str) -> frozenset[str]:
    """The ports that did not take it the last time; empty = every port."""
    return frozenset(msgspec.json.decode(trouble, type=dict[str, str])) if trouble else frozenset()


def forget_notices(database: Database, now_ms: int) -> int:
    """Delete those that were brought, or given up, and are old; returns how many."""
    old = sa.delete(_TABLE).where(_TABLE.c.made_ms < now_ms - KEPT_MS, _TABLE.c.next_ms.is_(None))
    with database.write() as connection:
        return connection.execute(old).rowcount
