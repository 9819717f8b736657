"""How many calls there were in each minute: by rule, trunk, callee area, action, and seen in mirrored signalling.

`work` folds the journal into the records, each verdict exactly once: the counts and how far they reach are kept in one
transaction. A minute is that of the verdict, so a late one still finds its place. Whole hours are counted beside the
minutes, in rows of their own: a month of minutes would take a page a second to add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.calls.model import ACTION_BLOCK, ACTION_WARN, ACTIONS, FLAG_MIRRORED
from hutong.calls.outcomes import PHASES
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.numbering import AREAS
from hutong.kernel.records.tables import calls_minutes, calls_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hutong.calls.index import VerdictIndex
    from hutong.calls.index.part import Part
    from hutong.kernel.records import Database

#: What is counted. "mirror" has the names judged, answered, ended, lost.
KINDS: Final = ("rule", "trunk", "area", "action", "mirror")
Kind = Literal["rule", "trunk", "area", "action", "mirror"]
#: How long minutes are kept, to the hour.
KEPT_MINUTES: Final = 35 * 24 * 60
#: Areas are many: they are counted in steps of this many minutes.
AREA_MINUTES: Final = 10

_MINUTE_MS = 60_000
_HOUR = 60  # minutes
_LAST_MINUTE = 1 << 40
_ROWS_AT_ONCE = 500_000
_TURNS = 20
_FORGET_AT_ONCE = 50_000
_MIRRORED = "judged"
_TABLE, _PROGRESS = calls_minutes, calls_progress

_Key = tuple[int, str, str]
_Name = TypeVar("_Name")
_Where: TypeAlias = "tuple[sa.ColumnElement[bool], ...]"


class Counts(NamedTuple):
    """Calls, and how many of them were warned about and blocked."""

    attempts: int
    warned: int
    blocked: int


class Point(NamedTuple):
    """Counts of one step, which begins at `at_ms` (ms since 1970 UTC)."""

    at_ms: int
    attempts: int
    warned: int
    blocked: int


class History:
    """The minutes of one node.

    Args:
        database: opened by whoever made it.
        node: the node's name.
    """

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node

    # Folding

    def fold(self, index: VerdictIndex, rows_at_once: int = _ROWS_AT_ONCE, turns: int = _TURNS) -> int:
        """Count what the journal has gained; gives how many records were counted.

        Args:
            index: of the node's data folder.
            rows_at_once: records counted in one transaction, about.
            turns: transactions at most: whatever is left waits for the next time.

        Raises:
            RecordsError: the records fail; nothing of the part that was being counted is kept.
        """
        total = 0
        for _ in range(turns):
            before, folded = self.counted_to(), _Fold(index.rule_ids)
            last, rows = index.rows_after(before, rows_at_once, folded.take)
            if rows == 0 or not self._keep(before, last, folded.counts):
                break
            total += rows
        return total

    def counted_to(self) -> int:
        """The number of the last record that was counted; 0 for none."""
        with self._database.read() as connection:
            chosen = sa.select(_PROGRESS.c.seq).where(_PROGRESS.c.node == self._node)
            return int(connection.execute(chosen).scalar_one_or_none() or 0)

    def _keep(self, before: int, last: int, counts: dict[_Key, list[int]]) -> bool:
        """Add counts and move on from `before`, both or neither; False where somebody else has counted meanwhile."""
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        rows = [
            {"node": self._node, "minute": minute, "kind": kind, "name": name, **Counts(*numbers)._asdict()}
            for (minute, kind, name), numbers in sorted((counts | _by_hour(counts)).items())
        ]
        with self._database.write() as connection:
            self._database.hold(connection, f"calls-history {self._node}")
            if self.counted_to() != before:
                return False
            add = make(_TABLE)
            summed = {name: _TABLE.c[name] + add.excluded[name] for name in Counts._fields}
            if rows:
                keys = [_TABLE.c[name] for name in ("node", "minute", "kind", "name")]
                connection.execute(add.on_conflict_do_update(index_elements=keys, set_=summed), rows)
            move = make(_PROGRESS).values(node=self._node, seq=last)
            connection.execute(move.on_conflict_do_update(index_elements=[_PROGRESS.c.node], set_={"seq": last}))
        return True

    def forget(self, before_ms: int) -> int:
        """Delete minutes before a moment's hour, some at a time; gives how many rows went."""
        limit = before_ms // _MINUTE_MS // _HOUR * _HOUR
        old = sa.select(_TABLE.c.minute).where(_TABLE.c.node == self._node, _TABLE.c.minute < limit)
        gone = 0
        while gone < _FORGET_AT_ONCE:
            with self._database.write() as connection:
                oldest = connection.execute(old.order_by(_TABLE.c.minute).limit(1)).scalar_one_or_none()
                if oldest is None:
                    break
                where = (_TABLE.c.node == self._node, _TABLE.c.minute == oldest)
                gone += connection.execute(sa.delete(_TABLE).where(*where)).rowcount
        return gone

    # Asking

    def series(self, kind: Kind, name: str, since_ms: int, until_ms: int, step_minutes: int = 1) -> list[Point]:
        """Counts of one name, a point for every step of the time, empty ones too.

        Args:
            kind: what it is; of areas the name is the code with 0, "none" where the callee has none.
            name: whose counts.
            since_ms, until_ms: ms since 1970 UTC; steps are cut at multiples of their length.
            step_minutes: length of a step; for areas at least AREA_MINUTES.
        """
        return self.many(kind, [name], since_ms, until_ms, step_minutes)[name]

    def many(
        self, kind: Kind, names: Sequence[str], since_ms: int, until_ms: int, step_minutes: int = 1
    ) -> dict[str, list[Point]]:
        """`series` of several names at once."""
        step = max(step_minutes, AREA_MINUTES if kind == "area" else 1)
        first, end = since_ms // _MINUTE_MS // step * step, -(-until_ms // _MINUTE_MS)
        begins = range(first, max(end, first), step)
        passed = _TABLE.c.minute - first
        place = passed / step if self._database.is_sqlite else sa.func.div(passed, step)
        found: dict[str, dict[int, list[int]]] = {name: {} for name in names}
        with self._database.read() as connection:
            for where in self._stretches(kind, first, end, hours=step % _HOUR == 0):
                chosen = (
                    sa.select(_TABLE.c.name, sa.cast(place, sa.BigInteger).label("place"), *_sums())
                    .where(*where, _TABLE.c.name.in_(names))
                    .group_by("name", "place")
                )
                for name, at, *numbers in connection.execute(chosen):
                    _add_to(found[name], int(at), numbers)
        return {
            name: [Point(begin * _MINUTE_MS, *of.get(at, (0, 0, 0))) for at, begin in enumerate(begins)]
            for name, of in found.items()
        }

    def totals(self, kind: Kind, since_ms: int, until_ms: int) -> dict[str, Counts]:
        """Counts of every name of a kind, from the minute of one moment to before that of the other."""
        first, end = since_ms // _MINUTE_MS, -(-until_ms // _MINUTE_MS)
        found: dict[str, list[int]] = {}
        with self._database.read() as connection:
            for where in self._stretches(kind, first, end):
                for name, *numbers in connection.execute(
                    sa.select(_TABLE.c.name, *_sums()).where(*where).group_by("name")
                ):
                    _add_to(found, name, numbers)
        return {name: Counts(*numbers) for name, numbers in found.items()}

    def last(self, kind: Kind, since_ms: int) -> dict[str, int]:
        """When each name of a kind was counted last since a moment: ms at which that minute begins."""
        first = since_ms // _MINUTE_MS
        newest = sa.select(_TABLE.c.name, sa.func.max(_TABLE.c.minute)).group_by("name")
        found: dict[str, int] = {}
        with self._database.read() as connection:
            hours = newest.where(*self._whole_hours(kind, first // _HOUR * _HOUR, _LAST_MINUTE), _TABLE.c.attempts > 0)
            for hour in {int(hour) for _, hour in connection.execute(hours)}:
                minutes = self._where(kind, max(hour, first), hour + _HOUR)
                for name, minute in connection.execute(newest.where(*minutes, _TABLE.c.attempts > 0)):
                    found[name] = max(found.get(name, 0), int(minute) * _MINUTE_MS)
        return found

    def _stretches(self, kind: Kind, first: int, end: int, *, hours: bool = True) -> list[_Where]:
        """The rows that make up a time: its whole hours, and the minutes before and after them."""
        inner, outer = -(-first // _HOUR) * _HOUR, end // _HOUR * _HOUR
        if not hours or inner >= outer:
            return [self._where(kind, first, end)]
        around = ((first, inner), (outer, end))
        return [
            self._whole_hours(kind, inner, outer),
            *(self._where(kind, begin, stop) for begin, stop in around if begin < stop),
        ]

    def _where(self, kind: str, first: int, end: int) -> _Where:
        column = _TABLE.c
        return (column.node == self._node, column.kind == kind, column.minute >= first, column.minute < end)

    def _whole_hours(self, kind: str, first: int, end: int) -> _Where:
        # A sum, so that SQLite takes the index that begins with the kind and does not read all kinds' minutes.
        column, minute = _TABLE.c, _TABLE.c.minute + 0
        return (column.node == self._node, column.kind == _hourly(kind), minute >= first, minute < end)


def _hourly(kind: str) -> str:
    """The kind under which a kind's whole hours are kept."""
    return f"{kind}/hour"


def _by_hour(counts: dict[_Key, list[int]]) -> dict[_Key, list[int]]:
    hours: dict[_Key, list[int]] = {}
    for (minute, kind, name), numbers in counts.items():
        _add_to(hours, (minute // _HOUR * _HOUR, _hourly(kind), name), numbers)
    return hours


def _add_to(found: dict[_Name, list[int]], name: _Name, numbers: Sequence[int]) -> None:
    found[name] = [had + int(number) for had, number in zip(found.get(name, (0, 0, 0)), numbers, strict=True)]


def _sums() -> Iterator[sa.ColumnElement[Any]]:
    return (sa.func.sum(_TABLE.c[name]).label(name) for name in Counts._fields)


class _Fold:
    """Counts by (minute, kind, name) of stretches of parts."""

    def __init__(self, rule_ids: Callable[[Part], list[str]]) -> None:
        self._rule_ids = rule_ids
        self.counts: dict[_Key, list[int]] = {}

    def take(self, part: Part, some: slice) -> None:
        """Count some rows of a part."""
        minutes = part.column("time")[some] // _MINUTE_MS
        action = part.column("action")[some]
        verdict = part.column("kind")[some] == KIND_VERDICT
        areas = [AREAS[code] if code < len(AREAS) else str(code) for code in range(_most(part.column("area")[some]))]
        counted = (("action", ACTIONS, 1), ("trunk", part.head.trunks, 1), ("area", areas, AREA_MINUTES))
        for kind, names, step in counted:
            codes = part.column(kind)[some][verdict]
            self._add(kind, names, minutes[verdict] // step * step, codes, action[verdict])
        mirrored = verdict & (part.column("flags")[some] & np.uint16(FLAG_MIRRORED) > 0)
        self._add("mirror", [_MIRRORED], minutes[mirrored], np.zeros(mirrored.sum(), np.int64), action[mirrored])
        self._take_rules(part, some, minutes, action)
        self._take_outcomes(part, some, minutes, action)

    def _take_rules(self, part: Part, some: slice, minutes: NDArray[np.int64], action: NDArray[np.uint8]) -> None:
        for place, rule in enumerate(self._rule_ids(part)):
            rows = part.fired(place)
            low, high = np.searchsorted(rows, (some.start, some.stop))
            hit = rows[low:high] - some.start
            if hit.size:
                self._add("rule", [rule], minutes[hit], np.zeros(hit.size, np.int64), action[hit])

    def _take_outcomes(self, part: Part, some: slice, minutes: NDArray[np.int64], action: NDArray[np.uint8]) -> None:
        rows = part.column("outcome_row")
        low, high = np.searchsorted(rows, (some.start, some.stop))
        hit = rows[low:high].astype(np.int64) - some.start
        if hit.size:
            self._add("mirror", PHASES, minutes[hit], part.column("outcome_phase")[low:high], action[hit])

    def _add(
        self,
        kind: str,
        names: Sequence[str],
        minutes: NDArray[np.int64],
        codes: NDArray[Any],
        action: NDArray[np.uint8],
    ) -> None:
        if minutes.size == 0:
            return
        first = int(minutes.min())
        width = len(names)
        cells, inverse = np.unique((minutes - first) * width + codes.astype(np.int64), return_inverse=True)
        columns = (
            np.bincount(inverse),
            np.bincount(inverse, action == ACTION_WARN),
            np.bincount(inverse, action == ACTION_BLOCK),
        )
        for cell, *numbers in zip(cells.tolist(), *(column.tolist() for column in columns), strict=True):
            key = (first + cell // width, kind, names[cell % width])
            kept = self.counts.setdefault(key, [0, 0, 0])
            for at, number in enumerate(numbers):
                kept[at] += int(number)


def _most(codes: NDArray[Any]) -> int:
    return int(codes.max()) + 1 if codes.size else 0
