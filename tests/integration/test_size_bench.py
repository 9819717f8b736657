"""The bench of sizes asks what it says it asks, of few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.size.size import SUBJECTS, size_table

if TYPE_CHECKING:
    from pathlib import Path


def test_every_question_is_asked_of_rows_that_were_filled_in(tmp_path: Path) -> None:
    lines = size_table(tmp_path, [2_000], ["sqlite"], rounds=2, asked=12).splitlines()
    assert lines[0].startswith("| question")
    asked = [line.split("|")[1].strip() for line in lines[2:]]
    assert len(asked) == len(set(asked)) > 5 * len(SUBJECTS)
    for name in ("a wallet issued: signed and kept", "a tube by its barcode", "a person's results"):
        assert name in asked
    assert not list(tmp_path.iterdir()), "it cleans up"
