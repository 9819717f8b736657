"""Tables and diagrams of docs/sampling.md are the machine's, and conflicts are rules that somebody finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hutong.sampling.conflicts import conflict_rules, conflicts_table
from hutong.sampling.emergency.model import emergency_diagram, presets_table
from hutong.sampling.errors import REASON_TITLES, REASONS
from hutong.sampling.table import batch_diagram, moves_table, tube_diagram

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "sampling.md"
GENERATED = {
    "tube": f"```mermaid\n{tube_diagram()}```",
    "moves": moves_table(),
    "batch": f"```mermaid\n{batch_diagram()}```",
    "conflicts": conflicts_table(),
    "emergency": f"```mermaid\n{emergency_diagram()}```",
    "presets": presets_table(),
}


@pytest.mark.parametrize("place", GENERATED)
def test_what_is_generated_is_current(place: str) -> None:
    found = re.search(rf"<!-- generated:{place} -->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert found[1].strip() == GENERATED[place].strip()


def test_every_refusal_has_its_name_in_both_languages() -> None:
    assert set(REASON_TITLES) == set(REASONS)
    assert all(set(it) == {"zh", "en"} for it in REASON_TITLES.values())


def test_every_rule_of_conflicts_is_found_by_somebody_and_the_other_way_round() -> None:
    source = "".join(
        file.read_text(encoding="utf-8")
        for name in ("fold", "projection", "store")
        for file in [ROOT / "src" / "hutong" / "sampling" / f"{name}.py"]
    )
    said = set(re.findall(r'Conflict\(\s*"([a-z-]+)"', source)) | set(re.findall(r'"rule": "([a-z-]+)"', source))
    said |= set(re.findall(r'^TWICE: Final = "([a-z-]+)"', source, re.MULTILINE))
    said |= set(re.findall(r'SamplingRefused\("(id-twice)"', source))
    assert said == set(conflict_rules())
