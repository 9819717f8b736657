"""Registers and the watch, on each engine."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from case_samples import CALENDAR, CHECKER, CHIEF, DAY, DUTY, HOUR, MONDAY, RETEST, TYPES, WORKER, number_case
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.cases.delivery import FIRST_WAIT_MS, KEPT_MS, deliver, forget_notices
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.model import Actor, Proof, Request
from hutong.kernel.cases.notices import MemoryNotices, NoticeError
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.watch import run

if TYPE_CHECKING:
    from hutong.kernel.records import Database

RULES = (AssignRule("移动", "city", "上海"), AssignRule("联通", "city", "苏州", "li"), AssignRule("电信"))
SHEET = """序号,标题,整治对象,problem,city,发现日期,count
1,专线未实名,语音专线 A,未实名,上海,2026-02-01,3
2,专线转租,语音专线 B,转租,苏州,2026-02-02,
3,=cmd|' /C calc'!A0,语音专线 C,转租,南京,,1
4,坏日期,语音专线 D,转租,南京,2026-02-30,1
5,坏数,语音专线 E,转租,南京,2026-02-01,minus
6,缺对象,,转租,南京,2026-02-01,1
7,字段多,语音专线 G,转租,南京,2026-02-01,1,2
2,重复,语音专线 H,转租,南京,2026-02-01,1
,空行前,语音专线 I,转租,,2026-02-01,1
,,,,,,
"""


@pytest.fixture
def cases(database: Database) -> Cases:
    return Cases(database, TYPES, CALENDAR, "node1", WHOLE)


@pytest.fixture
def registers(database: Database, cases: Cases) -> Registers:
    return Registers(database, cases)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_right_rows_go_in_wrong_ones_are_told_and_twice_changes_nothing(
    registers: Registers, cases: Cases, encoding: str
) -> None:
    of = registers.make("语音专线整治", "rectification", RULES, DUTY, MONDAY).id
    done = registers.take_in(of, SHEET.encode(encoding), DUTY, MONDAY)
    assert (done.rows, done.taken, done.encoding) == (9, 4, "gb18030" if encoding == "gb18030" else "utf-8-sig")
    assert [(it.row, it.column) for it in done.errors] == [
        (5, "found_on"),
        (6, "count"),
        (7, "subject"),
        (8, ""),
        (9, "item"),
    ]
    items = {case.item: case for case in cases.page(CaseQuery(register=of))}
    assert set(items) == {"1", "2", "3", "9"}
    assert (items["1"].unit, items["2"].unit, items["2"].owner, items["9"].unit) == ("移动", "联通", "li", "电信")
    assert items["1"].fields["count"] == 3
    again = registers.take_in(of, SHEET.encode(encoding), DUTY, MONDAY)
    assert (again.taken, len(again.errors)) == (0, 9)
    assert cases.recount() == []


def test_a_register_is_assigned_worked_on_in_bulk_and_complete_when_all_is_proven(
    registers: Registers, cases: Cases, database: Database
) -> None:
    of = registers.make("语音专线整治", "rectification", RULES, DUTY, MONDAY).id
    registers.take_in(of, SHEET.encode(), DUTY, MONDAY)
    assert registers.assign(of, DUTY, MONDAY) == 4
    assert registers.assign(of, DUTY, MONDAY) == 0
    ids = [case.id for case in cases.page(CaseQuery(register=of))]
    sha = "a" * 64
    boss = Actor("boss", DUTY.permissions)
    for who, request in (
        (boss, Request("accept")),
        (boss, Request("attach", attachment=sha)),
        (boss, Request("act", proofs=(Proof("attachment", sha),))),
        (CHECKER, Request("verify", proofs=(RETEST,))),
        (CHECKER, Request("close")),
    ):
        half = cases.do_many(ids[:3], request, who, MONDAY, key=request.action)
        assert all(outcome.answer for outcome in half), half
    progress = registers.progress(of)
    assert (progress.items, progress.done, progress.complete) == (4, 3, False)
    last = cases.do_many(ids, Request("close"), CHECKER, MONDAY)
    assert {outcome.reason for outcome in last} == {"not-from-here"}, "nothing is closed by a bulk request alone"
    units = registers.progress_of_units(of)
    assert sum(it.items for it in units.values()) == 4
    assert sum(it.done for it in units.values()) == 3
    assert cases.recount() == []
    assert [it.deed for it in Trail(database).page(TrailQuery(deed="cases.import"))] == ["cases.import"]


def test_what_is_exported_is_no_formula_and_comes_back_in(registers: Registers) -> None:
    of = registers.make("语音专线整治", "rectification", RULES, DUTY, MONDAY).id
    registers.take_in(of, SHEET.encode(), DUTY, MONDAY)
    out = io.StringIO()
    assert registers.export(of, out, DUTY, MONDAY) == 4
    assert ",'=cmd|' /C calc'!A0," in out.getvalue()
    lines = ["标题,整治对象,problem", "'=cmd|' /C calc'!A0,x,y"]
    other = registers.make("again", "rectification", (), DUTY, MONDAY).id
    assert registers.take_in(other, "\n".join(lines).encode(), DUTY, MONDAY).taken == 1
    with pytest.raises(CaseRefused):
        registers.export(of, out, Actor("x", frozenset({"cases.read"})), MONDAY)


@pytest.mark.parametrize(
    "sheet",
    [
        b"",
        b"title\nx",
        b"title,subject,problem,colour\nx,y,z,red",
        b"title,title,subject,problem\nx,y,z,z",
        b"\xff\xfe\x00",
        b'title,subject,problem\n"x',
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(registers: Registers, cases: Cases, sheet: bytes) -> None:
    of = registers.make("语音专线整治", "rectification", RULES, DUTY, MONDAY).id
    try:
        taken = registers.take_in(of, sheet, DUTY, MONDAY).taken
    except CaseRefused:
        taken = 0
    assert taken == 0
    assert registers.progress(of).items == cases.figures("all")["found"] == 0


def test_a_register_must_fit_its_type_and_people_must_be_allowed(registers: Registers) -> None:
    for make in (
        lambda: registers.make("x", "none", (), DUTY, MONDAY),
        lambda: registers.make(" ", "rectification", (), DUTY, MONDAY),
        lambda: registers.make("x", "rectification", (AssignRule("移动", "colour"),), DUTY, MONDAY),
        lambda: registers.make("x", "rectification", (), Actor("x", frozenset()), MONDAY),
        lambda: registers.register("none"),
    ):
        with pytest.raises(CaseRefused):
            make()
    assert registers.all() == []


# The watch


def actions(cases: Cases, of: str) -> list[str]:
    return [event.action for event in cases.events(of)]


def test_who_is_late_is_reminded_then_told_on_step_by_step_and_nobody_twice(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    assert run(cases, MONDAY) == 0
    due = cases.case(of).next_due_ms
    assert due == MONDAY + 5 * HOUR
    assert run(cases, cases.case(of).wake_ms - 1) == 0
    assert run(cases, cases.case(of).wake_ms) == 1
    assert run(cases, due) == 0
    assert actions(cases, of) == ["find", "remind"]
    assert (
        run(cases, due + 2 * HOUR)
        == run(cases, MONDAY + DAY + 8 * HOUR)
        == run(cases, MONDAY + 3 * DAY + 8 * HOUR)
        == 1
    )
    assert run(cases, MONDAY + 30 * DAY) == 0
    assert actions(cases, of) == ["find", "remind", "escalate", "escalate", "escalate"]
    assert cases.case(of).level == 3


def test_a_watch_that_was_away_catches_up(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    while run(cases, MONDAY + 30 * DAY):
        pass
    assert actions(cases, of) == ["find", "remind", "escalate", "escalate", "escalate"]


def test_work_that_was_done_stops_the_reminders_and_a_risk_ends_by_itself(cases: Cases) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY)
    cases.do(of, Request("accept"), WORKER, MONDAY)
    cases.do(of, Request("accept-risk", "no spare part", until_ms=MONDAY + 20 * DAY), CHIEF, MONDAY)
    cases.do(of, Request("countersign"), DUTY, MONDAY)
    assert run(cases, MONDAY + 19 * DAY) == 0
    assert run(cases, MONDAY + 20 * DAY) == 1
    case = cases.case(of)
    assert (case.state, case.is_open) == ("accepted", True)
    assert case.next_due_ms == case.due_ms < MONDAY + 20 * DAY
    assert run(cases, MONDAY + 20 * DAY) == 1
    assert actions(cases, of)[-2:] == ["end-risk", "remind"]


# Notices


def test_notices_reach_who_they_are_for_at_least_once_and_wait_longer_each_time(
    cases: Cases, database: Database
) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    cases.do(of, Request("assign", "soon please, 13800138000", unit="移动", owner="wang"), DUTY, MONDAY)
    port = MemoryNotices(NoticeError("away"))
    told: list[str] = []
    assert deliver(database, [port], MONDAY, tell=lambda name, why: told.append(f"{name} {why}")) == 0
    assert deliver(database, [port], MONDAY + FIRST_WAIT_MS - 1) == 0
    assert deliver(database, [port], MONDAY + FIRST_WAIT_MS) == 1
    assert deliver(database, [port], MONDAY + DAY) == 0
    assert told == ["memory away"]
    (notice,) = port.got
    assert (notice.id, notice.recipient, notice.why, notice.state) == (
        f"{of}.2",
        "account:wang",
        "assigned",
        "assigned",
    )
    assert "13800138000" not in f"{notice}"
    assert notice.due == "2026-03-02 15:00"
    assert forget_notices(database, MONDAY + KEPT_MS) == 0
    assert forget_notices(database, MONDAY + KEPT_MS + 1) == 1


def test_the_chain_hears_of_what_is_late_and_seconds_of_what_waits(cases: Cases, database: Database) -> None:
    of = cases.find(number_case(), DUTY, MONDAY).case
    cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY)
    while run(cases, MONDAY + 30 * DAY):
        pass
    cases.do(of, Request("accept"), WORKER, MONDAY)
    cases.do(of, Request("accept-risk", "x", until_ms=MONDAY + 40 * DAY), CHIEF, MONDAY)
    cases.do(of, Request("decline", "no"), DUTY, MONDAY)
    cases.do(of, Request("return", "not ours"), WORKER, MONDAY)
    port = MemoryNotices()
    deliver(database, [port], MONDAY + 31 * DAY)
    assert [(it.why, it.recipient) for it in port.got] == [
        ("assigned", "unit:移动"),
        ("reminder", "unit:移动"),
        ("escalation", "unit:移动"),
        ("escalation", "chain:supervisor"),
        ("escalation", "chain:director"),
        ("countersign", "chain:duty"),
        ("returned", "chain:duty"),
    ]
