"""Phones that may fetch somebody's codes: a long random token each, kept as its hash.

A look-up is one read by the primary key, however many people there are; a phone is written about once a day at most.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of
from hutong.codes.replicas.topics import DEVICES, device_change
from hutong.kernel.records import device_tables as tables
from hutong.kernel.replica.log import Change, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.kernel.records import Connection, Database

#: Phones of one person; with one more the one that was longest unheard of goes.
MOST: Final = 5
_TOKEN_BYTES: Final = 32
_LONGEST: Final = 64
_ROWS: Final = tables.code_devices
_BATCH: Final = 1000


class Phone(NamedTuple):
    """A phone: the hash of its token, whose codes it may fetch, the last day that it was heard of."""

    name: str
    person: str
    day: int


class Devices:
    """The phones of a node.

    Args:
        database: opened by whoever made it. keep_days: how long a phone is kept that is not heard of.
    """

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database, self._keep_days = database, keep_days

    def add(self, person: str, now_ms: int) -> str:
        """Let one more phone fetch a person's codes; gives its token, which is kept nowhere else.

        Raises:
            RecordsError: the records fail.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._database.write() as connection:
            self._database.hold(connection, f"code-devices:{person}")
            known = sa.select(_ROWS.c.token).where(_ROWS.c.person == person)
            known = known.order_by(_ROWS.c.day.desc(), _ROWS.c.made_ms.desc())
            gone = list(connection.execute(known).scalars())[MOST - 1 :]
            if gone:
                connection.execute(sa.delete(_ROWS).where(_ROWS.c.token.in_(gone)))
            row = {"token": token_hash(token), "person": person, "made_ms": now_ms, "day": day_of(now_ms)}
            connection.execute(sa.insert(_ROWS).values(row))
            here = device_change(token_hash(token), person, day_of(now_ms), self._keep_days)
            tell(self._database, connection, DEVICES, [here, *map(Change, gone)], now_ms)
        return token

    def find(self, token: str, now_ms: int) -> Phone | None:
        """Which phone a token is of; None for a token that is none, or of a phone that was let go."""
        if not 0 < len(token) <= _LONGEST:
            return None
        name = token_hash(token)
        with self._database.read() as connection:
            row = connection.execute(sa.select(_ROWS.c.person, _ROWS.c.day).where(_ROWS.c.token == name)).one_or_none()
        if row is None or row.day < day_of(now_ms) - self._keep_days:
            return None
        return Phone(name, row.person, row.day)

    def use(self, phone: Phone, now_ms: int) -> None:
        """Keep a phone for the whole time again; writes once a day."""
        today = day_of(now_ms)
        if phone.day == today:
            return
        with self._database.write() as connection:
            if connection.execute(sa.update(_ROWS).where(_ROWS.c.token == phone.name).values(day=today)).rowcount:
                told = device_change(phone.name, phone.person, today, self._keep_days)
                tell(self._database, connection, DEVICES, [told], now_ms)

    def drop(self, token: str, now_ms: int) -> bool:
        """Let a phone go; False where it was none."""
        with self._database.write() as connection:
            return bool(self._drop(connection, [_ROWS.c.token == token_hash(token)], now_ms))

    def let_go(self, connection: Connection, people: Sequence[str], now_ms: int) -> None:
        """Let every phone of these people go, within the caller's transaction."""
        some = (people[at : at + _BATCH] for at in range(0, len(people), _BATCH))
        self._drop(connection, [_ROWS.c.person.in_(it) for it in some], now_ms)

    def _drop(self, connection: Connection, which: Sequence[sa.ColumnElement[bool]], now_ms: int) -> int:
        gone: list[str] = []
        for it in which:
            gone += connection.execute(sa.delete(_ROWS).where(it).returning(_ROWS.c.token)).scalars()
        tell(self._database, connection, DEVICES, map(Change, gone), now_ms)
        return len(gone)

    def forget(self, now_ms: int) -> int:
        """Delete phones that were not heard of for long; gives how many."""
        with self._database.write() as connection:
            over = _ROWS.c.day < day_of(now_ms) - self._keep_days
            some = sa.select(_ROWS.c.token).where(over).limit(_BATCH)
            return connection.execute(sa.delete(_ROWS).where(_ROWS.c.token.in_(some))).rowcount


def token_hash(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
