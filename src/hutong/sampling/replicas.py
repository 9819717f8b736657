"""What replicas hold of sampling: what a person is told of a tube, by pseudonym; gone after days wherever a copy is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.records import sampling_tables
from hutong.kernel.replica.log import Change, Topic, value_of
from hutong.kernel.replica.source import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection
    from hutong.kernel.replica.store import Replica

#: What writing what people are told holds.
HELD: Final = "sampling-told"
#: What is told, by person and tube.
RESULTS: Final = Topic("results", HELD)
#: For so long replicas keep it at most: as long as a result counts for a colour.
KEPT_MS: Final = 14 * 86_400_000
_TOLD: Final = sampling_tables.sampling_told
_BETWEEN: Final = " "


class ToldResult(msgspec.Struct, frozen=True):
    """What a person is told of a tube, and since when."""

    result: str
    at_ms: int


def told_change(person: str, tube: str, result: str, at_ms: int, keep_ms: int) -> Change:
    """Something that a person is told, or is told no more. `keep_ms`: for how long the records keep it."""
    key = f"{person}{_BETWEEN}{tube}"
    if not result:
        return Change(key)
    return Change(key, value_of(ToldResult(result, at_ms)), at_ms + min(KEPT_MS, keep_ms))


def results_of(replica: Replica, person: str, now_ms: int) -> Iterator[tuple[str, ToldResult]]:
    """What a replica knows that a person is told, by tube."""
    for key, value in replica.each(RESULTS, now_ms, f"{person}{_BETWEEN}"):
        yield key.partition(_BETWEEN)[2], msgspec.json.decode(value, type=ToldResult)


def tables(keep_ms: int) -> tuple[Table, ...]:
    """The topic of sampling with what stands in the records of it. `keep_ms`: for how long they keep it."""

    def results(connection: Connection, _part: str, after: str, limit: int) -> tuple[list[Change], str]:
        chosen = sa.select(_TOLD).where(_TOLD.c.number > int(after or 0)).order_by(_TOLD.c.number).limit(limit)
        rows: list[Any] = list(connection.execute(chosen))
        found = [told_change(it.person, it.tube, it.result, it.at_ms, keep_ms) for it in rows]
        return found, str(rows[-1].number) if len(rows) == limit else ""

    return (Table(RESULTS, results),)
