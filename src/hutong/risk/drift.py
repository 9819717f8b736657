"""How far a table that is scored has moved from the one that was learned from: the population stability index.

PSI = Σ (now − then) · ln(now / then) over the bins of a column. Below 0.1 is calm, above 0.25 the column is not what
it was (the usual marks of credit scoring; no standard sets them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.risk.design import Design

WATCH: Final = 0.1
MOVED: Final = 0.25

#: What the score is called beside the columns' names.
SCORE: Final = "(score)"

_BINS = 10
# Fixed, not deciles: most scores stand close to 0 or 1, where deciles would tell hundredths of a percent apart.
_SCORE_EDGES = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95])
_LEAST = 1e-4  # an empty bin counts as this share


class Baseline(NamedTuple):
    """Shares of a training column's bins.

    Attributes:
        edges: float64[k], ascending; a value belongs to the bin of the edges that do not exceed it.
        shares: float64[k + 2], of each bin, and last of the rows without a value.
    """

    edges: NDArray[np.float64]
    shares: NDArray[np.float64]


def baseline(values: NDArray[np.float64], *, category: bool) -> Baseline:
    """The bins of a training column: deciles, or one for each level."""
    known = values[~np.isnan(values)]
    if category:
        edges = np.unique(known) + 0.5
    else:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    return Baseline(edges, _shares(edges, values))


def _shares(edges: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = np.isnan(values)
    places = np.where(missing, len(edges) + 1, np.searchsorted(edges, np.nan_to_num(values), side="right"))
    return np.bincount(places, minlength=len(edges) + 2) / max(len(values), 1)


def stability_index(then: Baseline, values: NDArray[np.float64]) -> float:
    """The index of these values against a baseline; 0 where nothing moved."""
    before = np.maximum(then.shares, _LEAST)
    now = np.maximum(_shares(then.edges, values), _LEAST)
    return float(((now - before) * np.log(now / before)).sum())


def baselines(design: Design, matrix: NDArray[np.float64], scores: NDArray[np.float64]) -> dict[str, Baseline]:
    """Of every column of the trees' matrix, and of the score."""
    found = {name: baseline(matrix[:, at], category=bool(design.levels[at])) for at, name in enumerate(design.names)}
    return {**found, SCORE: Baseline(_SCORE_EDGES, _shares(_SCORE_EDGES, scores))}


def drift(
    before: dict[str, Baseline], design: Design, matrix: NDArray[np.float64], scores: NDArray[np.float64]
) -> dict[str, float]:
    """The index of each column and of the score, the largest first."""
    found = {name: stability_index(before[name], matrix[:, at]) for at, name in enumerate(design.names)}
    found[SCORE] = stability_index(before[SCORE], scores)
    return dict(sorted(found.items(), key=lambda item: -item[1]))
