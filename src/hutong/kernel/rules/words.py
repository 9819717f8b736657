"""Why a rule fired, in words: which conditions held for a feature vector, in Chinese or English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.rules.tree import (
    MIRRORED,
    And,
    Arith,
    Atom,
    Boolean,
    Compare,
    Const,
    Flag,
    Load,
    Member,
    Not,
    Numeric,
    Or,
    Relation,
    evaluate,
    pushed,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hutong.kernel.rules.vocabulary import Language, Vector, Vocabulary

_SIGNS: dict[Relation, str] = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}
_SMALL = 10.0  # below it a third decimal can decide, above it it is noise


def number_text(value: float) -> str:
    """A number for people: no exponent, no needless zeros."""
    digits = 3 if abs(value) < _SMALL else 2
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


class Explainer:
    """Words for one feature vector.

    Args:
        vocabulary: the vocabulary of the vector.
        features: the vector.
        lang: "zh" or "en".
        texts: what open enumerations hold, by feature name: their code alone says no name.
    """

    def __init__(self, vocabulary: Vocabulary, features: Vector, lang: Language, texts: Mapping[str, str]) -> None:
        self.vocabulary = vocabulary
        self.features = features
        self.lang = lang
        self.texts = texts

    def explain(self, expr: Boolean) -> list[str]:
        """One line per value: "label: name = value (what was asked of it)"."""
        asked: dict[tuple[str, str], list[str]] = {}
        for subject, value, condition in self._held(pushed(expr)):
            conditions = asked.setdefault((subject, value), [])
            if condition and condition not in conditions:
                conditions.append(condition)
        separator = "，" if self.lang == "zh" else ", "
        return [
            f"{subject} = {value} ({separator.join(conditions)})" if conditions else f"{subject} = {value}"
            for (subject, value), conditions in asked.items()
        ]

    def _held(self, expr: Boolean) -> Iterator[tuple[str, str, str]]:
        match expr:
            case And(items):
                for item in items:
                    yield from self._held(item)
            case Or(items):
                for item in items:
                    if evaluate(item, self.features):
                        yield from self._held(item)
            case Not(Flag() | Member() as atom):
                yield self._atom(atom, positive=False)
            case Flag() | Member() | Compare():
                yield self._atom(expr, positive=True)
            case _:  # pragma: no cover  # `pushed` leaves Not before flags and memberships only
                return

    def _atom(self, atom: Atom, *, positive: bool) -> tuple[str, str, str]:
        match atom:
            case Flag(feature):
                return self._subject(feature), self._value(feature), ""
            case Member(operand, values):
                sign = self._sign(len(values), positive=positive)
                shown = self._separator().join(self._item(operand, v) for v in values)
                return self._numeric(operand), self._result(operand), f"{sign} {shown}" if sign else ""
            case Compare(relation, Const() as left, Load() | Arith() as right):
                return self._atom(Compare(MIRRORED[relation], right, left), positive=positive)
            case Compare(relation, left, right):
                other = "" if isinstance(right, Const) else f"{self._numeric(right)} = "
                return (
                    self._numeric(left),
                    self._result(left),
                    f"{_SIGNS[relation]} {other}{self._result(right)}",
                )

    def _separator(self) -> str:
        return "、" if self.lang == "zh" else ", "

    def _sign(self, values: int, *, positive: bool) -> str:
        if values == 1:
            return "" if positive else "≠"  # "class = mobile" needs no second "= mobile"
        if self.lang == "zh":
            return "属于" if positive else "不属于"
        return "one of" if positive else "none of"

    def _subject(self, feature: int) -> str:
        known = self.vocabulary.features[feature]
        colon = "：" if self.lang == "zh" else ": "
        label = known.doc.get(self.lang, "")
        return f"{label}{colon}{known.name}" if label else known.name

    def _numeric(self, expr: Numeric) -> str:
        if isinstance(expr, Load):
            return self._subject(expr.feature)
        return self._formula(expr)

    def _formula(self, expr: Numeric) -> str:
        match expr:
            case Const(value):
                return number_text(value)
            case Load(feature):
                return self.vocabulary.features[feature].name
            case Arith(op, left, right):
                return f"({self._formula(left)} {op} {self._formula(right)})"

    def _result(self, expr: Numeric) -> str:
        if isinstance(expr, Load):
            return self._value(expr.feature)
        return number_text(value_of(expr, self.features))

    def _value(self, feature: int) -> str:
        known = self.vocabulary.features[feature]
        value = float(self.features[feature])
        match known.kind:
            case "flag":
                return ("是" if value else "否") if self.lang == "zh" else ("yes" if value else "no")
            case "enum":
                return self.texts.get(known.name) or self._code(feature, value)
            case "number":
                return f"{number_text(value)} {known.unit}".rstrip()

    def _code(self, feature: int, value: float) -> str:
        return self.vocabulary.value_text(feature, value, self.lang)

    def _item(self, operand: Numeric, value: float) -> str:
        if isinstance(operand, Load) and self.vocabulary.features[operand.feature].kind == "enum":
            return self._code(operand.feature, value)
        return number_text(value)
