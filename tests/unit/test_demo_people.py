"""The demo's made-up callers: the same for a seed, of every kind, honest numbers honest, forged ones forged."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from hutong.app.config import load_config
from hutong.app.demo import surroundings
from hutong.app.demo.people import ENTERPRISE, ENTERPRISE_RANGE, INTERNATIONAL, TRUNKS, Attempt, Population
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 6000


@pytest.fixture(scope="module")
def attempts() -> list[Attempt]:
    return list(itertools.islice(Population(7).attempts(), COUNT))


@pytest.fixture(scope="module")
def numbering() -> Numbering:
    return Numbering("021")


def test_a_seed_gives_the_same_calls_again(attempts: list[Attempt]) -> None:
    assert list(itertools.islice(Population(7).attempts(), COUNT)) == attempts
    assert list(itertools.islice(Population(8).attempts(), 50)) != attempts[:50]


def test_every_kind_of_caller_is_there(attempts: list[Attempt]) -> None:
    honest = {attempt.source for attempt in attempts if not attempt.fraud}
    fraud = {attempt.source for attempt in attempts if attempt.fraud}
    assert honest >= {"household", "courier", "ride-driver", "hospital", "school", "bank", "city-hall", "enterprise",
                      "roaming", "foreigner", "emergency"}  # fmt: skip
    assert fraud >= {"spoofed-police", "forged-400", "malformed", "out-of-range", "robocall", "wangiri", "sim-box"}
    assert {attempt.trunk for attempt in attempts} == set(TRUNKS)
    share = sum(attempt.fraud for attempt in attempts) / COUNT
    assert 0.1 < share < 0.4


def test_certain_is_only_said_of_fraud(attempts: list[Attempt]) -> None:
    assert all(attempt.fraud for attempt in attempts if attempt.certain)


def test_honest_callers_show_numbers_that_the_plan_holds(attempts: list[Attempt], numbering: Numbering) -> None:
    for attempt in attempts:
        if not attempt.fraud:
            number = numbering.read(attempt.caller, abroad=attempt.trunk == INTERNATIONAL)
            assert number.fault == "none", attempt
            assert number.klass not in ("shared-cost", "freephone", "emergency", "text", "unknown"), attempt


def test_callees_can_be_called(attempts: list[Attempt], numbering: Numbering) -> None:
    assert all(numbering.read(attempt.callee).fault == "none" for attempt in attempts)


def test_only_roaming_subscribers_honestly_show_chinese_numbers_from_abroad(attempts: list[Attempt]) -> None:
    roaming = {f"+86{number}" for number in Population(7).roaming}
    for attempt in attempts:
        chinese = attempt.trunk == INTERNATIONAL and attempt.caller.startswith(("+86", "0086"))
        if chinese and attempt.source != "emergency":
            assert (attempt.caller in roaming) != attempt.fraud


def test_the_enterprise_keeps_to_its_range_and_the_campaign_does_not(attempts: list[Attempt]) -> None:
    low, high = ENTERPRISE_RANGE
    for attempt in attempts:
        if attempt.trunk == ENTERPRISE:
            assert (low <= attempt.caller <= high) != attempt.fraud


def test_robocalls_walk_through_the_numbers(attempts: list[Attempt]) -> None:
    callers: dict[str, list[int]] = {}
    for attempt in attempts:
        if attempt.source == "robocall":
            callers.setdefault(attempt.caller, []).append(int(attempt.callee))
    assert callers
    for callees in callers.values():
        assert callees == list(range(callees[0], callees[0] + len(callees)))


def test_a_caller_keeps_its_trunk(attempts: list[Attempt]) -> None:
    trunks = Counter({(a.caller, a.trunk) for a in attempts if a.source == "household"})
    assert len({caller for caller, _ in trunks}) == len(trunks)


def test_the_nodes_configuration_is_accepted(tmp_path: Path) -> None:
    places = surroundings.Places(*(f"127.0.0.1:{port}" for port in range(8080, 8084)), 5060, 9060, 5070, 5080, "")
    file = tmp_path / "hutong.toml"
    file.write_text(surroundings.node_config(places, tmp_path / "codes.jsonl"), encoding="utf-8")
    config = load_config(file, environ={})
    assert [trunk.kind for trunk in config.trunks] == list(TRUNKS.values())
    assert config.appeals.code_file == str(tmp_path / "codes.jsonl")
