"""`hutong up` before it starts anything: one for each data folder, and only with good settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.app.cli import run
from hutong.app.up import only_one
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_data_folder_has_one_node(data_folder: Path) -> None:
    with only_one(data_folder / "run") as folder:
        assert folder.is_dir()
        with pytest.raises(StateError, match="another `hutong up` is running"), only_one(data_folder / "run"):
            pass
    with only_one(data_folder / "run"):
        pass


def test_a_data_folder_that_cannot_be_made_is_an_error_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"), only_one(tmp_path / "file" / "run"):
        pass


def test_bad_settings_start_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hutong.toml"
    file.write_text("[sip]\nnxt_hop = 1\n[calls]\nbudget_ms = 0\n")
    assert run(["up", "--config", str(file), "--data", str(tmp_path / "data")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{file}:2: unknown setting 'nxt_hop'. Did you mean 'next_hop'?",
        f"{file}:4: budget_ms = 0 must be integer from 1 to 5000: time budget of a verdict; beyond it the call passes.",
    ]
    assert not (tmp_path / "data").exists()
