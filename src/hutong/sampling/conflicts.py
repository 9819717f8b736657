"""The rules of conflicts: data beside this module, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from hutong.kernel.shipped import shipped

FILE: Final = Path(__file__).with_name("conflicts.toml")
Effect = Literal["keep", "hold", "part", "refuse"]
EFFECT_TITLES: Final[dict[Effect, dict[str, str]]] = {
    "keep": {"zh": "保留并提示", "en": "kept, and said"},
    "hold": {"zh": "结果待人核定", "en": "held until a person settles it"},
    "part": {"zh": "留存而不计入", "en": "kept, counts for nothing"},
    "refuse": {"zh": "不收", "en": "not taken"},
}


class ConflictRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with one kind of conflict, and what it is called."""

    id: str
    effect: Effect
    zh: str
    en: str
    what_zh: str
    what_en: str


@cache
def conflict_rules() -> dict[str, ConflictRule]:
    """Every rule by its id, in the order of the file. Raises StateError: the file is not as it must be."""
    return {it.id: it for it in shipped(FILE, "rule", ConflictRule)}


def conflicts_table() -> str:
    """The rules as Markdown for docs/sampling.md."""
    lines = ["| id | | effect | what is done |", "|---|---|---|---|"]
    for it in conflict_rules().values():
        effect = f"{EFFECT_TITLES[it.effect]['zh']} {EFFECT_TITLES[it.effect]['en']}"
        lines.append(f"| `{it.id}` | {it.zh}<br>{it.en} | {effect} | {it.what_zh}<br>{it.what_en} |")
    return "\n".join(lines) + "\n"
