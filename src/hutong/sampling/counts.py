"""How many: samples, tubes, results and how long they took, by hour, district and station.

Rows that are kept in the transaction of the events, so that a page never looks through tubes to count them. What a tube
counts for is pure; what a transaction changes is the difference of two foldings.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.kernel.records.sampling_tables import sampling_counts as table
from hutong.kernel.records.sampling_tables import sampling_tubes as tubes
from hutong.sampling.model import STATES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hutong.kernel.records import Connection
    from hutong.sampling.fold import Story
    from hutong.sampling.model import Tube

#: Samples by when they were taken, tubes by when they were opened; results, positive ones among them, and how long they
#: took, by when they were tested.
Hourly = Literal["samples", "tubes", "results", "positives", "spent"]
HOURLY: Final[tuple[Hourly, ...]] = get_args(Hourly)
HOUR_MS: Final = 3_600_000
#: How long a result took is counted in half hours; what took longer than the last counts as that.
STEP_MS: Final = 1_800_000
MOST_STEPS: Final = 480


class Key(NamedTuple):
    """What is counted.

    Attributes:
        what: of `HOURLY`, or a state of tubes. hour: since 1970, UTC; 0 of states, which are those of now.
        station: "" of `spent`. step: of `spent` only.
    """

    what: str
    hour: int
    district: str
    station: str
    step: int = 0


def counted(its: Iterable[Tube]) -> Counter[Key]:
    """What tubes count for."""
    found: Counter[Key] = Counter()
    for it in its:
        place = (it.district, it.station)
        found[Key(it.state, 0, *place)] += 1
        found[Key("tubes", it.opened_ms // HOUR_MS, *place)] += 1
        for member in it.members:
            found[Key("samples", member.at_ms // HOUR_MS, *place)] += 1
        if it.reported_ms:
            hour = it.reported_ms // HOUR_MS
            found[Key("results", hour, *place)] += 1
            step = min(max(it.reported_ms - it.opened_ms, 0) // STEP_MS, MOST_STEPS)
            found[Key("spent", hour, it.district, "", step)] += 1
            if it.result == "positive":
                found[Key("positives", hour, *place)] += 1
    return found


class CountChanges:
    """What one transaction changes of the counts; written last in it, so that nobody waits long for its rows."""

    def __init__(self) -> None:
        self._by: Counter[Key] = Counter()

    def add(self, before: Story, after: Story) -> None:
        """What became of a barcode."""
        self._by.update(counted(after.tubes))
        self._by.subtract(counted(before.tubes))

    def forget(self, connection: Connection, barcodes: Collection[str]) -> None:
        """Take tubes away whose rows are about to be deleted; what happened stays counted until its hour is old."""
        columns = (tubes.c.state, tubes.c.district, tubes.c.station)
        chosen = sa.select(*columns, sa.func.count()).where(tubes.c.barcode.in_(barcodes)).group_by(*columns)
        for state, district, station, count in connection.execute(chosen):
            self._by[Key(state, 0, district, station)] -= count

    def write(self, connection: Connection) -> None:
        """Write it, in one order, so that nobody waits for another in a circle."""
        rows = [{**key._asdict(), "count": by} for key, by in sorted(self._by.items()) if by]
        if not rows:
            return
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
        more = {"count": table.c.count + insert.excluded.count}
        connection.execute(insert.on_conflict_do_update(index_elements=list(Key._fields), set_=more), rows)


def forget_counts(connection: Connection, before_ms: int) -> None:
    """Forget hours that are wholly before this time, and stations of which no tube is left."""
    key = [table.c[name] for name in Key._fields]
    for over in (
        (table.c.what.in_(HOURLY), table.c.hour < before_ms // HOUR_MS, table.c.hour > 0),
        (table.c.what.in_(STATES), table.c.hour == 0, table.c.count == 0),
    ):
        # What another transaction writes just now goes next time: waiting for one row while holding others would
        # let two wait in a circle.
        free = sa.select(*key).where(*over).with_for_update(skip_locked=True)
        connection.execute(sa.delete(table).where(sa.tuple_(*key).in_(free)))


def wrong_counts(connection: Connection, due: Counter[Key], since_ms: int) -> list[str]:
    """Counts that are not what they must be: of now, and of hours after `since_ms`."""
    found = Counter({Key(*row[:-1]): row[-1] for row in connection.execute(sa.select(table))})
    differ = (key for key in {*found, *due} if found[key] != due[key])
    judged = (key for key in differ if key.what in STATES or key.hour > since_ms // HOUR_MS)
    return [" ".join(map(str, (*key, found[key], due[key]))) for key in sorted(judged)]
