"""Trails to verify, and ways to tamper with them that the database would not allow to an ordinary writer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hutong.kernel.access.trail import Trail
from hutong.kernel.audit.checkpoints import Checkpoints, Verification, gather_marks, trail_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.records import Connection, Database

NOW = 1_650_000_000_000


def add_entries(database: Database, count: int, who: str = "wang") -> None:
    trail = Trail(database)
    with database.write():
        for at in range(count):
            trail.record(who, "192.0.2.1", "lists.add", f"no {at}", None, {"at": at}, "as agreed", now_ms=NOW + at)


def checkpoints_of(database: Database, data: Path) -> Checkpoints:
    return Checkpoints(database, data, trail_key(data, "node1"))


def verified(database: Database, data: Path, more: bytes = b"", step: int = 5_000) -> Verification:
    """The end of a verification with the data folder's own key."""
    found = gather_marks(database, data, [trail_key(data, "node1").public], more)
    verification = Verification(database, found.marks)
    while not verification.step(step):
        pass
    return verification


@contextmanager
def tampering(database: Database) -> Iterator[Connection]:
    """A transaction of somebody whom no trigger stops."""
    with database.write() as connection:
        if database.is_sqlite:
            triggers = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
            for name in triggers.all():
                connection.execute(sa.text(f'DROP TRIGGER "{name}"'))
        else:
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        yield connection
