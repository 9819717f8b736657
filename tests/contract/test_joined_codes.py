"""One person with card, code and paper, on each engine: codes become people at the merge or later, results colours."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from hutong.app.persons_work import key_folder
from hutong.app.results_work import BRINGER, NAME, ResultsWork
from hutong.codes.people.documents import read_document
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.errors import StateError
from hutong.kernel.followers import Follower
from hutong.kernel.records import code_tables
from hutong.kernel.records import sampling_tables as tables
from hutong.kernel.reporter import Reporter
from hutong.sampling.model import BY_CODE, Batch, Event, Register, Seal, Terms
from hutong.sampling.store import Bounds, Sampling, Taking
from joined_nodes import settings_on
from sampling_samples import CARD, CARD_2, HOUR, MINUTE, NOW, OTHER, TUBE, event, person, result

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from hutong.kernel.records import Database

TESTS = Path(__file__).resolve().parents[1]
LATER = NOW + 3 * HOUR


class Known:
    """`Handles` that come to know more."""

    def __init__(self, **people: str) -> None:
        self.people = people

    def people_of(self, handles: Collection[str]) -> dict[str, str]:
        return {it: self.people[it] for it in handles if it in self.people}


def handle(name: object) -> str:
    return person(("handle", name))[:16]


def by_code(name: object) -> str:
    return f"{BY_CODE}{handle(name)}"


def centre(database: Database, known: Known) -> Sampling:
    return Sampling(database, Bounds(), lambda _district, _now_ms: Terms(), known)


def registered(who: str, sequence: int, tube: str = TUBE, size: int = 5) -> Event:
    return event(Register(tube=tube, size=size, person=who), sequence, NOW + sequence * MINUTE)


def merged(it: Sampling, events: list[Event], now_ms: int = LATER) -> None:
    answer = it.merge(Batch("s1", now_ms, tuple(events)), now_ms)
    assert not answer.refused
    assert set(answer.taken) == {one.id for one in events}


def rows(database: Database) -> dict[str, set[tuple[object, ...]]]:
    """What is known, without when it was found."""
    found = {}
    with database.read() as connection:
        for table, left_out in (
            (tables.sampling_tubes, set()),
            (tables.sampling_people, set()),
            (tables.sampling_conflicts, {"found_ms"}),
            (tables.sampling_counts, set()),
        ):
            columns = [it for it in table.c if it.name not in left_out]
            found[table.name] = {tuple(row) for row in connection.execute(sa.select(*columns))}
    found["sampling_counts"] = {row for row in found["sampling_counts"] if row[-1] != 0}
    return found


def test_a_code_is_its_person_at_the_merge_or_once_it_is_known(database: Database) -> None:
    known = Known(**{handle("ann"): person("ann")})
    it = centre(database, known)
    events = [
        registered(person("ann"), 1),
        registered(by_code("ann"), 2),  # the same person, by a code that is known
        registered(by_code("bob"), 3),  # nobody knows whose this is
        registered(person("bob"), 4, OTHER),
        event(Seal(tube=TUBE, people=3), 5, NOW + HOUR),
    ]
    merged(it, events)
    assert [one.person for one in it.story(TUBE).tubes[0].members] == [person("ann"), by_code("bob")]
    assert {one.about for one in it.conflicts(rule="person-twice")} == {events[1].id}
    assert {one.about for one in it.conflicts(rule="code-unknown")} == {events[2].id}
    merged(it, events)  # again, as stations do: what was resolved stays so
    assert it.resolve(LATER) == 0, "nobody knows yet"
    it.take([Taking(result(), judged=False)], LATER)
    number, told = it.told_since(0)
    assert {one.person: one.result for one in told} == {person("ann"): "negative", by_code("bob"): "negative"}
    assert it.results_of(person("bob"))[0].result == ""

    known.people[handle("bob")] = person("bob")
    assert it.resolve(LATER + 1) == 1
    assert it.resolve(LATER + 1) == 0
    assert not it.conflicts(rule="code-unknown")
    assert {one.tube for one in it.conflicts(rule="person-in-two-tubes")} == {f"{TUBE}@s1", f"{OTHER}@s1"}
    told = it.told_since(number)[1]
    assert {(one.person, one.result) for one in told} == {(by_code("bob"), ""), (person("bob"), "negative")}
    found = {one.tube: one.result for one in it.results_of(person("bob"))}
    assert found == {f"{TUBE}@s1": "negative", f"{OTHER}@s1": ""}
    assert it.recount() == []


def test_whoever_works_at_the_centre_is_told_at_once_that_a_code_is_in_the_tube_already(database: Database) -> None:
    it = centre(database, Known(**{handle("ann"): person("ann")}))
    (first, second) = it.take([Taking(registered(person("ann"), 1)), Taking(registered(by_code("ann"), 2))], LATER)
    assert first.refusal is None
    assert second.refusal is not None
    assert second.refusal.reason == "person-twice"


@pytest.mark.parametrize("seed", range(4))
def test_however_late_codes_become_known_what_is_known_in_the_end_is_the_same(database: Database, seed: int) -> None:
    """Beside records that knew all from the start: the same tubes, people, conflicts and counts."""
    chance = random.Random(seed)
    names = range(4)
    everybody = {handle((name, n)): person(name) for name in names for n in range(2)}
    events = []
    for sequence in range(1, 19):
        name, tube = chance.choice(names), chance.choice((TUBE, OTHER, "XA20220415003"))
        who = person(name) if chance.random() < 0.4 else by_code((name, chance.randrange(2)))
        events.append(registered(who, sequence, tube))
    events += [result(tube, chance.choice(("negative", "positive")), LATER) for tube in (TUBE, OTHER)]
    it, known = centre(database, Known()), Known()
    it._handles = known  # noqa: SLF001  # the port that learns
    line = [one for one in events if one.station == "s1"]
    chance.shuffle(line)
    for one in line:
        merged(it, [one])
        if chance.random() < 0.3:
            of = chance.choice(sorted(everybody))
            known.people[of] = everybody[of]
            it.resolve(LATER)
    it.take([Taking(one, judged=False) for one in events if one.station == "lab"], LATER)
    known.people |= everybody
    it.resolve(LATER)
    assert it.recount() == []
    found, told = rows(database), last_told(it)
    with database.write() as connection:
        for table in (*rows(database), "sampling_events", "sampling_told", "sampling_batches", "sampling_stations"):
            connection.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  # our own names
    whole = centre(database, Known(**everybody))
    merged(whole, [one for one in events if one.station == "s1"])
    whole.take([Taking(one, judged=False) for one in events if one.station == "lab"], LATER)
    assert rows(database) == found
    assert last_told(whole) == told


def last_told(it: Sampling) -> dict[tuple[str, str], str]:
    """What holds, of what people were told."""
    told = {(one.tube, one.person): one.result for one in it.told_since(0)[1]}
    return {key: said for key, said in told.items() if said}


# Results become evidence of colours


class Node:
    """A node of whom people were registered, and whose tubes have results."""

    def __init__(self, url: str, data: Path) -> None:
        self.config = settings_on(url, data)
        self.work = ResultsWork(self.config, Reporter("work"))
        self.database = self.work.desk.statuses.database
        self.statuses = self.work.desk.statuses
        self.sampling = centre(self.database, Known())

    def person(self, number: str = CARD, kind: str = "id") -> str:
        return self.statuses.people.register(read_document(kind, number), "王小明", "", LATER)  # type: ignore[arg-type]

    def sampled(self, tube: str, *people: str, size: int = 1, told: str = "negative", tested_ms: int = LATER) -> None:
        events = [event(Register(tube=tube, size=size, person=it), 0, NOW, salt=tube + it) for it in people]
        self.sampling.take([Taking(it, judged=False) for it in events], LATER)
        self.sampling.take([Taking(result(tube, told, tested_ms), judged=False)], LATER)  # type: ignore[arg-type]

    def evidence(self, who: str) -> dict[str, tuple[str, int]]:
        return {it.id: (it.result, it.mixed) for it, _ in self.statuses.evidence(who, LATER)}  # type: ignore[union-attr]

    def brought(self) -> list[dict[str, object]]:
        page = Trail(self.database).page(TrailQuery(deed="codes.take"), "time", descending=False)
        return [dict(it.after) for it in page if it.who == BRINGER]


@pytest.fixture
def node(records_url: str, tmp_path: Path) -> Iterator[Node]:
    made = Node(records_url, tmp_path)
    yield made
    made.database.close()


def test_results_become_evidence_once_and_what_is_taken_back_goes(node: Node) -> None:
    ann, bob, far = node.person(), node.person(CARD_2), person("not registered")
    node.sampled("XA0000001", ann, told="positive")
    node.sampled("XA0000002", bob, far, by_code("nobody's"), size=5, told="positive")
    node.sampled("XA0000003", ann, size=5)
    node.sampled("XA0000004", alone := person("nor this one"), told="positive")
    assert node.work.follow(LATER) > 0
    assert node.evidence(ann) == {"tube:XA0000001@s1": ("positive", 1), "tube:XA0000003@s1": ("negative", 5)}
    assert node.evidence(bob) == node.evidence(far) == {"tube:XA0000002@s1": ("inconclusive", 5)}
    assert [node.statuses.standing(it, LATER).colour for it in (ann, bob, alone)] == ["red", "yellow", "red"]
    said = node.brought()
    assert node.work.follow(LATER) == 0
    assert node.brought() == said, "nothing is new, and nothing is brought"
    # A laboratory that contradicts itself: the result is held, and rests on nothing meanwhile.
    node.sampling.take([Taking(result("XA0000001", "negative", LATER + 1), judged=False)], LATER + 1)
    assert node.work.follow(LATER) == 1
    assert "tube:XA0000001@s1" not in node.evidence(ann)
    assert node.statuses.standing(ann, LATER).colour == "green"
    # The same of whom nothing else is kept: the colour goes with what it rested on.
    node.sampling.take([Taking(result("XA0000004", "negative", LATER + 1), judged=False)], LATER + 1)
    assert node.work.follow(LATER) == 1
    assert node.evidence(alone) == {}
    assert node.statuses.standing(alone, LATER).colour == "green"


def test_one_damaged_person_keeps_nobody_waiting_and_is_tried_again(node: Node) -> None:
    people = [node.person(f"E{n}0000000", "passport") for n in range(5)]
    hurt = people[2]
    keys = code_tables.code_person_keys
    for who in people:
        node.sampled(f"XA1{people.index(who):06d}", who)
    node.work.follow(LATER)
    with node.database.write() as connection:
        good = {it.day: it.wrapped for it in connection.execute(sa.select(keys).where(keys.c.person == hurt))}
        connection.execute(sa.update(keys).where(keys.c.person == hurt).values(wrapped=b"\1" + bytes(80)))
    for who in people:
        node.sampled(f"XA2{people.index(who):06d}", who)
    assert node.work.follow(LATER) == len(people)
    for who in people:
        if who != hurt:
            assert len(node.evidence(who)) == 2
    with node.database.read() as connection:
        assert Follower(node.database, NAME).count(connection) == 1
    assert node.brought()[-1]["owed"] == 1
    assert node.work.follow(LATER) == 0, "it is tried again in an hour"
    with node.database.write() as connection:
        for day, wrapped in good.items():
            here = sa.and_(keys.c.person == hurt, keys.c.day == day)
            connection.execute(sa.update(keys).where(here).values(wrapped=wrapped))
    assert node.work.follow(LATER + HOUR + 1) == 1
    assert len(node.evidence(hurt)) == 2
    with node.database.read() as connection:
        assert Follower(node.database, NAME).count(connection) == 0


def test_without_the_keys_nothing_is_taken_and_nothing_is_lost(node: Node, records_url: str, tmp_path: Path) -> None:
    ann = node.person()
    node.sampled("XA0000001", ann, told="positive")
    folder = key_folder(node.config)
    folder.rename(tmp_path / "away")
    bare = Node(records_url, tmp_path)
    with pytest.raises(StateError, match="not here"):
        bare.work.follow(LATER)
    assert not folder.exists(), "no new keys were made"
    (tmp_path / "away").rename(folder)
    assert bare.work.follow(LATER) == 1
    bare.database.close()
    assert node.statuses.standing(ann, LATER).colour == "red"


def test_results_are_followed_anew_where_their_numbers_begin_anew(node: Node) -> None:
    ann = node.person()
    with node.database.write() as connection:  # as from a backup in which all that was told was forgotten
        Follower(node.database, NAME).move(connection, 900)
    node.sampled("XA0000001", ann, told="positive")
    node.work.follow(LATER)
    assert node.work.follow(LATER) == 1
    assert node.statuses.standing(ann, LATER).colour == "red"
    assert node.work.follow(LATER) == 0


def test_results_have_their_effect_once_whoever_is_killed(node: Node, records_url: str, tmp_path: Path) -> None:
    people = [node.person(f"E{n:07d}", "passport") for n in range(60)]
    for n, who in enumerate(people):
        node.sampled(f"XA3{n:06d}", who, told="positive" if n % 2 else "negative")
    path = os.pathsep.join([str(TESTS), str(TESTS / "contract")])
    command = [sys.executable, str(TESTS / "contract" / "results_victim.py"), str(tmp_path), records_url, str(LATER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as victim:
        assert victim.stdout is not None
        for number, _ in enumerate(victim.stdout):
            if number == 7:
                victim.kill()
    with node.database.read() as connection:
        assert 0 < Follower(node.database, NAME).position(connection) < len(people)
    node.work.follow(LATER)
    for n, who in enumerate(people):
        assert node.evidence(who) == {f"tube:XA3{n:06d}@s1": ("positive" if n % 2 else "negative", 1)}
        assert node.statuses.standing(who, LATER).colour == ("red" if n % 2 else "green")
    assert sum(int(str(it["taken"])) for it in node.brought()) == len(people), "each was brought once"
    changed = Trail(node.database).page(TrailQuery(deed="codes.colour"), "time", descending=False)
    assert len(changed) == len(people) // 2
