"""What lint finds in rule files, where it points, and that sound rules pass."""

from __future__ import annotations

import pytest

from hutong.kernel.declared.source import Source
from hutong.kernel.rules.analysis import always_holds, never_holds
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.loader import anchors_of, check_sources
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary

VOCABULARY = Vocabulary(
    [
        Feature("call.night", "flag", {}),
        Feature("call.hour", "number", {}, high=23.0, whole=True),
        Feature("a.n_1m", "number", {}, family="a.n"),
        Feature("a.share", "number", {}, high=1.0),
        Feature("a.kind", "enum", {}, enumeration="kind"),
        Feature("b.kind", "enum", {}, enumeration="kind"),
        Feature("trunk", "enum", {}, enumeration="trunk"),
    ],
    [Enumeration("kind", ("none", "mobile", "NO")), Enumeration("trunk", open=True)],
)
ANCHORS = {"docs/x.md": frozenset({"busy"})}

SOUND = """\
- id: x.busy
  version: 1
  title: {zh: 忙, en: Busy}
  when: a.n_1m >= 30 and call.night
  action: block
  stage: warn
  basis: 某法 第一条
  runbook: docs/x.md#busy
  samples:
    - {given: {a: {n_1m: 31}, call.night: true}, fires: true}
    - {given: {a.n_1m: 31}, fires: false}
"""


def findings(text: str) -> list[str]:
    checked = check_sources([Source("r.yaml", text)], VOCABULARY, ANCHORS)
    return [str(f) for f in checked.findings]


def test_a_sound_rule_passes() -> None:
    assert findings(SOUND) == []


def test_a_single_rule_without_a_list_and_several_documents_pass() -> None:
    single = SOUND.replace("- id", "id", 1).replace("\n  ", "\n")
    assert findings(single) == []
    assert findings(f"{single}---\n{single.replace('x.busy', 'x.other')}") == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("id: x.busy", "id: X busy", "r.yaml:1:7: error: [X busy] the id 'X busy' is not written like an id"),
        ("version: 1", "version: 0", "r.yaml:2:12: error: [x.busy] version must be a whole number"),
        ("version: 1", "version: true", "version must be a whole number"),
        ("{zh: 忙, en: Busy}", "{zh: 忙}", "title has no en"),
        ("en: Busy}", f"en: {'B' * 201}}}", "title.en does not fit where rules are shown"),
        ("en: Busy}", 'en: "Bu\\u202Esy"}', "title.en does not fit where rules are shown"),
        ("en: Busy}", 'en: "Busy\\nline"}', "title.en does not fit where rules are shown"),
        ("{zh: 忙, en: Busy}", "{zh: 忙, en: Busy, fr: Occupé}", "unknown language 'fr'"),
        ("{zh: 忙, en: Busy}", "Busy", "title must have a text per language"),
        ("a.n_1m >= 30", "a.n >= 30", "r.yaml:4:9: error: [x.busy] a.n has no window. Choose a window: a.n_1m."),
        ("a.n_1m >= 30 and", "a.n_1m >= 30 and a.kind == 'mobil' and", "r.yaml:4:36: error"),
        ("action: block", "action: drop", "action cannot be 'drop'"),
        ("  action: block\n", "", "the field action is missing"),
        ("stage: warn", "stage: block", "not certain may not ship in stage block"),
        ("action: block", "action: observe", "stage warn is above action observe"),
        ("stage: warn", "stage: warn\n  respond: 404", "respond cannot be this. One of 603, 607, 608."),
        ("stage: warn", "stage: warn\n  certain: 1", "certain must be true or false"),
        ("  basis: 某法 第一条\n", "", "the field basis is missing"),
        ("basis: 某法 第一条", "basis: ''", "basis must be a text"),
        ("runbook: docs/x.md#busy", "runbook: docs/x.md#bussy", "docs/x.md has no anchor 'bussy'"),
        ("runbook: docs/x.md#busy", "runbook: docs/y.md#busy", "there is no page docs/y.md"),
        ("runbook: docs/x.md#busy", "runbook: ask somebody", "names no place"),
        ("stage: warn", "stage: warn\n  severity: high", "r.yaml:7:3: error: [x.busy] unknown field 'severity'"),
        ("stage: warn", "stage: warn\n  runbok: x", "Did you mean runbook?"),
        ("    - {given: {a.n_1m: 31}, fires: false}\n", "", "no sample does not fire"),
        ("fires: true}", "fires: false}", "r.yaml:10:7: error: [x.busy] the rule fires on this sample"),
        ("fires: false}", "fires: true}", "the rule does not fire on this sample"),
        ("fires: false}", "fire: false}", "unknown field 'fire' of a sample"),
        ("{a.n_1m: 31}", "{a.m_1m: 31}", "unknown name a.m_1m"),
        ("{a.n_1m: 31}", "{a.n: 31}", "Choose a window: a.n_1m"),
        ("{a.n_1m: 31}", "{a.n_1m: many}", "takes a number"),
        ("{a.n_1m: 31}", "{a.n_1m: -1}", "can never be -1"),
        ("{a.n_1m: 31}", "{call.hour: 24}", "can never be 24"),
        ("{a.n_1m: 31}", "{call.hour: 2.5}", "can never be 2.5"),
        ("{a.n_1m: 31}", "{a.kind: NO}", "YAML reads no, yes, on and off as true or false"),
        ("{a.n_1m: 31}", "{a.kind: mobil}", "Did you mean mobile?"),
        ("{a.n_1m: 31}", "{a.n_1m: 31, a: {n_1m: 3}}", "a.n_1m is given twice"),
        ("when: a.n_1m >= 30 and", "when: a.n_1m < 3 and a.n_1m > 3 and", "can never fire"),
        ("version: 1", "version: 1\n  version: 2", "r.yaml:3:3: error: the key 'version' stands twice"),
        ("basis: 某法 第一条", "basis: !!python/name:os.system x", "the tag"),
        ("basis: 某法 第一条", "basis: &a x", None),
        ("basis: 某法 第一条", "basis: 'open", "this is not YAML"),
        ("basis: 某法 第一条", "basis: \x07", "this is not YAML"),
    ],
)
def test_what_is_wrong_is_found(old: str, new: str, told: str | None) -> None:
    assert old in SOUND
    found = findings(SOUND.replace(old, new, 1))
    if told is None:
        assert found == []
    else:
        assert any(told in line for line in found), found


def test_unused_responses_are_only_warned_of() -> None:
    found = findings(SOUND.replace("action: block", "action: warn\n  respond: 607"))
    assert len(found) == 1
    assert ": warning: " in found[0]


def test_the_same_id_twice_is_refused_with_both_places() -> None:
    assert findings(SOUND + SOUND) == [
        "r.yaml:12:7: error: [x.busy] this id is taken at r.yaml:1:7. Choose another id."
    ]


def test_aliases_are_refused_so_that_no_file_can_explode() -> None:
    assert "anchors and aliases are not allowed" in findings("- &a {id: x}\n- *a\n")[0]
    assert "not a" not in findings("[" * 50 + "]" * 50)[0]
    assert "nested too deeply" in findings("[" * 50 + "]" * 50)[0]


def test_a_rule_must_be_a_mapping() -> None:
    assert "a rule is a mapping of fields" in findings("- 3\n")[0]
    assert findings("") == []


@pytest.mark.parametrize("style", [">-\n    ", "|\n    ", ">\n\n    "])
def test_places_are_right_in_folded_and_literal_conditions(style: str) -> None:
    text = SOUND.replace("a.n_1m >= 30 and call.night", f"{style}a.n_1m >= 30\n    and call.nihgt\n    or a.zz > 1")
    extra = style.count("\n")
    found = [line.split(": ")[0] for line in findings(text)]
    assert found == [f"r.yaml:{4 + extra + 1}:9", f"r.yaml:{4 + extra + 2}:8"]


def test_places_are_right_in_quoted_conditions() -> None:
    assert findings(SOUND.replace("a.n_1m >= 30 and call.night", "'a.n_1m >= 30 and call.nihgt'"))[0].startswith(
        "r.yaml:4:27:"
    )


@pytest.mark.parametrize(
    "when",
    [
        "a.n_1m > 5 and a.n_1m < 5",
        "a.n_1m < 0",
        "a.share > 1",
        "call.hour > 22 and call.hour < 23",
        "call.hour == 2.5",
        "call.hour in (24, 25)",
        "call.night and not call.night",
        'a.kind == "mobile" and a.kind == "none"',
        'a.kind in ("mobile", "none") and a.kind not in ("mobile", "none")',
        'a.kind == "mobile" and b.kind == "none" and a.kind == b.kind',
        'a.kind == "mobile" and b.kind == "mobile" and a.kind != b.kind',
        "a.n_1m != a.n_1m",
        "a.n_1m > 3 and (a.n_1m < 2 or a.share < 0)",
        'trunk == "x" and trunk == "y"',
        'trunk in ("x", "y") and trunk != "x" and trunk != "y"',
        "a.n_1m == 3 and a.n_1m != 3",
        "2 > 3",
        "a.share * 2 > 3",
        "a.share / 2 > 0.6",
        "a.share + a.share > 2",
        "a.share - 1 > 0",
        "-a.n_1m > 0",
        "a.share / 0 > 0",
        "a.share * 3 in (4, 5)",
        "a.share > a.n_1m + 1",
    ],
)
def test_contradictions_are_proven(when: str) -> None:
    expr = parse(when, VOCABULARY)
    assert never_holds(expr, VOCABULARY)
    assert not always_holds(expr, VOCABULARY)
    assert always_holds(parse(f"not ({when})", VOCABULARY), VOCABULARY)


@pytest.mark.parametrize(
    "when",
    [
        "a.n_1m >= 5 and a.n_1m <= 5",
        "a.n_1m > 5 or a.n_1m < 5",
        "a.share >= 1",
        'a.kind == b.kind and a.kind == "mobile"',
        'trunk != "x" and trunk != "y"',
        "a.n_1m / a.share > 1000000",
        "a.share / 49 >= 0.02",
        "a.n_1m * a.share > 5",
        "not (call.night and call.hour > 3)",
        "a.share not in (0, 1)",
        "a.n_1m * 2 not in (4, 5)",
    ],
)
def test_what_can_hold_and_can_fail_is_left_alone(when: str) -> None:
    expr = parse(when, VOCABULARY)
    assert not never_holds(expr, VOCABULARY)
    assert not always_holds(expr, VOCABULARY)


def test_a_condition_too_large_to_decide_is_warned_of() -> None:
    clause = "(call.hour == 1 or a.n_1m == 2)"
    text = SOUND.replace("a.n_1m >= 30 and call.night", " and ".join([clause] * 12))
    found = findings(text.replace("n_1m: 31}, call.night: true", "n_1m: 2}"))
    assert [line for line in found if "too many alternatives" in line]
    assert not [line for line in found if ": error: " in line]


def test_always_firing_rules_are_refused() -> None:
    assert any("always fires" in line for line in findings(SOUND.replace("a.n_1m >= 30 and", "a.n_1m >= 0 or")))


def test_anchors_are_headings_as_github_writes_them_and_explicit_ones() -> None:
    page = '# Rules / 规则\n## Many callees!\n<a id="x-1"></a>\n```\n# not one\n```\n### busy ###\n'
    assert anchors_of(page) == {"rules--规则", "many-callees", "x-1", "busy"}
