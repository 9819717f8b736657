"""What docs/scans.md generates is current, and every deed on the trail has its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hutong.codes.scans import venue_book
from hutong.codes.scans.lookup_model import MOVES, bases_table, moves_table, state_diagram
from hutong.codes.scans.retention import retention_table
from hutong.codes.scans.venue_book import venue_diagram
from hutong.kernel.access import pages
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.web.frame import Frame

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


def test_every_deed_and_permission_has_its_words() -> None:
    texts = Frame([pages.HOME]).texts
    deeds = {"scans.merge", "scans.lookup", "scans.lookup_answer", "scans.lookup_refused"}
    deeds |= {f"scans.order_{action}" for action in MOVES} | {f"venues.{action}" for action in venue_book.MOVES}
    assert {deed for deed in deeds if f"deeds.{deed}" not in texts} == set()
    assert {move.who for move in MOVES.values()} - {""} | {venue_book.CHANGE} <= PERMISSIONS.keys()
