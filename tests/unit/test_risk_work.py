"""Scoring in a running node: started in its slot, waited for by nobody, told when it failed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from risk_tables import made_up, write

from hutong.app.cli import run
from hutong.app.config import Config, EvidenceConfig, NodeConfig, RiskConfig
from hutong.app.risk_work import ScoringWork
from hutong.kernel.errors import StateError
from hutong.kernel.scores import ScoreFile
from hutong.kernel.scores.past import FOLDER
from hutong.risk.model_file import save_model
from hutong.risk.training import read_given, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

DAY_MS = 86_400_000


def test_without_a_model_nothing_is_scored() -> None:
    assert [job.name for job in ScoringWork(Config(), None).jobs()] == ["past-scores"]
    [_, job] = ScoringWork(Config(risk=RiskConfig(model="m", every_minutes=5)), None).jobs()
    assert (job.name, job.every) == ("risk-scores", 300 * 10**9)


def test_past_scores_go_when_no_evidence_needs_them(tmp_path: Path) -> None:
    config = Config(node=NodeConfig(data=str(tmp_path)), risk=RiskConfig(days=10), evidence=EvidenceConfig(days=5))
    (tmp_path / FOLDER).mkdir()
    for day in range(1, 4):
        (tmp_path / FOLDER / f"{day * DAY_MS:015d}.parquet").touch()
    runs = ScoringWork(config, None)
    assert runs.forget((25 + 2) * DAY_MS * 10**6) == 1
    assert runs.forget((25 + 2) * DAY_MS * 10**6) == 0


def test_runs_follow_one_another_and_a_failure_is_told(tmp_path: Path, wait_until: Callable[..., object]) -> None:
    gate, code = tmp_path / "gate", "import os, sys; open(sys.argv[1]).read(); sys.exit(3)"

    os.mkfifo(gate)
    runs = ScoringWork(Config(), None, [sys.executable, "-c", code, str(gate)])
    assert runs.start(0) == 1
    assert runs.start(0) == 0
    gate.write_text("go")

    def failed() -> bool:
        try:
            return bool(runs.start(0))
        except StateError as error:
            return "status 3" in str(error)

    wait_until(failed, 20, "the first run's failure")
    assert runs.start(0) == 0  # the next one had begun
    runs.stop()


def test_a_run_publishes_and_counts(
    tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.nice", lambda _step: 0)
    assert run(["risk", "rescore", "--data", str(data_folder)]) == 2
    assert "risk.model: No model is installed" in capsys.readouterr().err
    table = write(tmp_path / "t.csv", *made_up(120))
    stored = train(read_given(table, None, labelled=True), seed=0, trained="", hutong="")
    save_model(stored, tmp_path / "m")
    (tmp_path / "hutong.toml").write_text(f'[risk]\nmodel = "{tmp_path / "m"}"\n')
    (data_folder / "run").mkdir(exist_ok=True)
    assert run(["risk", "rescore", "--data", str(data_folder), "--config", str(tmp_path / "hutong.toml")]) == 0
    scores = ScoreFile(data_folder / "scores")
    assert scores.refresh()
    assert scores.head is not None
    assert scores.head.count == 0
    assert b"hutong_risk_scored_numbers 0.0" in (data_folder / "run" / "risk.prom").read_bytes()
