"""A byte of a kept file that is no UTF-8 any more is told like any other damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.app.process_states import NOTE, ProcessState, read_note, write_note
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.stages import read_stages

if TYPE_CHECKING:
    from pathlib import Path

CHANGE = b'{"rule":"calls.x","version":1,"came_from":"observe","to":"warn","by":"Li Na","why":"seen","time_ms":1}\n'


def test_a_stage_change_with_a_broken_text_is_named_by_file_and_line(tmp_path: Path) -> None:
    stages = tmp_path / "stages.jsonl"
    stages.write_bytes(CHANGE + CHANGE.replace(b"Li Na", b"Li \xff"))
    with pytest.raises(RuleError, match="stage change cannot be read") as refused:
        read_stages(stages)
    assert refused.value.where == f"{stages}:2"


def test_a_supervisors_note_with_a_broken_text_counts_as_none(tmp_path: Path) -> None:
    write_note(tmp_path, 1, 0, [ProcessState("screen", "running", 2, since_ms=0, started_ms=0, restarts=0)])
    whole = read_note(tmp_path)
    assert whole is not None
    note = tmp_path / NOTE
    note.write_bytes(note.read_bytes().replace(b"screen", b"scr\xfe\xfen"))
    assert read_note(tmp_path) is None
