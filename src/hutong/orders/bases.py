"""Legal bases of orders: data beside this module, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from hutong.kernel.shipped import shipped
from hutong.orders.model import Kind  # noqa: TC001  # msgspec reads the annotation

FILE: Final = Path(__file__).with_name("bases.toml")


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal basis.

    Attributes:
        cite: how a list entry names it.
        kinds: of orders that may rest on it. needs_text: the order must say more, e.g. which provision.
    """

    id: str
    cite: str
    zh: str
    en: str
    kinds: tuple[Kind, ...]
    needs_text: bool = False


@cache
def bases() -> dict[str, Basis]:
    """Every basis by its id, in the order of the file.

    Raises:
        StateError: the file is not as it must be.
    """
    return {it.id: it for it in shipped(FILE, "basis", Basis)}


def bases_table() -> str:
    """The bases as Markdown for docs/orders.md."""
    lines = ["| id | | | kinds | needs words |", "|---|---|---|---|:-:|"]
    lines += [
        f"| `{it.id}` | {it.zh} | {it.en} | {', '.join(it.kinds)} | {'●' if it.needs_text else ''} |"
        for it in bases().values()
    ]
    return "\n".join(lines) + "\n"
