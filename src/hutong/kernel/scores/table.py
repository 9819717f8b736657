"""The layout of a table of scores and the look-up in it. No file and no clock belong here.

Open addressing with linear probing in an int64 array (capacity, 2) of (number key, value); a key of 0 is an empty row.
A value holds, from its lowest bit:

    bits 0..19   score, as a whole number of 1 / 1 048 575
    bits 20..27  which of the table's models gave it
    bits 28..61  when it was given, seconds since 1970
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a look-up gives for a number without a score.
NO_SCORE: Final = -1

MAX_MODELS: Final = 255
STEPS: Final = (1 << 20) - 1

_MODEL_SHIFT = 20
_MODEL_MASK = 255
_SECOND_SHIFT = 28
_SECOND_MASK = (1 << 34) - 1
_SMALLEST = 1024
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, volume 3, 6.4)
_FOLD = np.uint64(32)


class Scores(NamedTuple):
    """Scores of numbers, one row each.

    Attributes:
        keys: int64[n] number keys, none twice, none 0.
        scores: float64[n], 0..1.
        models: int64[n], places in the table's list of models.
        seconds: int64[n], when each was given, since 1970.
    """

    keys: NDArray[np.int64]
    scores: NDArray[np.float64]
    models: NDArray[np.int64]
    seconds: NDArray[np.int64]


@compiled
def _home(key: int, capacity: int) -> int:
    mixed = np.uint64(key) * _MIX
    return signed((mixed ^ (mixed >> _FOLD)) & np.uint64(capacity - 1))


@compiled
def look_up(rows: NDArray[np.int64], key: int) -> int:
    """The value of a number key, for `score_of` and its like; NO_SCORE where there is none.

    The walk ends after one round whatever the rows hold: they may come from a damaged disk.
    """
    capacity = rows.shape[0]
    at = _home(key, capacity)
    for _ in range(capacity):
        found = rows[at, 0]
        if found == key and key != 0:
            return int(rows[at, 1])
        if found == 0:
            return NO_SCORE
        at = (at + 1) & (capacity - 1)
    return NO_SCORE


@compiled
def score_of(value: int) -> float:
    """The score in a value, 0..1."""
    return (value & STEPS) / STEPS


@compiled
def model_of(value: int) -> int:
    """Which of the table's models gave a value."""
    return (value >> _MODEL_SHIFT) & _MODEL_MASK


@compiled
def second_of(value: int) -> int:
    """When a value was given, in seconds since 1970."""
    return (value >> _SECOND_SHIFT) & _SECOND_MASK


@compiled
def _fill(rows: NDArray[np.int64], keys: NDArray[np.int64], values: NDArray[np.int64]) -> None:
    capacity = rows.shape[0]
    for i in range(keys.shape[0]):
        at = _home(keys[i], capacity)
        while rows[at, 0] not in (0, keys[i]):
            at = (at + 1) & (capacity - 1)
        rows[at, 0] = keys[i]
        rows[at, 1] = values[i]


def no_scores() -> NDArray[np.int64]:
    """Rows in which nothing is found."""
    return np.zeros((1, 2), dtype=np.int64)


def build_rows(scores: Scores) -> NDArray[np.int64]:
    """The rows of a table that holds these scores, at most half full; int64[capacity, 2], capacity a power of two.

    Raises:
        ValueError: a score is outside 0..1 or no number, a key is 0 or negative, a model's place is out of range.
    """
    keys, given = scores.keys, scores.scores
    if not np.all((given >= 0) & (given <= 1)):
        raise ValueError("a score lies outside 0..1")
    if np.any(keys <= 0) or np.any((scores.models < 0) | (scores.models >= MAX_MODELS)):
        raise ValueError("a number key or the place of a model is out of range")
    capacity = _SMALLEST
    while capacity < 2 * len(keys):
        capacity *= 2
    values = np.rint(given * STEPS).astype(np.int64) | scores.models << _MODEL_SHIFT
    values |= (scores.seconds & _SECOND_MASK) << _SECOND_SHIFT
    rows = np.zeros((capacity, 2), dtype=np.int64)
    _fill(rows, keys, values)
    return rows


def unpack_rows(rows: NDArray[np.int64]) -> Scores:
    """The scores that rows hold, in no order that means anything."""
    held = rows[rows[:, 0] != 0]
    values = held[:, 1]
    return Scores(
        held[:, 0].copy(),
        (values & STEPS) / STEPS,
        (values >> _MODEL_SHIFT) & _MODEL_MASK,
        (values >> _SECOND_SHIFT) & _SECOND_MASK,
    )
