"""What people read, as data: TOML files whose every entry has a zh and an en text.

Belongs here: loading the entries, refusing a half-translated one, choosing the reader's language.
"""

from __future__ import annotations

import string
import tomllib
from typing import TYPE_CHECKING, Any

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

LANGUAGES = ("zh", "en")
"""The console opens in the first one where the browser asks for neither."""


class TextError(HutongError):
    """A text file is unreadable, or an entry is not the same text in every language."""


def _entries(table: Mapping[str, Any], prefix: str, path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if not isinstance(value, dict):
            raise TextError(f"'{key}' is not a table of texts.", where=str(path), fix='Write {zh = "…", en = "…"}.')
        if set(value) & set(LANGUAGES):
            yield key, _checked(key, value, path)
        else:
            yield from _entries(value, f"{key}.", path)


def _checked(key: str, value: dict[str, Any], path: Path) -> dict[str, str]:
    if set(value) != set(LANGUAGES) or not all(isinstance(text, str) for text in value.values()):
        raise TextError(f"'{key}' does not have exactly the texts {', '.join(LANGUAGES)}.", where=str(path))
    names = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in value.values()]
    if any(found != names[0] for found in names):
        raise TextError(f"The texts of '{key}' do not fill in the same values.", where=str(path))
    return value


class Texts:
    """All entries of some text files, by dotted key.

    Args:
        paths: TOML files; a key may stand in only one of them.

    Raises:
        TextError: a key is doubled, lacks a language, or its languages fill in different values.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._entries: dict[str, dict[str, str]] = {}
        for path in paths:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            for key, value in _entries(table, "", path):
                if key in self._entries:
                    raise TextError(f"'{key}' is already defined.", where=str(path))
                self._entries[key] = value

    def say(self, key: str, language: str, **values: object) -> str:
        """The text of `key` in `language` with `{name}` places filled in; an unknown key is a KeyError."""
        return self._entries[key][language].format(**values)

    def template(self, key: str, language: str) -> str:
        """The text of `key` with its `{name}` places as they stand, for scripts that fill them in."""
        return self._entries[key][language]

    def __contains__(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._entries

    def keys(self) -> tuple[str, ...]:
        """Every key, in the order of the files."""
        return tuple(self._entries)


def choose_language(wanted: str | None, accept_language: str) -> str:
    """The language to answer in.

    Args:
        wanted: what the reader chose (`?lang=`), if anything; an unknown one is ignored.
        accept_language: the Accept-Language header (RFC 9110 §12.5.4); empty where there is none.
    """
    if wanted in LANGUAGES:
        return wanted
    best, best_weight = LANGUAGES[0], 0.0
    for item in accept_language.split(",")[:32]:
        tag, _, parameters = item.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        weight = _weight(parameters)
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
