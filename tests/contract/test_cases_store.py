"""Cases in the records, on each engine: one effect, nothing lost, counters that follow from the events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
import sqlalchemy as sa

from case_samples import (
    CALENDAR,
    CHECKER,
    CHIEF,
    DAY,
    DUTY,
    EVERYTHING,
    HOUR,
    MONDAY,
    ORDER,
    RETEST,
    TYPES,
    WORKER,
    number_case,
)
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import WATCH
from hutong.kernel.cases.model import Actor, Finding, Part, Request, fold_all
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.store import REMEMBERED_MS, Cases
from hutong.kernel.cases.types import ActionSpec, Types
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from hutong.kernel.cases.store import Answer
    from hutong.kernel.records import Database


@pytest.fixture
def cases(database: Database) -> Cases:
    return Cases(database, TYPES, CALENDAR, "node1", WHOLE)


def closed(cases: Cases, finding: Finding | None = None) -> str:
    of = cases.find(finding or number_case(), DUTY, MONDAY).case
    cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY)
    cases.do(of, Request("accept"), WORKER, MONDAY)
    cases.do(of, Request("act", proofs=(ORDER,)), WORKER, MONDAY)
    cases.do(of, Request("verify", proofs=(RETEST,)), CHECKER, MONDAY)
    cases.do(of, Request("close"), CHECKER, MONDAY + HOUR)
    return of


def test_a_case_is_what_its_events_say_and_the_counters_follow(cases: Cases, database: Database) -> None:
    of = closed(cases)
    events = cases.events(of)
    assert [event.action for event in events] == ["find", "assign", "accept", "act", "verify", "close"]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert fold_all(events) == cases.case(of)
    assert cases.figures("all")["closed"] == cases.figures("unit", "移动")["closed"] == 1
    assert cases.figures("owner", "worker")["closed"] == 1
    assert cases.recount() == []
    deeds = [entry.deed for entry in Trail(database).page(TrailQuery(deed="cases"), descending=False)]
    assert deeds == ["cases.find", "cases.assign", "cases.accept", "cases.act", "cases.verify", "cases.close"]
    assert {entry.target for entry in Trail(database).page(TrailQuery(deed="cases"))} == {of}


def test_a_refused_request_changes_nothing(cases: Cases, database: Database) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    for request in (Request("close"), Request("assign"), Request("act", proofs=(ORDER,))):
        with pytest.raises(CaseRefused):
            cases.do(of, request, DUTY, MONDAY)
    with pytest.raises(CaseRefused):
        cases.find(Finding("fraud-number", "x", {"number": "abc"}), DUTY, MONDAY)
    with pytest.raises(CaseRefused):
        cases.find(number_case(), Actor("x", frozenset()), MONDAY)
    assert len(cases.events(of)) == 1
    assert cases.figures("all")["found"] == 1
    assert Trail(database).count() == 1


def test_events_are_never_changed(cases: Cases, database: Database) -> None:
    cases.find(number_case(), DUTY, MONDAY)
    for statement in (sa.update(tables.case_events).values(who="x"), sa.delete(tables.case_events)):
        with pytest.raises(sa.exc.DBAPIError, match="only ever added"), database.write() as connection:
            connection.execute(statement)


def test_a_repeated_request_has_one_effect_and_the_same_answer(cases: Cases) -> None:
    first = cases.find(number_case(), DUTY, MONDAY, key="k1")
    assert cases.find(number_case(), DUTY, MONDAY + HOUR, key="k1") == first
    given = cases.do(first.case, Request("assign", unit="移动"), DUTY, MONDAY, version=1, key="k2")
    again = cases.do(first.case, Request("assign", unit="移动"), DUTY, MONDAY + HOUR, version=1, key="k2")
    assert again == given
    assert (given.version, given.state) == (2, "assigned")
    assert cases.case(first.case).version == 2
    for other in (
        lambda: cases.find(number_case("13900139000"), DUTY, MONDAY, key="k1"),
        lambda: cases.find(number_case(), WORKER, MONDAY, key="k1"),
        lambda: cases.do(first.case, Request("accept"), DUTY, MONDAY, key="k2"),
        lambda: cases.find(number_case(), DUTY, MONDAY, key="x" * 201),
    ):
        with pytest.raises(CaseRefused) as refused:
            other()
        assert refused.value.reason == "key-used"
    assert cases.forget_requests(MONDAY + REMEMBERED_MS) == 0
    assert cases.forget_requests(MONDAY + REMEMBERED_MS + 1) == 2


def test_requests_with_one_key_at_the_same_moment_have_one_effect(cases: Cases) -> None:
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(cases.find(number_case(), DUTY, MONDAY, key="same")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 6
    assert len(set(map(str, answers))) == 1
    assert cases.figures("all")["found"] == 1


def test_two_who_saw_the_same_version_do_not_both_change_it(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    outcomes: list[str] = []

    def comment(text: str) -> None:
        try:
            cases.do(of, Request("comment", text), DUTY, MONDAY, version=1)
        except CaseRefused as refused:
            outcomes.append(refused.reason)
        else:
            outcomes.append("done")

    threads = [threading.Thread(target=comment, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["changed-meanwhile"] * 5 + ["done"]
    assert [event.action for event in cases.events(of)] == ["find", "comment"]


def test_writers_who_say_no_version_lose_no_update(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case

    def comment(who: int) -> None:
        for number in range(5):
            cases.do(of, Request("comment", f"{who}.{number}"), DUTY, MONDAY)

    threads = [threading.Thread(target=comment, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    events = cases.events(of)
    assert {event.said["reason"] for event in events[1:]} == {f"{who}.{n}" for who in range(4) for n in range(5)}
    assert cases.case(of).version == len(events) == 21
    assert cases.recount() == []


def test_parts_and_wholes(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    parts = (Part("a", {"number": "13900139000"}), Part("b"))
    split = cases.do(of, Request("split", "two", parts=parts), DUTY, MONDAY + DAY)
    first, second = (cases.case(part) for part in split.parts)
    whole = cases.case(of)
    assert whole.children == split.parts
    assert first.due_ms == second.due_ms == whole.due_ms
    assert {case.id for case in cases.page(CaseQuery(parent=of))} == set(split.parts)
    assert len(split.parts) == 2
    cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY + DAY)
    cases.do(of, Request("accept"), WORKER, MONDAY + DAY)
    cases.do(of, Request("act", proofs=(ORDER,)), WORKER, MONDAY + DAY)
    cases.do(of, Request("verify", proofs=(RETEST,)), CHECKER, MONDAY + DAY)
    cases.do(first.id, Request("merge", "same", into=second.id), DUTY, MONDAY + DAY)
    with pytest.raises(CaseRefused) as refused:
        cases.do(of, Request("close"), CHECKER, MONDAY + DAY)
    assert refused.value.reason == "parts-open"
    cases.do(second.id, Request("merge", "all the same", into=of), DUTY, MONDAY + DAY)
    cases.do(of, Request("close"), CHECKER, MONDAY + DAY)
    assert cases.figures("all") | {"merged": 2, "closed": 1, "found": 0} == cases.figures("all")
    assert cases.recount() == []


def test_what_a_second_person_agrees_to_is_done_as_it_was_asked_for(database: Database) -> None:
    shipped = TYPES["fraud-number"]
    asked = {name: ActionSpec("cases.assign", countersign=True) for name in ("split", "merge")}
    both = Types([msgspec.structs.replace(shipped, actions={**shipped.actions, **asked})])
    cases = Cases(database, both, CALENDAR, "node1", WHOLE)
    one, two = (cases.find(number_case(), DUTY, MONDAY).case for _ in range(2))
    cases.do(one, Request("split", "two", parts=(Part("a"), Part("b"))), DUTY, MONDAY)
    assert cases.case(one).children == ()
    agreed = cases.do(one, Request("countersign"), CHIEF, MONDAY)
    assert cases.case(one).children == agreed.parts
    assert len(agreed.parts) == 2
    cases.do(two, Request("merge", "same", into=one), DUTY, MONDAY)
    cases.do(two, Request("countersign"), CHIEF, MONDAY)
    assert cases.case(two).state == "merged"
    assert cases.events(one)[-1].action == "absorb"


def test_a_part_is_not_opened_again_while_its_whole_is_closed(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    split = cases.do(of, Request("split", "two", parts=(Part("a"), Part("b"))), DUTY, MONDAY)
    for case in (*split.parts, of):
        cases.do(case, Request("assign", unit="移动"), DUTY, MONDAY)
        cases.do(case, Request("accept"), WORKER, MONDAY)
        cases.do(case, Request("act", proofs=(ORDER,)), WORKER, MONDAY)
        cases.do(case, Request("verify", proofs=(RETEST,)), CHECKER, MONDAY)
        cases.do(case, Request("close"), CHECKER, MONDAY)
    with pytest.raises(CaseRefused) as refused:
        cases.do(split.parts[0], Request("reopen", "again"), CHIEF, MONDAY)
    assert refused.value.reason == "not-from-here"
    cases.do(of, Request("reopen", "again"), CHIEF, MONDAY)
    assert cases.do(split.parts[0], Request("reopen", "again"), CHIEF, MONDAY).state == "assigned"


def test_the_absorbed_and_the_absorbing_both_tell_of_it(cases: Cases) -> None:
    one, two = (cases.find(number_case(), DUTY, MONDAY + at).case for at in (0, DAY))
    cases.do(one, Request("merge", "same number", into=two), DUTY, MONDAY + DAY)
    assert cases.case(two).due_ms == cases.case(one).due_ms
    assert [event.action for event in cases.events(two)] == ["find", "absorb"]
    with pytest.raises(CaseRefused):
        cases.do(two, Request("merge", "x", into="none"), DUTY, MONDAY + DAY)


def test_many_are_worked_on_at_once_and_one_that_is_refused_keeps_no_other(cases: Cases) -> None:
    ids = [cases.find(number_case(), DUTY, MONDAY).case for _ in range(3)]
    cases.do(ids[1], Request("assign", unit="电信"), DUTY, MONDAY)
    outcomes = cases.do_many([*ids, "none", ids[0]], Request("assign", unit="移动"), DUTY, MONDAY, key="bulk")
    assert [outcome.reason for outcome in outcomes] == ["", "not-from-here", "", "no-case"]
    again = cases.do_many([*ids], Request("assign", unit="移动"), DUTY, MONDAY, key="bulk")
    assert [outcome.answer for outcome in again][::2] == [outcome.answer for outcome in outcomes][:3:2]
    assert cases.figures("unit", "移动")["assigned"] == 2


def test_lists_counts_and_search(cases: Cases) -> None:
    done = closed(cases, number_case("02161230000"))
    mine = cases.find(number_case("13900139000", priority=1), DUTY, MONDAY).case
    cases.do(mine, Request("assign", unit="联通", owner="worker"), DUTY, MONDAY)
    late = cases.find(number_case("13700137000"), DUTY, MONDAY - 30 * DAY).case

    def found(**asked: object) -> list[str]:
        query = CaseQuery(**asked)  # type: ignore[arg-type]
        ids = [case.id for case in cases.page(query)]
        assert cases.count(query) == len(ids)
        return ids

    assert found() == [late, mine]
    assert found(sort="changed") == [done, mine, late]
    assert found(owner="worker") == found(unit="联通") == found(states=("assigned",)) == [mine]
    assert found(owner="worker", sort="changed") == [done, mine]
    assert found(late_ms=MONDAY) == [late]
    assert found(states=("closed",), sort="changed") == found(unit="移动", sort="changed") == [done]
    assert found(text="+86 139 0013 9000") == found(text=mine) == found(text="1390013", beginnings=True) == [mine]
    assert set(found(text="核查")) == {mine, late}
    assert found(text="%") == found(text="\0") == found(text="' or 1=1 --") == []
    assert found(type="wrong-block") == found(text="0216") == []
    assert cases.page(CaseQuery(), limit=1, offset=1)[0].id == mine
    assert cases.page(CaseQuery(), offset=10_001) == []
    assert cases.late(MONDAY) == 1
    assert [(it.unit, it.open, it.late) for it in cases.lateness(MONDAY + DAY)] == [("联通", 1, 1)]
    assert cases.board("unit")["联通"]["assigned"] == 1


def test_no_search_tells_hidden_digits_to_who_may_not_see_them(cases: Cases) -> None:
    abroad, said = "+85212345678", "核查 13700137000 与 0755-12345678"
    of = cases.find(number_case("13900139000"), DUTY, MONDAY).case
    foreign = cases.find(number_case(abroad), DUTY, MONDAY).case
    titled = cases.find(Finding("fraud-number", said, {"number": "13600136000"}), DUTY, MONDAY).case

    def found(text: str, *, beginnings: bool) -> set[str]:
        return {it.id for it in cases.page(CaseQuery(text=text, beginnings=beginnings))}

    for end in range(1, 11):
        assert found("13900139000"[:end], beginnings=False) == set(), "it would tell the next digit"
        assert of in found("13900139000"[:end], beginnings=True)
    for whole in ("13900139000", "+8613900139000"):
        assert found(whole, beginnings=False) == {of}
    assert found(abroad, beginnings=False) == found(abroad[1:], beginnings=False) == {foreign}
    for part in ("查 137001", "查 1370013700", "与 0755-123", "8 与"):
        assert found(part, beginnings=False) == set()
    assert found("查 137001", beginnings=True) == found("查 137", beginnings=False) == {titled}


def test_fields_that_change_change_what_a_case_is_found_by(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    cases.do(of, Request("amend", "mistyped", fields={"number": "13900139000"}), DUTY, MONDAY)
    assert cases.count(CaseQuery(text="13800138000")) == 0
    assert cases.count(CaseQuery(text="13900139000")) == 1


def test_counters_and_rows_that_were_tampered_with_are_found_and_counters_put_right(
    cases: Cases, database: Database
) -> None:
    of = closed(cases)
    with database.write() as connection:
        connection.execute(sa.update(tables.case_counts).where(tables.case_counts.c.scope == "all").values(count=7))
    found = cases.recount()
    assert {(it.what.split()[0], it.kept) for it in found} == {("all", "7")}
    cases.recount(repair=True)
    assert cases.recount() == []
    with database.write() as connection:
        connection.execute(sa.update(tables.cases).values(body=sa.func.replace(tables.cases.c.body, "移动", "联通")))
    (different,) = cases.recount()
    assert different.what == f"case {of}"


def test_cases_of_several_nodes_stand_side_by_side(cases: Cases, database: Database) -> None:
    here = cases.find(number_case(), DUTY, MONDAY).case
    there = Cases(database, TYPES, CALENDAR, "node-2", WHOLE).find(number_case(), DUTY, MONDAY).case
    assert here.startswith("node1-")
    assert there.startswith("node-2-")
    assert cases.case(there).node == "node-2"
    ids = [cases.new_id(MONDAY + at) for at in range(50)]
    assert ids == sorted(set(ids))


def test_only_the_watch_reminds_and_escalates(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    for action in ("remind", "escalate", "absorb"):
        with pytest.raises(CaseRefused) as refused:
            cases.do(of, Request(action), Actor("x", EVERYTHING), MONDAY)  # type: ignore[arg-type]
        assert refused.value.reason == "not-allowed"
    assert cases.do(of, Request("remind"), WATCH, MONDAY).version == 2
