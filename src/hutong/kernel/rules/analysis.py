"""Can a condition ever hold, can it ever fail? Decided over its features' ranges, never by trying values.

The condition becomes a disjunction of conjunctions; each conjunction narrows one domain per feature and is
contradictory when a domain is empty or a comparison cannot hold between what is left. The answer
"contradictory" is always true; a condition that relates features in ways that ranges cannot express may go
unnoticed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from hutong.kernel.rules.tree import (
    MIRRORED,
    RELATIONS,
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.kernel.rules.vocabulary import Vocabulary

MAX_CONJUNCTIONS = 1024  # beyond it a condition is too large to decide, and too large to review
_MAX_FINITE = 512  # ranges of whole numbers up to this size are kept value by value

Literal: TypeAlias = "Flag | Compare | Member | Not"


class TooManyAlternatives(Exception):  # noqa: N818  # a size limit, not a mistake
    """The disjunctive normal form has more than `MAX_CONJUNCTIONS` parts."""


@dataclass(slots=True)
class _Domain:
    """What a feature can still be: single values, or an interval without some values."""

    values: set[float] | None = None
    low: float = -math.inf
    low_open: bool = False
    high: float = math.inf
    high_open: bool = False
    without: set[float] = field(default_factory=set)

    def empty(self) -> bool:
        if self.values is not None:
            return not self.values
        if self.low > self.high:
            return True
        if self.low == self.high:
            return self.low_open or self.high_open or self.low in self.without
        return False

    def hull(self) -> tuple[float, float]:
        if self.values is not None:
            return (min(self.values), max(self.values)) if self.values else (math.inf, -math.inf)
        return self.low, self.high

    def compare(self, relation: Relation, bound: float) -> None:
        if self.values is not None:
            self.values = {v for v in self.values if RELATIONS[relation](v, bound)}
            return
        if relation == "!=":
            self.without.add(bound)
        if relation in {">", ">=", "=="} and (bound > self.low or (bound == self.low and relation == ">")):
            self.low, self.low_open = bound, relation == ">"
        if relation in {"<", "<=", "=="} and (bound < self.high or (bound == self.high and relation == "<")):
            self.high, self.high_open = bound, relation == "<"

    def among(self, values: Sequence[float], *, inside: bool) -> None:
        if inside:
            kept = {v for v in values if self.holds(v)}
            self.values = kept
        elif self.values is not None:
            self.values -= set(values)
        else:
            self.without |= set(values)

    def holds(self, value: float) -> bool:
        if self.values is not None:
            return value in self.values
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return above and below and value not in self.without


def never_holds(expr: Boolean, vocabulary: Vocabulary) -> bool:
    """Whether no feature vector of this vocabulary satisfies the condition. Raises TooManyAlternatives."""
    return all(_contradictory(conjunction, vocabulary) for conjunction in _alternatives(pushed(expr)))


def always_holds(expr: Boolean, vocabulary: Vocabulary) -> bool:
    """Whether every feature vector of this vocabulary satisfies the condition. Raises TooManyAlternatives."""
    negated = pushed(expr, positive=False)
    return all(_contradictory(conjunction, vocabulary) for conjunction in _alternatives(negated))


def _alternatives(expr: Boolean) -> list[tuple[Literal, ...]]:
    match expr:
        case Or(items):
            found = [conjunction for item in items for conjunction in _alternatives(item)]
        case And(items):
            found = [()]
            for item in items:
                parts = _alternatives(item)
                if len(found) * len(parts) > MAX_CONJUNCTIONS:
                    raise TooManyAlternatives
                found = [(*left, *right) for left in found for right in parts]
        case _:
            found = [(expr,)]
    if len(found) > MAX_CONJUNCTIONS:
        raise TooManyAlternatives
    return found


def _initial(vocabulary: Vocabulary, feature: int) -> _Domain:
    known = vocabulary.features[feature]
    if known.kind == "flag":
        return _Domain(values={0.0, 1.0})
    if known.kind == "enum":
        enumeration = vocabulary.enumeration(feature)
        return _Domain() if enumeration.open else _Domain(values={float(c) for c in range(len(enumeration.values))})
    low = known.low if known.low is not None else -math.inf
    high = known.high if known.high is not None else math.inf
    if known.whole and high - low < _MAX_FINITE:
        return _Domain(values={float(v) for v in range(math.ceil(low), math.floor(high) + 1)})
    return _Domain(low=low, high=high)


class _Domains:
    """A domain per feature, made when it is first asked for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._domains: dict[int, _Domain] = {}

    def __call__(self, feature: int) -> _Domain:
        if feature not in self._domains:
            self._domains[feature] = _initial(self._vocabulary, feature)
        return self._domains[feature]

    def any_empty(self) -> bool:
        return any(domain.empty() for domain in self._domains.values())

    def narrow(self, literal: Literal) -> bool:
        """Take a literal about one feature into account; False where it is about more than one value."""
        match literal:
            case Flag(feature):
                self(feature).compare("!=", 0.0)
            case Not(Flag(feature)):
                self(feature).compare("==", 0.0)
            case Member(Load(feature), values):
                self(feature).among(values, inside=True)
            case Not(Member(Load(feature), values)):
                self(feature).among(values, inside=False)
            case Compare(relation, Load(feature), Const(value)):
                self(feature).compare(relation, value)
            case Compare(relation, Const(value), Load(feature)):
                self(feature).compare(MIRRORED[relation], value)
            case _:
                return False
        return True


def _contradictory(conjunction: Sequence[Literal], vocabulary: Vocabulary) -> bool:
    domains = _Domains(vocabulary)
    free = [literal for literal in conjunction if not domains.narrow(literal)]
    return domains.any_empty() or any(not _possible(literal, domains) for literal in free)


def _possible(literal: Literal, domain: _Domains) -> bool:
    match literal:
        case Compare(relation, Load(left), Load(right)) if relation in {"==", "!="}:
            return _possible_pair(relation, domain(left), domain(right)) and (left != right or relation == "==")
        case Compare(relation, left_, right_):
            return _possible_order(relation, _range(left_, domain), _range(right_, domain))
        case Member(operand, values):
            low, high = _range(operand, domain)
            return any(low <= value <= high for value in values)
        case Not(Member(operand, values)):
            low, high = _range(operand, domain)
            return low != high or low not in values
    return True


def _possible_pair(relation: Relation, left: _Domain, right: _Domain) -> bool:
    if left.values is None or right.values is None:
        return _possible_order(relation, left.hull(), right.hull())
    if relation == "==":
        return bool(left.values & right.values)
    return len(left.values | right.values) > 1


def _possible_order(relation: Relation, left: tuple[float, float], right: tuple[float, float]) -> bool:
    match relation:
        case "<":
            return left[0] < right[1]
        case "<=":
            return left[0] <= right[1]
        case ">":
            return left[1] > right[0]
        case ">=":
            return left[1] >= right[0]
        case "==":
            return left[0] <= right[1] and right[0] <= left[1]
        case "!=":
            return not left[0] == left[1] == right[0] == right[1]


def _range(expr: Numeric, domain: _Domains) -> tuple[float, float]:
    match expr:
        case Const(value):
            return value, value
        case Load(feature):
            return domain(feature).hull()
        case Arith("/", left, Const(value)):
            ends = [end / value if value else 0.0 for end in _range(left, domain)]
            return min(ends), max(ends)
        case Arith("/"):
            return -math.inf, math.inf  # the divisor may come near 0 from either side
        case Arith(op, left, right):
            return _combined(op, _range(left, domain), _range(right, domain))


def _combined(op: str, left: tuple[float, float], right: tuple[float, float]) -> tuple[float, float]:
    if op == "+":
        return _known(left[0] + right[0], -math.inf), _known(left[1] + right[1], math.inf)
    if op == "-":
        return _known(left[0] - right[1], -math.inf), _known(left[1] - right[0], math.inf)
    corners = [0.0 if 0.0 in (a, b) else a * b for a in left for b in right]
    return min(corners), max(corners)


def _known(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value
