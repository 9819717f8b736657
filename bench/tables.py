"""Tables as Markdown, and their places in a page: between `<!-- bench:NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that also reads well on a terminal: first column left, figures right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(_width, column)) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - _width(cell))
            padded.append(cell + space if at == 0 else space + cell)
        return f"| {' | '.join(padded)} |"

    rule = [("-" * width if at == 0 else "-" * (width - 1) + ":") for at, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def replace(page: Path, name: str, text: str) -> None:
    """Put `text` in the page's place called `name`; raises ValueError where the page has none."""
    before = page.read_text("utf-8")
    place = re.compile(rf"(<!-- bench:{re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    after, found = place.subn(lambda m: f"{m.group(1)}\n{text}\n\n{m.group(2)}", before)
    if not found:
        raise ValueError(f"{page} has no place <!-- bench:{name} --> … <!-- end -->")
    page.write_text(after, "utf-8")
