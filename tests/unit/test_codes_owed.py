"""What people are owed beside a right colour: that it ends, is explained, judged by others, and forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from case_samples import CHIEF, DAY, EVERYTHING, HOUR, MONDAY
from fresh_records import lay_out
from hutong.codes.people.errors import KeyGoneError
from hutong.codes.status.changes import Actor
from hutong.codes.status.evidence import commitment
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.records import Database, code_tables, database_url
from status_samples import (
    HEALTH,
    HOUSE,
    OTHER,
    POLICE,
    Desk,
    isolation,
    negative,
    positive,
    refused,
    stay,
    wish,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    lay_out(tmp_path / "records.db")
    database = Database(database_url("", tmp_path))
    database.open()
    made = Desk(database, tmp_path / "keys")
    made.agencies()
    yield made
    database.close()


def test_a_colour_ends_by_itself_and_is_judged_when_it_must_be(desk: Desk) -> None:
    person, other = desk.person(), desk.person(OTHER, "李四")
    desk.statuses.take_all({person: [stay()], other: [isolation(MONDAY, MONDAY + DAY)]}, MONDAY)
    assert desk.statuses.judge_due(MONDAY + 23 * HOUR) == 0
    assert desk.statuses.standing(other, MONDAY + DAY - 1).colour == "red"
    assert desk.statuses.standing(other, MONDAY + DAY).colour == "green", "asked for before any job ran"
    assert desk.statuses.judge_due(MONDAY + 6 * DAY) == 1
    assert desk.statuses.standing(person, MONDAY + 6 * DAY).colour == "red"
    end = MONDAY - HOUR + 7 * DAY
    assert desk.statuses.standing(person, MONDAY + 6 * DAY).again_ms == end
    assert desk.statuses.judge_due(end) == 1
    assert desk.told[-1].colour == "green"
    assert desk.statuses.judge_due(end + 30 * DAY) == 0, "what cannot change by itself is not looked at again"


def test_what_is_asked_for_lapses_and_what_stands_is_lifted_by_one(desk: Desk) -> None:
    person = desk.person()
    waiting = desk.changes.request(wish(person), HEALTH, MONDAY)
    assert refused(lambda: desk.changes.do(waiting.id, "withdraw", POLICE, MONDAY, "x")) == "not-yours"
    assert desk.changes.run(MONDAY + 2 * DAY) == 1
    assert desk.changes.change(waiting.id).state == "expired"
    first = desk.by_hand(person, "red", MONDAY + 2 * DAY)
    second = desk.by_hand(person, "yellow", MONDAY + 3 * DAY)
    assert desk.changes.change(first.id).state == "lifted", "the later one replaces it"
    assert desk.statuses.standing(person, MONDAY + 3 * DAY).colour == "yellow"
    assert refused(lambda: desk.changes.do(second.id, "lift", HOUSE, MONDAY + 3 * DAY)) == "no-reason"
    desk.changes.do(second.id, "lift", HOUSE, MONDAY + 3 * DAY, "核查有误")
    assert desk.statuses.standing(person, MONDAY + 3 * DAY).colour == "green"
    assert desk.changes.figures() == {"requested": 0, "in-force": 0}
    assert desk.changes.forget(MONDAY + 100 * DAY, 30) == 3
    assert {(it.person, it.reason) for it in desk.changes.listing()} == {("", "")}
    assert {it.requested_by for it in desk.changes.listing()} == {"wang"}, "who changed colours is not forgotten"


def test_who_changed_a_colour_does_not_judge_the_appeal(desk: Desk) -> None:
    person = desk.person()
    change = desk.by_hand(person)
    appeal = desk.appeals.take(person, "我是来取钱的储户", MONDAY)
    for name in ("wang", "li"):
        actor: Any = Actor(name, EVERYTHING)
        assert refused(lambda actor=actor: desk.appeals.decide(appeal.id, "upheld", "x", actor, MONDAY)) == "own-change"
    _, told = desk.desk.why(person, "zh", MONDAY)
    assert "卫健委 与 公安局 两个单位共同决定：密切接触者" in told.lines[0]
    assert any(line.startswith("申诉正在处理") for line in told.lines)
    _, moved = desk.appeals.decide(appeal.id, "corrected", "与防疫无关", CHIEF, MONDAY + HOUR)
    assert moved.standing.colour == "green"
    assert desk.changes.change(change.id).state == "lifted"
    assert desk.changes.change(change.id).ended_why == f"appeal {appeal.id}"


def test_a_colour_is_explained_in_plain_words_and_looking_leaves_a_trace(desk: Desk) -> None:
    person = desk.person()
    desk.statuses.take(person, [positive()], MONDAY)
    standing, told = desk.desk.why(person, "en", MONDAY)
    assert (told.colour, told.words[:22]) == ("Red", "Your test was positive")
    assert told.evidence == ("sample of 2026-03-02 09:00: positive (from 市一医院)",)
    assert any(standing.commitment in line for line in told.lines)
    assert any("appeal" in line for line in told.lines)
    explain = desk.desk.explain
    assert refused(lambda: explain(person, "zh", "核查", Actor("x", frozenset()), MONDAY)) == "not-allowed"
    assert refused(lambda: explain(person, "zh", " ", HOUSE, MONDAY)) == "no-reason"
    _, seen = explain(person, "zh", "流调核查", HOUSE, MONDAY)
    assert seen.evidence == ("2026-03-02 09:00 采样，检测结果阳性（来源：市一医院）",)
    (entry,) = Trail(desk.database).page(TrailQuery(deed="codes.explain"))
    assert (entry.who, entry.target, entry.purpose) == ("zhao", standing.event, "流调核查")


def test_evidence_lasts_no_longer_for_having_been_judged(desk: Desk) -> None:
    person = desk.person()
    desk.statuses.take(person, [stay(MONDAY - 6 * DAY), negative(MONDAY - HOUR, "tube-2")], MONDAY)
    over = MONDAY + 9 * DAY
    (before,) = desk.statuses.events(person, MONDAY)
    assert [it.evidence.id for it in before.items] == ["venue-1"]
    desk.statuses.expire(over)
    (after,) = desk.statuses.events(person, over)
    assert (after.items, after.gone) == ((), 1)
    assert after.sealed is not None
    assert commitment(after.sealed.salt, after.sealed.opening) == after.commitment, "what is left still opens it"


def test_who_brings_evidence_stands_on_the_trail_with_how_much(desk: Desk) -> None:
    people = [desk.person(), desk.person(OTHER, "李四")]
    found = {people[0]: [positive(), stay()], people[1]: [stay(MONDAY + DAY)]}
    assert [bool(it.refused) for it in desk.desk.take(found, "wang", "10.0.0.1", MONDAY)].count(True) == 1
    (entry,) = Trail(desk.database).page(TrailQuery(deed="codes.take"))
    assert entry.who == "wang"
    assert entry.after == {"people": 2, "sources": ["市一医院"], "result": 1, "visit": 2}


def test_who_asks_to_be_forgotten_is(desk: Desk) -> None:
    person, other = desk.person(), desk.person(OTHER, "李四")
    desk.statuses.take_all({person: [positive()], other: [positive()]}, MONDAY)
    desk.desk.forget(person, HOUSE, "本人申请", MONDAY)
    assert refused(lambda: desk.people.profile(person, MONDAY)) == "no-person"
    assert desk.statuses.evidence(person, MONDAY) == []
    assert desk.statuses.standing(person, MONDAY).commitment == ""
    assert desk.statuses.standing(other, MONDAY).colour == "red"


def test_rows_cannot_be_passed_from_one_person_to_another(desk: Desk) -> None:
    person, other = desk.person(), desk.person(OTHER, "李四")
    table = code_tables.code_people
    with desk.database.write() as connection:
        stolen = connection.execute(sa.select(table.c.sealed).where(table.c.person == other)).scalar_one()
        connection.execute(sa.update(table).where(table.c.person == person).values(sealed=stolen))
    with pytest.raises(Exception, match="not as it was sealed"):
        desk.people.profile(person, MONDAY)


def test_without_the_folder_of_keys_nothing_is_read_and_nobody_is_called_unknown(desk: Desk, tmp_path: Path) -> None:
    person = desk.person()
    bare = Desk(desk.database, tmp_path / "elsewhere")
    with pytest.raises(KeyGoneError) as error:
        bare.people.profile(person, MONDAY)
    assert not error.value.destroyed
