"""Reading sampling: a barcode's story, people's results, recalls, conflicts, batches, stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from hutong.kernel.records import sampling_tables as tables
from hutong.sampling.fold import Story, fold
from hutong.sampling.model import Event, Kept, ResultReported, Told, Tube, told_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hutong.kernel.records import Connection, Database

EVENTS: Final = tables.sampling_events
_TUBES, _PEOPLE, _CONFLICTS = tables.sampling_tubes, tables.sampling_people, tables.sampling_conflicts
_TOLD, _BATCHES, _STATIONS = tables.sampling_told, tables.sampling_batches, tables.sampling_stations
CALLS: Final = _TUBES.c.calls == sa.literal_column("1")
_REPORTED: Final = _TUBES.c.reported_ms > sa.literal_column("0")
#: Tubes that say how long it takes from the sample to its test.
_LATEST: Final = 10_000
_Row = TypeVar("_Row", bound=msgspec.Struct)
_event = msgspec.json.Decoder(Event)
_tube = msgspec.json.Decoder(Tube)


class Found(msgspec.Struct, frozen=True):
    """A conflict and when it was found."""

    rule: str
    barcode: str
    tube: str
    about: str
    found_ms: int


class BatchRow(msgspec.Struct, frozen=True):
    """A batch: `expected` tubes by the hand-over, `known` by now, `received` of them."""

    id: str
    state: str
    station: str
    courier: str
    laboratory: str
    expected: int
    known: int
    received: int
    handed_ms: int
    received_ms: int


class StationRow(msgspec.Struct, frozen=True):
    """A station.

    Attributes:
        contact_ms: when it was last heard of. offset_ms: its clock was behind by so much. sequence: its highest number.
        waiting: events that it had not sent then.
    """

    station: str
    contact_ms: int
    offset_ms: int
    sequence: int
    district: str = ""
    waiting: int = 0


class PersonResult(msgspec.Struct, frozen=True):
    """What a person is told of one tube."""

    tube: str
    at_ms: int
    result: Told
    reported_ms: int


class ResultNews(msgspec.Struct, frozen=True):
    """What a person is told of a tube, for whoever follows results.

    Attributes:
        result: "" takes back what was said. over: something else was said of person and tube since.
        sampled_ms: when the sample was taken. people: whose samples the result may be of.
    """

    number: int
    person: str
    tube: str
    result: Told
    over: bool = False
    sampled_ms: int = 0
    people: int = 1
    laboratory: str = ""


class Called(msgspec.Struct, frozen=True):
    """A tube whose people are, or should be, called for single tests; `open`: those who were not tested since."""

    tube: Tube
    open: tuple[str, ...]


class SamplingReader:
    """Looks at the tubes of a node.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def story(self, barcode: str) -> Story:
        """What is known of a barcode; a story without tubes where nothing is."""
        return fold(barcode, self.events(barcode))

    def events(self, barcode: str) -> list[Kept]:
        """What happened to it, in the order of time."""
        with self._database.read() as connection:
            found = events_of(connection, {barcode}).get(barcode, [])
        return sorted(found, key=lambda it: (it.time_ms, it.event.sequence, it.event.id))

    def histories(self, barcodes: Iterable[str]) -> dict[str, list[Kept]]:
        """What happened to several barcodes."""
        with self._database.read() as connection:
            return events_of(connection, barcodes)

    def conflicts(self, *, barcode: str = "", rule: str = "", limit: int = 50) -> list[Found]:
        """Conflicts, the latest first."""
        chosen = sa.select(_CONFLICTS).order_by(_CONFLICTS.c.found_ms.desc(), _CONFLICTS.c.barcode).limit(limit)
        if barcode:
            chosen = chosen.where(_CONFLICTS.c.barcode == barcode)
        if rule:
            chosen = chosen.where(_CONFLICTS.c.rule == rule)
        return self._rows(chosen, Found)

    def results_of(self, person: str, limit: int = 50) -> list[PersonResult]:
        """What somebody is told of the tubes that their samples are in, the latest first."""
        chosen = (
            sa.select(_PEOPLE.c.tube, _TUBES.c.body)
            .join(_TUBES, _TUBES.c.id == _PEOPLE.c.tube)
            .where(_PEOPLE.c.person == person)
            .order_by(_PEOPLE.c.at_ms.desc())
            .limit(limit)
        )
        found = []
        with self._database.read() as connection:
            for of, body in connection.execute(chosen):
                tube = _tube.decode(body)
                member = next(it for it in tube.members if it.person == person)
                found.append(PersonResult(of, member.at_ms, told_of(tube, member), tube.reported_ms))
        return found

    def told_since(self, number: int, limit: int = 1000) -> tuple[int, list[ResultReported]]:
        """What people are to be told after this number, in order; and the number to ask from next."""
        chosen = sa.select(_TOLD).where(_TOLD.c.number > number).order_by(_TOLD.c.number).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(chosen).all()
        found = [ResultReported(row.person, row.tube, row.result, row.at_ms) for row in rows]
        return (rows[-1].number if rows else number), found

    def news(self, after: int, limit: int, numbers: Sequence[int] | None = None) -> list[ResultNews]:
        """What people are told after a number, or at some numbers, with the sample; what was said again later is not.

        Args:
            numbers: of what is asked for; None = all after `after`.
        """
        later = _TOLD.alias("later")
        same = (later.c.person == _TOLD.c.person, later.c.tube == _TOLD.c.tube, later.c.number > _TOLD.c.number)
        told = _TOLD.c.number > after if numbers is None else _TOLD.c.number.in_(numbers)
        chosen = sa.select(_TOLD, sa.exists().where(*same).label("over")).where(told)
        with self._database.read() as connection:
            rows = connection.execute(chosen.order_by(_TOLD.c.number).limit(limit)).all()
            bodies = sa.select(_TUBES.c.body).where(_TUBES.c.id.in_({row.tube for row in rows}))
            tubes = {it.id: it for it in map(_tube.decode, connection.execute(bodies).scalars())}
        return [_news(row, tubes.get(row.tube)) for row in rows]

    def told_last(self) -> int:
        """The number of what was told last; 0 where nothing was."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(_TOLD.c.number))).scalar() or 0

    def calls(self, limit: int = 50) -> list[Called]:
        """Tubes of which somebody is still to be tested singly, the earliest first."""
        chosen = sa.select(_TUBES.c.body).where(CALLS, is_open_call()).order_by(_TUBES.c.opened_ms, _TUBES.c.id)
        with self._database.read() as connection:
            tubes = [_tube.decode(body) for body in connection.execute(chosen.limit(limit)).scalars()]
            return list(self._open_calls(connection, tubes))

    def _open_calls(self, connection: Connection, tubes: list[Tube]) -> Iterator[Called]:
        people = {it.person for tube in tubes for it in tube.members}
        single = sa.select(_PEOPLE.c.person, _PEOPLE.c.at_ms).where(_PEOPLE.c.person.in_(people), _PEOPLE.c.retest == 1)
        tested: dict[str, int] = {}
        for person, at_ms in connection.execute(single):
            tested[person] = max(at_ms, tested.get(person, 0))
        for tube in tubes:
            still = tuple(it.person for it in tube.members if tested.get(it.person, -1) < tube.opened_ms)
            if still:
                yield Called(tube, still)

    def batch(self, of: str) -> BatchRow | None:
        """A batch; None where there is none."""
        found = self._rows(sa.select(_BATCHES).where(_BATCHES.c.id == of), BatchRow)
        return found[0] if found else None

    def batch_tubes(self, of: str) -> list[Tube]:
        """The tubes of a batch that are known."""
        chosen = sa.select(_TUBES.c.body).where(_TUBES.c.batch == of, _TUBES.c.batch != sa.literal_column("''"))
        with self._database.read() as connection:
            return [_tube.decode(body) for body in connection.execute(chosen.order_by(_TUBES.c.id)).scalars()]

    def stations(self, limit: int = 1000) -> list[StationRow]:
        """Stations, those silent longest first."""
        return self._rows(sa.select(_STATIONS).order_by(_STATIONS.c.contact_ms).limit(limit), StationRow)

    def conflict_counts(self) -> dict[str, int]:
        """How many conflicts there are, by rule."""
        chosen = sa.select(_CONFLICTS.c.rule, sa.func.count()).group_by(_CONFLICTS.c.rule)
        with self._database.read() as connection:
            return {rule: int(count) for rule, count in connection.execute(chosen)}

    def turnaround_ms(self, since_ms: int) -> float:
        """Mean time from the first sample of a tube to its test, of the latest 10,000 tested since then; 0 without."""
        tested = sa.select((_TUBES.c.reported_ms - _TUBES.c.opened_ms).label("spent"))
        tested = tested.where(_REPORTED, _TUBES.c.reported_ms >= since_ms).order_by(_TUBES.c.reported_ms.desc())
        spent = sa.func.avg(tested.limit(_LATEST).subquery().c.spent)
        with self._database.read() as connection:
            return float(connection.execute(sa.select(spent)).scalar() or 0)

    def _rows(self, chosen: sa.Select[Any], kind: type[_Row]) -> list[_Row]:
        with self._database.read() as connection:
            rows = connection.execute(chosen).mappings()
            return [msgspec.convert({str(name): value for name, value in row.items()}, kind) for row in rows]


def is_open_call() -> sa.ColumnElement[bool]:
    """Whether somebody in a tube was not tested singly since."""
    single = _PEOPLE.alias("single")
    tested = (single.c.person == _PEOPLE.c.person, single.c.retest == 1, single.c.at_ms >= _TUBES.c.opened_ms)
    is_tested = sa.exists().where(*tested).correlate(_PEOPLE, _TUBES)
    return sa.exists().where(_PEOPLE.c.tube == _TUBES.c.id, ~is_tested).correlate(_TUBES)


def _news(row: sa.Row[Any], tube: Tube | None) -> ResultNews:
    member = next((it for it in tube.members if it.person == row.person), None) if tube is not None else None
    if tube is None or member is None:
        return ResultNews(row.number, row.person, row.tube, "", bool(row.over))
    people = max(tube.size, len(tube.members), 1 + tube.contested) if tube.is_mixed else 1
    return ResultNews(
        row.number, row.person, row.tube, row.result, bool(row.over), member.at_ms, people, tube.laboratory
    )


def events_of(connection: Connection, barcodes: Iterable[str]) -> dict[str, list[Kept]]:
    """Events by barcode."""
    found: dict[str, list[Kept]] = {}
    for row in connection.execute(sa.select(EVENTS).where(EVENTS.c.barcode.in_(list(barcodes)))):
        found.setdefault(row.barcode, []).append(kept_of(row))
    return found


def kept_of(row: sa.Row[Any]) -> Kept:
    """An event out of its row."""
    return Kept(_event.decode(row.body), row.offset_ms, row.merged_ms, row.person)
