"""The diagram and the table of docs/cases.md are the machine's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.table import moves_table, state_diagram

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("place", "text"), [("diagram", f"```mermaid\n{state_diagram()}```\n"), ("moves", moves_table())]
)
def test_what_is_generated_is_current(place: str, text: str) -> None:
    found = re.search(rf"<!-- generated:{place} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].strip() == text.strip()


def test_every_year_and_its_notice_stand_in_the_page() -> None:
    for year, arranged in load_calendar().years.items():
        assert f"| {year} | {arranged.notice.split('(')[0]}" in PAGE
