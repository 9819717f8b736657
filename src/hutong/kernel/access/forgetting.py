"""What access must not keep for longer than it serves: a job carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from hutong.kernel.access.throttle import FADES_MS, KNOWN_MS
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from hutong.kernel.records import Database


def forget(database: Database, now_ms: int) -> int:
    """Delete sessions that are over, and attempts that neither count nor make a place known; returns how many went."""
    sessions, attempts = tables.sessions, tables.attempts
    idle = (attempts.c.failed_ms <= now_ms - FADES_MS, attempts.c.passed_ms <= now_ms - KNOWN_MS)
    with database.write() as connection:
        gone = (
            connection.execute(sa.delete(sessions).where(sessions.c.ends_ms <= now_ms)).rowcount,
            connection.execute(sa.delete(attempts).where(*idle)).rowcount,
        )
    return sum(gone)
