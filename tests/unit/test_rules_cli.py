"""`hutong rules`: what it prints and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.app.cli import STATUS_FAILED, STATUS_USAGE, run
from hutong.calls.features import SHIPPED_RULES
from stages import put_stage

if TYPE_CHECKING:
    from pathlib import Path

OWN = """\
id: own.busy
version: 1
title: {zh: 自有, en: Own}
when: caller.attempts_1m >= 30
action: warn
basis: law
runbook: https://intranet.example/busy
samples:
  - {given: {caller.attempts_1m: 30}, fires: true}
  - {given: {}, fires: false}
"""


def test_lint_accepts_the_shipped_rules_and_own_ones_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    assert run(["rules", "lint"]) == 0
    shipped = capsys.readouterr().out
    assert shipped.startswith("ok: ")
    assert run(["rules", "lint", str(SHIPPED_RULES / "10-lists.yaml")]) == 0
    assert capsys.readouterr().out == shipped
    assert run(["rules", "lint", str(tmp_path)]) == 0
    assert capsys.readouterr().out != shipped


def test_lint_prints_one_line_per_error_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN.replace("attempts_1m >= 30", "attempts >= 30").replace("version: 1", "version: 0"))
    assert run(["rules", "lint", str(path)]) == STATUS_FAILED
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{path}:2:10: error: [own.busy] version")
    assert "Choose a window: caller.attempts_1m" in lines[1]


@pytest.mark.parametrize("name", ["missing.yaml", "notes.txt"])
def test_lint_refuses_what_is_no_rule_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert run(["rules", "lint", str(tmp_path / name)]) == STATUS_FAILED
    assert str(tmp_path / name) in capsys.readouterr().err


def test_a_moved_rule_is_shown_in_its_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yaml").write_text(OWN)
    put_stage(tmp_path, "own.busy", "warn")
    assert run(["rules", "list", "--data", str(tmp_path), "--lang", "zh"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("own.busy"))
    assert row.split() == ["own.busy", "1", "自有", "提示", "提示", "*"]


def test_the_folder_that_the_settings_add_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    further, data = tmp_path / "further", tmp_path / "data"
    further.mkdir()
    data.mkdir()
    (further / "own.yaml").write_text(OWN)
    config = tmp_path / "hutong.toml"
    config.write_text(f'[calls]\nrules_dir = "{further}"\n')
    settings = ["--config", str(config), "--data", str(data)]
    assert run(["rules", "list", *settings]) == 0
    assert "own.busy" in capsys.readouterr().out
    assert run(["rules", "list", "--data", str(data)]) == 0
    assert "own.busy" not in capsys.readouterr().out
    monkeypatch.setenv("HUTONG_CALLS__RULES_DIR", str(further))
    assert run(["rules", "list"]) == 0
    assert "own.busy" in capsys.readouterr().out


def test_list_follows_the_language_of_the_system(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert run(["rules", "list"]) == 0
    assert "主叫在拦截名单中" in capsys.readouterr().out
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    assert run(["rules", "list"]) == 0
    assert "Caller is on a block list" in capsys.readouterr().out


def test_wrong_use_has_its_own_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "demote", "own.busy", "--to", "drop", "--data", str(tmp_path)]) == STATUS_USAGE
    assert run(["rules", "list", "--data", str(tmp_path / "missing")]) == STATUS_FAILED
    assert "does not exist" in capsys.readouterr().err
