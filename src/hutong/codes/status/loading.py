"""Colour rules from files: those that ship, or a node's own in their place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import yaml

from hutong.codes.status.colour_rules import load_rules
from hutong.kernel.declared.source import Source
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.loader import rule_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.codes.status.colour_rules import ColourRules

SHIPPED: Final = Path(__file__).with_name("rules")
#: Folder of a node's own, in the data folder; where it has files, they stand in the place of the shipped ones.
OWN: Final = "colours"


def rule_sources(own: Path | None = None) -> list[Source]:
    """The files in force.

    Raises:
        RuleError: one cannot be read.
    """
    files = rule_files([own]) if own is not None else []
    sources = []
    for file in files or rule_files([SHIPPED]):
        try:
            sources.append(Source(str(file), file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise RuleError(f"The colour rules cannot be read: {error}.", where=str(file)) from error
    return sources


class ShownSample(NamedTuple):
    """A sample of a rule as it is written: what is given, in one line, and whether the rule fires."""

    given: str
    fires: bool


def samples_of(sources: Sequence[Source]) -> dict[str, list[ShownSample]]:
    """The samples of rules that are in force, by the rules' ids, as their files have them."""
    found: dict[str, list[ShownSample]] = {}
    for source in sources:
        for document in yaml.safe_load_all(source.text):
            for rule in document if isinstance(document, list) else [document]:
                samples = rule.get("samples", []) if isinstance(rule, dict) else []
                found[str(rule["id"])] = [ShownSample(_line(it["given"]), bool(it["fires"])) for it in samples]
    return found


def _line(given: object) -> str:
    return yaml.safe_dump(given, default_flow_style=True, allow_unicode=True, width=1000).strip()


def rules_of(own: Path | None = None) -> ColourRules:
    """The rules in force.

    Args:
        own: a node's own folder; may be missing.

    Raises:
        RuleError: a file is refused; lists everything that is wrong.
    """
    return load_rules(rule_sources(own))
