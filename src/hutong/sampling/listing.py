"""Lists of tubes and batches, a page at a time, by index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
import sqlalchemy as sa

from hutong.kernel.records import sampling_tables as tables
from hutong.sampling.figures import WAITING
from hutong.sampling.query import BatchRow

if TYPE_CHECKING:
    from hutong.kernel.records import Database

_TUBES, _BATCHES = tables.sampling_tubes, tables.sampling_batches
#: Rows that a list leads through, from its beginning; whoever wants others narrows it.
FARTHEST: Final = 10_000
#: Digits of a community's code, the longest.
_DIGITS: Final = 12
_Row = TypeVar("_Row", bound=msgspec.Struct)


class TubeRow(msgspec.Struct, frozen=True):
    """A tube in a list; as in `sampling_tubes`."""

    id: str
    barcode: str
    station: str
    district: str
    state: str
    batch: str
    result: str
    held: int
    calls: int
    people: int
    opened_ms: int
    reported_ms: int


class TubeQuery(msgspec.Struct, frozen=True):
    """Which tubes: all conditions must hold, empty ones do not count.

    Attributes:
        state: "waiting" = any that has no result yet. district: the beginning of its code. held: wait for a decision.
    """

    state: str = ""
    district: str = ""
    station: str = ""
    held: bool = False


class Part(msgspec.Struct, Generic[_Row], frozen=True):
    """A part of a list, and whether more follows."""

    rows: list[_Row]
    more: bool


class Listing:
    """Lists of a node's tubes and batches.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def tubes(self, query: TubeQuery, limit: int, offset: int = 0) -> Part[TubeRow]:
        """Tubes: of those that wait the longest wait first, of others what changed last."""
        chosen = sa.select(*(_TUBES.c[name] for name in TubeRow.__struct_fields__))
        states = WAITING if query.state == "waiting" else (query.state,)
        waits = query.held or set(states) <= set(WAITING)
        chosen = chosen.order_by(_TUBES.c.opened_ms if waits else _TUBES.c.last_ms.desc(), _TUBES.c.id)
        if query.held:
            chosen = chosen.where(_TUBES.c.held == sa.literal_column("1"))
        if query.state:
            chosen = chosen.where(_TUBES.c.state.in_(states))
        if query.district:
            last = query.district.ljust(_DIGITS, "9")
            chosen = chosen.where(_TUBES.c.district.between(query.district, last))
        if query.station:
            chosen = chosen.where(_TUBES.c.station == query.station)
        return self._part(chosen, TubeRow, limit, offset)

    def batches(self, limit: int, offset: int = 0, *, state: str = "", incomplete: bool = False) -> Part[BatchRow]:
        """Batches, what was handed over last first; `incomplete`: of which tubes are not known, or did not all come."""
        chosen = sa.select(_BATCHES).order_by(_BATCHES.c.handed_ms.desc(), _BATCHES.c.id)
        if state:
            chosen = chosen.where(_BATCHES.c.state == state)
        if incomplete:
            chosen = chosen.where(sa.or_(_BATCHES.c.known < _BATCHES.c.expected, _BATCHES.c.state == "partly-received"))
        return self._part(chosen, BatchRow, limit, offset)

    def _part(self, chosen: sa.Select[Any], kind: type[_Row], limit: int, offset: int) -> Part[_Row]:
        with self._database.read() as connection:
            rows = connection.execute(chosen.limit(limit + 1).offset(min(offset, FARTHEST))).mappings().all()
        found = [msgspec.convert({str(name): value for name, value in row.items()}, kind) for row in rows]
        return Part(found[:limit], len(found) > limit)
