"""What is told of a number by its calls, as data: `numbers.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

_DATA: Final = Path(__file__).with_name("numbers.toml")


@cache
def number_columns() -> dict[str, list[dict[str, str]]]:
    """The columns of a table of numbers: name, sql, zh, en, by "made", "received" and "both"."""
    return tomllib.loads(_DATA.read_text(encoding="utf-8"))
