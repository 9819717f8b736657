"""`hutong rules backtest`: what it counts, what it shows, and what it keeps."""

from __future__ import annotations

import csv
import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from evidences import BUSY
from hutong.app.cli import STATUS_FAILED, run
from hutong.calls.archiving import Archiver
from hutong.calls.evidence.store import FOLDER, EvidenceStore
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.numbering import key_of_digits
from hutong.kernel.scores import Scores, ScoreWriter
from hutong.kernel.scores.file import NAME
from hutong.kernel.scores.past import FOLDER as PAST_SCORES
from hutong.kernel.scores.past import PastScores
from verdict_records import NOON_MS, verdict_body, write_journal

if TYPE_CHECKING:
    from pathlib import Path

SCORED = """\
id: own.scored
version: 1
title: {zh: 评分高, en: High score}
when: caller.risk_known and caller.risk >= 0.5
action: warn
basis: law
runbook: https://intranet.example/scored
samples:
  - {given: {caller: {risk: 0.9, risk_known: true}}, fires: true}
  - {given: {}, fires: false}
"""
START = 1_772_323_200_000  # 2026-03-01T00:00:00Z
HOSPITAL, FRAUD, QUIET, STRANGER = "02161230001", "13800138000", "13900139000", "13700137000"
EMERGENCY = "02161230120"


def calls_of(caller: str, count: int, start: int = START, *, step: int = 10_000, first: int = 0) -> list[list[str]]:
    return [
        [f"{caller}-{at}", str(start + at * step), "local", caller, f"135{(first + at) * 7_919_317 % 100_000_000:08}"]
        for at in range(count)
    ]


def write_calls(path: Path, rows: list[list[str]], *, ordered: bool = True) -> Path:
    if ordered:
        rows = sorted(rows, key=lambda row: int(row[1]))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["call_id", "start", "trunk", "caller", "callee"], *rows])
    return path


def write_labels(path: Path, *rows: tuple[str, str, str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("number", "label", "class"), *rows])
    return path


LABELS = (
    (HOSPITAL, "0", "hospital"),
    (FRAUD, "1", "robocall"),
    (QUIET, "0", ""),
    ("13899999999", "1", "robocall"),
)


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A rule that hits whoever calls often; a hospital, a fraud number and a stranger do; one number never does."""
    (tmp_path / "data" / "rules").mkdir(parents=True)
    (tmp_path / "data" / "rules" / "own.yaml").write_text(BUSY)
    rows = calls_of(HOSPITAL, 30) + calls_of(FRAUD, 40, START + 3) + calls_of(STRANGER, 25, START + 86_400_000)
    rows += calls_of(QUIET, 50, step=3_600_000)
    write_calls(tmp_path / "calls.csv", rows)
    write_labels(tmp_path / "labels.csv", *LABELS)
    return tmp_path


def words(ground: Path, *more: str, rules: tuple[str, ...] = ("own.busy",), calls: str = "calls.csv") -> list[str]:
    told = ["rules", "backtest", *rules, "--over", str(ground / calls), "--labels", str(ground / "labels.csv")]
    return [*told, "--data", str(ground / "data"), "--lang", "en", *more]


def result(ground: Path, capsys: pytest.CaptureFixture[str], *more: str, **what: Any) -> dict[str, Any]:  # noqa: ANN401  # as `words`
    assert run(words(ground, "--json", *more, **what)) == 0
    told: dict[str, Any] = msgspec.json.decode(capsys.readouterr().out)
    return told


def test_it_counts_what_the_rule_would_have_hit_by_label(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = result(ground, capsys)
    (rule,) = told["rules"]
    assert (rule["id"], rule["version"], rule["stage"], rule["action"]) == ("own.busy", 1, "observe", "block")
    effect = rule["effect"]
    hits = effect["hits"]
    assert hits["legitimate"] == {"calls": 11, "numbers": 1}
    assert hits["fraud"] == {"calls": 21, "numbers": 1}
    assert hits["unlabelled"] == {"calls": 6, "numbers": 1}
    assert hits["all"] == {"calls": 38, "numbers": 3}
    assert effect["protected"] == {"calls": 11, "numbers": 1}
    assert effect["confirmed"] == 1.0, "of the reported numbers that called"
    rate = effect["rate"]
    assert (rate["hits"], rate["calls"], rate["numbers"]) == (11, 80, 2)
    assert rate["per_million"] == pytest.approx(11 / 80 * 1e6)
    assert rate["low"] < rate["per_million"] < rate["high"]
    many = 11  # calls on which calls.many-callees, which warns as shipped, fires as well
    adds = {**hits, "all": {"calls": 38 - many, "numbers": 3}, "fraud": {"calls": 21 - many, "numbers": 1}}
    assert effect["adds"] == adds
    assert [(it["name"], it["hit"]["calls"]) for it in effect["classes"][:2]] == [("hospital", 11), ("emergency", 0)]
    assert {it["day"]: it["calls"] for it in effect["days"] if it["calls"]} == {"2026-03-01": 32, "2026-03-02": 6}
    assert len(effect["days"]) == 3


def test_the_most_telling_calls_come_first_masked_and_with_what_the_rule_read(
    ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = result(ground, capsys)["rules"][0]["effect"]["cases"]
    assert [(it["label"], it["class"]) for it in cases] == [
        ("legitimate", "hospital"),
        ("fraud", "robocall"),
        ("unlabelled", ""),
    ]
    assert "2126" not in cases[0]["caller"].replace("*", "")[-4:]
    text = msgspec.json.encode(cases).decode()
    assert FRAUD not in text.replace(f"{FRAUD}-", "")
    assert cases[1]["caller"] == "138****8000"
    assert cases[1]["en"] == ["caller's calls made in 10 min: caller.attempts_10m = 30 (≥ 20)"]
    assert "caller.attempts_10m = 30" in cases[1]["zh"][0]


def test_it_is_kept_under_a_name_of_its_content_and_told_in_both_languages(
    ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words(ground, "--out", str(ground / "out"), "--by", "li")) == 0
    told = capsys.readouterr().out
    (kept,) = EvidenceStore(ground / "data" / FOLDER).all()
    assert kept.id in told
    assert (kept.backtest.by, kept.backtest.over.calls) == ("li", 145)
    assert "137,500.00 per million legitimate calls" in told
    assert "hospital: 11 calls (1 numbers) / 30 calls (1 numbers)" in told
    assert (ground / "out" / "backtest.txt").read_text() == told
    assert run([*words(ground)[:-1], "zh"]) == 0
    assert "医院: 11 次(1 个号码)" in capsys.readouterr().out


def test_rows_out_of_order_give_the_same_figures(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    straight = result(ground, capsys)
    with (ground / "calls.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    random.Random(7).shuffle(rows)
    write_calls(ground / "mixed.csv", rows, ordered=False)
    mixed = result(ground, capsys, calls="mixed.csv")
    assert mixed["rules"] == straight["rules"]
    assert mixed["whole"] == straight["whole"]


def test_files_take_the_place_of_rules_in_force_and_stand_beside_the_shipped_ones(
    ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = ground / "new.yaml"
    new.write_text(BUSY.replace("version: 1", "version: 2").replace(">= 20", ">= 35").replace("10m: 20}", "10m: 35}"))
    (rule,) = result(ground, capsys, rules=(str(new),))["rules"]
    assert (rule["version"], rule["effect"]["hits"]["all"]["calls"]) == (2, 6)
    told = result(ground, capsys, rules=(str(new), "calls.many-callees"))
    assert [it["id"] for it in told["rules"]] == ["calls.many-callees", "own.busy"]
    assert told["whole"]["hits"]["all"]["calls"] >= 6


def test_what_others_hit_too_is_told(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ground / "data" / "rules" / "other.yaml").write_text(
        BUSY.replace("own.busy", "own.other").replace(">= 20", ">= 30").replace("10m: 20}", "10m: 30}")
    )
    told = result(ground, capsys, rules=("own.busy", "own.other"))
    busy = next(it for it in told["rules"] if it["id"] == "own.busy")
    overlap = next(it for it in busy["overlap"] if it["rule"] == "own.other")
    other = next(it for it in told["rules"] if it["id"] == "own.other")
    both = other["effect"]["hits"]["all"]["calls"]
    assert (overlap["both"], overlap["only"]) == (both, 38 - both)
    assert overlap["jaccard"] == pytest.approx(both / 38)
    assert told["whole"]["hits"]["all"]["calls"] == 38


def test_a_call_may_have_a_label_of_its_own(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (ground / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("call_id", "number", "label", "class"), ("", FRAUD, "1", ""), (f"{FRAUD}-30", "", "0", "school")]
        )
    hits = result(ground, capsys)["rules"][0]["effect"]["hits"]
    assert hits["fraud"]["calls"] == 20
    assert hits["legitimate"] == {"calls": 1, "numbers": 1}


def test_allowed_callers_are_not_hit(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = ["lists", "add", HOSPITAL, "--list", "allow", "--reason", "a hospital", "--who", "Li"]
    assert run([*added, "--data", str(ground / "data")]) == 0
    capsys.readouterr()
    effect = result(ground, capsys)["rules"][0]["effect"]
    assert effect["protected"]["calls"] == 0
    assert effect["hits"]["exempt"] == 11
    assert effect["hits"]["all"]["calls"] == 27


def test_a_rate_is_known_by_its_place_and_time_only_when_somebody_is_labelled(
    ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_labels(ground / "labels.csv", (FRAUD, "1", ""))
    rate = result(ground, capsys)["rules"][0]["effect"]["rate"]
    assert (rate["per_million"], rate["calls"], rate["high"]) == (None, 0, 1_000_000)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("number,label\n", "not one label"),
        ("", "columns none"),
        ("number,class\n13800138000,bank\n", "columns number, class"),
        ("number,label\n13800138000,2\n", "row 2: label is not 0 or 1"),
        ("number,label\n,1\n", "row 2: number is empty"),
        ("number,label\n13800138000,1\n+8613800138000,0\n", "row 3: label contradicts"),
        ("number,label\n\xff\xfe", "not UTF-8"),
    ],
)
def test_bad_labels_are_refused_with_their_rows(
    ground: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    (ground / "labels.csv").write_bytes(content.encode("latin-1"))
    assert run(words(ground)) == STATUS_FAILED
    assert told in capsys.readouterr().err
    assert not (ground / "data" / FOLDER).exists()


def test_few_bad_labels_are_set_aside_and_counted(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (ground / "labels.csv").open("a", newline="") as file:
        file.write("13811112222,maybe,\n")
    assert run(words(ground)) == STATUS_FAILED
    capsys.readouterr()
    told = result(ground, capsys, "--stop-share", "0.3")
    assert told["labels"]["bad"] == 1
    assert told["labels"]["fraud"] == 2


@pytest.mark.parametrize(
    ("rules", "told"), [((), "no rule is named"), (("own.bussy",), "Did you mean own.busy"), (("x.yaml",), "x.yaml")]
)
def test_what_is_no_rule_is_refused(
    ground: Path, capsys: pytest.CaptureFixture[str], rules: tuple[str, ...], told: str
) -> None:
    assert run(words(ground, rules=rules)) == STATUS_FAILED
    assert told in capsys.readouterr().err


def test_days_are_local(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = int(datetime(2026, 3, 1, 16, tzinfo=UTC).timestamp() * 1000)
    write_calls(ground / "calls.csv", calls_of(FRAUD, 30, late))
    days = result(ground, capsys)["rules"][0]["effect"]["days"]
    assert [(it["day"], it["calls"]) for it in days if it["calls"]] == [("2026-03-02", 11)]


def test_a_nodes_own_archive_is_tested_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_journal(
        tmp_path,
        [
            [
                (
                    KIND_VERDICT,
                    verdict_body(time_ms=NOON_MS + at * 1000, call_id=f"c{at}", trunk="local", kind=3, flags=256),
                )
            ]
            for at in range(30)
        ],
    )
    archiver = Archiver(tmp_path)
    archiver.run((NOON_MS + 86_400_000) * 1_000_000)
    archiver.close()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yaml").write_text(BUSY)
    labels = write_labels(tmp_path / "labels.csv", (FRAUD, "1", ""))
    told = ["rules", "backtest", "own.busy", "--over", str(tmp_path / "archive"), "--labels", str(labels), "--json"]
    assert run([*told, "--data", str(tmp_path)]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["over"]["calls"] == 30
    assert found["rules"][0]["effect"]["hits"]["fraud"]["calls"] == 11, "mirrored calls are judged as if asked about"


def test_several_files_may_follow_one_another(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (ground / "calls.csv").open() as file:
        head, *rows = list(csv.reader(file))
    for name, some in (("one.csv", rows[:70]), ("two.csv", rows[70:])):
        write_calls(ground / name, some)
    whole = result(ground, capsys)
    told = ["rules", "backtest", "own.busy", "--over", str(ground / "one.csv"), str(ground / "two.csv")]
    more = ["--labels", str(ground / "labels.csv"), "--data", str(ground / "data"), "--json"]
    assert run([*told, *more]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["rules"] == whole["rules"]
    assert head[0] == "call_id"


def test_no_score_that_was_learned_since_is_consulted(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ground / "data" / "rules" / "scored.yaml").write_text(SCORED)
    before = result(ground, capsys, rules=("own.busy", "own.scored"))
    none = np.zeros(2, dtype=np.int64)
    keys = np.array(sorted(key_of_digits(f"86{number}") for number in (FRAUD, QUIET)))
    with ScoreWriter(ground / "data" / "scores") as writer:
        writer.publish(Scores(keys, np.array([0.9, 0.9]), none, none), ("m",), 1)
    assert run(words(ground, rules=("own.busy", "own.scored"))) == 0
    assert "learned scores: not used" in capsys.readouterr().out
    told = result(ground, capsys, rules=("own.busy", "own.scored"))
    assert told["scores"] == "none"
    assert told["rules"][1]["effect"]["hits"]["all"]["calls"] == 0
    assert told["rules"] == before["rules"], "what calls score comes of rules alone"


def test_a_call_reads_the_score_that_stood_when_it_was_set_up(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ground / "data" / "rules" / "scored.yaml").write_text(SCORED)
    past, scores = PastScores(ground / "data" / PAST_SCORES), ground / "data" / "scores"
    # FRAUD calls every ten seconds: it has a high score from its fifth call on, and a low one from its ninth on.
    for seconds, score in ((-60, 0.1), (40, 0.9), (80, 0.2)):
        at = START // 1000 + seconds
        one = np.array([key_of_digits(f"86{FRAUD}")])
        with ScoreWriter(scores) as writer:
            writer.publish(Scores(one, np.array([score]), np.zeros(1, np.int64), np.array([at])), ("m",), at * 10**9)
        os.utime(scores / NAME, (at, at))
        past.keep(scores, 0)
    told = result(ground, capsys, rules=("own.scored",))
    assert (told["scores"], told["scored_from_ms"]) == ("past", START - 60_000)
    (rule,) = told["rules"]
    assert rule["effect"]["hits"]["fraud"]["calls"] == 4
    assert {case["time_ms"] for case in rule["effect"]["cases"]} <= {START + 3 + at * 1000 for at in (40, 50, 60, 70)}
    assert any("0.9" in line for line in rule["effect"]["cases"][0]["en"]), "a case shows the score of its time"
    assert run(words(ground, rules=("own.scored",))) == 0
    assert "learned scores: those of each call's own time" in capsys.readouterr().out
