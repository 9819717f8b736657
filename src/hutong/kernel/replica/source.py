"""Where a follower asks: the port, and its adapter on the records. Over HTTP it is `remote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.kernel.replica import log
from hutong.kernel.replica.log import Change, News, Topic  # noqa: TC001  # msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hutong.kernel.records import Connection, Database

#: The most that is asked for at once.
MOST: Final = 5_000


class Page(msgspec.Struct, frozen=True):
    """A part of what stands in the records, by key.

    Attributes:
        number: of the last event at the time of reading. after: where the next page begins; empty at the end.
    """

    number: int
    changes: tuple[Change, ...]
    after: str = ""


class Source(Protocol):
    """What a replica is made from."""

    def parts(self) -> tuple[str, ...]:
        """The parts of topics there are. Raises HutongError: it cannot be asked."""

    def news(self, positions: Mapping[str, int], limit: int) -> dict[str, News | None]:
        """By part, what is new after a number; None where not all of it is kept. Raises HutongError."""

    def page(self, part: str, after: str, limit: int) -> Page:
        """What stands there, after a place. Raises HutongError."""


class Table(msgspec.Struct, frozen=True):
    """A topic and what stands in the records of it.

    Attributes:
        page: gives at most so many changes of a part after a place (empty at first), and where the next begin.
    """

    topic: Topic
    page: Callable[[Connection, str, str, int], tuple[list[Change], str]]


class RecordsSource:
    """The source beside the records.

    Args:
        database: opened by whoever made it. tables: of every topic.
    """

    def __init__(self, database: Database, tables: tuple[Table, ...]) -> None:
        self._database = database
        self._tables = {part: it for it in tables for part in it.topic.parts}

    def parts(self) -> tuple[str, ...]:
        """See `Source`."""
        return tuple(self._tables)

    def news(self, positions: Mapping[str, int], limit: int) -> dict[str, News | None]:
        """See `Source`. A part that is none has nothing kept."""
        with self._database.read() as connection:
            return {
                part: log.news(connection, part, number, min(limit, MOST)) if part in self._tables else None
                for part, number in positions.items()
            }

    def page(self, part: str, after: str, limit: int) -> Page:
        """See `Source`. A part that is none is empty."""
        table = self._tables.get(part)
        if table is None:
            return Page(0, ())
        with self._database.read() as connection:  # one view: the number belongs to the rows
            found, place = table.page(connection, part, after, min(limit, MOST))
            return Page(log.newest(connection, part), tuple(found), place)
