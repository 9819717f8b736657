"""Secrets that lie outside of the records and of every backup, known again by a mark that the records keep.

A restored backup comes without these keys. Without the mark a new key would be made silently, and whoever was known
before would be a stranger from then on; with it the missing key is said, and nothing goes on under another one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret
from hutong.kernel.records.key_tables import key_marks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.records import Database

_BYTES: Final = 32
_MARK: Final = b"hutong-key-mark-1"
_LENGTH: Final = 32
_FIX: Final = "Put the mirror of the folder of keys in its place, or see `hutong codes people-key` (docs/status.md)."


class KeyMarks:
    """The marks in the records.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, name: str) -> str:
        """The mark of a key; empty where the records know none."""
        with self._database.read() as connection:
            return connection.execute(sa.select(key_marks.c.mark).where(key_marks.c.name == name)).scalar() or ""

    def keep(self, name: str, mark: str) -> str:
        """Keep the mark of a key unless there is one; gives what is kept."""
        with self._database.write() as connection:
            own = sqlite if self._database.is_sqlite else postgresql
            connection.execute(own.insert(key_marks).values(name=name, mark=mark).on_conflict_do_nothing())
            return self.known(name)

    def forget(self, name: str) -> bool:
        """Let a key go that is lost: the next that is made will be the one. Says whether there was a mark."""
        with self._database.write() as connection:
            return connection.execute(sa.delete(key_marks).where(key_marks.c.name == name)).rowcount > 0


def marked_secret(
    file: Path, name: str, marks: KeyMarks | None, fresh: Callable[[], bytes] = lambda: secrets.token_bytes(_BYTES)
) -> bytes:
    """The secret in a file, which the first use makes; later it must be the one whose mark the records keep.

    Args:
        name: of the mark. marks: None = there are no records, and whatever lies there is the one.

    Raises:
        StateError: it is missing though the records know of one, or is another. OSError: it cannot be made or read.
    """
    known = marks.known(name) if marks is not None else ""
    if known and not file.exists():
        raise StateError("The key is not here, and the records were written with one.", where=str(file), fix=_FIX)
    key = kept_secret(file, fresh)
    mark = hmac.new(key, _MARK, hashlib.sha256).hexdigest()[:_LENGTH]
    if marks is not None and (known or marks.keep(name, mark)) != mark:
        raise StateError("The key is another than the records were written with.", where=str(file), fix=_FIX)
    return key
