"""The typed tree of a condition, and its meaning in plain Python: the reference for the compiled machine.

Arithmetic is IEEE 754 double; division is total (x / 0 = 0). Names are already resolved to places in the
feature vector, enum values to their codes; nothing here knows source text.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.kernel.rules.vocabulary import Vector

Relation = Literal["<", "<=", ">", ">=", "==", "!="]
Operator = Literal["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Const:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Load:
    """The value of a number or enum feature."""

    feature: int


@dataclass(frozen=True, slots=True)
class Arith:
    """left op right; x / 0 = 0."""

    op: Operator
    left: Numeric
    right: Numeric


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag feature is set."""

    feature: int


@dataclass(frozen=True, slots=True)
class Compare:
    """left relation right; with a NaN only `!=` holds."""

    relation: Relation
    left: Numeric
    right: Numeric


@dataclass(frozen=True, slots=True)
class Member:
    """The operand equals one of the values."""

    operand: Numeric
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The item does not hold."""

    item: Boolean


@dataclass(frozen=True, slots=True)
class And:
    """Every item holds."""

    items: tuple[Boolean, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one item holds."""

    items: tuple[Boolean, ...]


Numeric: TypeAlias = Const | Load | Arith
Atom: TypeAlias = Flag | Compare | Member
Boolean: TypeAlias = Atom | Not | And | Or

RELATIONS: dict[Relation, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
MIRRORED: dict[Relation, Relation] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
OPPOSITE: dict[Relation, Relation] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def value_of(expr: Numeric, features: Vector) -> float:
    """Value of a numeric expression over a feature vector."""
    match expr:
        case Const(value):
            return value
        case Load(feature):
            return float(features[feature])
        case Arith(op, left, right):
            a, b = value_of(left, features), value_of(right, features)
            if op == "+":
                return a + b
            if op == "-":
                return a - b
            if op == "*":
                return a * b
            return a / b if b != 0.0 else 0.0


def evaluate(expr: Boolean, features: Vector) -> bool:
    """Whether a condition holds for a feature vector. The reference: slow, obvious, no short cuts."""
    match expr:
        case Flag(feature):
            return float(features[feature]) != 0.0
        case Compare(relation, left, right):
            return RELATIONS[relation](value_of(left, features), value_of(right, features))
        case Member(operand, values):
            return value_of(operand, features) in values
        case Not(item):
            return not evaluate(item, features)
        case And(items):
            return all(evaluate(item, features) for item in items)
        case Or(items):
            return any(evaluate(item, features) for item in items)


def features_read(expr: Boolean | Numeric) -> tuple[int, ...]:
    """Places of the features that an expression reads, each once, in the order of the text."""
    return tuple(dict.fromkeys(_walk(expr)))


def _walk(expr: Boolean | Numeric) -> Iterator[int]:
    match expr:
        case Load(feature) | Flag(feature):
            yield feature
        case Arith(_, left, right) | Compare(_, left, right):
            yield from _walk(left)
            yield from _walk(right)
        case Member(operand, _):
            yield from _walk(operand)
        case Not(item):
            yield from _walk(item)
        case And(items) | Or(items):
            for item in items:
                yield from _walk(item)
        case Const():
            return


def pushed(expr: Boolean, *, positive: bool = True) -> Boolean:
    """The same condition (or its negation) with `Not` only in front of flags and memberships.

    The negation of a relation is the opposite relation: exact as long as no value is NaN, which no feature
    is.
    """
    match expr:
        case Not(item):
            return pushed(item, positive=not positive)
        case And(items):
            parts = tuple(pushed(item, positive=positive) for item in items)
            return And(parts) if positive else Or(parts)
        case Or(items):
            parts = tuple(pushed(item, positive=positive) for item in items)
            return Or(parts) if positive else And(parts)
        case Compare(relation, left, right):
            return expr if positive else Compare(OPPOSITE[relation], left, right)
        case _:
            return expr if positive else Not(expr)
