"""One-time codes in the records: who proves one holds the number that it was sent to. Kept as hashes, tried five times.

Until a code is proven nothing is told of its number. A system has a table of its own with the columns that
`OneTimeCodes` names.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from hutong.kernel.errors import HutongError, StateError
from hutong.kernel.key_files import kept_secret
from hutong.kernel.letters import Letter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.letters import Postbox
    from hutong.kernel.records import Database

#: How long a code is good, and how long what it proved lasts.
CODE_MS: Final = 5 * 60_000
PROOF_MS: Final = 30 * 60_000
TRIES: Final = 5
#: Codes for one number: the most in a quarter of an hour and in a day.
OFTEN: Final = ((3, 15 * 60_000), (8, 24 * 3_600_000))
#: How long rows are kept, for the day's limit.
KEPT_MS: Final = 24 * 3_600_000

_DIGITS: Final = 6
_TICKET_BYTES: Final = 24
_LONGEST_TICKET: Final = 64
_SECRET_BYTES: Final = 32


class TooManyCodes(HutongError):  # noqa: N818  # says what happened
    """The number has had as many codes as it may, or too many wait to be sent.

    Attributes:
        wait_s: after so long another may be asked for.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__("Too many codes were asked for.", fix=f"Try again in {wait_s} s.")
        self.wait_s = wait_s


class OneTimeCodes:
    """Codes of one system.

    Args:
        database: opened by whoever made it. table: has the columns ticket, number, digest, made_ms, tries, proven_ms.
        refs: names numbers. secret: file of the key of the hashes, made where it is missing. postbox: sends.
    """

    def __init__(self, database: Database, table: sa.Table, refs: Refs, secret: Path, postbox: Postbox) -> None:
        self._database, self._refs, self._file, self.postbox = database, refs, secret, postbox
        self._table, self._column = table, table.c
        self._key = b""

    def issue(self, key: int, number: str, text: Callable[[str, int], str], language: str, now_ms: int) -> str:
        """Send a code to a number; gives the ticket that it must be shown with.

        Args:
            number: E.164 with +. text: makes the words of code and minutes.

        Raises:
            TooManyCodes: the number has had enough, or too many wait. StateError: the key cannot be used.
        """
        ticket, code = secrets.token_urlsafe(_TICKET_BYTES), f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
        ref = self._refs.ref(key)
        kept, digest = hashed(ticket), self._digest(ticket, code)
        with self._database.write() as connection:
            self._database.hold(connection, f"{self._table.name}:{ref}")
            column = self._column
            chosen = sa.select(column.made_ms).where(column.number == ref, column.made_ms > now_ms - KEPT_MS)
            made = sorted(connection.execute(chosen).scalars(), reverse=True)
            for most, span in OFTEN:
                if len(made) >= most and (wait_ms := made[most - 1] + span - now_ms) > 0:
                    raise TooManyCodes(-(-wait_ms // 1000))
            row = {"ticket": kept, "number": ref, "digest": digest, "made_ms": now_ms, "tries": 0}
            connection.execute(sa.insert(self._table).values(row))
        letter = Letter(kept[:24], number, code, CODE_MS // 60_000, language, text(code, CODE_MS // 60_000))
        if not self.postbox.put(letter):
            raise TooManyCodes(60)
        return ticket

    def prove(self, ticket: str, code: str, now_ms: int) -> str | None:
        """The proof that a right code is exchanged for; None where it is wrong, too late, or tried too often.

        The try is counted before it is looked at, so that of many at once none is free.
        """
        wanted = "".join(code.split())
        if not ticket or len(ticket) > _LONGEST_TICKET or len(wanted) != _DIGITS or not wanted.isascii():
            return None
        column = self._column
        here = column.ticket == hashed(ticket)
        good = sa.and_(here, column.tries < TRIES, column.made_ms > now_ms - CODE_MS, column.proven_ms.is_(None))
        with self._database.write() as connection:
            tried = sa.update(self._table).where(good).values(tries=column.tries + 1).returning(column.digest)
            digest = connection.execute(tried).scalar()
        if digest is None or not hmac.compare_digest(digest, self._digest(ticket, wanted)):
            return None
        proof = secrets.token_urlsafe(_TICKET_BYTES)
        with self._database.write() as connection:
            values = {"ticket": hashed(proof), "proven_ms": now_ms, "digest": ""}
            fresh = sa.update(self._table).where(here, column.proven_ms.is_(None)).values(values)
            return proof if connection.execute(fresh).rowcount == 1 else None

    def _proven(self, proof: str, now_ms: int) -> tuple[int, sa.Row[Any]] | None:
        """The key of the number that a proof stands for, and its row; None where it is none, or too old."""
        row = None
        if 0 < len(proof) <= _LONGEST_TICKET:
            good = (self._column.ticket == hashed(proof), self._column.proven_ms > now_ms - PROOF_MS)
            with self._database.read() as connection:
                row = connection.execute(sa.select(self._table).where(*good)).one_or_none()
        key = self._refs.key(row.number) if row is not None else None
        return None if row is None or key is None else (key, row)

    def forget(self, now_ms: int) -> int:
        """Delete codes of yesterday; returns how many."""
        return forget(self._database, self._table, now_ms)

    def _digest(self, ticket: str, code: str) -> str:
        if not self._key:
            try:
                self._key = kept_secret(self._file, lambda: secrets.token_bytes(_SECRET_BYTES))
            except OSError as error:
                what = f"The key of one-time codes cannot be used: {error.strerror}."
                fix = "Check that this user may read and write there."
                raise StateError(what, where=str(self._file), fix=fix) from error
        return hmac.new(self._key, f"{ticket}.{code}".encode(), hashlib.sha256).hexdigest()


def forget(database: Database, table: sa.Table, now_ms: int) -> int:
    """Delete a system's codes of yesterday; returns how many."""
    with database.write() as connection:
        return connection.execute(sa.delete(table).where(table.c.made_ms < now_ms - KEPT_MS)).rowcount


def hashed(secret: str) -> str:
    """What a ticket or a proof is kept as."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
