"""Two persons and evidence before a rule may act: by command, under load, and through a crash."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace
from test_backtest import FRAUD, HOSPITAL, calls_of, write_calls, write_labels

from evidences import BUSY, evidence_of
from hutong.app.cli import STATUS_FAILED, run
from hutong.app.cli_terms import in_force
from hutong.calls.evidence.desk import Actor, PromotionDesk
from hutong.calls.evidence.intervals import clopper_pearson, design_effect, least_calls, rate
from hutong.calls.evidence.promotion import Limits, objections
from hutong.calls.evidence.store import EvidenceError, EvidenceStore
from hutong.calls.rule_book import STAGES_FILE, RuleShelf
from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import RuleError
from hutong.kernel.records import Database, database_url
from hutong.kernel.rules.proposals import PROPOSALS_FILE
from hutong.kernel.rules.stages import find_rule, read_stages
from stages import put_stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.rules.ruleset import Rule

DAY_MS = 86_400_000
RULE = "own.busy"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A node's folder with a rule in observe and two operators, an analyst and a viewer."""
    folder = tmp_path / "data"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "own.yaml").write_text(BUSY)
    database = Database(database_url("", folder))
    database.open()
    people = People(database)
    for name, role in (("li", "operator"), ("wang", "operator"), ("zhao", "analyst"), ("chen", "viewer")):
        people.add(name, name.title(), role, 1)  # type: ignore[arg-type]  # roles
    database.close()
    return folder


def now_ms() -> int:
    return SystemClock().wall() // 1_000_000


def rule_of(data: Path) -> Rule:
    return find_rule(in_force(data), RULE)


def keep(data: Path, *, age_days: float = 0, **figures: int) -> str:
    made = now_ms() - int(age_days * DAY_MS)
    return EvidenceStore(data / "evidence").keep(evidence_of(rule_of(data), made, **figures))


def command(data: Path, deed: str, *words: str) -> int:
    return run(["rules", deed, *words, "--data", str(data)])


def propose(data: Path, by: str = "zhao", *words: str) -> int:
    return command(data, "propose", RULE, "--to", "block", "--by", by, "--why", "三月回测", *words)


@pytest.fixture
def desk(data: Path) -> Iterator[PromotionDesk]:
    database = Database(database_url("", data))
    database.open()
    yield desk_of(data, database)
    database.close()


def desk_of(data: Path, database: Database) -> PromotionDesk:
    store = EvidenceStore(data / "evidence")
    people = People(database)
    return PromotionDesk(RuleShelf(data), store, Limits(), data / PROPOSALS_FILE, Trail(database), people)


class TestCommands:
    def test_one_proposes_another_approves(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        evidence = keep(data)
        assert propose(data) == 0
        assert capsys.readouterr().out == f"1: own.busy v1: observe -> block ({evidence})\n"
        assert rule_of(data).stage == "observe"
        assert command(data, "approve", "1", "--by", "li") == 0
        assert capsys.readouterr().out == "own.busy v1: observe -> block\n"
        assert rule_of(data).stage == "block"
        assert command(data, "proposals", "--lang", "en") == 0
        assert "approved" in capsys.readouterr().out
        (change,) = read_stages(data / STAGES_FILE)
        assert (change.proposal, change.proposed_by, change.by, change.evidence) == (1, "zhao", "li", evidence)

    def test_who_proposed_cannot_approve(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        keep(data)
        assert propose(data, "li") == 0
        assert command(data, "approve", "1", "--by", "li") == STATUS_FAILED
        assert "another person must approve" in capsys.readouterr().err
        assert rule_of(data).stage == "observe"

    @pytest.mark.parametrize(
        ("by", "told"), [("chen", "may not do this"), ("zhao", "takes the role operator"), ("nobody", "no account")]
    )
    def test_who_may_not_approve(self, data: Path, capsys: pytest.CaptureFixture[str], by: str, told: str) -> None:
        keep(data)
        assert propose(data, "li") == 0
        assert command(data, "approve", "1", "--by", by) == STATUS_FAILED
        assert told in capsys.readouterr().err

    def test_a_node_with_one_person_cannot_promote(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        keep(data)
        assert run(["people", "disable", "wang", "--data", str(data)]) == 0
        assert propose(data, "li") == STATUS_FAILED
        assert "a promotion takes two persons" in capsys.readouterr().err

    def test_without_evidence_nothing_is_proposed(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert propose(data) == STATUS_FAILED
        assert "hutong rules backtest own.busy" in capsys.readouterr().err
        assert propose(data, "zhao", "--evidence", "0123456789abcdef") == STATUS_FAILED
        assert "no evidence" in capsys.readouterr().err

    def test_a_refused_proposal_stays_refused(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        keep(data)
        assert propose(data) == 0
        assert propose(data, "li") == STATUS_FAILED
        assert "proposal 1 about own.busy is open" in capsys.readouterr().err
        assert command(data, "refuse", "1", "--by", "wang", "--why", "a clinic") == 0
        assert command(data, "approve", "1", "--by", "li") == STATUS_FAILED
        assert "proposal 1 is refused by wang" in capsys.readouterr().err
        assert propose(data, "li") == 0

    def test_decisions_of_earlier_versions_still_stand(self, data: Path) -> None:
        line = (
            '{"rule":"own.busy","version":1,"came_from":"observe","to":"warn","by":"Zhao","why":"replayed","time_ms":5}'
        )
        (data / STAGES_FILE).write_text(f"{line}\n")
        assert rule_of(data).stage == "warn"
        assert command(data, "demote", RULE, "--by", "li", "--why", "a clinic") == 0
        assert (data / STAGES_FILE).read_text().splitlines()[0] == line
        assert [(it.to, it.proposal) for it in read_stages(data / STAGES_FILE)] == [("warn", 0), ("observe", 0)]

    def test_one_person_demotes_at_once(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        put_stage(data, RULE, "block")
        assert command(data, "demote", RULE, "--by", "li", "--why", "a clinic called") == 0
        assert capsys.readouterr().out == "own.busy v1: block -> observe\n"
        assert command(data, "demote", RULE, "--to", "warn", "--by", "li", "--why", "up") == STATUS_FAILED
        assert "propose it" in capsys.readouterr().err

    def test_a_rule_that_would_block_a_hospital_is_shown_and_refused(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls = write_calls(tmp_path / "calls.csv", calls_of(HOSPITAL, 30) + calls_of(FRAUD, 40))
        labels = write_labels(tmp_path / "labels.csv", (HOSPITAL, "0", "hospital"), (FRAUD, "1", ""))
        told = ["backtest", RULE, "--over", str(calls), "--labels", str(labels), "--lang", "en"]
        assert command(data, *told) == 0
        shown = capsys.readouterr().out
        assert "hospitals and emergency services hit: 11 calls (1 numbers)" in shown
        assert "legitimate (hospital)" in shown
        assert propose(data) == STATUS_FAILED
        refused = capsys.readouterr().err
        assert "11 legitimate calls of hospitals" in refused
        assert "医院或应急号码的 11 次正常呼叫" in refused
        assert not (data / PROPOSALS_FILE).exists()


class TestEvidence:
    @pytest.mark.parametrize(
        ("figures", "age", "codes"),
        [
            ({}, 0, []),
            ({}, 29.9, []),
            ({}, 30.1, ["too-old"]),
            ({"protected": 1}, 0, ["protected"]),
            ({"calls": 368_887}, 0, []),
            ({"calls": 368_886}, 0, ["too-few"]),
            ({"calls": 300_000}, 0, ["too-few"]),
            ({"wrong": 3}, 0, []),
            ({"wrong": 30}, 0, ["too-many"]),
            ({"wrong": 30, "protected": 1}, 40, ["too-old", "protected", "too-many"]),
        ],
    )
    def test_what_it_must_show(self, data: Path, figures: dict[str, int], age: float, codes: list[str]) -> None:
        rule, now = rule_of(data), now_ms()
        evidence = evidence_of(rule, now - int(age * DAY_MS), **figures)
        assert [it.code for it in objections(rule, "block", evidence, Limits(), now)] == codes

    def test_a_warning_may_be_wrong_more_often(self, data: Path) -> None:
        rule, now = rule_of(data), now_ms()
        assert objections(rule, "warn", evidence_of(rule, now, calls=37_000), Limits(), now) == []
        assert objections(rule, "warn", evidence_of(rule, now, wrong=30), Limits(), now) == []

    def test_a_rule_that_reads_the_learned_score_takes_the_scores_of_the_time(self, data: Path) -> None:
        rule, now = find_rule(in_force(data), "calls.caller-risk-high"), now_ms()
        evidence = evidence_of(rule, now)
        begun = evidence.over.first_ms
        for known in (
            replace(evidence, scores="none"),
            evidence,  # made before this was told: with the scores of its own day
            replace(evidence, scores="past", scored_from_ms=begun + 1),
        ):
            (found,) = objections(rule, "warn", known, Limits(), now)
            assert found.code == "score"
            assert "risk score" in found.en
            assert "风险评分" in found.zh
        assert objections(rule, "warn", replace(evidence, scores="past", scored_from_ms=begun), Limits(), now) == []

    def test_what_a_rule_reads_is_asked_of_its_condition_not_of_its_text(self, data: Path) -> None:
        named, now = BUSY.replace("when: caller", 'when: trunk.name != "caller.risk" and caller'), now_ms()
        (data / "rules" / "own.yaml").write_text(named)
        rule = rule_of(data)
        assert objections(rule, "block", evidence_of(rule, now), Limits(), now) == []

    def test_nor_one_that_reads_reports_or_limits_of_which_those_of_the_time_are_not_kept(self, data: Path) -> None:
        rule, now = find_rule(in_force(data), "calls.reported-and-busy"), now_ms()
        (found,) = objections(rule, "warn", evidence_of(rule, now), Limits(), now)
        assert found.code == "marks"

    def test_it_is_about_the_rule_as_it_is(self, data: Path) -> None:
        keep(data)
        changed = BUSY.replace(">= 20", ">= 10").replace("10m: 20}", "10m: 10}")
        (data / "rules" / "own.yaml").write_text(changed)
        assert propose(data) == STATUS_FAILED
        (data / "rules" / "own.yaml").write_text(BUSY.replace("version: 1", "version: 2"))
        assert propose(data) == STATUS_FAILED

    def test_it_grows_old_between_proposal_and_approval(self, data: Path, desk: PromotionDesk) -> None:
        evidence, now = keep(data), now_ms()
        li, wang = (Actor(name, name, "192.0.2.1") for name in ("li", "wang"))
        desk.propose(li, RULE, "block", evidence, "March", now)
        with pytest.raises(RuleError, match="31 days old"):
            desk.approve(wang, 1, "", now + 31 * DAY_MS)
        assert rule_of(data).stage == "observe"

    def test_what_was_changed_afterwards_is_none(self, data: Path) -> None:
        evidence = keep(data)
        file = data / "evidence" / f"{evidence}.json"
        file.write_bytes(file.read_bytes().replace(b"labels.csv", b"lables.csv"))
        with pytest.raises(EvidenceError, match="changed after it was made"):
            EvidenceStore(data / "evidence").load(evidence)
        for name in ("../../etc/passwd", "0" * 15, ""):
            with pytest.raises(EvidenceError, match="no evidence"):
                EvidenceStore(data / "evidence").load(name)


class TestIntervals:
    def test_exact_ones_agree_with_published_values(self) -> None:
        # Clopper and Pearson's chart as tabulated: 10 of 20 → (0.272, 0.728); 0 of 10 → (0, 0.3085).
        assert clopper_pearson(10, 20) == pytest.approx((0.2720, 0.7280), abs=5e-5)
        assert clopper_pearson(0, 10) == pytest.approx((0, 0.3085), abs=5e-5)
        assert clopper_pearson(10, 10) == pytest.approx((0.6915, 1), abs=5e-5)
        assert clopper_pearson(0, 0) == (0.0, 1.0)

    def test_the_least_number_of_calls_is_just_enough(self) -> None:
        for limit in (1.0, 10.0, 100.0, 250_000.0):
            least = least_calls(limit)
            assert clopper_pearson(0, least)[1] * 1e6 <= limit * (1 + 1e-9)
            assert clopper_pearson(0, least - 1)[1] * 1e6 > limit

    def test_hits_of_one_caller_say_less_than_hits_of_many(self) -> None:
        calls = np.full(1000, 1000)
        spread, together = np.zeros(1000, dtype=np.int64), np.zeros(1000, dtype=np.int64)
        spread[:50] = 1
        together[0] = 50
        assert design_effect(spread, calls) == pytest.approx(1.0, abs=0.01)
        assert design_effect(together, calls) == pytest.approx(50, rel=0.01)
        apart, alike = rate(spread, calls), rate(together, calls)
        assert (apart.low, apart.high) == (alike.low, alike.high)
        assert alike.clustered_high > 2 * apart.clustered_high
        assert alike.bound == alike.clustered_high


class TestAtOnce:
    def test_of_many_approvals_one_takes_effect(self, data: Path, desk: PromotionDesk) -> None:
        desk.propose(Actor("zhao", "zhao", "192.0.2.1"), RULE, "block", keep(data), "March", now_ms())
        barrier, results = threading.Barrier(8), []

        def approve(name: str) -> None:
            barrier.wait()
            try:
                desk.approve(Actor(name, name, "192.0.2.1"), 1, "", now_ms())
            except RuleError as error:
                results.append(str(error))
            else:
                results.append("done")

        threads = [threading.Thread(target=approve, args=(("li", "wang")[at % 2],)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results.count("done") == 1
        assert all("is approved by" in it for it in results if it != "done")
        assert len(read_stages(data / STAGES_FILE)) == 1

    def test_an_approval_after_a_demotion_comes_too_late(self, data: Path, desk: PromotionDesk) -> None:
        put_stage(data, RULE, "warn")
        li = Actor("li", "li", "192.0.2.1")
        desk.propose(li, RULE, "block", keep(data), "March", now_ms())
        desk.demote(li, RULE, "observe", "a clinic", now_ms())
        with pytest.raises(RuleError, match="is overtaken"):
            desk.approve(Actor("wang", "wang", "192.0.2.1"), 1, "", now_ms())
        assert rule_of(data).stage == "observe"

    @pytest.mark.parametrize("moment", ["after the trail", "in the middle of the line"])
    def test_killed_while_approving_it_is_approved_or_open_never_between(self, data: Path, moment: str) -> None:
        keep(data)
        assert propose(data) == 0
        script = """
            import os, sys
            from hutong.app.cli import run
            from hutong.kernel.rules import proposals
            kept = proposals.append_line
            def killed(path, line):
                if sys.argv[2] == "in the middle of the line":
                    with path.open("ab") as file:
                        file.write(line[: len(line) // 2])
                os._exit(9)
            proposals.append_line = killed
            run(["rules", "approve", "1", "--by", "li", "--data", sys.argv[1]])
        """
        words = [sys.executable, "-c", textwrap.dedent(script), str(data), moment]
        assert subprocess.run(words, check=False, timeout=120).returncode == 9
        assert rule_of(data).stage == "observe"
        assert command(data, "approve", "1", "--by", "li") == 0
        assert rule_of(data).stage == "block"
        assert len(read_stages(data / STAGES_FILE)) == 1
        database = Database(database_url("", data))
        database.open()
        deeds = [it.deed for it in Trail(database).page()]
        database.close()
        assert deeds.count("rules.approve") == 2, "what was begun and not done is on the trail too"

    def test_what_cannot_be_recorded_is_not_done(self, data: Path) -> None:
        database = Database(database_url("", data))
        database.open()
        desk, evidence = desk_of(data, database), keep(data)
        desk.propose(Actor("zhao", "zhao", "192.0.2.1"), RULE, "block", evidence, "March", now_ms())
        database.close()
        with pytest.raises(Exception):  # noqa: B017, PT011  # whatever closed records say
            desk.approve(Actor("li", "li", "192.0.2.1"), 1, "", now_ms())
        assert rule_of(data).stage == "observe"
