"""What docs/scans.md generates is current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hutong.codes.scans.lookup_model import bases_table, moves_table, state_diagram
from hutong.codes.scans.retention import retention_table
from hutong.codes.scans.venue_book import venue_diagram

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scans.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("venues", f"```mermaid\n{venue_diagram()}```"),
        ("orders", f"```mermaid\n{state_diagram()}```"),
        ("moves", moves_table()),
        ("bases", bases_table()),
        ("retention", retention_table()),
    ],
)
def test_what_is_generated_is_current(place: str, text: str) -> None:
    found = re.search(rf"<!-- generated:{place} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].strip() == text.strip()
