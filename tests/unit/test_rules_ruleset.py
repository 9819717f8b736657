"""Rulesets on disk and in force: loading, stages, saving, explaining, watching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pytest

from hutong.kernel.declared.findings import RulesetError
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.loader import load_ruleset
from hutong.kernel.rules.machine import run_rules
from hutong.kernel.rules.ruleset import load_saved
from hutong.kernel.rules.stages import read_stages, stages_in_force
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary, open_code
from hutong.kernel.rules.watcher import POLL_EVERY, RuleWatcher
from hutong.kernel.rules.words import Explainer
from stages import put

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.rules.ruleset import Ruleset

VOCABULARY = Vocabulary(
    [
        Feature("call.night", "flag", {"zh": "夜间", "en": "at night"}),
        Feature("a.n_1m", "number", {"zh": "呼叫数", "en": "calls"}, family="a.n"),
        Feature("a.age", "number", {"zh": "时长", "en": "age"}, unit="s"),
        Feature("a.kind", "enum", {"zh": "类别", "en": "kind"}, enumeration="kind"),
        Feature("b.kind", "enum", {"zh": "对方类别", "en": "other's kind"}, enumeration="kind"),
        Feature("trunk", "enum", {"zh": "中继", "en": "trunk"}, enumeration="trunk"),
    ],
    [
        Enumeration("kind", ("none", "mobile", "fixed"), {"mobile": {"zh": "手机", "en": "mobile"}}),
        Enumeration("trunk", open=True),
    ],
)
TIME = 1_700_000_000_000


def rule(name: str, when: str, *, version: int = 1, action: str = "block", stage: str = "observe") -> str:
    fires = {"a.n_1m >= 30": "a.n_1m: 30", "call.night": "call.night: true", "a.age > 9": "a.age: 10"}[when]
    return (
        f"- id: x.{name}\n  version: {version}\n  title: {{zh: 忙, en: Busy}}\n  when: {when}\n"
        f"  action: {action}\n  stage: {stage}\n  basis: law\n  runbook: docs/x.md#busy\n"
        f"  samples: [{{given: {{{fires}}}, fires: true}}, {{given: {{}}, fires: false}}]\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "20-b.yaml").write_text(rule("night", "call.night", stage="warn"))
    (rules / "10-a.yaml").write_text(rule("busy", "a.n_1m >= 30") + rule("old", "a.age > 9", action="warn"))
    (rules / "notes.txt").write_text("not a rule file")
    return rules


def load(folder: Path, stages: Path | None = None) -> Ruleset:
    changes = read_stages(stages) if stages is not None else []
    return load_ruleset([folder], VOCABULARY, stages=stages_in_force(changes))


def test_rules_come_in_the_order_of_files_and_the_program_judges_them_in_it(folder: Path) -> None:
    ruleset = load(folder)
    assert [r.id for r in ruleset.rules] == ["x.busy", "x.old", "x.night"]
    assert list(ruleset.levels) == [0, 0, 1]
    assert list(ruleset.responds) == [608, 608, 608]
    vector, fired = VOCABULARY.defaults(), np.full(5, 7, dtype=np.uint8)
    vector[VOCABULARY.index("a.n_1m")] = 31
    vector[VOCABULARY.index("call.night")] = 1
    assert run_rules(ruleset.program, vector, fired) == 2
    assert list(fired) == [1, 0, 1, 7, 7]
    assert ruleset.index("x.night") == 2
    assert ruleset.index("x.none") is None
    assert ruleset.features_of(0) == (VOCABULARY.index("a.n_1m"),)


def test_an_empty_set_fires_nothing(tmp_path: Path) -> None:
    ruleset = load(tmp_path / "missing")
    assert len(ruleset) == 0
    assert run_rules(ruleset.program, VOCABULARY.defaults(), np.zeros(1, dtype=np.uint8)) == 0


def test_one_error_refuses_the_set_and_all_errors_are_told(folder: Path) -> None:
    (folder / "30-c.yaml").write_text(rule("bad", "a.n_1m >= 30").replace("a.n_1m >=", "a.m_1m >=") + "- 3\n")
    (folder / "40-d.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RulesetError) as caught:
        load(folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert f"{folder}/30-c.yaml:4:9" in str(caught.value)
    assert "not UTF-8" in str(caught.value)


def test_the_digest_tells_sets_apart_and_moving_files_does_not_change_it(folder: Path, tmp_path: Path) -> None:
    first = load(folder)
    assert len(first.digest) == 16
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert load(moved).digest == first.digest
    (moved / "20-b.yaml").write_text(rule("night", "call.night", stage="warn", version=2))
    assert load(moved).digest != first.digest


def test_a_saved_set_explains_without_files_or_present_vocabulary(folder: Path, tmp_path: Path) -> None:
    ruleset = load(folder)
    path = ruleset.save(tmp_path / "rulesets")
    assert ruleset.save(tmp_path / "rulesets") == path
    assert [p.name for p in path.parent.iterdir()] == [f"{ruleset.digest}.json"]
    again = load_saved(tmp_path / "rulesets", ruleset.digest)
    assert again.rules == ruleset.rules
    assert again.digest == ruleset.digest
    vector = again.vocabulary.defaults()
    vector[1] = 43
    assert again.explain(0, vector, "en") == ["calls: a.n_1m = 43 (≥ 30)"]


def test_a_damaged_or_missing_saved_set_is_refused(folder: Path, tmp_path: Path) -> None:
    ruleset = load(folder)
    path = ruleset.save(tmp_path)
    with pytest.raises(RuleError, match="was not kept"):
        load_saved(tmp_path, "0" * 16)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"30", b"31"))
    with pytest.raises(RuleError, match="not what its name says"):
        load_saved(tmp_path, ruleset.digest)
    path.write_bytes(content[:-9])
    with pytest.raises(RuleError, match="cannot be read"):
        load_saved(tmp_path, ruleset.digest)
    path.write_bytes(content.replace(b'"format":1', b'"format":2'))
    with pytest.raises(RuleError, match="format 2"):
        load_saved(tmp_path, ruleset.digest)


@pytest.mark.parametrize(
    ("when", "lang", "lines"),
    [
        ("a.n_1m >= 30 and call.night", "en", ["calls: a.n_1m = 43 (≥ 30)", "at night: call.night = yes"]),
        ("a.n_1m >= 30 and call.night", "zh", ["呼叫数：a.n_1m = 43 (≥ 30)", "夜间：call.night = 是"]),
        ("10 < a.n_1m <= 50", "en", ["calls: a.n_1m = 43 (> 10, ≤ 50)"]),
        ('a.kind == "mobile"', "zh", ["类别：a.kind = 手机"]),
        ('a.kind in ("mobile", "fixed")', "en", ["kind: a.kind = mobile (one of mobile, fixed)"]),
        ('a.kind in ("mobile", "fixed")', "zh", ["类别：a.kind = 手机 (属于 手机、fixed)"]),
        ('a.kind not in ("none", "fixed")', "en", ["kind: a.kind = mobile (none of none, fixed)"]),
        ('a.kind not in ("none", "fixed")', "zh", ["类别：a.kind = 手机 (不属于 none、fixed)"]),
        ('a.kind != "fixed"', "en", ["kind: a.kind = mobile (≠ fixed)"]),
        ("a.kind != b.kind", "en", ["kind: a.kind = mobile (≠ other's kind: b.kind = none)"]),
        ("a.n_1m > 90 or a.age < 1", "en", ["age: a.age = 0.5 s (< 1)"]),
        ("not (a.n_1m > 90 or not call.night)", "en", ["calls: a.n_1m = 43 (≤ 90)", "at night: call.night = yes"]),
        ("a.n_1m <= 1.5 * a.n_1m", "en", ["calls: a.n_1m = 43 (≤ (1.5 * a.n_1m) = 64.5)"]),
        ("a.n_1m in (43, 44)", "en", ["calls: a.n_1m = 43 (one of 43, 44)"]),
        ('trunk == "intl-1"', "en", ["trunk: trunk = intl-1"]),
    ],
)
def test_a_fired_rule_is_explained_by_the_conditions_that_held(
    when: str, lang: Literal["zh", "en"], lines: list[str]
) -> None:
    vector = np.array([1, 43, 0.5, 1, 0, open_code("intl-1")])
    assert Explainer(VOCABULARY, vector, lang, {"trunk": "intl-1"}).explain(parse(when, VOCABULARY)) == lines


def move(stages: Path, ruleset: Ruleset, rule_id: str, to: str) -> None:
    put(stages, ruleset, rule_id, to, by="Li", why="replay of March: no false positive", ms=TIME)


def test_a_promotion_is_kept_with_who_when_and_why_and_takes_effect(folder: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    move(stages, load(folder), "x.busy", "warn")
    ruleset = load(folder, stages)
    assert ruleset.rules[0].stage == "warn"
    assert ruleset.rules[0].ships_in == "observe"
    assert list(ruleset.levels) == [1, 0, 1]
    move(stages, ruleset, "x.busy", "block")
    change = read_stages(stages)[-1]
    assert (change.rule, change.version, change.came_from, change.to) == ("x.busy", 1, "warn", "block")
    assert (change.by, change.why, change.time_ms) == ("Li", "replay of March: no false positive", TIME)
    move(stages, load(folder, stages), "x.busy", "observe")
    assert load(folder, stages).digest == load(folder).digest


def test_a_new_version_starts_in_its_shipped_stage_again(folder: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    move(stages, load(folder), "x.busy", "block")
    (folder / "10-a.yaml").write_text(rule("busy", "a.n_1m >= 30", version=2))
    assert load(folder, stages).rules[0].stage == "observe"


def test_a_stage_never_exceeds_an_action_that_was_lowered_later(folder: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    move(stages, load(folder), "x.busy", "block")
    (folder / "10-a.yaml").write_text(rule("busy", "a.n_1m >= 30", action="warn"))
    assert load(folder, stages).rules[0].stage == "warn"


@pytest.mark.parametrize(
    ("rule_id", "to", "by", "why", "told"),
    [
        ("x.bussy", "warn", "Li", "why", "Did you mean x.busy?"),
        ("x.busy", "drop", "Li", "why", "no stage 'drop'"),
        ("x.old", "block", "Li", "why", "may at most warn"),
        ("x.busy", "observe", "Li", "why", "in stage observe already"),
        ("x.busy", "warn", " ", "why", "needs a person and a reason"),
        ("x.busy", "warn", "Li", "", "needs a person and a reason"),
    ],
)
def test_wrong_promotions_are_refused(
    folder: Path, tmp_path: Path, rule_id: str, to: str, by: str, why: str, told: str
) -> None:
    stages = tmp_path / "stages.jsonl"
    with pytest.raises(RuleError, match=told.replace("?", r"\?")):
        put(stages, load(folder), rule_id, to, by=by, why=why, ms=TIME)
    assert not stages.exists()


def test_a_torn_last_line_counts_as_not_written_and_does_not_swallow_the_next(folder: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    move(stages, load(folder), "x.busy", "warn")
    whole = stages.read_bytes()
    for cut in range(1, len(whole)):
        stages.write_bytes(whole + whole[:cut])
        assert len(read_stages(stages)) == 1
    move(stages, load(folder, stages), "x.busy", "block")
    assert [change.to for change in read_stages(stages)] == ["warn", "block"]


def test_a_damaged_line_in_the_middle_is_refused_with_its_place(folder: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    move(stages, load(folder), "x.busy", "warn")
    stages.write_bytes(b'{"rule":\n' + stages.read_bytes())
    with pytest.raises(RuleError) as caught:
        read_stages(stages)
    assert caught.value.where == f"{stages}:1"


def test_the_watcher_gives_a_set_when_files_or_stages_change_and_only_then(folder: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    watcher = RuleWatcher(VOCABULARY, [folder, tmp_path / "own"], stages)
    first = watcher.poll(0)
    assert first is not None
    assert watcher.current is first
    assert watcher.poll(POLL_EVERY) is None
    move(stages, first, "x.busy", "warn")
    assert watcher.poll(POLL_EVERY + 1) is None  # not yet time to look
    second = watcher.poll(2 * POLL_EVERY)
    assert second is not None
    assert second.rules[0].stage == "warn"
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text(rule("mine", "call.night"))
    third = watcher.poll(3 * POLL_EVERY)
    assert third is not None
    assert [r.id for r in third.rules][-1] == "x.mine"
    (own / "mine.yaml").write_text("# the same rule\n" + rule("mine", "call.night"))
    assert watcher.poll(4 * POLL_EVERY) is None
    (own / "mine.yaml").unlink()
    fourth = watcher.poll(5 * POLL_EVERY)
    assert fourth is not None
    assert len(fourth) == len(third) - 1


def test_a_bad_file_is_told_once_and_the_old_set_stays(folder: Path) -> None:
    watcher = RuleWatcher(VOCABULARY, [folder])
    first = watcher.poll(0)
    good = (folder / "10-a.yaml").read_text()
    (folder / "10-a.yaml").write_text(good.replace("a.n_1m >= 30", "a.n_1m >="))
    with pytest.raises(RulesetError, match="does not read"):
        watcher.poll(POLL_EVERY)
    assert watcher.current is first
    assert watcher.poll(2 * POLL_EVERY) is None
    (folder / "10-a.yaml").write_text(good.replace("30", "31"))
    fresh = watcher.poll(3 * POLL_EVERY)
    assert fresh is not None
    assert fresh.digest != (first.digest if first else "")


def test_a_stages_file_that_cannot_be_read_is_an_error_not_a_crash(folder: Path, tmp_path: Path) -> None:
    watcher = RuleWatcher(VOCABULARY, [folder], tmp_path)
    with pytest.raises(RuleError, match="cannot be read"):
        watcher.poll(0)


def test_a_vocabulary_survives_its_stored_form() -> None:
    content = msgspec.json.decode(msgspec.json.encode(VOCABULARY.content()), type=type(VOCABULARY.content()))
    again = Vocabulary(content.features, content.enumerations)
    assert again.signature() == VOCABULARY.signature()
    assert again.value_text(3, 9.0) == "?"
