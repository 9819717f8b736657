"""Tokens: how programs prove who sent them. A token is a person's, may do part of what the person may, and ends.

The secret is `hut_<id>_<43 characters>`: the prefix lets scanners of leaked code know it, the id finds its row, and
only the hash of the rest (256 random bits) is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.account import is_name, normal_name
from hutong.kernel.access.agencies import check_agency, units_of
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.recent import Recent
from hutong.kernel.access.viewer import Viewer
from hutong.kernel.records import RecordsError, tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from hutong.kernel.records import Connection, Database

_DAY_MS = 24 * 3_600_000
_USE_MS = 60_000  # use is noted at most once a minute
_SECRET_BYTES = 32
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 12
_ID = re.compile(r"[a-z2-7]{12}")
_SECRET = re.compile(r"hut_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_LONGEST_TITLE = 100
_TOKENS, _ACCOUNTS = tables.tokens, tables.accounts


class Token(msgspec.Struct, frozen=True):
    """A token, without its secret.

    Attributes:
        id: part of the secret that everybody may see. owner: name of the account.
        scopes: names of permissions. agency: whose cases alone it sees, beside its owner's own bound; empty = none.
        Times are ms since 1970; None = not so far.
    """

    id: str
    owner: str
    title: str
    scopes: frozenset[str]
    created_ms: int
    expires_ms: int
    revoked_ms: int | None
    used_ms: int | None
    agency: str = ""

    def is_live(self, now_ms: int) -> bool:
        """Whether it still opens anything."""
        return self.revoked_ms is None and now_ms < self.expires_ms


class Tokens:
    """The tokens in the records.

    Args:
        database: opened by whoever made it.
        token_days: longest life of a token.
    """

    def __init__(self, database: Database, token_days: int) -> None:
        self._database = database
        self._life_ms = token_days * _DAY_MS
        self._recent: Recent[Viewer] = Recent()

    def make(  # a token's own parts
        self, owner: str, title: str, scopes: Collection[str], expires_ms: int, now_ms: int, agency: str = ""
    ) -> tuple[Token, str]:
        """Make a token; returns it and its secret, this once.

        Raises:
            AccessError: no such enabled account or agency, no title, no scopes or some beyond the owner's role, or a
                time that is over or too far.
        """
        owner, title = normal_name(owner), " ".join(title.split())
        if not title or len(title) > _LONGEST_TITLE or not title.isprintable():
            raise AccessError("token-title", "A token needs a title.", fix="Say in 100 characters what uses it.")
        if not now_ms < expires_ms <= now_ms + self._life_ms:
            days = self._life_ms // _DAY_MS
            raise AccessError("token-expiry", "A token ends, and not too late.", fix=f"Choose within {days} days.")
        name = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
        rest = secrets.token_urlsafe(_SECRET_BYTES)
        with self._database.write() as connection:
            _check_scopes(connection, owner, frozenset(scopes))
            agency = check_agency(connection, agency)
            connection.execute(
                sa.insert(_TOKENS).values(
                    id=name,
                    owner=owner,
                    title=title,
                    scopes=" ".join(sorted(set(scopes))),
                    digest=_digest(rest),
                    created_ms=now_ms,
                    expires_ms=expires_ms,
                    agency=agency,
                )
            )
        token = Token(name, owner, title, frozenset(scopes), now_ms, expires_ms, None, None, agency)
        return token, f"hut_{name}_{rest}"

    def viewer(self, secret: str, address: str, now_ms: int) -> Viewer | None:
        """Whom this secret stands for, with the scopes that the owner's role still has; None where it opens nothing.

        What is returned may be one second old.
        """
        parts = _SECRET.fullmatch(secret)
        if parts is None:
            return None
        known = _digest(secret)
        found = self._recent.get(known, now_ms) or self._look_up(known, parts[1], parts[2], now_ms)
        return None if found is None else msgspec.structs.replace(found, address=address)

    def recent(self, secret: str, address: str, now_ms: int) -> Viewer | None:
        """What `viewer` said less than a second ago, out of memory alone; None where it must be asked."""
        found = self._recent.get(_digest(secret), now_ms)
        return None if found is None else msgspec.structs.replace(found, address=address)

    def _look_up(self, known: str, name: str, rest: str, now_ms: int) -> Viewer | None:
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(
                    _TOKENS,
                    _ACCOUNTS.c.title.label("person"),
                    _ACCOUNTS.c.role,
                    _ACCOUNTS.c.agency.label("owner_agency"),
                )
                .join_from(_TOKENS, _ACCOUNTS, _TOKENS.c.owner == _ACCOUNTS.c.name)
                .where(_TOKENS.c.id == name, ~_ACCOUNTS.c.disabled)
            ).first()
            units = None if row is None else units_of(connection, row.role, [row.owner_agency, row.agency])
        if row is None or not hmac.compare_digest(row.digest, _digest(rest)) or not _token_of(row).is_live(now_ms):
            return None
        if row.used_ms is None or now_ms - row.used_ms >= _USE_MS:
            # Programs go on screening calls while the records cannot be written: use is then noted later.
            with suppress(RecordsError), self._database.write() as connection:
                connection.execute(sa.update(_TOKENS).where(_TOKENS.c.id == name).values(used_ms=now_ms))
        viewer = Viewer(
            name=row.owner,
            title=row.person,
            role=row.role,
            permissions=_token_of(row).scopes & permissions_of(row.role),
            units=units,
            via="token",
            agency=row.owner_agency,
        )
        self._recent.put(known, viewer, now_ms, row.expires_ms)
        return viewer

    def of(self, owner: str) -> list[Token]:
        """The tokens of an account, newest first, those that are over too."""
        name = normal_name(owner)
        return self._listed(_TOKENS.c.owner == name) if is_name(name) else []

    def all(self) -> list[Token]:
        """Everybody's tokens, newest first, those that are over too."""
        return self._listed(sa.true())

    def _listed(self, which: sa.ColumnElement[bool]) -> list[Token]:
        with self._database.read() as connection:
            chosen = sa.select(_TOKENS).where(which).order_by(_TOKENS.c.created_ms.desc(), _TOKENS.c.id)
            return [_token_of(row) for row in connection.execute(chosen)]

    def token(self, name: str) -> Token:
        """The token with this id.

        Raises:
            AccessError: there is none (`no-token`).
        """
        found = self._listed(_TOKENS.c.id == name) if _ID.fullmatch(name) else []
        if not found:
            raise AccessError("no-token", "There is no such token.", fix="See the list of tokens.")
        return found[0]

    def revoke(self, name: str, now_ms: int) -> Token:
        """End a token for good; returns it as it is now. A second time changes nothing.

        Raises:
            AccessError: there is none (`no-token`).
        """
        with self._database.write() as connection:
            live = sa.and_(_TOKENS.c.id == self.token(name).id, _TOKENS.c.revoked_ms.is_(None))
            connection.execute(sa.update(_TOKENS).where(live).values(revoked_ms=now_ms))
            revoked = self.token(name)
        self._recent.clear()
        return revoked


def _check_scopes(connection: Connection, owner: str, scopes: frozenset[str]) -> None:
    mine = sa.select(_ACCOUNTS.c.role).where(_ACCOUNTS.c.name == owner, ~_ACCOUNTS.c.disabled)
    role = connection.execute(mine).scalar_one_or_none()
    if role is None:
        raise AccessError("no-account", "There is no such account that may have tokens.")
    beyond = sorted(scopes - permissions_of(role))
    if beyond or not scopes:
        what = f"The owner may not do this: {', '.join(beyond)}." if beyond else "A token needs a scope."
        raise AccessError("token-scope", what, fix="Choose among the permissions of the owner's role.")


def _token_of(row: sa.Row[Any]) -> Token:
    return Token(
        id=row.id,
        owner=row.owner,
        title=row.title,
        scopes=frozenset(row.scopes.split()),
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
        used_ms=row.used_ms,
        agency=row.agency,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
