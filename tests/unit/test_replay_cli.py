"""`hutong calls replay`: what it takes, what it prints, how it ends."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hutong.app.cli import run
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.scores import Scores, ScoreWriter

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "call_id,start,trunk,caller,callee\n"
FORGED = "bad,2026-03-02T02:00:00Z,enterprise,13700137000,13900139000\n"
PLAIN = "good,2026-03-02T02:00:01Z,local,13800138000,13900139000\n"

RULE = """
id: test.everything
version: 1
title: {zh: 全部, en: Everything}
when: caller.digits > 0
action: block
stage: observe
basis: test
runbook: docs/rules.md#stages
samples:
  - {given: {caller.digits: 11}, fires: true}
  - {given: {caller.digits: 0}, fires: false}
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_text(HEADER + FORGED + PLAIN)
    return path


def results(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["call_id"]: row for row in csv.DictReader(file)}


def test_shipped_rules_judge_at_their_stages(tmp_path: Path, calls: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert run(["calls", "replay", str(calls), "--out", str(out), "--lang", "en"]) == 0
    found = results(out)
    assert found["good"] == {"call_id": "good", "action": "pass", "rules": "", "score": "0"}
    assert found["bad"]["action"] == "block"
    assert float(found["bad"]["score"]) >= 0.9
    told = capfd.readouterr()
    assert told.out == ""
    assert "calls: 2" in told.err
    assert "block: 1 (50.000%)" in told.err
    assert "bad rows: 0" in told.err


def test_results_go_to_standard_output_and_the_summary_does_not(calls: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["calls", "replay", str(calls), "--lang", "zh"]) == 0
    told = capfd.readouterr()
    assert told.out.splitlines()[0] == "call_id,action,rules,score"
    assert told.out.splitlines()[2] == "good,pass,,0"
    assert "呼叫:2" in told.err
    assert "拦截:1" in told.err


def test_a_folder_of_rules_stands_in_for_the_shipped_ones(tmp_path: Path, calls: Path) -> None:
    rules, out = tmp_path / "rules", tmp_path / "out.csv"
    rules.mkdir()
    (rules / "own.yaml").write_text(RULE)
    command = ["calls", "replay", str(calls), "--rules", str(rules), "--out", str(out)]
    assert run(command) == 0
    assert [(row["action"], row["rules"]) for row in results(out).values()] == [("pass", "test.everything")] * 2
    assert run([*command, "--as-if-promoted"]) == 0
    assert [row["action"] for row in results(out).values()] == ["block"] * 2


def test_lists_of_a_data_folder_count(tmp_path: Path, calls: Path) -> None:
    store = ListStore(tmp_path / "data" / "lists")
    (tmp_path / "data").mkdir()
    store.open()
    store.add([draft("13800138000", list="block", reason="reported", who="test")], 1_700_000_000)
    store.close()
    out = tmp_path / "out.csv"
    assert run(["calls", "replay", str(calls), "--data", str(tmp_path / "data"), "--out", str(out)]) == 0
    assert results(out)["good"]["action"] == "block"


def test_trunks_of_the_settings_are_known_beside_the_kinds(tmp_path: Path, calls: Path) -> None:
    settings, out = tmp_path / "hutong.toml", tmp_path / "out.csv"
    settings.write_text('[[trunks]]\nname = "hk"\nkind = "international"\nnetworks = ["192.0.2.0/24"]\n')
    calls.write_text(HEADER + PLAIN.replace("local", "hk") + PLAIN.replace("local", "inter-network"))
    command = ["calls", "replay", str(calls), "--out", str(out)]
    assert run([*command, "--config", str(settings)]) == 0
    assert run([*command, "--lang", "en"]) == 1


def test_scores_that_a_data_folder_publishes_are_consulted(tmp_path: Path, calls: Path) -> None:
    data, out = tmp_path / "node", tmp_path / "out.csv"
    one, none = np.array([key_of_digits("8613800138000")]), np.zeros(1, dtype=np.int64)
    with ScoreWriter(data / "scores") as writer:
        writer.publish(Scores(one, np.array([0.25]), none, none), ("m",), 1)
    assert run(["calls", "replay", str(calls), "--out", str(out), "--data", str(data)]) == 0
    assert float(results(out)["good"]["score"]) == pytest.approx(0.25, abs=1e-6)
    assert results(out)["good"]["rules"] == ""


def test_shards_judge_in_order_of_time_and_tell_in_that_of_the_input(
    tmp_path: Path, calls: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [f"g{at},2026-03-02T02:00:{59 - at:02}Z,local,1380013800{at % 3},139001390{at:02}\n" for at in range(60)]
    calls.write_text(HEADER + "".join(rows))
    out, plain = tmp_path / "out.csv", tmp_path / "plain.csv"
    assert run(["calls", "replay", str(calls), "--out", str(plain)]) == 0
    assert "calls.callee-flooded" not in capfd.readouterr().err
    assert run(["calls", "replay", str(calls), "--out", str(out), "--shards", "3"]) == 0
    (partly,) = (line for line in capfd.readouterr().err.splitlines() if "calls.callee-flooded" in line)
    assert "calls.one-call-each" not in partly
    assert out.read_text() == plain.read_text()
    assert list(results(out)) == [f"g{at}" for at in range(60)]
    assert any(row["rules"] for row in results(out).values())


def test_bad_rows_are_set_aside_beside_the_results(tmp_path: Path, calls: Path) -> None:
    calls.write_text(calls.read_text() + "bad row\n")
    out = tmp_path / "out.csv"
    assert run(["calls", "replay", str(calls), "--out", str(out)]) == 1
    assert not out.exists()
    assert run(["calls", "replay", str(calls), "--out", str(out), "--stop-share", "0.5"]) == 0
    assert len(results(out)) == 2
    assert "bad row" in (tmp_path / "out.errors.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["none.csv"], 1, "No such file"),
        ([], 1, "no file"),
        (["CALLS", "--stop-share", "2"], 1, "from 0 to 1"),
        (["CALLS", "--stop-share", "nan"], 1, "from 0 to 1"),
        (["CALLS", "--stop-share", "few"], 2, ""),
        (["CALLS", "--rules", "none"], 1, "no rule files"),
        (["CALLS", "--shards", "0"], 1, "1 to 4096 shards"),
        (["CALLS", "--data", "none"], 1, "does not exist"),
        (["CALLS", "--layout", "none.toml"], 1, "cannot be read"),
        (["CALLS", "--out", "CALLS"], 1, "written to and read"),
    ],
)
def test_wrong_requests_say_what_is_wrong(
    calls: Path, arguments: list[str], status: int, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(calls) if word == "CALLS" else word for word in arguments]
    assert run(["calls", "replay", *words]) == status
    assert why in capfd.readouterr().err
