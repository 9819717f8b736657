"""Sampling in the records.

Events are the truth; rows of tubes, people, conflicts, batches and of what people are told are folded from them in the
transaction that takes them.
An event has one effect however often it comes: its id is made where it happened. What a station merges has happened and
is folded in, whatever the rules say; what is asked of a connected centre is judged first. Many events share one
transaction, and are answered once it is durable.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.records import sampling_tables as tables
from hutong.sampling import machine
from hutong.sampling.clocks import offset_of
from hutong.sampling.counts import CountChanges, counted, forget_counts, wrong_counts
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.fold import AT_STATIONS, Story, fold
from hutong.sampling.model import (
    BY_CODE,
    Action,
    Batch,
    Event,
    Kept,
    MergeAnswer,
    Refusal,
    Register,
    Terms,
    handle_of,
)
from hutong.sampling.projection import Changes, put
from hutong.sampling.query import CALLS, EVENTS, SamplingReader, events_of, is_open_call, kept_of
from hutong.sampling.rooms import tube_rooms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hutong.kernel.records import Connection, Database
    from hutong.sampling.counts import Key
    from hutong.sampling.identity import Handles

#: Events of one batch: a station with more sends several.
MOST_EVENTS: Final = 1000
_FORGOTTEN_AT_ONCE: Final = 500
_TOLD_AT_ONCE: Final = 5_000
#: Handles that one transaction resolves.
_AT_ONCE: Final = 200


class Bounds(msgspec.Struct, frozen=True):
    """What the settings hold sampling to.

    Attributes:
        apart_ms: registrations of a person in two tubes that are closer than this are a conflict.
        clock_ms: a station's clock may differ by so much. keep_ms: events older than this are forgotten.
    """

    apart_ms: int = 12 * 3_600_000
    clock_ms: int = 5_000
    keep_ms: int = 30 * 86_400_000


class Taking(msgspec.Struct, frozen=True):
    """An event that is to be taken.

    Attributes:
        judged: only if the rules allow it. sender: the station that merges it.
        person: of a registration by a code, whose it is, as the centre knows; filled in here.
    """

    event: Event
    offset_ms: int = 0
    judged: bool = True
    sender: str = ""
    person: str = ""

    @property
    def known(self) -> Event:
        """The event as it is judged: of the person whose code was shown, where that is known."""
        if not self.person:
            return self.event
        deed = msgspec.structs.replace(self.event.deed, person=self.person)
        return msgspec.structs.replace(self.event, deed=deed)


class Outcome(msgspec.Struct, frozen=True):
    """What became of an event: durable (`again`: since before), or refused."""

    id: str
    again: bool = False
    refusal: Refusal | None = None

    def check(self, tube: str) -> None:
        """Raise SamplingRefused of this tube if it was refused."""
        if self.refusal is not None:
            raise SamplingRefused(self.refusal.reason, self.refusal.what, where=tube)  # type: ignore[arg-type]  # it was one


class Grouped(msgspec.Struct, frozen=True):
    """What became of a group: of events, of batches, and of every event with what it was."""

    outcomes: list[Outcome]
    answers: list[MergeAnswer]
    counted: list[tuple[Action, Outcome]]


class Sampling(SamplingReader):
    """The tubes of a node.

    Args:
        database: opened by whoever made it.
        bounds: what the settings hold it to. terms: how a district samples at a time.
        handles: knows whose codes are; None = nobody here does.
    """

    def __init__(
        self,
        database: Database,
        bounds: Bounds,
        terms: Callable[[str, int], Terms],
        handles: Handles | None = None,
    ) -> None:
        super().__init__(database)
        self.bounds, self.terms, self._handles = bounds, terms, handles

    def merge(self, batch: Batch, now_ms: int) -> MergeAnswer:
        """Take what a station sends: any part of what it has, in any order, as often as it likes.

        Raises:
            SamplingRefused: the batch is too large. RecordsError: nothing was taken; send it again.
        """
        check_batch(batch)
        return self.group([], [batch], now_ms).answers[0]

    def take(self, wanted: Sequence[Taking], now_ms: int) -> list[Outcome]:
        """Take events in one transaction; each that is refused is so by itself, and the others are durable.

        Raises:
            RecordsError: nothing was taken.
        """
        return self.group(wanted, [], now_ms).outcomes

    def group(self, wanted: Sequence[Taking], batches: Sequence[Batch], now_ms: int) -> Grouped:
        """Take events and batches in one transaction, durable once this returns. Raises RecordsError as above."""
        offsets = [offset_of(it.clock_ms, now_ms, self.bounds.clock_ms, live=it.live) for it in batches]
        merged = [
            Taking(event, offset, judged=False, sender=batch.station)
            for batch, offset in zip(batches, offsets, strict=True)
            for event in batch.events
        ]
        # Asked before: once something is taken, nobody may be told that it was not.
        terms = {district: self.terms(district, now_ms) for district in {it.district for it in batches}}
        everything = self._resolved([*wanted, *merged])
        with self._database.write() as connection:
            outcomes = self._take(connection, everything, now_ms)
            self._heard(connection, batches, offsets, now_ms)
        rest = outcomes[len(wanted) :]
        answers = []
        for batch, offset in zip(batches, offsets, strict=True):
            own, rest = rest[: len(batch.events)], rest[len(batch.events) :]
            taken = tuple(it.id for it in own if it.refusal is None)
            refused = tuple(it.refusal for it in own if it.refusal is not None)
            answers.append(MergeAnswer(taken, sum(it.again for it in own), refused, offset, terms[batch.district]))
        counted = [(it.event.action, outcome) for it, outcome in zip([*wanted, *merged], outcomes, strict=True)]
        return Grouped(outcomes[: len(wanted)], answers, counted)

    def _resolved(self, wanted: list[Taking]) -> list[Taking]:
        """With the people of codes, as far as these are known."""
        shown = {_handle(it.event) for it in wanted} - {""}
        if not shown or self._handles is None:
            return wanted
        known = self._handles.people_of(shown)
        return [msgspec.structs.replace(it, person=known.get(_handle(it.event), "")) for it in wanted]

    def do(self, event: Event, now_ms: int) -> Story:
        """Take one event and return what is known of its tube then.

        Raises:
            SamplingRefused: says why not.
        """
        (outcome,) = self.take([Taking(event)], now_ms)
        outcome.check(event.deed.tube)
        return self.story(event.deed.tube)

    def _take(self, connection: Connection, wanted: Sequence[Taking], now_ms: int) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        sound: list[tuple[int, Taking]] = []
        for at, it in enumerate(wanted):
            try:
                machine.check_form(it.event)
                if it.sender and (it.event.station != it.sender or not isinstance(it.event.deed, AT_STATIONS)):
                    raise _NOT_YOURS  # caught here, told there
                self._check_age(it, now_ms)
            except SamplingRefused as refused:
                outcomes[at] = _refused(it.event, refused)
            else:
                sound.append((at, it))
        if sound:
            outcomes |= self._keep(connection, sound, now_ms)
        return [outcomes[at] for at in range(len(wanted))]

    def _check_age(self, it: Taking, now_ms: int) -> None:
        if it.event.at_ms + it.offset_ms < now_ms - self.bounds.keep_ms:
            raise SamplingRefused("too-old", "The event is older than events are kept.", where=it.event.id)

    def _keep(self, connection: Connection, sound: list[tuple[int, Taking]], now_ms: int) -> dict[int, Outcome]:
        events = [it.event for _, it in sound]
        # The barcodes must stand still meanwhile, and the people, who may be registered elsewhere.
        people = {deed.person for _, it in sound if isinstance(deed := it.known.deed, Register)}
        self._database.hold(connection, *tube_rooms({it.deed.tube for it in events}, people))
        bodies = self._known(connection, events)
        held = events_of(connection, {it.deed.tube for it in events})
        before = {barcode: fold(barcode, kept) for barcode, kept in held.items()}
        stories = dict(before)  # of what is folded; the others are when they are asked for
        terms: dict[str, Terms] = {}
        outcomes: dict[int, Outcome] = {}
        rows: list[dict[str, Any]] = []
        for at, it in sound:
            event, barcode, body = it.event, it.event.deed.tube, _json(it.event)
            if event.id in bodies:
                same = bodies[event.id] == body
                outcomes[at] = Outcome(event.id, again=True) if same else _refused(event, _ID_TWICE)
                continue
            if it.judged:
                story = stories.get(barcode) or fold(barcode, held.get(barcode, ()))
                try:
                    machine.judge(story, it.known, self._terms_of(event, now_ms, terms), now_ms)
                except SamplingRefused as refused:
                    outcomes[at] = _refused(event, refused)
                    continue
            kept = Kept(event, it.offset_ms, now_ms, it.person)
            held.setdefault(barcode, []).append(kept)
            stories.pop(barcode, None)
            bodies[event.id] = body
            rows.append(_row(kept, body))
            outcomes[at] = Outcome(event.id)
        if rows:
            self._write(connection, rows, before, held, now_ms)
        return outcomes

    def _write(
        self,
        connection: Connection,
        rows: list[dict[str, Any]],
        before: dict[str, Story],
        held: dict[str, list[Kept]],
        now_ms: int,
    ) -> None:
        """Write new events, and all that follows from them."""
        connection.execute(sa.insert(EVENTS), rows)
        changes = Changes(self._database, self.bounds.apart_ms, self.bounds.keep_ms, now_ms)
        for barcode in dict.fromkeys(row["barcode"] for row in rows):
            last_ms = max(it.time_ms for it in held[barcode])
            changes.add(before.get(barcode, Story(barcode)), fold(barcode, held[barcode]), last_ms)
        changes.write(connection)
        changes.write_numbers(connection, [row for row in rows if row["sequence"]])
        changes.write_counts(connection)

    def _terms_of(self, event: Event, now_ms: int, known: dict[str, Terms]) -> Terms:
        district = event.deed.district if isinstance(event.deed, Register) else ""
        if district not in known:
            known[district] = self.terms(district, now_ms)
        return known[district]

    def _known(self, connection: Connection, events: Iterable[Event]) -> dict[str, str]:
        chosen = sa.select(EVENTS.c.id, EVENTS.c.body).where(EVENTS.c.id.in_([it.id for it in events]))
        return {row.id: row.body for row in connection.execute(chosen)}

    def _heard(self, connection: Connection, batches: Sequence[Batch], offsets: Sequence[int], now_ms: int) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for batch, offset in zip(batches, offsets, strict=True):
            numbers = [it.sequence for it in batch.events if it.station == batch.station and it.sequence < _BEYOND]
            before = rows.get(batch.station, {"sequence": 0})["sequence"]
            row: dict[str, Any] = {"station": batch.station, "contact_ms": now_ms, "offset_ms": offset}
            row |= {"district": batch.district, "waiting": batch.waiting}
            rows[batch.station] = row | {"sequence": max(*numbers, before, 0)}
        # In one order, so that those who write the same stations do not wait for each other in a circle.
        ordered = [rows[name] for name in sorted(rows)]
        put(connection, tables.sampling_stations, ordered, ("station",), larger=("sequence", "contact_ms"))

    # Codes whose people become known later

    def resolve(self, now_ms: int) -> int:
        """Name the people of registrations by codes that were unknown, as far as they are known by now; gives how many.

        Raises:
            RecordsError: nothing more was resolved; the next run goes on.
        """
        done, after = 0, ""
        waiting = sa.select(EVENTS.c.handle).where(EVENTS.c.handle != sa.literal_column("''")).distinct()
        while self._handles is not None:
            next_ = waiting.where(EVENTS.c.handle > after).order_by(EVENTS.c.handle).limit(_AT_ONCE)
            with self._database.read() as connection:
                handles = list(connection.execute(next_).scalars())
            if not handles:
                break
            after = handles[-1]
            people = self._handles.people_of(handles)
            if people:
                done += self._resolve(people, now_ms)
        return done

    def _resolve(self, people: dict[str, str], now_ms: int) -> int:
        waiting = sa.select(EVENTS.c.barcode).where(
            EVENTS.c.handle.in_(sorted(people)), EVENTS.c.handle != sa.literal_column("''")
        )
        with self._database.write() as connection:
            barcodes = sorted(set(connection.execute(waiting).scalars()))
            named = {f"{BY_CODE}{it}" for it in people}
            self._database.hold(connection, *tube_rooms(barcodes, named | set(people.values())))
            held = events_of(connection, barcodes)  # as they are now that nobody else can change them
            changes, done = Changes(self._database, self.bounds.apart_ms, self.bounds.keep_ms, now_ms), 0
            for barcode, kept in held.items():
                after = [msgspec.structs.replace(it, person=people.get(it.handle, it.person)) for it in kept]
                for was, now in zip(kept, after, strict=True):
                    if was.person != now.person:
                        values = {"person": now.person, "handle": ""}
                        connection.execute(sa.update(EVENTS).where(EVENTS.c.id == now.event.id).values(values))
                        done += 1
                changes.add(fold(barcode, kept), fold(barcode, after), max(it.time_ms for it in kept))
            changes.write(connection)
            changes.write_counts(connection)
        return done

    # Recalls that are over

    def close_calls(self) -> int:
        """Note tubes whose people were all tested singly since, so that nobody looks through them; gives how many.

        Raises:
            RecordsError: no more were noted; the next run goes on.
        """
        tubes, done = tables.sampling_tubes, 0
        over = sa.select(tubes.c.barcode).where(CALLS, ~is_open_call()).order_by(tubes.c.opened_ms)
        while True:
            with self._database.read() as connection:
                barcodes = set(connection.execute(over.limit(_FORGOTTEN_AT_ONCE)).scalars())
            if not barcodes:
                return done
            with self._database.write() as connection:
                self._database.hold(connection, *tube_rooms(barcodes))
                still = sa.update(tubes).where(tubes.c.barcode.in_(barcodes), CALLS, ~is_open_call())
                done += connection.execute(still.values(calls=0)).rowcount

    # Forgetting, and proof that rows follow from events

    def forget(self, now_ms: int) -> int:
        """Forget what has been kept long enough, in several transactions; returns how many barcodes.

        A barcode is forgotten whole, when the last thing that happened to it is old.
        """
        before, gone = now_ms - self.bounds.keep_ms, 0
        tubes = tables.sampling_tubes
        waiting = sa.and_(EVENTS.c.merged_ms < before, ~sa.exists().where(tubes.c.barcode == EVENTS.c.barcode))
        for chosen in (
            sa.select(tubes.c.barcode).where(tubes.c.last_ms < before).order_by(tubes.c.last_ms),
            sa.select(EVENTS.c.barcode).where(waiting).order_by(EVENTS.c.merged_ms),
        ):
            while barcodes := self._forget(chosen.limit(_FORGOTTEN_AT_ONCE)):
                gone += barcodes
        with self._database.write() as connection:
            # In the order in which a merge writes them.
            connection.execute(sa.delete(tables.sampling_batches).where(tables.sampling_batches.c.handed_ms < before))
            forget_counts(connection, before)
            stations = tables.sampling_stations
            connection.execute(sa.delete(stations).where(stations.c.contact_ms < before))
        while self._forget_told(before):
            pass
        return gone

    def _forget_told(self, before: int) -> int:
        told = tables.sampling_told
        some = sa.select(told.c.number).where(told.c.at_ms < before).order_by(told.c.at_ms).limit(_TOLD_AT_ONCE)
        with self._database.write() as connection:
            return connection.execute(sa.delete(told).where(told.c.number.in_(some))).rowcount

    def _forget(self, chosen: sa.Select[str]) -> int:
        with self._database.write() as connection:
            barcodes, gone = set(connection.execute(chosen).scalars()), CountChanges()
            if barcodes:
                # What came meanwhile is seen by looking again, once nobody else can add to them.
                self._database.hold(connection, *tube_rooms(barcodes))
                still = chosen.where(chosen.selected_columns.barcode.in_(barcodes))
                barcodes = set(connection.execute(still).scalars())
                gone.forget(connection, barcodes)
            of = (tables.sampling_people, tables.sampling_conflicts, tables.sampling_tubes, EVENTS)
            for table in of if barcodes else ():
                connection.execute(sa.delete(table).where(table.c.barcode.in_(barcodes)))
            gone.write(connection)
        return len(barcodes)

    def recount(self, since_ms: int = 0) -> list[str]:
        """Barcodes whose rows, and counts (of hours after `since_ms`) which, do not follow from the events."""
        wrong: list[str] = []
        due: Counter[Key] = Counter()
        with self._database.read() as connection:
            chosen = sa.select(EVENTS).order_by(EVENTS.c.barcode)
            for barcode, rows in groupby(connection.execute(chosen), key=lambda row: row.barcode):
                story = fold(barcode, [kept_of(row) for row in rows])
                due.update(counted(story.tubes))
                wrong += [] if Changes.matches(connection, story) else [barcode]
            wrong += wrong_counts(connection, due, since_ms)
        return wrong


#: No clock shows as much, and no station numbers so far.
_BEYOND_MS: Final = 1 << 53
_BEYOND: Final = 10**12
_NOT_YOURS: Final = SamplingRefused("not-yours", "The event is another station's, or none that a station makes.")
_ID_TWICE: Final = SamplingRefused("id-twice", "This id stands for another event.")


def check_batch(batch: Batch) -> None:
    """Whether a batch may be taken at once. Raises SamplingRefused."""
    if len(batch.events) > MOST_EVENTS:
        raise SamplingRefused("field", f"A batch has at most {MOST_EVENTS} events.", where="events")
    machine.check_station(batch.station, batch.district)
    if not 0 <= batch.clock_ms < _BEYOND_MS:
        raise SamplingRefused("date", "The clock is before 1970 or beyond the calendar.", where="clock_ms")
    if not 0 <= batch.waiting < _BEYOND:
        raise SamplingRefused("field", "No station has so many events.", where="waiting")


def _handle(event: Event) -> str:
    return handle_of(event.deed.person) if isinstance(event.deed, Register) else ""


def _refused(event: Event, refused: SamplingRefused) -> Outcome:
    return Outcome(event.id, refusal=Refusal(event.id, refused.reason, refused.what))


def _row(kept: Kept, body: str) -> dict[str, Any]:
    event = kept.event
    row: dict[str, object] = {
        "id": event.id,
        "barcode": event.deed.tube,
        "station": event.station,
        "sequence": event.sequence,
    }
    row |= {"offset_ms": kept.offset_ms, "merged_ms": kept.merged_ms, "body": body}
    return row | {"person": kept.person, "handle": kept.handle}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
