"""Colours in the records: evidence in, judged in the transaction that takes it, and every change of a colour told.

A change names the rule and the commitment to its evidence on the trail, in the same transaction; the evidence itself
stays sealed with the person. A person is named nowhere on the trail: the event is. What is done for one person is
found by the pseudonym alone, so it takes as long among ten million as among ten.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from hutong.codes.people.day_keys import day_of
from hutong.codes.people.errors import KeyGoneError
from hutong.codes.people.pseudonyms import is_pseudonym
from hutong.codes.replicas.topics import HELD, tell_colours
from hutong.codes.status.changes import Change
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.evidence import (
    Evidence,
    Opening,
    Order,
    Withdrawn,
    check_evidence,
    commitment,
    item_digest,
    new_salt,
)
from hutong.codes.status.judging import judge
from hutong.codes.status.model import (
    BY_HAND,
    ColourChanged,
    ColourEvent,
    Moved,
    OpenItem,
    Outcome,
    Sealed,
    SealedItem,
    Standing,
)
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import case_id
from hutong.kernel.errors import StateError
from hutong.kernel.records import code_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hutong.codes.people.rings import Ring
    from hutong.codes.people.store import People
    from hutong.codes.status.colour_rules import ColourRules
    from hutong.codes.status.judging import Judgement
    from hutong.kernel.records import Connection, Database

_EVIDENCE: Final = tables.code_evidence
_COLOURS: Final = tables.code_colours
_EVENTS: Final = tables.code_colour_events
_CHANGES: Final = tables.code_changes
#: Who changes colours by rules, on the trail.
JUDGE: Final = "hutong codes"
#: People in one transaction of a batch: the disk is asked once for all of them.
BATCH: Final = 200
_MOST_EVIDENCE: Final = 500
#: When somebody is tried again whose rows could not be read.
_AGAIN_MS: Final = 3_600_000
_decode: Final = msgspec.json.Decoder(Evidence).decode


class _Kept(NamedTuple):
    """An item of evidence, until when it is kept, and the case that found it wrong."""

    evidence: Evidence
    day: int
    void: str


class _Deed(NamedTuple):
    """A change for the trail: the colour before, the standing after it, and what others are told."""

    was: str
    now: Standing
    changed: ColourChanged | None


class Statuses:
    """The colours of a node.

    Args:
        database: opened by whoever made it. people: whose pseudonyms and keys these are. rules: in force.
        node: this node's name, the beginning of new ids. evidence_days: how long evidence is kept.
        told: is told of every change of a colour, within the transaction that makes it.
        gone: lets go, within the transaction, what else is kept of people of whom nothing is kept any more at a time.
        holds: names that `told` holds; whoever puts something on the trail before a judgement holds them first.
    """

    def __init__(
        self,
        database: Database,
        people: People,
        rules: ColourRules,
        node: str,
        evidence_days: int,
        told: Callable[[Connection, ColourChanged], None] = lambda _connection, _changed: None,
        holds: tuple[str, ...] = (HELD,),
        gone: Callable[[Connection, Sequence[str], int], None] = lambda _connection, _people, _now_ms: None,
    ) -> None:
        self.database, self.people, self.rules, self.node = database, people, rules, node
        self._evidence_days, self._told, self.holds, self._gone = evidence_days, told, holds, gone
        self._trail = Trail(database)

    # Reading

    def standing(self, person: str, now_ms: int) -> Standing:
        """The colour of a person now, judged anew where its time is over; of whom nothing is kept, as the rules say.

        Nothing is written unless the colour or its reason is another one; nor for whom nothing is kept, who gets no
        event and no commitment.

        Raises:
            StateError: keys of people are not here.
        """
        with self.database.read() as connection:
            kept = self._standing(connection, person)
            if kept is not None and not kept.is_over(now_ms):
                return kept
            found = self._kept(connection, self.people.ring(connection, person, now_ms), person, now_ms)
            fresh, _ = self._judged(found, self.change_in_force(connection, person, now_ms), now_ms)
            if kept is None and fresh.rule == self.rules.otherwise.name:
                return fresh
            if kept is not None and self._is_same(kept, fresh):
                return msgspec.structs.replace(fresh, event=kept.event, commitment=kept.commitment)
        return self.judge_again(person, now_ms).standing

    def events(self, person: str, now_ms: int, limit: int = 50) -> list[ColourEvent]:
        """How a person's colour came about, the latest change first; opened as far as the keys are there."""
        chosen = sa.select(_EVENTS).where(_EVENTS.c.person == person)
        chosen = chosen.order_by(_EVENTS.c.at_ms.desc(), _EVENTS.c.id.desc()).limit(limit)
        with self.database.read() as connection:
            ring = self.people.ring(connection, person, now_ms)
            return [_event(row, ring) for row in connection.execute(chosen)]

    def event(self, person: str, id_: str, now_ms: int) -> ColourEvent | None:
        """One change of a person's colour, opened as far as the keys are there; None where it is not kept."""
        chosen = sa.select(_EVENTS).where(_EVENTS.c.id == id_, _EVENTS.c.person == person)
        with self.database.read() as connection:
            row = connection.execute(chosen).one_or_none()
            return None if row is None else _event(row, self.people.ring(connection, person, now_ms))

    def evidence(self, person: str, now_ms: int) -> list[tuple[Evidence, str]]:
        """What is kept of a person, by time, each with the case that found it wrong (or empty)."""
        with self.database.read() as connection:
            kept = self._kept(connection, self.people.ring(connection, person, now_ms), person, now_ms)
        return sorted(((it.evidence, it.void) for it in kept.values()), key=lambda it: (it[0].at_ms, it[0].id))

    # Writing

    def take(self, person: str, items: Sequence[Evidence], now_ms: int) -> Moved:
        """Take evidence about a person and judge them. The same again changes nothing; the same id replaces.

        Raises:
            StatusRefused: "evidence": an item is wrong, too old, or one too many. StateError: keys are not here.
        """
        with self.database.write() as connection:
            self.people.hold(connection, [person])
            deeds: list[_Deed] = []
            moved = self._take(connection, person, items, now_ms, deeds)
            self._record(connection, [person], deeds, now_ms)
        return moved

    def take_all(self, found: Mapping[str, Sequence[Evidence | Withdrawn]], now_ms: int) -> list[Outcome]:
        """Take evidence about many people, `BATCH` of them in one transaction; what one is refused keeps no other."""
        outcomes = []
        for people in _batches(sorted(found)):
            try:
                outcomes += self._take_some(people, found, now_ms)
            except StateError:  # somebody's rows or keys are damaged: all again, each undone by themselves
                outcomes += self._take_some(people, found, now_ms, apart=True)
        return outcomes

    def _take_some(
        self,
        people: Sequence[str],
        found: Mapping[str, Sequence[Evidence | Withdrawn]],
        now_ms: int,
        *,
        apart: bool = False,
    ) -> list[Outcome]:
        outcomes = []
        deeds: list[_Deed] = []
        with self.database.write() as connection:
            self.people.hold(connection, people)
            for person in people:
                done = len(deeds)
                try:
                    if not is_pseudonym(person):
                        raise _NOBODY  # caught here, told there
                    with self.database.write() if apart else nullcontext():
                        moved = self._take(connection, person, found[person], now_ms, deeds)
                except StatusRefused as refused:  # before anything of this person was written
                    outcomes.append(Outcome(person, refused=str(refused)))
                except StateError as error:
                    if not apart:
                        raise
                    del deeds[done:]
                    outcomes.append(Outcome(person, refused=str(error), owed=True))
                else:
                    outcomes.append(Outcome(person, moved.changed))
            self._record(connection, people, deeds, now_ms)
        return outcomes

    def void(self, connection: Connection, person: str, ids: Sequence[str], case: str) -> None:
        """Let evidence count no more, because a case found it wrong; within the caller's transaction.

        Raises:
            StatusRefused: "evidence": there is none of such an id.
        """
        for id_ in ids:
            item = self.people.pseudonyms.item(person, id_)
            here = sa.and_(_EVIDENCE.c.person == person, _EVIDENCE.c.item == item)
            if connection.execute(sa.update(_EVIDENCE).where(here).values(void=case)).rowcount != 1:
                raise StatusRefused("evidence", f"Nothing is kept of the id {id_[:40]!r}.", where="void")

    def judge_again(self, person: str, now_ms: int) -> Moved:
        """Judge a person on what is kept of them."""
        return self.take(person, (), now_ms)

    def judge_due(self, now_ms: int, limit: int = BATCH) -> int:
        """Judge those whose colour may be another one by now; gives how many there were, at most `limit`.

        Raises:
            StateError: somebody's keys or rows are not as they must be; all others were judged.
        """
        due = sa.select(_COLOURS.c.person).where(_COLOURS.c.again_ms <= now_ms).order_by(_COLOURS.c.again_ms)
        with self.database.read() as connection:
            people = sorted(connection.execute(due.limit(limit)).scalars())
        if not people:
            return 0
        troubles = []
        deeds: list[_Deed] = []
        with self.database.write() as connection:
            self.people.hold(connection, people)
            still = sa.select(_COLOURS.c.person).where(_COLOURS.c.person.in_(people), _COLOURS.c.again_ms <= now_ms)
            asked, people = len(people), sorted(connection.execute(still).scalars())  # others may have been forgotten
            for person in people:
                try:
                    self._take(connection, person, (), now_ms, deeds)
                except StateError as error:  # one whose rows are damaged must not keep the others waiting
                    troubles.append(error)
                    here = sa.update(_COLOURS).where(_COLOURS.c.person == person)
                    connection.execute(here.values(again_ms=now_ms + _AGAIN_MS))
            self._record(connection, people, deeds, now_ms)
        if troubles:
            raise troubles[0]
        return asked

    def expire(self, now_ms: int) -> int:
        """Destroy the keys of days that are over, and remove what only they could open; gives how many people's.

        Raises:
            StateError: a key cannot be destroyed.
        """
        return self.people.expire(now_ms, lambda connection, people: self._let_go(connection, people, now_ms))

    def _let_go(self, connection: Connection, people: Sequence[str], now_ms: int) -> None:
        """Whoever is neither registered nor spoken of in any evidence has no colour any more."""
        had = list(connection.execute(sa.select(_COLOURS.c.person).where(_COLOURS.c.person.in_(people))).scalars())
        here = [~sa.exists().where(table.c.person == _COLOURS.c.person) for table in (tables.code_people, _EVIDENCE)]
        connection.execute(sa.delete(_COLOURS).where(_COLOURS.c.person.in_(had), *here))
        registered = sa.select(tables.code_people.c.person).where(tables.code_people.c.person.in_(people))
        still = set(connection.execute(registered).scalars())
        self._gone(connection, [it for it in people if it not in still], now_ms)
        tell_colours(self.database, connection, had, now_ms)

    def forget(self, person: str, now_ms: int) -> None:
        """Remove all that is kept of a person here and now, their keys too; within the caller's transaction or alone.

        Links, and changes by hand that are over, lose their names with their own time.
        """
        with self.database.write() as connection:
            self.people.hold(connection, [person])
            for table in (_EVIDENCE, _EVENTS, _COLOURS, tables.code_people, tables.code_person_keys):
                connection.execute(sa.delete(table).where(table.c.person == person))
            self._gone(connection, [person], now_ms)
            tell_colours(self.database, connection, [person], now_ms)

    # Judging

    def _take(
        self,
        connection: Connection,
        person: str,
        items: Sequence[Evidence | Withdrawn],
        now_ms: int,
        deeds: list[_Deed],
    ) -> Moved:
        """Of a person who is held: keep items and judge. What is refused is refused before anything is written."""
        new = [it for it in items if not isinstance(it, Withdrawn)]
        for it in new:
            self._check(it, now_ms)
        ring = self.people.ring(connection, person, now_ms)
        kept = self._kept(connection, ring, person, now_ms)
        fresh = {self.people.pseudonyms.item(person, it.id) for it in new} - kept.keys()
        if len(kept) + len(fresh) > _MOST_EVIDENCE:
            raise StatusRefused("evidence", f"More than {_MOST_EVIDENCE} items would be kept of this person.")
        for item in items:
            if isinstance(item, Withdrawn):
                self._drop(connection, person, item, kept)
            else:
                self._keep(connection, ring, person, item, kept)
        if not (kept or self._is_registered(connection, person) or self._standing(connection, person)):
            # Forgotten, or never known: whatever a change by hand still says of them, nothing new is kept.
            return Moved(self._judged(kept, self.change_in_force(connection, person, now_ms), now_ms)[0])
        return self._judge(connection, ring, person, kept, now_ms, deeds)

    def _judge(  # what a judgement rests on
        self,
        connection: Connection,
        ring: Ring,
        person: str,
        kept: dict[str, _Kept],
        now_ms: int,
        deeds: list[_Deed],
    ) -> Moved:
        change = self.change_in_force(connection, person, now_ms)
        fresh, rests_on = self._judged(kept, change, now_ms)
        before = self._standing(connection, person)
        if before is not None and self._is_same(before, fresh):
            fresh = msgspec.structs.replace(fresh, event=before.event, commitment=before.commitment)
            self._put(connection, person, before, fresh)
            return Moved(fresh)
        sealed = self._sealed(ring, kept, rests_on, fresh, change)
        said = commitment(sealed.salt, sealed.opening)
        fresh = msgspec.structs.replace(fresh, event=case_id(self.node, now_ms, os.urandom(8)), commitment=said)
        was = before.colour if before is not None else ""
        self._put(connection, person, before, fresh)
        self._add_event(connection, ring, person, fresh, sealed, was)
        changed = None
        if fresh.colour != (was or self.rules.otherwise.colour):
            changed = ColourChanged(
                person, was, fresh.colour, fresh.rule, fresh.commitment, fresh.event, now_ms, fresh.until_ms
            )
        # A first green is what everybody has. A graver colour for another reason, or for longer, is a change too.
        if changed is not None or fresh.colour != self.rules.otherwise.colour:
            deeds.append(_Deed(was, fresh, changed))
        return Moved(fresh, changed)

    def _record(self, connection: Connection, people: Sequence[str], deeds: list[_Deed], now_ms: int) -> None:
        """Tell of changes, then put them on the trail: last, because from then on nobody else can add to it."""
        for deed in deeds:
            if deed.changed is not None:
                self._told(connection, deed.changed)
        tell_colours(self.database, connection, people, now_ms)
        for was, now, _ in deeds:
            after: dict[str, Any] = {"colour": now.colour, "rule": now.rule, "rules": self.rules.digest[:16]}
            after |= {"commitment": now.commitment, "until_ms": now.until_ms}
            self._trail.record(JUDGE, "local", "codes.colour", now.event, {"colour": was}, after, now_ms=now_ms)

    def _is_same(self, before: Standing, after: Standing) -> bool:
        """Whether a colour stands as it did: for the same reason, and since the same time if it has a beginning."""
        kept = self.rules.otherwise.name == after.rule or before.since_ms == after.since_ms
        return (before.colour, before.rule) == (after.colour, after.rule) and kept

    def _judged(self, kept: dict[str, _Kept], change: Change | None, now_ms: int) -> tuple[Standing, tuple[str, ...]]:
        """The standing as it follows from what is kept, without event and commitment, and what it rests on."""
        found = judge([it.evidence for it in kept.values() if not it.void], self.rules, now_ms)
        return (_by_rule(found, now_ms), found.rests_on) if change is None else (_by_hand(change, now_ms), ())

    def _sealed(
        self, ring: Ring, kept: dict[str, _Kept], rests_on: tuple[str, ...], standing: Standing, change: Change | None
    ) -> Sealed:
        items = []
        for it in sorted(kept.values(), key=lambda it: (it.evidence.at_ms, it.evidence.id)):
            if not it.void:
                opened = OpenItem(new_salt(), it.evidence)
                digest = item_digest(opened.salt, it.evidence)
                sealed = ring.seal(it.day, msgspec.json.encode(opened), f"item:{digest}")
                items.append(SealedItem(digest, it.day, sealed, it.evidence.id in rests_on))
        opening = Opening(standing.as_of_ms, tuple(it.digest for it in items), change.told() if change else None)
        return Sealed(new_salt(), opening, tuple(items), standing.since_ms, standing.until_ms)

    def change_in_force(self, connection: Connection, person: str, now_ms: int) -> Change | None:
        """The change by hand that prevails over the rules now."""
        here = (_CHANGES.c.person == person, _CHANGES.c.state == "in-force", _CHANGES.c.ends_ms > now_ms)
        row = connection.execute(sa.select(_CHANGES).where(*here)).first()
        return None if row is None else change_of(row)

    # Rows

    def _standing(self, connection: Connection, person: str) -> Standing | None:
        row = connection.execute(sa.select(_COLOURS).where(_COLOURS.c.person == person)).one_or_none()
        if row is None:
            return None
        return Standing(**{name: getattr(row, name) for name in Standing.__struct_fields__})

    def _put(self, connection: Connection, person: str, before: Standing | None, standing: Standing) -> None:
        values = msgspec.structs.asdict(standing)
        if before is None:
            connection.execute(sa.insert(_COLOURS).values(values | {"person": person}))
        else:
            connection.execute(sa.update(_COLOURS).where(_COLOURS.c.person == person).values(values))

    def _add_event(
        self, connection: Connection, ring: Ring, person: str, standing: Standing, sealed: Sealed, was: str
    ) -> None:
        day = day_of(standing.as_of_ms) + self._evidence_days
        values: dict[str, Any] = {"id": standing.event, "person": person, "at_ms": standing.as_of_ms, "day": day}
        values |= {"before": was, "colour": standing.colour, "rule": standing.rule, "rules": self.rules.digest}
        values |= {"commitment": standing.commitment}
        values |= {"sealed": ring.seal(day, msgspec.json.encode(sealed), f"event:{standing.event}")}
        connection.execute(sa.insert(_EVENTS).values(values))

    def _kept(self, connection: Connection, ring: Ring, person: str, now_ms: int) -> dict[str, _Kept]:
        """What is kept of a person and can be read, by the names of the rows."""
        here = (_EVIDENCE.c.person == person, _EVIDENCE.c.day >= day_of(now_ms))
        rows = connection.execute(sa.select(_EVIDENCE).where(*here)).all()
        return {
            row.item: _Kept(_decode(ring.unseal(row.day, row.sealed, f"evidence:{row.item}")), row.day, row.void)
            for row in rows
        }

    def _check(self, it: Evidence, now_ms: int) -> None:
        check_evidence(it, now_ms)
        if self._day_of(it) < day_of(now_ms):
            raise StatusRefused("evidence", f"It is older than {self._evidence_days} days.", where=it.id[:40])

    def _keep(self, connection: Connection, ring: Ring, person: str, it: Evidence, kept: dict[str, _Kept]) -> None:
        item, day = self.people.pseudonyms.item(person, it.id), self._day_of(it)
        known = kept.get(item)
        if known is not None and known.evidence == it:
            return
        sealed = ring.seal(day, msgspec.json.encode(it), f"evidence:{item}")
        values = {"person": person, "item": item, "day": day, "sealed": sealed, "void": ""}
        here = sa.and_(_EVIDENCE.c.person == person, _EVIDENCE.c.item == item)
        if known is not None:
            connection.execute(sa.update(_EVIDENCE).where(here).values(values))
        else:
            # A row of that name whose day is over, and which no job has removed yet, makes room.
            connection.execute(sa.delete(_EVIDENCE).where(here))
            connection.execute(sa.insert(_EVIDENCE).values(values))
        kept[item] = _Kept(it, day, "")

    def _drop(self, connection: Connection, person: str, it: Withdrawn, kept: dict[str, _Kept]) -> None:
        item = self.people.pseudonyms.item(person, it.id)
        if kept.pop(item, None) is not None:
            connection.execute(sa.delete(_EVIDENCE).where(_EVIDENCE.c.person == person, _EVIDENCE.c.item == item))

    def _is_registered(self, connection: Connection, person: str) -> bool:
        chosen = sa.select(tables.code_people.c.person).where(tables.code_people.c.person == person)
        return connection.execute(chosen).first() is not None

    def _day_of(self, it: Evidence) -> int:
        """The day that evidence is kept until: so long after it happened, an order until it ends."""
        return day_of(it.until_ms) if isinstance(it, Order) else day_of(it.at_ms) + self._evidence_days


_NOBODY: Final = StatusRefused("no-person", "This is no pseudonym of a person.", where="person")


def _by_rule(found: Judgement, now_ms: int) -> Standing:
    return Standing(
        found.colour, found.rule.name, "", "", found.since_ms, found.until_ms, now_ms, found.again_ms or None
    )


def _by_hand(change: Change, now_ms: int) -> Standing:
    rule = f"{BY_HAND}{change.id}"
    return Standing(change.colour, rule, "", "", change.decided_ms, change.ends_ms, now_ms, change.ends_ms)


def _event(row: sa.Row[Any], ring: Ring) -> ColourEvent:
    event = ColourEvent(row.id, row.at_ms, row.before, row.colour, row.rule, row.rules, row.commitment)
    plain = _unsealed(ring, row.day, row.sealed, f"event:{row.id}")
    if plain is None:
        return event
    sealed = msgspec.json.decode(plain, type=Sealed)
    found = [_unsealed(ring, it.day, it.sealed, f"item:{it.digest}") for it in sealed.items if it.rests]
    items = tuple(msgspec.json.decode(it, type=OpenItem) for it in found if it is not None)
    return msgspec.structs.replace(event, sealed=sealed, items=items, gone=len(found) - len(items))


def _unsealed(ring: Ring, day: int, sealed: bytes, what: str) -> bytes | None:
    """What was sealed; None once its time is over."""
    try:
        return ring.unseal(day, sealed, what)
    except KeyGoneError as error:
        if not error.destroyed:
            raise
        return None


def _batches(people: list[str]) -> Iterator[list[str]]:
    yield from (people[at : at + BATCH] for at in range(0, len(people), BATCH))


def change_of(row: sa.Row[Any]) -> Change:
    """A change out of its row."""
    return Change(**row._mapping)  # noqa: SLF001  # the library's public name for it
