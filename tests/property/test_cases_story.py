"""Any story of any people: cases never close without proof, counters follow from events, nothing is lost or doubled."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from case_samples import CALENDAR, CHECKER, CHIEF, DAY, DUTY, HOUR, MONDAY, TYPES, WORKER
from fresh_records import lay_out
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import WATCH
from hutong.kernel.cases.model import SHOWING, Actor, Finding, Part, Proof, Request, fold_all
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.table import ASKED
from hutong.kernel.records import Database, database_url

# Where there is memory behind a folder, commits need not wait for a disk.
FOLDERS = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # random names below it
PEOPLE = (DUTY, WORKER, CHECKER, CHIEF, WATCH, Actor("guest", frozenset({"cases.work"})))
SHA = "a" * 64
FIELDS: dict[str, dict[str, Any]] = {
    "fraud-number": {"number": "13800138000"},
    "wrong-block": {"number": "02161230000"},
    "dissuasion": {"number": "13900139000", "handoff": "h1"},
    "rectification": {"subject": "语音专线", "problem": "未实名"},
}
proofs = st.lists(
    st.sampled_from(
        (
            Proof("attachment", SHA),
            Proof("retest", "dial:1"),
            Proof("retest", "dial:2", passed=False),
            Proof("reference", "order:1"),
            Proof("reference", " "),
            Proof("statement", note="done"),
        )
    ),
    max_size=3,
).map(tuple)


def proven(events: list[Any]) -> bool:
    """Whether something that shows something was said since the case was found, opened again or sent back."""
    shown = False
    pending: dict[str, Any] = {}
    for event in events:
        waits = event.changes.get("pending", pending)
        said = pending if event.action == "countersign" else event.said
        if event.action in {"reopen", "find"} or (event.action == "return" and "proofs" in event.changes):
            shown = False
        if not event.changes.get("pending"):
            shown = shown or any(proof["kind"] in SHOWING for proof in (said.get("request", said).get("proofs") or ()))
        pending = waits or {}
    return shown


class Stories(RuleBasedStateMachine):
    """Cases of every type, worked on by people who do whatever comes to their minds."""

    cases = Bundle("cases")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=FOLDERS))
        lay_out(self.folder / "records.db")
        self.database = Database(database_url("", self.folder))
        self.database.open()
        self.store = Cases(self.database, TYPES, CALENDAR, "node1", WHOLE)
        self.now = MONDAY
        self.found: dict[str, int] = {}
        self.effects = 0

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)

    @rule(target=cases, kind=st.sampled_from(sorted(FIELDS)))
    def find(self, kind: str) -> str:
        answer = self.store.find(Finding(kind, "x", FIELDS[kind]), DUTY, self.now)
        self.found[answer.case] = self.store.case(answer.case).due_ms
        self.effects += 1
        return answer.case

    @rule(hours=st.sampled_from((1, 8, 24, 24 * 40)))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(
        target=cases,
        of=cases,
        other=cases,
        who=st.sampled_from(PEOPLE),
        action=st.sampled_from((*ASKED, "act", "verify", "close", "remind", "escalate")),
        given=proofs,
        days=st.integers(-1, 40),
        stale=st.booleans(),
    )
    def act(  # every part of a request
        self,
        of: str,
        other: str,
        who: Actor,
        action: Any,  # noqa: ANN401
        given: Any,  # noqa: ANN401
        days: int,
        stale: bool,  # noqa: FBT001
    ) -> Any:  # noqa: ANN401
        before = self.store.case(of)
        merges, splits = action == "merge", action == "split"
        request = Request(
            action,
            "because",
            unit="移动",
            proofs=given,
            until_ms=self.now + days * DAY,
            into=other if merges else "",
            parts=(Part("a"), Part("b")) if splits else (),
            attachment=SHA if action == "attach" else "",
            fields={"number": "13900139000"} if before.type != "rectification" else {"city": "上海"},
        )
        key = f"{len(self.found)}.{self.effects}.{of}"
        version = before.version - stale
        try:
            answer = self.store.do(of, request, who, self.now, version=version, key=key)
        except CaseRefused:
            assert self.store.case(of) == before
            return multiple()
        assert not stale or version == 0
        assert answer == self.store.do(of, request, who, self.now + HOUR, version=version, key=key)
        self.effects += 1 + merges + len(answer.parts)
        for part in answer.parts:
            self.found[part] = self.store.case(part).due_ms
            assert self.found[part] == before.due_ms
        if merges:
            self.found[other] = min(self.found[other], before.due_ms)
        return multiple(*answer.parts)

    @rule(of=cases)
    def go_the_whole_way(self, of: str) -> None:
        """A case that is found gets closed, so that what follows a closing is met often."""
        steps = (
            (DUTY, Request("assign", unit="移动")),
            (WORKER, Request("attach", attachment=SHA)),
            (WORKER, Request("accept")),
            (
                WORKER,
                Request(
                    "act", proofs=tuple(Proof(kind, SHA, "x") for kind in ("attachment", "reference", "statement"))
                ),
            ),
            (CHECKER, Request("verify", proofs=(Proof("retest", "d"),))),
            (CHECKER, Request("close")),
            (CHIEF, Request("countersign")),
        )
        for who, request in steps:
            try:
                self.store.do(of, request, who, self.now)
            except CaseRefused:
                continue
            self.effects += 1

    @invariant()
    def nothing_is_closed_without_proof(self) -> None:
        for of, due_ms in getattr(self, "found", {}).items():
            case = self.store.case(of)
            events = self.store.events(of)
            assert fold_all(events) == case
            assert [event.seq for event in events] == list(range(1, case.version + 1))
            assert [event.time_ms for event in events] == sorted(event.time_ms for event in events)
            assert case.due_ms == due_ms, "no way of working on a case gives it more time"
            if case.state == "closed":
                assert any(proof.kind in SHOWING for proof in case.proofs)
                assert proven(events)
                assert not any(self.store.case(part).is_open for part in case.children)
            else:
                assert case.closed_ms == 0
            if case.state == "risk":
                assert case.risk_ms <= 180 * DAY
            assert bool(case.next_due_ms) is case.is_open

    @invariant()
    def counters_follow_from_events(self) -> None:
        if hasattr(self, "store"):
            assert self.store.recount() == []
            assert sum(self.store.figures("all").values()) == len(self.found)
            assert sum(len(self.store.events(of)) for of in self.found) == self.effects


Stories.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
test_stories = pytest.mark.timeout(280)(Stories.TestCase)
