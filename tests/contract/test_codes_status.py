"""Colours in the records, on each engine: evidence judged, changed by two agencies, explained, appealed, forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from case_samples import CHIEF, DAY, EVERYTHING, HOUR, MONDAY
from hutong.codes.people.day_keys import day_of
from hutong.codes.status.appeals import Correction
from hutong.codes.status.changes import Actor
from hutong.codes.status.evidence import commitment, item_digest
from hutong.codes.status.guard import Limits
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.trail import Trail, TrailEntry, TrailQuery
from hutong.kernel.cases.model import Request
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.records import code_tables
from hutong.kernel.records.schema import metadata
from status_samples import (
    EVIDENCE_DAYS,
    HEALTH,
    OTHER,
    PERSON_DAYS,
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
    from pathlib import Path

    from hutong.codes.status.changes import Change
    from hutong.kernel.records import Database


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    made = Desk(database, tmp_path / "keys")
    made.agencies()
    return made


def colours(desk: Desk) -> list[TrailEntry]:
    return Trail(desk.database).page(TrailQuery(deed="codes.colour"), "time", descending=False)


def test_every_change_of_a_colour_names_its_rule_and_a_commitment_that_opens(desk: Desk) -> None:
    person = desk.person()
    assert desk.statuses.judge_again(person, MONDAY - 1).changed is None, "a first green is no change"
    first = desk.statuses.take(person, [positive()], MONDAY)
    assert first.changed is not None
    assert (first.standing.colour, first.standing.rule) == ("red", "codes.positive-result@1")
    assert desk.statuses.take(person, [positive()], MONDAY + 1).changed is None, "the same again"
    negatives = [negative(MONDAY + n * HOUR, f"tube-{n}") for n in (2, 30)]
    assert desk.statuses.take(person, negatives, MONDAY + 31 * HOUR).standing.colour == "green"
    (red, green) = colours(desk)
    assert red.target == first.standing.event
    assert red.after["rule"] == "codes.positive-result@1"
    assert red.after["commitment"] == first.standing.commitment
    assert (green.before, green.after["colour"]) == ({"colour": "red"}, "green")
    assert [it.colour for it in desk.told] == ["red", "green"]
    events = desk.statuses.events(person, MONDAY + 31 * HOUR)
    assert [it.colour for it in events] == ["green", "red", "green"]
    for event in events:
        assert event.sealed is not None
        assert commitment(event.sealed.salt, event.sealed.opening) == event.commitment
        assert {item_digest(it.salt, it.evidence) for it in event.items} <= set(event.sealed.opening.evidence)
    assert [it.evidence.id for it in events[1].items] == ["tube-1"]
    with desk.database.read() as connection:
        kept = str([connection.execute(sa.select(table)).all() for table in metadata.sorted_tables])
    for secret in ("王小明", "13800138000", "19900101", "tube-1", "市一医院"):
        assert secret not in kept, f"{secret} stands in the records"


def test_a_batch_tells_of_each_person_what_was_wrong(desk: Desk) -> None:
    people = [desk.person(), desk.person(OTHER, "李四")]
    wrong = stay(MONDAY + DAY)
    outcomes = desk.statuses.take_all({people[0]: [wrong], people[1]: [positive()]}, MONDAY)
    found = {it.person: it for it in outcomes}
    assert "lies ahead" in found[people[0]].refused
    assert found[people[1]].changed is not None
    assert refused(lambda: desk.statuses.take(people[0], [stay(MONDAY - 15 * DAY)], MONDAY)) == "evidence"


def test_a_change_by_hand_takes_two_people_of_two_agencies_and_ends_by_itself(desk: Desk) -> None:
    person = desk.person()
    assert refused(lambda: desk.changes.request(wish("0" * 32), HEALTH, MONDAY)) == "no-person"
    for said, why in (
        ({"reason": " "}, "no-reason"),
        ({"basis": "other"}, "basis"),
        ({"basis": "correction"}, "basis"),
        ({"term_s": 15 * 86_400}, "term"),
        ({"document": ""}, "field"),
        ({"colour": "black"}, "field"),
    ):
        assert refused(lambda said=said: desk.changes.request(wish(person, **said), HEALTH, MONDAY)) == why
    nobody = Actor("x", frozenset(), "health")
    assert refused(lambda: desk.changes.request(wish(person), nobody, MONDAY)) == "not-allowed"
    change = desk.changes.request(wish(person), HEALTH, MONDAY)
    assert desk.statuses.standing(person, MONDAY).colour == "green", "one agency gives nobody a colour"
    assert refused(lambda: desk.changes.request(wish(person), POLICE, MONDAY)) == "taken"
    colleague = Actor("zhou", EVERYTHING, "health")
    for actor, why in ((HEALTH, "same-person"), (colleague, "same-agency")):
        assert refused(lambda actor=actor: desk.changes.do(change.id, "approve", actor, MONDAY)) == why
    Agencies(desk.database).set_disabled("police", disabled=True)
    assert refused(lambda: desk.changes.do(change.id, "approve", POLICE, MONDAY)) == "agency"
    Agencies(desk.database).set_disabled("police", disabled=False)
    approved = desk.changes.do(change.id, "approve", POLICE, MONDAY + HOUR)
    standing = desk.statuses.standing(person, MONDAY + HOUR)
    assert (standing.colour, standing.change, standing.until_ms) == ("red", change.id, approved.ends_ms)
    assert desk.changes.run(MONDAY + DAY) == 0
    assert desk.statuses.standing(person, MONDAY + 25 * HOUR).colour == "green", "over, whether a job runs or not"
    assert desk.changes.run(MONDAY + 25 * HOUR) == 1
    deeds = [it.deed for it in Trail(desk.database).page(TrailQuery(deed="codes"), descending=False)]
    assert deeds == [
        "codes.change_request", "codes.colour", "codes.change_approve", "codes.colour", "codes.change_expire",
    ]  # fmt: skip
    (entry,) = Trail(desk.database).page(TrailQuery(deed="codes.change_approve"))
    assert (entry.who, entry.after["requested_agency"], entry.after["decided_agency"]) == ("li", "health", "police")
    assert person not in str(Trail(desk.database).page())


def misuse(desk: Desk) -> dict[str, str]:
    found, _ = desk.cases.listing(CaseQuery(type="colour-misuse"), 50)
    return {str(it.fields["kind"]): str(it.fields["subject"]) for it in found}


def test_many_changes_by_hand_are_looked_at(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, tmp_path / "keys", Limits(person=4, agency=6, reason=3))
    desk.agencies()
    people = [f"{n:032x}" for n in range(8)]
    desk.statuses.take_all({person: [negative(MONDAY - HOUR, "t")] for person in people}, MONDAY)

    def change(at: int, reason: str, actor: Actor = HEALTH) -> Change:
        return desk.changes.request(wish(people[at], reason=reason), actor, MONDAY + at)

    asked = [change(0, "村镇银行储户 1 号"), change(1, "村镇银行储户，2号")]
    assert misuse(desk) == {}
    asked.append(change(2, "村镇银行储户3号"))
    assert misuse(desk) == {"reason": f"change {asked[2].id}"}, "reasons that read alike"
    asked.append(change(3, "涉疫风险"))
    assert misuse(desk).keys() == {"reason", "person"}
    zhou = Actor("zhou", EVERYTHING, "health")
    asked += [change(4, "密接甲", zhou), change(5, "次密接乙", zhou)]
    assert misuse(desk)["agency"] == "health"
    for at in range(4):
        desk.changes.do(asked[at].id, "approve", POLICE, MONDAY + HOUR)
    assert misuse(desk)["approver"] == "li"
    change(6, "涉疫风险乙")
    found, count = desk.cases.listing(CaseQuery(type="colour-misuse"), 50)
    assert count == 4, "one case a day for each"
    assert {it.unit for it in found} == {"健康码监督"}


def test_an_appeal_puts_right_what_a_colour_rests_on(desk: Desk) -> None:
    person = desk.person()
    assert refused(lambda: desk.appeals.take(person, "不对", MONDAY)) == "not-from-here"
    desk.statuses.take(person, [stay(), stay(MONDAY - 2 * HOUR, "venue-2")], MONDAY)
    appeal = desk.appeals.take(person, "我当天没有去过", MONDAY)
    assert desk.appeals.take(person, "再说一次", MONDAY + 1) == appeal
    assert desk.appeals.words(appeal.id, MONDAY) == "我当天没有去过"
    case = desk.cases.case(appeal.id)
    assert (case.type, case.fields["rule"], person in str(case)) == ("colour-appeal", "codes.high-risk-stay@1", False)
    nobody = Actor("x", frozenset())
    decide = desk.appeals.decide
    assert refused(lambda: decide(appeal.id, "upheld", "x", nobody, MONDAY)) == "not-allowed"  # type: ignore[arg-type]
    assert refused(lambda: decide(appeal.id, "corrected", "x", CHIEF, MONDAY)) == "field", "nothing would change"
    wrong = Correction(void=("venue-9",))
    assert refused(lambda: decide(appeal.id, "corrected", "x", CHIEF, MONDAY, wrong)) == "evidence"
    assert desk.cases.case(appeal.id).state == "found", "what is refused changes nothing"
    _, moved = decide(appeal.id, "corrected", "场所登记有误", CHIEF, MONDAY + HOUR, Correction(void=("venue-1",)))
    assert moved.standing.colour == "red", "the other stay is true"
    assert refused(lambda: decide(appeal.id, "upheld", "x", CHIEF, MONDAY)) == "decided"
    again = desk.appeals.take(person, "另一处也没有去过", MONDAY + 2 * HOUR)
    _, moved = decide(again.id, "corrected", "属实", CHIEF, MONDAY + 3 * HOUR, Correction(void=("venue-2",)))
    assert moved.standing.colour == "green"
    assert desk.statuses.take(person, [stay()], MONDAY + 4 * HOUR).standing.colour == "green", "repeated, still void"
    case = desk.cases.case(again.id)
    assert (case.state, case.fields["outcome"], case.acted_by) == ("acted", "corrected", "chief")
    with pytest.raises(Exception, match="Who acted"):
        desk.cases.do(again.id, Request("close"), CHIEF, MONDAY + 4 * HOUR)
    deeds = [it.deed for it in Trail(desk.database).page(TrailQuery(deed="codes.appeal_corrected"))]
    assert len(deeds) == 2
    assert desk.appeals.figures(MONDAY + 30 * DAY) == (0, 0)
    assert desk.appeals.forget(MONDAY + 100 * DAY, 30) == 2
    assert desk.appeals.words(again.id, MONDAY + 4 * HOUR) == ""


def test_what_is_kept_of_a_person_ends_with_its_day(desk: Desk) -> None:
    person = desk.person()
    desk.statuses.take(person, [positive(), isolation(MONDAY, MONDAY + 20 * DAY)], MONDAY)
    assert desk.people.profile(person, MONDAY).masked_name == "王*"
    last = MONDAY + EVIDENCE_DAYS * DAY
    assert len(desk.statuses.evidence(person, last)) == 2
    assert desk.statuses.expire(last) == 0
    over = MONDAY + (EVIDENCE_DAYS + 1) * DAY
    assert [it.id for it, _ in desk.statuses.evidence(person, over)] == ["order-1"], "over, whether a job runs or not"
    assert [it.sealed for it in desk.statuses.events(person, over)] == [None]
    assert desk.statuses.expire(over) == 1
    assert desk.statuses.events(person, over) == []
    assert desk.statuses.standing(person, over).colour == "red", "the order stands, and its evidence with it"
    first = desk.people.kept_until(person, MONDAY + 5 * DAY)
    assert first == day_of(MONDAY) + PERSON_DAYS
    assert desk.people.renew(person, first, MONDAY + 5 * DAY)
    second = desk.people.kept_until(person, MONDAY + 5 * DAY)
    assert second == first + 5
    assert not desk.people.renew(person, second, MONDAY + 5 * DAY + HOUR), "once a day"
    end = MONDAY + (PERSON_DAYS + 6) * DAY
    assert desk.people.kept_until(person, end - DAY) == second
    assert desk.people.kept_until(person, end) is None
    assert refused(lambda: desk.people.profile(person, end)) == "no-person"
    desk.statuses.expire(end)
    with desk.database.read() as connection:
        for table in (code_tables.code_people, code_tables.code_evidence, code_tables.code_colours):
            assert connection.execute(sa.select(table)).all() == []
        assert {it.day for it in connection.execute(sa.select(code_tables.code_person_keys))} == set()
    assert [it for it in desk.days.days() if it < day_of(end)] == []


def test_nothing_new_is_kept_of_somebody_who_was_forgotten_while_a_change_by_hand_was_in_force(desk: Desk) -> None:
    person = desk.person()
    change = desk.by_hand(person)
    desk.statuses.forget(person, MONDAY + 1)
    assert desk.statuses.standing(person, MONDAY + 2).colour == "red", "it holds all the same"
    desk.changes.do(change.id, "lift", POLICE, MONDAY + 3, "查无实据")
    assert desk.statuses.judge_again(person, MONDAY + 4).standing.colour == "green"
    with desk.database.read() as connection:
        for table in (code_tables.code_colours, code_tables.code_colour_events, code_tables.code_person_keys):
            assert not connection.execute(sa.select(table)).all()
