"""What may be done with a case, by whom, and what becomes of it and of its clocks."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from case_samples import CALENDAR, CHECKER, CHIEF, DAY, DUTY, HOUR, MONDAY, ORDER, RETEST, TYPES, WORKER, number_case
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import WATCH, Facts, decide, find
from hutong.kernel.cases.model import Action, Actor, Case, Finding, Part, Proof, Request
from hutong.kernel.cases.types import ActionSpec

KIND = TYPES["fraud-number"]


def found(**given: Any) -> Case:  # noqa: ANN401
    return find(KIND, number_case(**given), "n-a", "n", MONDAY, CALENDAR)


def done(case: Case, who: Actor, action: Action, now: int = MONDAY, facts: Facts = Facts(), **said: Any) -> Case:  # noqa: ANN401, B008
    request = Request(action, said.pop("reason", "because"), **said)
    return decide(TYPES[case.type], case, request, who, now, CALENDAR, facts).case


def refused(case: Case, who: Actor, action: Action, now: int = MONDAY, facts: Facts = Facts(), **said: Any) -> str:  # noqa: ANN401, B008
    with pytest.raises(CaseRefused) as error:
        done(case, who, action, now, facts, **said)
    return error.value.reason


def assigned() -> Case:
    return done(found(), DUTY, "assign", unit="移动")


def accepted() -> Case:
    return done(assigned(), WORKER, "accept")


def acted() -> Case:
    return done(accepted(), WORKER, "act", proofs=(ORDER,))


def verified() -> Case:
    return done(acted(), CHECKER, "verify", proofs=(RETEST,))


def closed() -> Case:
    return done(verified(), CHECKER, "close", MONDAY + HOUR)


def test_the_whole_way() -> None:
    case = closed()
    assert (case.state, case.closed_ms, case.owner, case.unit) == ("closed", MONDAY + HOUR, "worker", "移动")
    assert case.proofs == (ORDER, RETEST)
    assert (case.next_due_ms, case.wake_ms) == (0, 0)


def test_each_state_has_its_deadline_and_the_whole_has_one() -> None:
    case = found()
    assert case.due_ms == MONDAY + 7 * DAY + 8 * HOUR, "five working days, to the close of business"
    assert case.step_due_ms == MONDAY + 5 * HOUR, "four working hours with a break"
    assert case.wake_ms == MONDAY + 2 * HOUR + HOUR, "two working hours before, over the break"
    assert accepted().step_due_ms == MONDAY + 3 * DAY + 8 * HOUR
    assert closed().due_ms == case.due_ms


@pytest.mark.parametrize(
    ("reason", "attempt"),
    [
        ("not-from-here", lambda: refused(found(), WORKER, "accept")),
        ("not-from-here", lambda: refused(found(), WORKER, "close", proofs=(ORDER,))),
        ("not-from-here", lambda: refused(closed(), WORKER, "act", proofs=(ORDER,))),
        ("not-from-here", lambda: refused(closed(), WORKER, "amend", fields={"reported": 1})),
        ("not-allowed", lambda: refused(found(), Actor("x", frozenset({"cases.work"})), "assign", unit="a")),
        ("not-allowed", lambda: refused(found(), CHIEF, "escalate")),
        ("not-allowed", lambda: refused(found(), CHIEF, "remind")),
        ("no-owner", lambda: refused(found(), DUTY, "assign")),
        ("not-yours", lambda: refused(accepted(), Actor("x", frozenset({"cases.work"})), "act", proofs=(ORDER,))),
        ("no-proof", lambda: refused(accepted(), WORKER, "act")),
        ("no-proof", lambda: refused(accepted(), WORKER, "act", proofs=(RETEST,))),
        ("proof-unknown", lambda: refused(accepted(), WORKER, "act", proofs=(Proof("reference"),))),
        ("proof-unknown", lambda: refused(accepted(), WORKER, "act", proofs=(ORDER, Proof("attachment", "a" * 64)))),
        ("proof-unknown", lambda: refused(accepted(), WORKER, "attach", attachment="../../etc/passwd")),
        ("retest-failed", lambda: refused(acted(), CHECKER, "verify", proofs=(Proof("retest", "d", passed=False),))),
        ("same-person", lambda: refused(acted(), WORKER, "verify", proofs=(RETEST,))),
        ("no-reason", lambda: refused(accepted(), WORKER, "return", reason="  ")),
        ("no-reason", lambda: refused(accepted(), WORKER, "comment", reason="\x1b[2J")),
        ("field", lambda: refused(accepted(), WORKER, "amend", fields={"colour": "red"})),
        ("field", lambda: refused(accepted(), WORKER, "amend", fields={"number": "=cmd()"})),
        ("field", lambda: refused(accepted(), WORKER, "amend", fields={"number": ""})),
        ("field", lambda: refused(accepted(), WORKER, "amend")),
        ("part-count", lambda: refused(accepted(), DUTY, "split", parts=(Part("x"),))),
        ("into", lambda: refused(accepted(), DUTY, "merge", into="n-b")),
        ("not-waiting", lambda: refused(accepted(), CHIEF, "countersign")),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_reason(reason: str, attempt: Any) -> None:  # noqa: ANN401
    assert attempt() == reason


def test_a_return_gives_back_and_a_failed_check_sends_back_without_the_proofs() -> None:
    case = done(accepted(), WORKER, "return")
    assert (case.state, case.owner, case.unit, case.returns) == ("found", "", "", 1)
    case = done(acted(), WORKER, "return")
    assert (case.state, case.owner, case.proofs, case.acted_by, case.returns) == ("accepted", "worker", (), "", 1)
    assert refused(case, CHECKER, "verify", proofs=(RETEST,)) == "not-from-here"


def test_a_transfer_gives_it_to_others_and_keeps_the_clock_of_the_whole() -> None:
    case = done(accepted(), DUTY, "transfer", MONDAY + DAY, unit="联通")
    assert (case.state, case.owner, case.unit) == ("assigned", "", "联通")
    assert case.due_ms == found().due_ms
    assert case.step_due_ms > assigned().step_due_ms


def test_opening_again_keeps_history_and_clock_and_needs_new_proofs() -> None:
    case = done(closed(), CHIEF, "reopen", MONDAY + 30 * DAY)
    assert (case.state, case.reopened, case.proofs, case.closed_ms) == ("assigned", 1, (), 0)
    assert case.due_ms == found().due_ms
    assert case.next_due_ms == case.due_ms < MONDAY + 30 * DAY, "it is late at once"


def test_a_case_in_parts_closes_after_them_and_parts_get_no_more_time() -> None:
    parts = (Part("a", {"number": "13900139000"}), Part("b"))
    request = Request("split", "two operators", parts=parts)
    decision = decide(KIND, accepted(), request, DUTY, MONDAY + DAY, CALENDAR, Facts(ids=("n-x", "n-y")))
    assert decision.case.children == ("n-x", "n-y")
    (_, first), (_, second) = decision.parts
    assert (first.fields["number"], second.fields["number"]) == ("13900139000", "13800138000")
    assert {first.parent, second.parent} == {"n-a"}
    part = find(KIND, first, "n-x", "n", MONDAY + DAY, CALENDAR, decision.case.due_ms)
    assert part.due_ms == decision.case.due_ms
    assert refused(verified(), CHECKER, "close", facts=Facts(open_parts=1)) == "parts-open"


def test_of_two_cases_that_become_one_the_earlier_clock_stays() -> None:
    other = find(KIND, number_case(), "n-b", "n", MONDAY + 2 * DAY, CALENDAR)
    decision = decide(KIND, accepted(), Request("merge", "same", into="n-b"), DUTY, MONDAY, CALENDAR, Facts(into=other))
    assert (decision.case.state, decision.case.into, decision.case.next_due_ms) == ("merged", "n-b", 0)
    assert decision.into is not None
    assert decision.into.due_ms == found().due_ms < other.due_ms
    for wrong in (
        closed(),
        accepted(),
        find(TYPES["wrong-block"], Finding("wrong-block", "x", {"number": "1380"}), "w", "n", MONDAY, CALENDAR),
    ):
        assert refused(accepted(), DUTY, "merge", facts=Facts(into=wrong), into=wrong.id) == "into"


def test_an_accepted_risk_takes_two_ends_by_itself_and_is_bounded_in_all() -> None:
    asked = done(accepted(), DUTY, "accept-risk", until_ms=MONDAY + 20 * DAY)
    assert (asked.state, asked.pending is not None) == ("accepted", True)
    assert refused(asked, WORKER, "act", proofs=(ORDER,)) == "waiting"
    assert refused(asked, DUTY, "countersign") == "same-person"
    assert done(asked, CHIEF, "decline").pending is None
    assert done(asked, CHIEF, "comment").pending == asked.pending
    risk = done(asked, CHIEF, "countersign")
    assert (risk.state, risk.next_due_ms, risk.wake_ms) == ("risk", MONDAY + 20 * DAY, MONDAY + 20 * DAY)
    assert refused(risk, WATCH, "end-risk") == "term"
    over = done(risk, WATCH, "end-risk", MONDAY + 20 * DAY)
    assert (over.state, over.due_ms) == ("accepted", found().due_ms), "its clock ran on"
    assert refused(over, DUTY, "accept-risk", MONDAY + 20 * DAY, until_ms=MONDAY + 31 * DAY) == "term"
    early = done(risk, DUTY, "end-risk", MONDAY + 5 * DAY)
    assert early.risk_ms == 5 * DAY
    assert refused(risk, CHIEF, "close") == "not-from-here"


def test_supervision_goes_up_the_chain_and_no_further() -> None:
    case = found()
    for level in (1, 2, 3, 3):
        case = done(case, DUTY, "supervise")
        assert case.level == level
    assert case.wake_ms == 0 or case.wake_ms < case.next_due_ms


def test_where_nothing_is_verified_somebody_else_closes_and_two_agree() -> None:
    shipped = TYPES["wrong-block"]
    two = shipped.actions | {"close": ActionSpec("cases.close", countersign=True)}
    case = find(shipped, Finding("wrong-block", "申诉", {"number": "02161230000"}), "n-a", "n", MONDAY, CALENDAR)
    case = done(case, DUTY, "assign", unit="值班室")
    case = done(case, WORKER, "act", proofs=(ORDER, Proof("statement", note="企业客服")))
    assert refused(case, WORKER, "close") == "same-person"
    assert done(case, CHECKER, "close").state == "closed"
    kind = replace(shipped, actions=two)
    asked = decide(kind, case, Request("close", "because"), CHECKER, MONDAY, CALENDAR).case
    assert asked.state == "acted"
    assert decide(kind, asked, Request("countersign", "because"), CHIEF, MONDAY, CALENDAR).case.state == "closed"


@pytest.mark.parametrize("title", ["", " ", "x" * 201, "a\0b", "\udcff"])
def test_a_case_has_a_proper_title(title: str) -> None:
    with pytest.raises(CaseRefused) as error:
        find(KIND, Finding("fraud-number", title, {"number": "13800138000"}), "n-a", "n", MONDAY, CALENDAR)
    assert error.value.reason == "field"
