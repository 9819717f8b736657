"""Accounts: making them, proving oneself, changing them. A new password, role or standing ends the account's sessions.

Passwords are hashed before a transaction begins: nobody waits for argon2 while holding a lock.
"""

from __future__ import annotations

import zoneinfo
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from hutong.kernel.access.account import (
    COLUMNS,
    LANGUAGES,
    THEMES,
    Account,
    account_of,
    is_name,
    normal_name,
    read_name,
    read_title,
)
from hutong.kernel.access.agencies import check_agency
from hutong.kernel.access.errors import AccessError, OidcRefused, SignInRefused, Throttled
from hutong.kernel.access.passwords import NOBODY, Passwords, check_password, one_time_password
from hutong.kernel.access.permissions import ROLES
from hutong.kernel.access.throttle import Attempts
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.access.oidc_identity import Identity
    from hutong.kernel.access.permissions import Role
    from hutong.kernel.records import Connection, Database

__all__ = ["FIRST", "Account", "NewPassword", "OneTime", "People", "SignInRefused", "Throttled"]

FIRST = "admin"
_FIRST_TITLE = "管理员 Administrator"
_ACCOUNTS = tables.accounts


class OneTime(msgspec.Struct, frozen=True):
    """A one-time password, and what is kept of it."""

    password: str
    kept: str


class NewPassword(msgspec.Struct, frozen=True):
    """A password that somebody may have: whose, what is kept of it, and what was kept of the old one."""

    name: str
    kept: str
    old: str


class Arrival(msgspec.Struct, frozen=True):
    """Somebody who came by a provider: the account now, and as it was before; None where it has just been made."""

    before: Account | None
    account: Account


class People:
    """The accounts in the records.

    Args:
        database: opened by whoever made it.
        passwords: shared by whatever hashes in this process; a new one unless given.
    """

    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        self._database = database
        self._passwords = passwords or Passwords()
        self._attempts = Attempts(database)

    # Asking

    def account(self, name: str) -> Account:
        """The account of this name.

        Raises:
            AccessError: there is none (`no-account`).
        """
        with self._database.read() as connection:
            return account_of(_row(connection, normal_name(name)))

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self._database.read() as connection:
            return [account_of(row) for row in connection.execute(sa.select(*COLUMNS).order_by(_ACCOUNTS.c.name))]

    # Making

    def first(self, now_ms: int) -> str | None:
        """Make the account `admin` where nobody exists yet; returns its one-time password, this once.

        None where somebody exists: of two processes that start together exactly one gets the password.
        """
        if self._anybody():
            return None
        fresh = self.one_time()
        with self._database.write() as connection:
            self._database.hold(connection, "people")
            if connection.execute(sa.select(sa.func.count()).select_from(_ACCOUNTS)).scalar_one():
                return None
            _insert(connection, FIRST, _FIRST_TITLE, "administrator", now_ms, password=fresh.kept, must_change=True)
        return fresh.password

    def _anybody(self) -> bool:
        with self._database.read() as connection:
            return connection.execute(sa.select(_ACCOUNTS.c.name).limit(1)).first() is not None

    def one_time(self) -> OneTime:
        """A fresh one-time password. Takes its time, so it is asked for before a transaction that needs one.

        Raises:
            Throttled: too many passwords are being hashed already.
        """
        password = one_time_password()
        with self._passwords.turn():
            return OneTime(password, self._passwords.hash(password))

    def add(  # an account's own parts
        self, name: str, title: str, role: Role, now_ms: int, fresh: OneTime | None = None
    ) -> str:
        """Make an account; returns its one-time password, this once.

        Args:
            fresh: made before by whoever asks within a transaction.

        Raises:
            AccessError: the name has no proper form or is taken, the title is empty, or there is no such role.
        """
        name, title = read_name(name), read_title(title)
        _check_role(role)
        fresh = fresh or self.one_time()
        try:
            with self._database.write() as connection:
                _insert(connection, name, title, role, now_ms, password=fresh.kept, must_change=True)
        except IntegrityError:
            raise AccessError("name-taken", f"There is an account {name!r} already.", fix="Choose another.") from None
        return fresh.password

    def arrive(self, identity: Identity, now_ms: int) -> Arrival:
        """The account of somebody whom the OpenID provider vouches for: made at first, brought up to date later.

        The provider says role and title; an account of this house is never taken over by name. What has changed is for
        the caller's trail, in the same transaction.

        Raises:
            SignInRefused: the account is disabled.
            OidcRefused: the name belongs to another account (`provider-account`).
        """
        name, title = read_name(identity.name), read_title(identity.title or identity.name)
        _check_role(identity.role)
        with self._database.write() as connection:
            self._database.hold(connection, "people")
            mine = _ACCOUNTS.c.subject == identity.subject
            found = connection.execute(sa.select(*COLUMNS).where(mine)).first()
            before = None if found is None else account_of(found)
            if before is None:
                if connection.execute(sa.select(_ACCOUNTS.c.name).where(_ACCOUNTS.c.name == name)).first():
                    raise OidcRefused(
                        "provider-account",
                        f"The name {name!r} belongs to another account.",
                        fix="Ask an administrator.",
                    )
                _insert(connection, name, title, identity.role, now_ms, subject=identity.subject)
            else:
                name = before.name
                if before.disabled:
                    raise SignInRefused(name)
                if before.role != identity.role:
                    _end_sessions(connection, name)
            return Arrival(before, _update(connection, name, title=title, role=identity.role, signed_in_ms=now_ms))

    # Proving oneself

    def sign_in(self, name: str, password: str, address: str, now_ms: int) -> Account:
        """The account whose name and password these are.

        Raises:
            SignInRefused: they are not, or the account is disabled; after the same work in every case.
            Throttled: too many attempts failed, or too many come at once.
        """
        name = normal_name(name)
        with self._passwords.turn(self._attempts.rank(name, address, now_ms)):
            kept = self._prove(name, password, address, now_ms)
            renewed = self._passwords.hash(password) if self._passwords.is_outdated(kept) else kept
        with self._database.write() as connection:
            if not _still(connection, name, kept):
                raise SignInRefused(name)
            self._attempts.passed(connection, name, address, now_ms)
            return _update(connection, name, password=renewed, signed_in_ms=now_ms)

    def _prove(self, name: str, password: str, address: str, now_ms: int) -> str:
        """The kept form of the password, once it has been found to fit."""
        self._attempts.begin(name, address, now_ms)
        mine = sa.select(_ACCOUNTS.c.password, _ACCOUNTS.c.disabled).where(_ACCOUNTS.c.name == name)
        with self._database.read() as connection:
            row = connection.execute(mine).first() if is_name(name) else None
        kept = NOBODY if row is None or row.disabled or row.password is None else str(row.password)
        if not self._passwords.fits(kept, password) or kept == NOBODY:
            raise SignInRefused("" if row is None else name)
        return kept

    # Changing

    def set_role(self, name: str, role: Role) -> Account:
        """Give an account another role and end its sessions; returns it as it is now.

        Raises:
            AccessError: no such account or role, the provider says its role, or it is the last administrator.
        """
        _check_role(role)
        with self._changing(name) as (connection, account):
            if account.role == role:
                return account
            _refuse_external(account)
            if role != "administrator":
                _keep_an_administrator(connection, account)
            _end_sessions(connection, account.name)
            return _update(connection, account.name, role=role)

    def set_agency(self, name: str, agency: str) -> Account:
        """Bind an account to a partner agency, or to none, and end its sessions; returns it as it is now.

        Raises:
            AccessError: no such account or agency.
        """
        with self._changing(name) as (connection, account):
            agency = check_agency(connection, agency)
            if account.agency == agency:
                return account
            _end_sessions(connection, account.name)
            return _update(connection, account.name, agency=agency)

    def set_title(self, name: str, title: str) -> Account:
        """Change the person's name as shown; returns the account as it is now.

        Raises:
            AccessError: no such account, no title, or the provider says it.
        """
        title = read_title(title)
        with self._changing(name) as (connection, account):
            _refuse_external(account)
            return _update(connection, account.name, title=title)

    def set_disabled(self, name: str, disabled: bool, now_ms: int) -> Account:  # noqa: FBT001  # the value itself
        """Disable an account, end its sessions and revoke its tokens for good; or let it in again.

        Raises:
            AccessError: no such account, or it is the last administrator.
        """
        with self._changing(name) as (connection, account):
            if disabled:
                _keep_an_administrator(connection, account)
                _end_sessions(connection, account.name)
                token = tables.tokens.c
                live = sa.and_(token.owner == account.name, token.revoked_ms.is_(None))
                connection.execute(sa.update(tables.tokens).where(live).values(revoked_ms=now_ms))
            return _update(connection, account.name, disabled=disabled)

    def reset_password(self, name: str, now_ms: int, fresh: OneTime | None = None) -> str:  # noqa: ARG002  # one form for all that makes a password
        """Give an account a one-time password, returned this once; ends its sessions, forgets failed attempts.

        Args:
            fresh: made before by whoever asks within a transaction.

        Raises:
            AccessError: no such account, or it signs in at the provider.
        """
        fresh = fresh or self.one_time()
        with self._changing(name) as (connection, account):
            _refuse_external(account)
            _end_sessions(connection, account.name)
            self._attempts.forgive(connection, account.name)
            _update(connection, account.name, password=fresh.kept, must_change=True)
        return fresh.password

    def set_password(self, name: str, old: str, new: str, now_ms: int, address: str = "") -> Account:
        """`new_password` and `put_password` in one, for who has nothing else to keep together with it."""
        return self.put_password(self.new_password(name, old, new, now_ms, address), now_ms, address)

    def new_password(  # what a proof needs
        self, name: str, old: str, new: str, now_ms: int, address: str = ""
    ) -> NewPassword:
        """Check that somebody knows the old password and may have the new one; changes nothing yet.

        Args:
            address: where the request came from; a wrong `old` counts like a failed sign-in from there.

        Raises:
            AccessError: the new password will not do; `reason` says why.
            SignInRefused: the old one is wrong. Throttled: it was so too often.
        """
        name = normal_name(name)
        check_password(new, name)
        with self._passwords.turn():
            kept = self._prove(name, old, address, now_ms)
            if self._passwords.fits(kept, new):
                raise AccessError("password-same", "The new password is the old one.", fix="Choose another.")
            return NewPassword(name, self._passwords.hash(new), kept)

    def put_password(self, new: NewPassword, now_ms: int, address: str = "") -> Account:
        """Change one's own password; ends the account's sessions, this one too: start another.

        Raises:
            SignInRefused: the account is not any more as it was when the password was checked.
        """
        with self._changing(new.name) as (connection, account):
            if not _still(connection, new.name, new.old):
                raise SignInRefused(new.name)
            self._attempts.passed(connection, account.name, address, now_ms)
            _end_sessions(connection, account.name)
            return _update(connection, account.name, password=new.kept, must_change=False)

    def set_preferences(self, name: str, language: str, zone: str, theme: str) -> Account:
        """Keep how a person wants pages; an empty text leaves it to the browser.

        Raises:
            AccessError: no such account, language, time zone or theme.
        """
        if language not in LANGUAGES or theme not in THEMES or not (zone == "" or _is_zone(zone)):
            raise AccessError("preference-unknown", "There is no such language, time zone or theme.")
        with self._changing(name) as (connection, account):
            return _update(connection, account.name, language=language, zone=zone, theme=theme)

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Connection, Account]]:
        with self._database.write() as connection:
            self._database.hold(connection, "people")
            yield connection, account_of(_row(connection, normal_name(name)))


def _row(connection: Connection, name: str) -> sa.Row[Any]:
    mine = sa.select(*COLUMNS).where(_ACCOUNTS.c.name == name)
    row = connection.execute(mine).first() if is_name(name) else None
    if row is None:
        raise AccessError("no-account", "There is no such account.", fix="See the list of accounts.")
    return row


def _insert(connection: Connection, name: str, title: str, role: Role, now_ms: int, **more: object) -> None:
    fresh = {"must_change": False, "disabled": False, "language": "", "zone": "", "theme": "", "created_ms": now_ms}
    connection.execute(sa.insert(_ACCOUNTS).values(name=name, title=title, role=role, **(fresh | more)))


def _still(connection: Connection, name: str, kept: str) -> bool:
    """Whether the account is as it was when its password was checked; it stays so until the transaction ends."""
    same = sa.and_(_ACCOUNTS.c.name == name, _ACCOUNTS.c.password == kept, ~_ACCOUNTS.c.disabled)
    return connection.execute(sa.select(_ACCOUNTS.c.name).where(same).with_for_update()).first() is not None


def _update(connection: Connection, name: str, **values: object) -> Account:
    connection.execute(sa.update(_ACCOUNTS).where(_ACCOUNTS.c.name == name).values(**values))
    return account_of(_row(connection, name))


def _end_sessions(connection: Connection, name: str) -> None:
    connection.execute(sa.delete(tables.sessions).where(tables.sessions.c.account == name))


def _keep_an_administrator(connection: Connection, account: Account) -> None:
    """One enabled administrator with a password of this house remains: a provider can take its own away at any time."""
    column = _ACCOUNTS.c
    others = connection.execute(
        sa.select(sa.func.count()).where(
            column.role == "administrator", ~column.disabled, column.password.is_not(None), column.name != account.name
        )
    ).scalar_one()
    if account.role == "administrator" and not account.disabled and not account.external and not others:
        raise AccessError(
            "last-administrator",
            f"{account.name!r} is the last administrator who can sign in here.",
            fix="Make another account administrator first.",
        )


def _refuse_external(account: Account) -> None:
    if account.external:
        raise AccessError("external", f"The OpenID provider keeps {account.name!r}.", fix="Change it there.")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise AccessError("role-unknown", f"There is no role {role!r}.", fix=f"Use one of: {', '.join(ROLES)}.")


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
