from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from hutong.kernel.settings import SettingsError
from hutong.simulation.parameters import SHIPPED, load_parameters
from hutong.simulation.province import size_of

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED_TEXT = SHIPPED.read_text(encoding="utf-8")


def _file(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    shipped = load_parameters()
    changed = load_parameters(_file(tmp_path, "[courier]\ncalls_per_day = 12.5\n"))
    assert changed.courier.calls_per_day == 12.5
    restored = msgspec.structs.replace(
        changed, courier=msgspec.structs.replace(changed.courier, calls_per_day=shipped.courier.calls_per_day)
    )
    assert restored == shipped


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[courier]\ncall_per_day = 3\n", 2, "Did you mean 'calls_per_day'"),
        ("\n\n[curier]\n", 3, "unknown section 'curier'"),
        ("[fraud]\nshare = 0.9\n", 2, "share = 0.9"),
        ("[calling]\n# too few\nworker_hours = [1, 2, 3]\n", 3, "list of 24 numbers"),
        ("[wangiri]\nhours = [" + "-1, " * 24 + "]\n", 2, "below 0"),
        ('[province]\nareas = ["028", "0812"]\narea_weights = [1.0]\n', 3, "does not fit"),
        ("[calling]\nfamily = 0.9\ncolleagues = 0.9\n", 2, "more than 1"),
        ("[courier\n", 1, "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    file = _file(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_parameters(file)
    assert f"{file}:{line}" in str(caught.value)
    assert said in str(caught.value)


def test_every_source_that_a_value_names_is_described() -> None:
    head, _, values = SHIPPED_TEXT.partition("[calendar]")
    described = set(re.findall(r"^# \[(S\d+|A)\]", head, re.MULTILINE))
    cited = set(re.findall(r"\[(S\d+|A)\]", values))
    assert cited <= described
    assert described - {"A"} <= cited


def test_every_value_about_people_and_calling_says_where_it_comes_from() -> None:
    for section in ("people", "calling", "fraud"):
        part = SHIPPED_TEXT.partition(f"[{section}]\n")[2].partition("\n[")[0].partition("\n# ----")[0]
        keys = [line for line in part.splitlines() if re.match(r"\w+ = ", line)]
        assert keys
        assert [line for line in keys if not re.search(r"# .*\[(S\d+|A)\]", line)] == []


def test_sizes_follow_from_one_another() -> None:
    parameters = load_parameters()
    by_calls = size_of(parameters, 100_000, 5, 0)
    by_people = size_of(parameters, 0, 5, by_calls.persons)
    assert by_calls.days == 5
    assert by_people.calls == pytest.approx(100_000, rel=1e-3)
    assert size_of(parameters, 100_000, 0, by_calls.persons).days in {5, 6}
    asked = size_of(parameters, 50_000, 5, by_calls.persons)
    assert (asked.calls, asked.persons) == (50_000, by_calls.persons)
