"""A call reads what score its caller was last given, by either way in; without one, none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines import NOON_NS, Bench, invite, node_settings
from hutong.calls.features import VOCABULARY
from hutong.calls.node import Node
from hutong.kernel.clock import ManualClock
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.reporter import Reporter
from hutong.kernel.scores import NO_SCORE, ScoreFile, Scores, ScoreWriter, look_up, no_scores

if TYPE_CHECKING:
    from pathlib import Path

RISKY, MILD, UNKNOWN = "13800138000", "13800138001", "13800138002"
RULE = "calls.caller-risk-high"


def _published(folder: Path) -> ScoreFile:
    keys = np.array([key_of_digits(f"86{number}") for number in (RISKY, MILD)], dtype=np.int64)
    none = np.zeros(2, dtype=np.int64)
    with ScoreWriter(folder) as writer:
        writer.publish(Scores(keys, np.array([0.98, 0.4]), none, none), ("m",), 1)
    reader = ScoreFile(folder)
    reader.refresh()
    return reader


def _read(bench: Bench) -> tuple[float, float, bool]:
    """Score, whether there is one, whether the rule fired: of the call judged last."""
    features, rules = bench.engine.scratch.features, [rule.id for rule in bench.engine.ruleset.rules]
    known = [float(features[VOCABULARY.index(name)]) for name in ("caller.risk", "caller.risk_known")]
    return known[0], known[1], bool(bench.engine.scratch.fired[rules.index(RULE)])


@pytest.mark.parametrize("way", ["lane", "full"])
def test_a_call_reads_the_score_of_its_caller(tmp_path: Path, way: str) -> None:
    bench = Bench(tmp_path)
    expected = {RISKY: (0.98, 1, True), MILD: (0.4, 1, False), UNKNOWN: (0, 0, False)}
    bench.engine.use_scores(_published(tmp_path / "scores").rows)
    for number, (score, known, fires) in expected.items():
        assert getattr(bench, way)(invite(number, call=f"{way}-{number}"))
        assert _read(bench) == (pytest.approx(score, abs=1e-6), known, fires)
    bench.engine.use_scores(no_scores())
    getattr(bench, way)(invite(RISKY, call=f"{way}-after"))
    assert _read(bench) == (0, 0, False)


def test_a_node_takes_up_what_is_published_and_outlives_a_damaged_file(data_folder: Path) -> None:
    said, clock = io.StringIO(), ManualClock(NOON_NS)
    node = Node(node_settings(data_folder), clock, Reporter("test", stream=said, clock=clock).log)
    engine = node.open()
    assert len(engine.judge.scores) == 1
    _published(data_folder / "scores")
    node.tick(clock.wall())
    held = engine.judge.scores
    assert look_up(held, key_of_digits(f"86{RISKY}")) != NO_SCORE
    (data_folder / "bad").write_bytes(b"nonsense")
    (data_folder / "bad").replace(data_folder / "scores" / "scores.table")
    for _ in range(2):
        clock.advance(10**9)
        node.tick(clock.wall())
    assert said.getvalue().count("scores refused") == 1
    assert engine.judge.scores is held
    node.close()
