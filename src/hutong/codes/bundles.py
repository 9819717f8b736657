"""Bundles in the records: which handles a person has, and until when. No code is kept, nor what a code says.

Every question goes by an index, so that it takes as long with a hundred million bundles as with ten; rows go once the
last of their codes has expired.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.codes.claims import HANDLE_BYTES
from hutong.codes.replicas import topics
from hutong.codes.revocation import KEPT_MS, Revoked
from hutong.kernel.errors import HutongError
from hutong.kernel.records import bundle_tables as tables
from hutong.kernel.replica.log import tell

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hutong.codes.claims import Kind
    from hutong.kernel.records import Connection, Database

_ROWS: Final = tables.code_bundles
_REVOKED: Final = tables.code_revocations
#: Rows that one transaction deletes, so that nobody waits long for it; the rest goes next time.
AT_ONCE: Final = 5_000
_HANDLE: Final = re.compile(rf"[0-9a-f]{{{2 * HANDLE_BYTES}}}")
#: Handles in one statement.
_BATCH: Final = 500


class BundleError(HutongError):
    """A bundle that is not there."""


class BundleRow(msgspec.Struct, frozen=True):
    """A bundle that was issued.

    Attributes:
        handle: 16 hex letters. person: the pseudonym of who shows its codes.
        kind: whose, or paper. issued_ms, expires_ms: when, and when its last code expires.
    """

    handle: str
    person: str
    kind: Kind
    issued_ms: int
    expires_ms: int


class BundleStore:
    """Bundles and revocations of a node.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: Sequence[BundleRow]) -> None:
        """Keep bundles; on disk when this returns. Keep one before it is given away: else it could not be revoked.

        Raises:
            RecordsError: the database fails.
        """
        values = [msgspec.structs.asdict(row) for row in rows]
        if values:
            with self._database.write() as connection:
                connection.execute(sa.insert(_ROWS), values)
                told = [topics.bundle_change(row) for row in rows]
                tell(self._database, connection, topics.BUNDLES, told, max(row.issued_ms for row in rows))

    def of_person(self, person: str, now_ms: int) -> list[BundleRow]:
        """A person's bundles that have not expired, the newest first."""
        # PostgreSQL takes no NUL in a text.
        chosen = sa.select(_ROWS).where(_ROWS.c.person == person.replace("\0", ""), _ROWS.c.expires_ms > now_ms)
        with self._database.read() as connection:
            rows = [_row_of(it) for it in connection.execute(chosen)]
        return sorted(rows, key=lambda it: (it.issued_ms, it.handle), reverse=True)

    def bundle(self, handle: str) -> BundleRow:
        """The bundle of a handle.

        Raises:
            BundleError: there is none, or it is over.
        """
        known = sa.select(_ROWS).where(_ROWS.c.handle == (handle if _HANDLE.fullmatch(handle) else ""))
        with self._database.read() as connection:
            row = connection.execute(known).one_or_none()
        if row is None:
            what = f"There is no bundle {handle[:40]!r}, or its codes are over."
            raise BundleError(what, fix=f"A handle has {2 * HANDLE_BYTES} hex letters.")
        return _row_of(row)

    def looked_up(self, handle: str) -> tuple[str | None, bool]:
        """The person whose bundle it is (None where there is none) and whether it is revoked: one read by its key."""
        known = handle if _HANDLE.fullmatch(handle) else ""
        revoked = sa.exists().where(_REVOKED.c.handle == known)
        chosen = sa.select(sa.select(_ROWS.c.person).where(_ROWS.c.handle == known).scalar_subquery(), revoked)
        with self._database.read() as connection:
            person, is_revoked = connection.execute(chosen).one()
        return person, bool(is_revoked)

    def people_of(self, handles: Collection[str]) -> dict[str, str]:
        """The person of each handle; those that are nobody's, or forgotten, are left out."""
        found: dict[str, str] = {}
        wanted = sorted(handles)
        with self._database.read() as connection:
            for at in range(0, len(wanted), _BATCH):
                chosen = sa.select(_ROWS.c.handle, _ROWS.c.person).where(_ROWS.c.handle.in_(wanted[at : at + _BATCH]))
                found |= {row.handle: row.person for row in connection.execute(chosen)}
        return found

    # Revocation

    def revoke(self, handles: Sequence[str], now_ms: int) -> int:
        """Revoke bundles; those that are revoked already, over, or nobody's are passed over. Gives how many are new.

        Raises:
            RecordsError: the database fails.
        """
        done = 0
        with self._database.write() as connection:
            # Whoever reads up to a version must not miss an older one that is committed later.
            self._database.hold(connection, topics.HELD)
            version = max(_version(connection), now_ms)
            for at in range(0, len(handles), _BATCH):
                part = sorted({it for it in handles[at : at + _BATCH] if _HANDLE.fullmatch(it)})
                found = sa.select(_ROWS.c.handle, _ROWS.c.expires_ms).where(
                    _ROWS.c.handle.in_(part),
                    _ROWS.c.expires_ms > now_ms,
                    ~sa.exists().where(_REVOKED.c.handle == _ROWS.c.handle),
                )
                fresh = connection.execute(found.order_by(_ROWS.c.handle)).all()
                rows = [
                    {"version": version + number, "handle": row.handle, "until_ms": row.expires_ms}
                    for number, row in enumerate(fresh, 1)
                ]
                if rows:
                    connection.execute(sa.insert(_REVOKED), rows)
                    told = [topics.revoked_change(**row) for row in rows]
                    tell(self._database, connection, topics.REVOCATIONS, told, now_ms)
                version, done = version + len(rows), done + len(rows)
        return done

    def revoke_person(self, person: str, now_ms: int, *, paper: bool = True) -> int:
        """Revoke every bundle of a person; gives how many. A new colour need not reach paper, which shows none."""
        held = self.of_person(person, now_ms)
        return self.revoke([it.handle for it in held if paper or it.kind != "paper"], now_ms)

    def news(self, since: int, now_ms: int) -> tuple[int, list[Revoked]]:
        """The newest version, and the entries after version `since` that may still matter.

        The newest version is at least `since`: a verifier that was ahead of records restored from a backup stays where
        it is, and what is revoked from now on has a higher number, because numbers follow the time.
        """
        chosen = sa.select(_REVOKED).where(_REVOKED.c.version > since, _REVOKED.c.until_ms > now_ms - KEPT_MS)
        with self._database.read() as connection:
            newest = max(_version(connection), since)
            rows = connection.execute(chosen.order_by(_REVOKED.c.version)).all()
        return newest, [Revoked(int(row.version), bytes.fromhex(row.handle), int(row.until_ms)) for row in rows]

    def count_revoked(self) -> int:
        """How many entries there are."""
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_REVOKED)).scalar_one())

    # Forgetting

    def purge(self, now_ms: int, late_ms: int = 0) -> int:
        """Delete bundles whose codes are over and entries that cannot matter any more; gives how many went.

        Args:
            late_ms: for so long after the end of its codes a bundle says whose it was, to stations that merge late.
        """
        done = 0
        for table, column, before_ms in (
            (_ROWS, _ROWS.c.expires_ms, now_ms - late_ms),
            (_REVOKED, _REVOKED.c.until_ms, now_ms - KEPT_MS),
        ):
            old = sa.select(table.c.handle).where(column <= before_ms).order_by(column).limit(AT_ONCE)
            with self._database.write() as connection:
                done += connection.execute(sa.delete(table).where(table.c.handle.in_(old))).rowcount
        return done


def _version(connection: Connection) -> int:
    return int(connection.execute(sa.select(sa.func.max(_REVOKED.c.version))).scalar() or 0)


def _row_of(row: sa.Row[Any]) -> BundleRow:
    return BundleRow(row.handle, row.person, row.kind, int(row.issued_ms), int(row.expires_ms))
