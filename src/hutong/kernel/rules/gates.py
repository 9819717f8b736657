"""What a rule needs at least, read off its tree: most rules are ruled out by a table look-up before any of them runs.

A gate is a feature with few values, such as a kind of trunk, and for each value the set of rules that it leaves
possible. What cannot be read off a tree leaves the rule possible: gates never change what fires.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.rules.tree import (
    MIRRORED,
    And,
    Boolean,
    Compare,
    Const,
    Flag,
    Load,
    Member,
    Not,
    Or,
    evaluate,
    features_read,
    pushed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

#: Rules in a word of a set.
WORD = 64
# A feature has a gate when every value that it is compared with is a whole number below this.
_LARGEST = 512
# Gates that look at one rule; more would cost more than the rules they rule out.
_ENOUGH = 2


class Gates(NamedTuple):
    """Gates of a program.

    features: uint64[g] places in the feature vector. starts: uint64[g] each gate's first row; sizes: uint64[g] how many
    values have a row, behind which comes one for every other value. sets: uint64[rows, words] rules left possible.
    """

    features: NDArray[np.uint64]
    starts: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    sets: NDArray[np.uint64]


def words_for(rules: int) -> int:
    """Words of a set of so many rules; at least one."""
    return max(-(-rules // WORD), 1)


def sets_of(possible: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Rows of bits as sets: bool[n, rules] to uint64[n, words]."""
    rows, rules = possible.shape
    bits = np.zeros((rows, words_for(rules) * WORD), dtype=np.uint8)
    bits[:, :rules] = possible
    return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def least(expr: Boolean, feature: int) -> float:
    """A value below which the feature keeps the condition from holding; minus infinity where there is none."""
    return _least(pushed(expr), feature)


def _least(expr: Boolean, feature: int) -> float:
    match expr:
        case And(items):
            return max(_least(item, feature) for item in items)
        case Or(items):
            return min(_least(item, feature) for item in items)
        case Compare(relation, Const() as left, Load() as right):
            return _least(Compare(MIRRORED[relation], right, left), feature)
        case Compare(">" | ">=" | "==", Load(place), Const(value)) if place == feature:
            return value
    return -math.inf


def build_gates(expressions: Sequence[Boolean]) -> Gates:
    """The gates of these rules."""
    needs = [_needs(expr) for expr in expressions]
    chosen = _chosen(needs)
    sizes = [1 + int(max(_values(part) for need in needs for part in need.get(f, ()))) for f in chosen]
    starts = np.cumsum([0, *(size + 1 for size in sizes)])
    possible = np.ones((int(starts[-1]), len(expressions)), dtype=np.bool_)
    for feature, start, size in zip(chosen, starts[:-1], sizes, strict=True):
        for rule, need in enumerate(needs):
            for value in range(size + 1):
                met = all(evaluate(part, _Only(feature, value)) for part in need.get(feature, ()))
                possible[start + value, rule] = met
    return Gates(
        features=np.array(chosen, dtype=np.uint64),
        starts=starts[:-1].astype(np.uint64),
        sizes=np.array(sizes, dtype=np.uint64),
        sets=sets_of(possible),
    )


class _Only(list[float]):
    """A feature vector of which one place is known and asked for."""

    def __init__(self, feature: int, value: float) -> None:
        super().__init__([0.0] * feature + [float(value)])


def _needs(expr: Boolean) -> dict[int, list[Boolean]]:
    """By feature: what of the condition must hold, asks only for this feature, and only whether it equals something."""
    needs: dict[int, list[Boolean]] = {}
    for part in _parts(pushed(expr)):
        features = features_read(part)
        if len(features) == 1 and _values(part) < _LARGEST:
            needs.setdefault(features[0], []).append(part)
    return needs


def _parts(expr: Boolean) -> Iterator[Boolean]:
    if isinstance(expr, And):
        for item in expr.items:
            yield from _parts(item)
    else:
        yield expr


def _values(expr: Boolean) -> float:
    """The greatest value that a condition on equality asks for; infinity where it asks for anything else.

    Values that are not asked for are then all alike, so that one row serves for them.
    """
    match expr:
        case Flag():
            return 1
        case Member(Load(), values) if all(v >= 0 and v == int(v) for v in values):
            return max(values)
        case Compare("==" | "!=", Load(), Const(value)) | Compare("==" | "!=", Const(value), Load()):
            return value if value >= 0 and value == int(value) else math.inf
        case Not(item):
            return _values(item)
        case And(items) | Or(items):
            return max(map(_values, items))
    return math.inf


def _chosen(needs: Sequence[dict[int, list[Boolean]]]) -> list[int]:
    """The features to look at: the one that looks at most rules first, until each rule is looked at often enough."""
    wanting = [(set(need), min(len(need), _ENOUGH)) for need in needs]
    left = {feature for need in needs for feature in need}
    chosen: list[int] = []
    while any(wants for _, wants in wanting):
        looked_at = {feature: sum(feature in need and wants > 0 for need, wants in wanting) for feature in left}
        best = max(sorted(left), key=looked_at.__getitem__)
        wanting = [(need, wants - (wants > 0 and best in need)) for need, wants in wanting]
        left.remove(best)
        chosen.append(best)
    return chosen
