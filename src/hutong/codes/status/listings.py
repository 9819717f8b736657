"""Lists of changes by hand and of appeals, page by page; how many people have which colour.

Every page begins after the last id of the one before, and ids follow the time: so a page costs the same among ten
changes and among ten million. What somebody of an agency sees of changes is bounded here.
"""

from __future__ import annotations

import heapq
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.codes.status.appeals import Appeal
from hutong.codes.status.changes import HOUSE, STATES
from hutong.codes.status.colour_rules import COLOURS
from hutong.codes.status.store import change_of
from hutong.kernel.records import code_tables as tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.codes.status import changes
    from hutong.codes.status.appeals import State as AppealState
    from hutong.codes.status.changes import Change
    from hutong.codes.status.colour_rules import Colour
    from hutong.kernel.records import Database

_CHANGES: Final = tables.code_changes
_APPEALS: Final = tables.code_appeals
_COLOURS: Final = tables.code_colours
#: Of an appeal, what a list needs: the person's words stay where they are.
_TOLD: Final = [_APPEALS.c[name] for name in Appeal.__struct_fields__]
#: How long a count of people is good for: counting tens of millions takes a second.
_FRESH_MS: Final = 600_000


class ChangeQuery(msgspec.Struct, frozen=True):
    """Which changes: in these states (none = in any), older than the id `before`.

    Attributes:
        agency: of whoever looks. `HOUSE` sees all; another one what waits for a decision, and what it took part in.
    """

    states: tuple[changes.State, ...] = ()
    before: str = ""
    agency: str = HOUSE


def may_see(change: Change, agency: str) -> bool:
    """Whether somebody of an agency sees a change: one must be able to decide what any other asked."""
    taking_part = agency in {change.requested_agency, change.decided_agency}
    return agency == HOUSE or change.state == "requested" or taking_part


class ColourCounts(msgspec.Struct, frozen=True):
    """How many people have which colour, as of `at_ms`."""

    at_ms: int
    people: dict[Colour, int]


class Listings:
    """What lists are made of.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts = ColourCounts(-_FRESH_MS, {})
        self._counting = Lock()

    def changes(self, query: ChangeQuery, limit: int) -> list[Change]:
        """Changes, the latest first."""
        with self._database.read() as connection:
            found = [[change_of(row) for row in connection.execute(chosen)] for chosen in _chosen_changes(query, limit)]
        merged = heapq.merge(*found, key=lambda it: it.id, reverse=True)
        return list(islice(_distinct(merged), limit))

    def appeals(self, states: Sequence[AppealState], before: str, limit: int) -> list[Appeal]:
        """Appeals in these states, the latest first, older than the id `before`."""
        with self._database.read() as connection:
            found = []
            for state in states:
                chosen = sa.select(*_TOLD).where(_APPEALS.c.state == state, *_older(_APPEALS, before))
                rows = connection.execute(chosen.order_by(_APPEALS.c.id.desc()).limit(limit))
                found.append([Appeal(**row._mapping) for row in rows])  # noqa: SLF001  # the library's public name
        return list(islice(heapq.merge(*found, key=lambda it: it.id, reverse=True), limit))

    def colours(self, now_ms: int) -> ColourCounts:
        """How many people have which colour, counted again every ten minutes; one who asks counts for all."""
        # Nobody waits for a count while there is one that was made before.
        if not self._counting.acquire(blocking=not self._counts.people):
            return self._counts
        try:
            if now_ms - self._counts.at_ms >= _FRESH_MS:
                counted = sa.select(_COLOURS.c.colour, sa.func.count()).group_by(_COLOURS.c.colour)
                with self._database.read() as connection:
                    people = {colour: int(count) for colour, count in connection.execute(counted)}
                self._counts = ColourCounts(now_ms, {colour: people.get(colour, 0) for colour in COLOURS})
            return self._counts
        finally:
            self._counting.release()


def _chosen_changes(query: ChangeQuery, limit: int) -> Iterator[sa.Select[tuple[object, ...]]]:
    """One statement for each state and part that an agency has in changes: each goes by an index of its own."""
    for state in query.states or STATES:
        here = (_CHANGES.c.state == state, *_older(_CHANGES, query.before))
        if query.agency == HOUSE or state == "requested":
            parts: list[tuple[sa.ColumnElement[bool], ...]] = [()]
        else:
            parts = [(_CHANGES.c.requested_agency == query.agency,), (_CHANGES.c.decided_agency == query.agency,)]
        for part in parts:
            yield sa.select(_CHANGES).where(*part, *here).order_by(_CHANGES.c.id.desc()).limit(limit)


def _older(table: sa.Table, before: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.id < before.replace("\0", ""),) if before else ()


def _distinct(found: Iterator[Change]) -> Iterator[Change]:
    """Without those that follow themselves: an agency may have both asked for a change and lifted it."""
    last = ""
    for change in found:
        if change.id != last:
            yield change
        last = change.id
