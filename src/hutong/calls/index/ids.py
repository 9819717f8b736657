"""Which rule an index of a kept rule set means, without compiling the set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hutong.calls.answers import NO_RULE
from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hutong.calls.index.part import Part


class _Rule(msgspec.Struct):
    id: str
    title: dict[str, str]


class _Saved(msgspec.Struct):
    rules: list[_Rule]


class RuleIds:
    """Ids of the rules of kept sets.

    Args:
        folder: where `Ruleset.save` keeps them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sets: dict[int, tuple[str, ...]] = {}
        self._titles: dict[str, dict[str, str]] = {}

    def of(self, digest: int, index: int) -> str:
        """The rule's id; "" for none; the digest and the index where the set was not kept."""
        if index == NO_RULE:
            return ""
        ids = self._ids(digest)
        return ids[index] if index < len(ids) else f"{_name(digest)}#{index}"

    def of_part(self, part: Part) -> list[str]:
        """The ids of a part's rules, in the order of its head."""
        return [self.of(digest, index) for digest, index in part.head.rules]

    def titles(self, parts: Iterable[Part]) -> dict[str, dict[str, str]]:
        """Titles by rule id, in every language, of the sets that these parts, oldest first, were judged with."""
        for digest in dict.fromkeys(digest for part in parts for digest, _ in part.head.rules):
            self._ids(digest)
        return dict(sorted(self._titles.items()))

    def _ids(self, digest: int) -> tuple[str, ...]:
        ids = self._sets.get(digest, ())
        if not ids:
            ids = self._read(digest)
            if ids:
                self._sets[digest] = ids
        return ids

    def _read(self, digest: int) -> tuple[str, ...]:
        try:
            saved = msgspec.json.decode((self._folder / f"{_name(digest)}.json").read_bytes(), type=_Saved)
        except (OSError, *UNREADABLE):
            return ()
        self._titles |= {rule.id: rule.title for rule in saved.rules}
        return tuple(rule.id for rule in saved.rules)


def _name(digest: int) -> str:
    return f"{digest & 0xFFFF_FFFF_FFFF_FFFF:016x}"
