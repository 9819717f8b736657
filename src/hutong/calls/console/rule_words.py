"""A rule's condition in words, before any call: what must hold, in Chinese or English; and its text in colours.

Why a rule fired on a certain call is `kernel.rules.words`' business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from markupsafe import Markup, escape

from hutong.kernel.rules.tree import (
    MIRRORED,
    And,
    Arith,
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
    pushed,
)
from hutong.kernel.rules.vocabulary import open_code
from hutong.kernel.rules.words import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.rules.vocabulary import Feature, Language, Vocabulary

_SIGNS: dict[Relation, str] = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}
_TIMES = ((86_400, "天", "d"), (3600, "小时", "h"), (60, "分钟", "min"))
_LITERAL = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_TOKEN = re.compile(
    r"(?P<comment>(?:(?<=\s)|^)\#.*)"
    r"|(?P<string>\"[^\"\n]*\"|'[^'\n]*')"
    r"|(?P<key>(?:(?<=[\s{,])|^)[A-Za-z_][\w.-]*(?=:(?:\s|$)))"
    r"|(?P<word>(?<![\w.-])(?:true|false|null)(?![\w.-]))"
    r"|(?P<number>(?<![\w.-])-?\d+(?:\.\d+)?(?![\w.-]))",
    re.MULTILINE,
)


class Words(NamedTuple):
    """A condition: `text` of an atom; or `all` or `any` of `parts`."""

    kind: Literal["atom", "all", "any"]
    text: str = ""
    parts: tuple[Words, ...] = ()


def words_of(expr: Boolean, vocabulary: Vocabulary, lang: str, written: str) -> Words:
    """A condition in words.

    Args:
        expr: the condition.
        vocabulary: the names in it.
        lang: "zh" or "en".
        written: the condition as written, which knows the names of open enumerations.
    """
    return _Sayer(vocabulary, cast("Language", lang), written).say(pushed(expr))


class _Sayer:
    def __init__(self, vocabulary: Vocabulary, lang: Language, written: str) -> None:
        self._vocabulary = vocabulary
        self._lang = lang
        self._names: dict[float, str] = {
            open_code(text): text for pair in _LITERAL.findall(written) for text in pair if text
        }

    def say(self, expr: Boolean) -> Words:
        match expr:
            case And(items):
                return Words("all", parts=tuple(self.say(item) for item in items))
            case Or(items):
                return Words("any", parts=tuple(self.say(item) for item in items))
            case Not(item):
                return Words("atom", self._atom(item, positive=False))
            case _:
                return Words("atom", self._atom(expr, positive=True))

    def _atom(self, atom: Boolean, *, positive: bool) -> str:
        match atom:
            case Flag(feature):
                yes, no = ("是", "否") if self._lang == "zh" else ("yes", "no")
                return f"{self._label(feature)} = {yes if positive else no}"
            case Member(operand, values):
                shown = ("、" if self._lang == "zh" else ", ").join(self._value(operand, value) for value in values)
                return f"{self._numeric(operand)} {self._sign(len(values), positive=positive)} {shown}"
            case Compare(relation, Const() as left, Load() | Arith() as right):
                return self._atom(Compare(MIRRORED[relation], right, left), positive=positive)
            case Compare(relation, left, Const(value)):
                return f"{self._numeric(left)} {_SIGNS[relation]} {self._value(left, value)}"
            case Compare(relation, left, right):
                return f"{self._numeric(left)} {_SIGNS[relation]} {self._numeric(right)}"
            case _:  # pragma: no cover  # `pushed` leaves Not before flags and memberships only
                return ""

    def _sign(self, values: int, *, positive: bool) -> str:
        if values == 1:
            return "=" if positive else "≠"
        if self._lang == "zh":
            return "属于" if positive else "不属于"
        return "is one of" if positive else "is none of"

    def _label(self, feature: int) -> str:
        known = self._vocabulary.features[feature]
        return known.doc.get(self._lang) or known.name

    def _numeric(self, expr: Numeric) -> str:
        match expr:
            case Const(value):
                return number_text(value)
            case Load(feature):
                return self._label(feature)
            case Arith(op, left, right):
                return f"({self._numeric(left)} {op.replace('*', '×')} {self._numeric(right)})"

    def _value(self, operand: Numeric, value: float) -> str:
        if not isinstance(operand, Load):
            return number_text(value)
        feature = self._vocabulary.features[operand.feature]
        if feature.kind == "enum":
            if self._vocabulary.enumeration(operand.feature).open:
                return self._names.get(value, "?")
            return str(self._vocabulary.value_text(operand.feature, value, self._lang))
        return quantity(feature, value, self._lang)


def quantity(feature: Feature, value: float, lang: str) -> str:
    """A number with its unit: shares as per cent, long times in the largest whole unit."""
    if feature.high == 1.0 and not feature.whole:
        return f"{number_text(value * 100)}%"
    if feature.unit == "s":
        for size, zh, en in _TIMES:
            if value >= size and value % size == 0:
                return f"{number_text(value / size)} {zh if lang == 'zh' else en}"
    return f"{number_text(value)} {feature.unit}".rstrip()


def in_colours(text: str) -> Markup:
    """YAML as markup whose words carry classes: y-comment, y-string, y-key, y-word, y-number."""
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterator[Markup]:
    at = 0
    for token in _TOKEN.finditer(text):
        yield escape(text[at : token.start()])
        yield Markup('<span class="y-{}">{}</span>').format(token.lastgroup, token[0])
        at = token.end()
    yield escape(text[at:])


def given_words(given: Sequence[tuple[str, float | bool | str]], vocabulary: Vocabulary, lang: str) -> list[str]:
    """What a sample gives, a line each: "kind of trunk = international"."""
    lines = []
    for name, value in given:
        index = vocabulary.index(name)
        feature = vocabulary.features[index]
        if isinstance(value, str):
            labels = vocabulary.enumeration(index).labels
            shown = labels.get(value, {}).get(lang, value)
        elif isinstance(value, bool):
            shown = ("是" if value else "否") if lang == "zh" else ("yes" if value else "no")
        else:
            shown = quantity(feature, value, lang)
        lines.append(f"{feature.doc.get(lang) or name} = {shown}")
    return lines
