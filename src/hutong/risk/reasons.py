"""Why a user's score is what it is: the columns that moved it most, in words of both languages."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.risk.learners import contributions
from hutong.risk.number_columns import number_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.risk.model import Model

#: How many reasons are given.
REASONS: Final = 5

_WORDS = Path(__file__).with_name("columns.toml")
_LOW, _HIGH = 0.25, 0.75


class Reason(NamedTuple):
    """One column's part in a score.

    contribution: how far it moved the trees' log-odds, upwards towards fraud. zh, en: in words.
    """

    column: str
    contribution: float
    zh: str
    en: str


@cache
def column_words() -> dict[str, dict[str, str]]:
    """What columns are called in both languages, by name; for those that Hutong knows."""
    own = {row["name"]: {"zh": row["zh"], "en": row["en"]} for rows in number_columns().values() for row in rows}
    return {**tomllib.loads(_WORDS.read_text(encoding="utf-8")), **own}


def reasons(model: Model, matrix: NDArray[np.float64]) -> list[list[Reason]]:
    """For each row of the trees' matrix its REASONS columns that count most, the strongest first."""
    moved = contributions(model.learners, matrix)
    order = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :REASONS]
    numbers = {at: place for place, at in enumerate(model.design.numbers)}
    return [
        [_reason(model, numbers, int(at), matrix[row, at], float(moved[row, at])) for at in order[row]]
        for row in range(len(matrix))
    ]


def _reason(model: Model, numbers: dict[int, int], at: int, value: float, moved: float) -> Reason:
    name = model.design.names[at]
    words = column_words().get(name, {})
    zh_name, en_name = words.get("zh", name), words.get("en", name)
    if np.isnan(value):
        zh, en = "没有值", "has no value"
    elif at not in numbers:
        level = model.design.levels[at][int(value)]
        zh, en = f"为“{level}”", f"is {level!r}"
    else:
        knots = model.design.knots[numbers[at]]
        zh, en = _standing(value, float((knots < value).mean()), float((knots <= value).mean()))
    up = moved > 0
    return Reason(
        name,
        moved,
        f"{zh_name}{zh}:{'升高' if up else '降低'}评分",
        f"{en_name} {en}: {'raises' if up else 'lowers'} the score",
    )


def _standing(value: float, below: float, up_to: float) -> tuple[str, str]:
    shown = f"{value:.4g}"
    if below >= _HIGH:
        return f"为 {shown},高于 {below:.0%} 的用户", f"is {shown}, above {below:.0%} of users"
    if up_to <= _LOW:
        return f"为 {shown},低于 {1 - up_to:.0%} 的用户", f"is {shown}, below {1 - up_to:.0%} of users"
    return f"为 {shown}", f"is {shown}"
