"""Legal bases of changes by hand: data beside this module, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from hutong.codes.status.colour_rules import Colour  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel.shipped import shipped

FILE: Final = Path(__file__).with_name("bases.toml")


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal basis: its words, and the colours that a change may rest on it for."""

    id: str
    cite: str
    zh: str
    en: str
    colours: tuple[Colour, ...]


@cache
def bases() -> dict[str, Basis]:
    """Every basis by its id, in the order of the file.

    Raises:
        StateError: the file is not as it must be.
    """
    return {it.id: it for it in shipped(FILE, "basis", Basis)}


def bases_table() -> str:
    """The bases as Markdown for docs/status.md."""
    lines = ["| id | | | colours |", "|---|---|---|---|"]
    lines += [f"| `{it.id}` | {it.zh} | {it.en} | {', '.join(it.colours)} |" for it in bases().values()]
    return "\n".join(lines) + "\n"
