"""The rules that ship for calls: lint finds nothing, samples hold in the compiled machine, only facts block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hutong.calls.features import CALLEE_WINDOWS, CALLER_WINDOWS, SHIPPED_RULES, TRUNK_WINDOWS, VOCABULARY
from hutong.calls.own_calls import judges_display
from hutong.kernel.numbering import Numbering
from hutong.kernel.rules.lint import sample_vector
from hutong.kernel.rules.loader import check_paths, load_ruleset, read_anchors
from hutong.kernel.rules.machine import run_rules
from hutong.kernel.windows import WINDOW_FEATURES
from hutong.reports import opening

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Ruleset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ruleset() -> Ruleset:
    return load_ruleset([SHIPPED_RULES], VOCABULARY)


def blocked_by(ruleset: Ruleset, **given: float | bool | str) -> list[str]:
    vector, fired = VOCABULARY.defaults(), np.zeros(len(ruleset), dtype=np.uint8)
    for name, value in given.items():
        index = VOCABULARY.index(name.replace("__", "."))
        vector[index] = VOCABULARY.code(index, value) if isinstance(value, str) else float(value)
    run_rules(ruleset.program, vector, fired)
    return [rule.id for rule, hit in zip(ruleset.rules, fired, strict=True) if hit and rule.stage == "block"]


def test_lint_finds_nothing() -> None:
    checked = check_paths([SHIPPED_RULES], VOCABULARY, read_anchors(ROOT))
    assert [str(f) for f in checked.findings] == []


def test_there_are_enough_rules_and_each_has_its_own_runbook(ruleset: Ruleset) -> None:
    assert len(ruleset) >= 24
    for rule in ruleset.rules:
        assert rule.runbook == f"docs/calls.md#{rule.id.removeprefix('calls.')}"


def test_only_certain_rules_block(ruleset: Ruleset) -> None:
    blocking = [rule for rule in ruleset.rules if rule.stage == "block"]
    assert blocking
    assert all(rule.certain for rule in blocking)


def test_every_sample_holds_in_the_compiled_machine(ruleset: Ruleset) -> None:
    fired = np.zeros(len(ruleset), dtype=np.uint8)
    for place, rule in enumerate(ruleset.rules):
        for sample in rule.samples:
            run_rules(ruleset.program, sample_vector(sample, VOCABULARY), fired)
            assert bool(fired[place]) is sample.fires, (rule.id, sample)


def test_every_firing_sample_is_explained_in_both_languages(ruleset: Ruleset) -> None:
    for place, rule in enumerate(ruleset.rules):
        for sample in rule.samples:
            if sample.fires:
                vector = sample_vector(sample, VOCABULARY)
                zh, en = (ruleset.explain(place, vector, lang) for lang in ("zh", "en"))
                assert len(zh) == len(en) > 0
                assert not set(zh) & set(en)


@pytest.mark.parametrize("trunk", ["unknown", "international", "inter-network", "local", "enterprise"])
def test_a_call_about_which_nothing_is_known_fires_no_rule_but_the_enterprise_ranges(
    ruleset: Ruleset, trunk: str
) -> None:
    blocked = blocked_by(ruleset, trunk__kind=trunk)
    assert blocked == (["calls.enterprise-caller-outside-ranges"] if trunk == "enterprise" else [])


BUSY = {
    f"caller__{stem}_{span}": value
    for stem, value in {"attempts": 500, "distinct_callees": 480, "areas": 60, "ended": 400, "short_share": 1}.items()
    for span in ("1m", "10m", "1h", "24h")
}


@pytest.mark.parametrize("caller", ["mobile", "virtual", "fixed", "iot", "foreign", "public", "national-service"])
@pytest.mark.parametrize("trunk", ["unknown", "inter-network", "local"])
def test_behaviour_alone_never_blocks(ruleset: Ruleset, caller: str, trunk: str) -> None:
    extra = {"caller__run_sequential": 50, "caller__run_same": 50, "caller__active_calls": 50, "call__night": True}
    assert blocked_by(ruleset, caller__class=caller, trunk__kind=trunk, callee__class="mobile", **BUSY, **extra) == []


def test_a_roaming_subscriber_and_a_diverted_call_are_not_blocked(ruleset: Ruleset) -> None:
    own = {"trunk__kind": "international", "caller__country": "CN", "caller__class": "mobile"}
    for form in ("international", "national", "bare"):
        assert blocked_by(ruleset, **own, caller__form=form, caller__roaming="confirmed") == []
        assert blocked_by(ruleset, **own, caller__form=form, caller__roaming="unconfirmed", call__diverted=True) == []
    assert blocked_by(ruleset, **own, caller__form="international", caller__roaming="unknown") == []
    assert blocked_by(ruleset, **own, caller__form="international", caller__roaming="unconfirmed") == [
        "calls.domestic-caller-from-abroad"
    ]


def test_rules_that_no_call_of_a_numbers_owner_fires_are_known_from_their_conditions(ruleset: Ruleset) -> None:
    shown = {rule.id.partition(".")[2] for at, rule in enumerate(ruleset.rules) if judges_display(ruleset, at)}
    assert shown == {
        "emergency-number-from-abroad",
        "service-number-from-abroad",
        "national-format-from-abroad",
        "domestic-caller-from-abroad",
        "impossible-caller-from-abroad",
        "caller-length-from-abroad",
        "unallocated-domestic-caller-from-abroad",
        "unallocated-foreign-caller",
        "domestic-caller-diverted-from-abroad",
        "domestic-caller-unverified",
        "shared-cost-as-caller",
        "enterprise-caller-outside-ranges",
        "unallocated-domestic-caller",
    }


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("+8613800138000", "domestic-caller-from-abroad"),
        ("8613800138000", "domestic-caller-from-abroad"),
        ("+862162345678", "domestic-caller-from-abroad"),
        ("13800138000", "national-format-from-abroad"),
        ("02162345678", "national-format-from-abroad"),
        ("62345678", "national-format-from-abroad"),
        ("110", "emergency-number-from-abroad"),
        ("+86120", "emergency-number-from-abroad"),
        ("021110", "emergency-number-from-abroad"),
        ("95588", "service-number-from-abroad"),
        ("+8695588", "service-number-from-abroad"),
        ("10086", "service-number-from-abroad"),
        ("96110", "service-number-from-abroad"),
        ("12345", "service-number-from-abroad"),
        ("4001234567", "national-format-from-abroad"),
        ("+864001234567", "domestic-caller-from-abroad"),
        ("unknown", "impossible-caller-from-abroad"),
        ("", "impossible-caller-from-abroad"),
        ("+123", "impossible-caller-from-abroad"),
        ("+12345678901234567890", "impossible-caller-from-abroad"),
        ("+14155550123", ""),
        ("0014155550123", ""),
        ("14155550123", ""),
        ("+85223456789", ""),
        ("+447700900123", ""),
    ],
)
def test_what_a_call_from_abroad_may_show(ruleset: Ruleset, written: str, rule: str) -> None:
    number = Numbering("021").read(written, abroad=True)
    blocked = blocked_by(
        ruleset,
        trunk__kind="international",
        caller__class=number.klass,
        caller__country=number.country,
        caller__form=number.form,
        caller__fault=number.fault,
        caller__digits=len(number.digits),
        caller__roaming="unconfirmed" if number.country == "CN" else "not-asked",
    )
    assert blocked[:1] == ([f"calls.{rule}"] if rule else [])


def test_windows_lie_together_in_the_order_in_which_they_are_read() -> None:
    for side, start in (("caller", CALLER_WINDOWS), ("callee", CALLEE_WINDOWS), ("trunk", TRUNK_WINDOWS)):
        names = VOCABULARY.names[start : start + len(WINDOW_FEATURES)]
        assert names == tuple(f"{side}.{name}" for name in WINDOW_FEATURES)


def test_every_name_and_value_has_words_in_both_languages() -> None:
    for feature in VOCABULARY.features:
        assert feature.doc["zh"]
        assert feature.doc["en"]
    for enumeration in VOCABULARY.enumerations.values():
        for value in enumeration.values:
            assert set(enumeration.labels[value]) == {"zh", "en"}


def test_rules_that_open_cases_are_linted_too_and_their_samples_hold() -> None:
    checked = check_paths([opening.SHIPPED], opening.VOCABULARY, read_anchors(ROOT))
    assert [str(finding) for finding in checked.findings] == []
    it = opening.Opening()
    lost = it.deciding({"matter.lost": 1.0})
    assert lost is not None
    assert lost.id == "reports.loss"
    assert it.deciding({"matter.reporters": 9.0}) is None
