"""The records of a node as commands open them, and who sits at the command line."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hutong.kernel.records import Database, RecordsError, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config


@contextmanager
def open_records(
    settings: Config, *, missing: str = "There are no records yet.", existing: bool = True
) -> Iterator[Database]:
    """The records of a node, open within.

    Args:
        missing: is said where there are none.
        existing: they must be there; a command that makes the first of something makes them too.

    Raises:
        RecordsError: they cannot be opened, or never were.
    """
    database = Database(database_url(settings.records.url, settings.data))
    if existing and database.is_sqlite and not Path(database.place).exists():
        raise RecordsError(missing, where=database.place, fix="Start the node once, or check --data.")
    database.open()
    try:
        yield database
    finally:
        database.close()


def machine_user() -> str:
    """This machine's user, as the trail names it."""
    return f"local:{pwd.getpwuid(os.getuid()).pw_name}"
