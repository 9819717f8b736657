"""From a table to the matrices that learners take: what is learned from training rows alone, and applied to any rows.

Trees take numbers as they are, NaN included. The linear learners take each number as its normal score (its rank among
the training rows, through the normal quantile function), a mark for each distinct pattern of what is missing, and a
mark for each common level of a category: charges that are missing early are themselves a sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.special import ndtri

from hutong.risk.errors import ModelError, TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hutong.risk.graph import Graph
    from hutong.risk.table import Table

#: The column that edges add: how many other users somebody is linked with.
LINKS: Final = "links"

_KNOTS = 100
_EDGE = 3.0  # normal scores beyond this say no more than "extreme"
_LEVELS = 30
_PATTERNS = 100


class Design(NamedTuple):
    """What was learned about the columns of a training table. All arrays come from the training rows.

    Attributes:
        names: columns of the trees' matrix, in order; LINKS is the last where there were edges.
        levels: for each column its levels in the training rows; empty for numbers.
        knots: float64[numbers, _KNOTS] quantiles of each number column, ascending.
        patterns: uint8[patterns, numbers] distinct marks of missing values.
        linked: whether the model expects edges.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    knots: NDArray[np.float64]
    patterns: NDArray[np.uint8]
    linked: bool

    @property
    def numbers(self) -> list[int]:
        """Places of the columns that are numbers."""
        return [at for at, levels in enumerate(self.levels) if not levels]

    @property
    def categories(self) -> list[int]:
        """Places of the columns that are categories."""
        return [at for at, levels in enumerate(self.levels) if levels]


def fit_design(table: Table, rows: NDArray[np.int64], graph: Graph | None) -> Design:
    """Learn the columns from these rows of a table; columns that say nothing there are left out.

    Raises:
        TableError: no column says anything.
    """
    names, levels = [], []
    for name, column in table.columns.items():
        values = column.values[rows]
        known = np.unique(values[~np.isnan(values)])
        if len(known) + bool(np.isnan(values).any()) < 2 or not len(known):  # noqa: PLR2004  # a constant says nothing
            continue
        if name == LINKS and graph is not None:
            raise TableError(
                f"The column {name!r} and the edges mean the same.", where=table.name, fix="Rename the column."
            )
        names.append(name)
        levels.append(tuple(column.levels[int(at)] for at in known) if column.levels else ())
    if not names:
        raise TableError("Every column has the same value in each row.", where=table.name, fix="Add others.")
    if graph is not None:
        names.append(LINKS)
        levels.append(())
    bare = Design(tuple(names), tuple(levels), np.zeros((0, _KNOTS)), np.zeros((0, 0), np.uint8), graph is not None)
    numbers = matrix(bare, table, graph)[rows][:, bare.numbers]
    if not numbers.shape[1]:
        return bare
    return bare._replace(knots=_knots(numbers), patterns=_missing_groups(numbers))


def _knots(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.linspace(0, 1, _KNOTS)
    knots = np.zeros((numbers.shape[1], _KNOTS))
    for place in range(numbers.shape[1]):
        known = numbers[:, place][~np.isnan(numbers[:, place])]
        if len(known):
            knots[place] = np.quantile(known, at)
    return knots


def _missing_groups(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
    """One row for each distinct way in which a column's values are missing: marks the columns that share it."""
    missing = np.isnan(numbers)
    kinds, group = np.unique(missing, axis=1, return_inverse=True)
    marks = np.zeros((kinds.shape[1], numbers.shape[1]), dtype=np.uint8)
    marks[np.ravel(group), np.arange(numbers.shape[1])] = 1
    some = kinds.any(axis=0) & ~kinds.all(axis=0)
    return marks[some][:_PATTERNS]


def check_fit(design: Design, table: Table, *, linked: bool) -> list[str]:
    """Whether a table has what a model needs; gives notes about what it has beyond that.

    Raises:
        TableError: a column is missing, or is of the wrong kind.
    """
    own = [name for name in design.names if not (design.linked and name == LINKS)]
    missing = [name for name in own if name not in table.columns]
    if missing:
        shown = ", ".join(repr(name) for name in missing[:5]) + (" …" if len(missing) > 5 else "")  # noqa: PLR2004
        raise TableError(
            f"The table lacks {len(missing)} of the model's {len(own)} columns: {shown}.",
            where=f"{table.name}:1",
            fix="Add them, empty where nothing is known; or train a model on tables like this one.",
        )
    for name, levels in zip(design.names, design.levels, strict=True):
        if name not in own:
            continue
        column = table.columns[name]
        if bool(column.levels) != bool(levels) and not np.isnan(column.values).all():
            have, need = ("text", "numbers") if column.levels else ("numbers", "text")
            raise TableError(
                f"The column holds {have}; the model learned it as {need}.",
                where=f"{table.name}, column {name!r}",
                fix="Give it as the training table did.",
            )
    extra = [name for name in table.columns if name not in design.names]
    notes = [f"columns the model does not know are passed over: {', '.join(extra[:5])}"] if extra else []
    if design.linked and not linked:
        notes.append("the model was trained with edges and none are given: every user counts as linked with nobody")
    return notes


def matrix(design: Design, table: Table, graph: Graph | None) -> NDArray[np.float64]:
    """The trees' matrix, float64[n, columns]: numbers and places of levels, NaN where there is nothing known."""
    out = np.full((len(table.users), len(design.names)), np.nan)
    for at, (name, levels) in enumerate(zip(design.names, design.levels, strict=True)):
        if design.linked and name == LINKS:
            out[:, at] = 0.0 if graph is None else graph.degree
            continue
        column = table.columns[name]
        out[:, at] = _placed(column.values, column.levels, levels) if levels else column.values
    return out


def _placed(values: NDArray[np.float64], own: Sequence[str], learned: Sequence[str]) -> NDArray[np.float64]:
    """A category's values as places in the learned levels; NaN for levels that were not there."""
    places = {level: float(at) for at, level in enumerate(learned)}
    to = np.array([*(places.get(level, np.nan) for level in own), np.nan])
    known = ~np.isnan(values)
    return to[np.where(known, np.nan_to_num(values), len(own)).astype(np.int64)]


def linear_matrix(design: Design, trees: NDArray[np.float64]) -> NDArray[np.float64]:
    """The linear learners' matrix, from the trees' one: normal scores, marks of what is missing, marks of levels."""
    numbers = trees[:, design.numbers]
    missing = np.isnan(numbers)
    parts = [_normal_scores(design.knots, numbers)]
    if len(design.patterns):
        first = design.patterns.argmax(axis=1)  # columns of one pattern are missing together
        parts.append(missing[:, first].astype(np.float64))
    for at in design.categories:
        common = min(len(design.levels[at]), _LEVELS)
        parts.append((trees[:, [at]] == np.arange(common)).astype(np.float64))
    return np.concatenate(parts, axis=1)


def _normal_scores(knots: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each number as the normal quantile of its rank; ties take the middle of their ranks, the unknown the centre."""
    at = np.linspace(0, 1, _KNOTS)
    out = np.zeros_like(numbers)
    for place in range(numbers.shape[1]):
        values, own = numbers[:, place], knots[place]
        known = ~np.isnan(values)
        upper = np.interp(values[known], own, at)
        lower = np.interp(-values[known], -own[::-1], at)
        rank = (upper + 1 - lower) / 2
        out[known, place] = np.clip(ndtri(np.clip(rank, 1e-7, 1 - 1e-7)), -_EDGE, _EDGE)
    return out


def check_arrays(design: Design) -> None:
    """Refuse a design that no training could have made.

    Raises:
        ModelError: its parts do not fit one another.
    """
    count = len(design.numbers)
    fits = design.knots.shape == (count, _KNOTS) or (not count and design.knots.shape == (0, _KNOTS))
    marks = design.patterns.ndim == 2 and (not len(design.patterns) or design.patterns.shape[1] == count)  # noqa: PLR2004
    if not fits or not marks or not np.isfinite(design.knots).all():
        raise ModelError("The model's columns do not fit its arrays.", fix="Train it anew.")
