"""The names that rules may use: types, enumerations, ranges, words. Not the values: those are the system's.

A feature vector is `float64[len(vocabulary)]`. A flag is 0 or 1; an enum value is its index in the
enumeration; a value of an open enumeration (names that only settings know) is `open_code(text)`.
"""

from __future__ import annotations

import difflib
import hashlib
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
import numpy as np

from hutong.kernel.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

Kind = Literal["number", "flag", "enum"]
Language = Literal["zh", "en"]
Vector: TypeAlias = "Sequence[float] | NDArray[np.float64]"  # a feature vector

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_OPEN_BITS = 50  # the widest fold of a 64-bit hash that a float64 holds exactly with room to spare
_MAX_NEAREST = 3


def open_code(text: str) -> float:
    """The value of `text` in a feature of an open enumeration: 50 bits of FNV-1a, exact in a float64.

    ASCII letter case does not count. The empty text is 0.0, so that a feature nobody filled in equals no
    name. The fold is that of the number keys: the code of a trunk's name is the value of its key.
    """
    if not text:
        return 0.0
    digest = _FNV_OFFSET
    for byte in text.encode().lower():
        digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return float((digest ^ (digest >> _OPEN_BITS)) & ((1 << _OPEN_BITS) - 1))


class Enumeration(msgspec.Struct, frozen=True):
    """A set of named values; a value's code is its index, index 0 is what an empty vector holds.

    Attributes:
        name: two features can be compared with each other when their enumeration has the same name.
        values: the names, in the order of their codes.
        labels: words for people, by value: `{"mobile": {"zh": "移动号码", "en": "mobile"}}`; may be partial.
        open: values come from settings and are not listed: any text may be compared; `values` is empty.
    """

    name: str
    values: tuple[str, ...] = ()
    labels: dict[str, dict[str, str]] = {}
    open: bool = False


class Feature(msgspec.Struct, frozen=True):
    """One name of a vocabulary.

    Attributes:
        name: dotted name, as rules write it.
        kind: number, flag or enum.
        doc: what it is, `{"zh": …, "en": …}`.
        unit: of a number: "s", "calls", "share 0..1" …; empty for flags and enums.
        enumeration: name of the enumeration of an enum.
        low, high: the range a number can have; None = no bound. Lint reasons with it.
        whole: the number is always an integer.
        family: the name without its window where the feature is one window of several; empty otherwise.
        default: the value a sample has that does not give one.
    """

    name: str
    kind: Kind
    doc: dict[str, str]
    unit: str = ""
    enumeration: str = ""
    low: float | None = 0.0
    high: float | None = None
    whole: bool = False
    family: str = ""
    default: float = 0.0


class Vocabulary:
    """Ordered features with their enumerations. A feature's index is its place in the feature vector.

    Args:
        features: in order.
        enumerations: of the features that are enums.
        stages: those that rules over these names may be in, lowest first; `ruleset.STAGES` are the usual ones.

    Raises:
        RuleError: two features have one name, or a feature's enumeration is missing.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        enumerations: Iterable[Enumeration] = (),
        stages: tuple[str, ...] = ("observe", "warn", "block"),
    ) -> None:
        self.stages = stages
        self.features = tuple(features)
        self.enumerations = {e.name: e for e in enumerations}
        self._index = {f.name: i for i, f in enumerate(self.features)}
        self._codes = {
            e.name: {value: float(code) for code, value in enumerate(e.values)} for e in self.enumerations.values()
        }
        self._families: dict[str, list[str]] = {}
        if len(self._index) != len(self.features):
            raise RuleError("a vocabulary has two features of one name")
        for feature in self.features:
            if feature.kind == "enum" and feature.enumeration not in self.enumerations:
                raise RuleError(
                    f"feature {feature.name} names the enumeration {feature.enumeration!r}, which is missing"
                )
            if feature.family:
                self._families.setdefault(feature.family, []).append(feature.name)

    def __len__(self) -> int:
        """Number of features = length of a feature vector."""
        return len(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """All names in order."""
        return tuple(self._index)

    def index(self, name: str) -> int:
        """Place of a feature in the vector. Raises RuleError for an unknown name."""
        found = self._index.get(name)
        if found is None:
            raise RuleError(f"unknown name {name!r}.", fix=self.advice(name))
        return found

    def find(self, name: str) -> int | None:
        """Place of a feature in the vector, or None."""
        return self._index.get(name)

    def windows(self, name: str) -> tuple[str, ...]:
        """The features of which `name` is the name without its window; empty where it is none."""
        return tuple(self._families.get(name, ()))

    def nearest(self, name: str) -> list[str]:
        """Up to three known names that look like `name`, best first."""
        return difflib.get_close_matches(name, self._index, n=_MAX_NEAREST, cutoff=0.5)

    def advice(self, name: str) -> str:
        """What to do about an unknown name."""
        near = self.nearest(name)
        if near:
            return f"Did you mean {' or '.join(near)}?"
        return "`docs/rules.md` tells where the names are listed."

    def enumeration(self, feature: int) -> Enumeration:
        """The enumeration of an enum feature."""
        return self.enumerations[self.features[feature].enumeration]

    def code(self, feature: int | str, value: str) -> float:
        """The number that stands for an enum value in the vector.

        Raises:
            RuleError: the feature is no enum or has no such value; says the nearest ones.
        """
        at = self.index(feature) if isinstance(feature, str) else feature
        name = self.features[at].name
        if self.features[at].kind != "enum":
            raise RuleError(f"{name} is a {self.features[at].kind} and has no named values.")
        enumeration = self.enumeration(at)
        if enumeration.open:
            return open_code(value)
        found = self._codes[enumeration.name].get(value)
        if found is None:
            raise RuleError(f"{name} has no value {value!r}.", fix=self._value_advice(enumeration, value))
        return found

    def _value_advice(self, enumeration: Enumeration, value: str) -> str:
        near = difflib.get_close_matches(value, enumeration.values, n=_MAX_NEAREST, cutoff=0.5)
        if near:
            return f"Did you mean {' or '.join(near)}?"
        shown = [v for v in enumeration.values if v][:12]
        more = ", …" if len(enumeration.values) > len(shown) + 1 else ""
        return f"Values are: {', '.join(shown)}{more}."

    def value_text(self, feature: int, code: float, lang: Language | None = None) -> str:
        """The enum value behind a code: its name, or its label where `lang` is given and a label exists.

        A code that the enumeration does not hold (or of an open one) reads "?".
        """
        enumeration = self.enumeration(feature)
        if not 0 <= code < len(enumeration.values):
            return "?"
        value = enumeration.values[int(code)]
        if lang is None:
            return value
        return enumeration.labels.get(value, {}).get(lang, value)

    def defaults(self) -> NDArray[np.float64]:
        """A fresh feature vector in which nothing is known."""
        return np.array([f.default for f in self.features], dtype=np.float64)

    def signature(self) -> str:
        """Digest of the whole content: vectors of vocabularies with the same signature mean the same."""
        return hashlib.blake2b(msgspec.json.encode(self.content(), order="deterministic"), digest_size=16).hexdigest()

    def content(self) -> VocabularyContent:
        """What to store so that `Vocabulary(content.features, content.enumerations)` gives it back."""
        return VocabularyContent(self.features, tuple(self.enumerations.values()))


class VocabularyContent(msgspec.Struct, frozen=True):
    """A vocabulary as stored beside a ruleset."""

    features: tuple[Feature, ...]
    enumerations: tuple[Enumeration, ...]
