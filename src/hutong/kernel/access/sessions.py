"""Sessions: what a browser's cookie stands for. The cookie's value is never kept, only its hash.

A session ends after so many hours, after so long without use, at signing out, and with every change of the account's
password, role or standing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.account import COLUMNS, Account, account_of
from hutong.kernel.access.agencies import units_of
from hutong.kernel.access.errors import SignInRefused
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.recent import Recent
from hutong.kernel.access.throttle import address_text
from hutong.kernel.access.viewer import Viewer
from hutong.kernel.records import RecordsError, tables

if TYPE_CHECKING:
    from hutong.kernel.records import Connection, Database

_HOUR_MS, _MINUTE_MS = 3_600_000, 60_000
_SECRET_BYTES = 32
_SEEN_SHARE = 20  # use is noted when a twentieth of the idle time has gone by, at most once a minute
_MOST_ENDED = 4096  # remembered, in case the records do not
_SESSIONS = tables.sessions


class Session(msgspec.Struct, frozen=True):
    """A session as its owner sees it: where it was begun, when, when it was last used (ms since 1970)."""

    address: str
    started_ms: int
    seen_ms: int
    own: bool
    """Whether it is the one that asks."""


class Sessions:
    """The sessions in the records.

    Args:
        database: opened by whoever made it.
        session_hours: longest life. idle_minutes: longest time without use.
    """

    def __init__(self, database: Database, session_hours: int, idle_minutes: int) -> None:
        self._database = database
        self._life_ms = session_hours * _HOUR_MS
        self._idle_ms = idle_minutes * _MINUTE_MS
        self._recent: Recent[tuple[Viewer, Account]] = Recent()
        self._ended: dict[str, None] = {}
        self._ending = threading.Lock()

    def start(self, account: Account, address: str, now_ms: int) -> str:
        """Begin a session with a fresh id; returns the cookie's value, 256 random bits as 43 characters.

        Raises:
            SignInRefused: the account has been disabled meanwhile.
        """
        cookie = secrets.token_urlsafe(_SECRET_BYTES)
        with self._database.write() as connection:
            self._insert(connection, cookie, account.name, address, now_ms, now_ms)
        return cookie

    def _insert(  # a row's own columns
        self, connection: Connection, cookie: str, name: str, address: str, started_ms: int, now_ms: int
    ) -> None:
        enabled = sa.select(tables.accounts.c.name).where(tables.accounts.c.name == name, ~tables.accounts.c.disabled)
        # Locked until the end, so that disabling the account comes before or ends this session too.
        if connection.execute(enabled.with_for_update()).first() is None:
            raise SignInRefused(name)
        connection.execute(
            sa.insert(_SESSIONS).values(
                id=_id(cookie),
                account=name,
                address=address_text(address),
                started_ms=started_ms,
                seen_ms=now_ms,
                ends_ms=self._ends(started_ms, now_ms),
            )
        )

    def _ends(self, started_ms: int, seen_ms: int) -> int:
        return min(started_ms + self._life_ms, seen_ms + self._idle_ms)

    def viewer(self, cookie: str, address: str, now_ms: int) -> tuple[Viewer, Account] | None:
        """Who this cookie stands for, and that person's account; None where it stands for nobody any more.

        What is returned may be one second old.
        """
        name = _id(cookie)
        if name in self._ended:
            return None
        found = self._recent.get(name, now_ms) or self._look_up(name, cookie, now_ms)
        if found is None:
            return None
        viewer, account = found
        return msgspec.structs.replace(viewer, address=address), account

    def _look_up(self, name: str, cookie: str, now_ms: int) -> tuple[Viewer, Account] | None:
        times = (_SESSIONS.c.started_ms, _SESSIONS.c.seen_ms, _SESSIONS.c.ends_ms)
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(*COLUMNS, *times)
                .join_from(_SESSIONS, tables.accounts, _SESSIONS.c.account == tables.accounts.c.name)
                .where(_SESSIONS.c.id == name)
            ).first()
            units = None if row is None else units_of(connection, row.role, [row.agency])
        if row is None or now_ms >= row.ends_ms or row.disabled:
            return None
        ends_ms = self._note_use(name, row, now_ms)
        account = account_of(row)
        viewer = Viewer(
            name=account.name,
            title=account.title,
            role=account.role,
            permissions=permissions_of(account.role),
            units=units,
            via="session",
            csrf=_csrf(cookie),
            agency=row.agency,
        )
        self._recent.put(name, (viewer, account), now_ms, ends_ms)
        return viewer, account

    def _note_use(self, name: str, row: sa.Row[Any], now_ms: int) -> int:
        if now_ms - row.seen_ms < min(_MINUTE_MS, self._idle_ms // _SEEN_SHARE):
            return int(row.ends_ms)
        ends_ms = self._ends(row.started_ms, now_ms)
        try:
            with self._database.write() as connection:
                values = {"seen_ms": now_ms, "ends_ms": ends_ms}
                connection.execute(sa.update(_SESSIONS).where(_SESSIONS.c.id == name).values(**values))
        except RecordsError:
            # Records that cannot be written can be read: pages show, signing out works, the session lives no longer.
            return int(row.ends_ms)
        return ends_ms

    def rotate(self, cookie: str, address: str, now_ms: int) -> str | None:
        """Give a session another id, as long to live as before; None where it is over."""
        with self._database.write() as connection:
            mine = sa.and_(_SESSIONS.c.id == _id(cookie), _SESSIONS.c.ends_ms > now_ms)
            row = connection.execute(sa.select(_SESSIONS).where(mine).with_for_update()).first()
            if row is None:
                return None
            connection.execute(sa.delete(_SESSIONS).where(_SESSIONS.c.id == row.id))
            fresh = secrets.token_urlsafe(_SECRET_BYTES)
            self._insert(connection, fresh, row.account, address, row.started_ms, now_ms)
        self._recent.drop(_id(cookie))
        return fresh

    def of(self, name: str, cookie: str, now_ms: int) -> list[Session]:
        """The sessions of an account that are not over, the one with this cookie marked; latest used first."""
        column = _SESSIONS.c
        mine = sa.select(_SESSIONS).where(column.account == name, column.ends_ms > now_ms)
        with self._database.read() as connection:
            rows = connection.execute(mine.order_by(column.seen_ms.desc(), column.id)).all()
        return [Session(row.address, row.started_ms, row.seen_ms, row.id == _id(cookie)) for row in rows]

    def renew(self, cookie: str) -> None:
        """Ask the records at the next use: what is kept of this session's account has just been changed."""
        self._recent.drop(_id(cookie))

    def end_others(self, name: str, cookie: str) -> int:
        """End every session of an account but the one with this cookie; returns how many."""
        with self._database.write() as connection:
            others = sa.and_(_SESSIONS.c.account == name, _SESSIONS.c.id != _id(cookie))
            ended = connection.execute(sa.delete(_SESSIONS).where(others)).rowcount
        self._recent.clear()
        return ended

    def end(self, cookie: str) -> None:
        """End this session: in this process whatever happens, and in the others once the records keep it.

        Raises:
            RecordsError: they do not.
        """
        name = _id(cookie)
        with self._ending:
            if len(self._ended) >= _MOST_ENDED:
                del self._ended[next(iter(self._ended))]
            self._ended[name] = None
        self._recent.drop(name)
        with self._database.write() as connection:
            connection.execute(sa.delete(_SESSIONS).where(_SESSIONS.c.id == name))


def _id(cookie: str) -> str:
    """No salt and no slow hash: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _csrf(cookie: str) -> str:
    """What forms of this session send back; says nothing of the cookie, and cannot be made without it."""
    return hmac.new(cookie.encode("utf-8", "surrogatepass"), b"hutong csrf", hashlib.sha256).hexdigest()
