"""A model: how it is fitted to rows of a table, and how it scores. Same data and seed, same scores.

Whatever is chosen (columns, calibration, thresholds) is chosen on predictions for training rows by learners that had
not seen them. Labels of other rows are never looked at; their links are.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from hutong.risk import calibration as cal
from hutong.risk.design import Design, fit_design, matrix
from hutong.risk.errors import TableError
from hutong.risk.learners import Learners, fit_learners, log_odds
from hutong.risk.measures import auc, threshold_at, threshold_f1

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hutong.risk.graph import Graph
    from hutong.risk.table import Table

#: Each class needs so many users to learn from.
FEWEST: Final = 20

_FOLDS: Final = 5
_SHUFFLES: Final = 2
_MOST_SHUFFLED: Final = 2000


class Model(NamedTuple):
    """What scores a table.

    Attributes:
        design, learners, calibration: its three steps.
        held_out: float64[2, users], labels and scores of the training users, each score from a model that had not
            seen that user; thresholds come from these.
    """

    design: Design
    learners: Learners
    calibration: cal.Calibration
    held_out: NDArray[np.float64]

    def threshold(self, precision: float | None = None) -> float:
        """Where fraud begins: for this precision, or for the best macro-F1 where none is asked for.

        Above 1 where the precision was not reached on held-out users.
        """
        labels, scores = self.held_out[0].astype(np.int8), self.held_out[1]
        return threshold_f1(labels, scores) if precision is None else threshold_at(labels, scores, precision)


class Fitted(NamedTuple):
    """A model and what else its fitting gave.

    odds: float64[users of the table], log-odds; those of training rows are from learners that had not seen them.
    permutation: float64[columns], the area under the curve lost when a column is shuffled among held-out rows.
    """

    model: Model
    odds: NDArray[np.float64]
    permutation: NDArray[np.float64]


def fit(
    table: Table,
    graph: Graph | None,
    rows: NDArray[np.int64],
    seed: int,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    shuffle: bool = False,
) -> Fitted:
    """Fit a model to these rows.

    Args:
        table: with labels; those of rows not named are not looked at.
        graph: who is linked with whom over the whole table, or None.
        rows: places of the training rows, ascending.
        seed: of everything that is drawn.
        tell: hears of steps done, and how many there are.
        shuffle: whether to measure what shuffling each column costs.

    Raises:
        TableError: too few users of a class, or no column that says anything.
    """
    if table.labels is None:
        raise ValueError("the table was read without labels")
    labels = table.labels
    own = labels[rows]
    for label, whom in ((1, "fraudulent"), (0, "honest")):
        if (own == label).sum() < FEWEST:
            raise TableError(
                f"There are only {int((own == label).sum())} {whom} users to learn from.",
                where=table.name,
                fix=f"At least {FEWEST} of each class are needed.",
            )
    odds = np.zeros(len(table.users))
    lost: dict[str, float] = {}
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, own)
    for step, (learn, test) in enumerate(folds):
        tell(step, _FOLDS + 1)
        design = fit_design(table, rows[learn], graph)
        values = matrix(design, table, graph)
        learners = fit_learners(design, values, labels, rows[learn], seed)
        odds[rows[test]] = log_odds(learners, design, values[rows[test]])
        if shuffle and step == 0:
            lost = _shuffled(design, learners, values[rows[test]], own[test], seed)
    tell(_FOLDS, _FOLDS + 1)
    design = fit_design(table, rows, graph)
    values = matrix(design, table, graph)
    learners = fit_learners(design, values, labels, rows, seed)
    others = np.setdiff1d(np.arange(len(table.users)), rows)
    odds[others] = log_odds(learners, design, values[others])
    seen = cal.inputs(odds, graph)[rows]
    held_out = np.stack((own.astype(np.float64), cal.cross_calibrated(seen, own, seed)))
    model = Model(design, learners, cal.fit_calibration(seen, own, seed), held_out)
    tell(_FOLDS + 1, _FOLDS + 1)
    return Fitted(model, odds, np.array([lost.get(name, 0.0) for name in design.names]))


def _shuffled(
    design: Design, learners: Learners, values: NDArray[np.float64], labels: NDArray[np.int8], seed: int
) -> dict[str, float]:
    """By column: the area under the curve that is lost when it is shuffled among rows the learners had not seen."""
    generator = np.random.default_rng(seed)
    if len(values) > _MOST_SHUFFLED:
        kept = generator.choice(len(values), _MOST_SHUFFLED, replace=False)
        values, labels = values[kept], labels[kept]
    if not 0 < (labels == 1).sum() < len(labels):
        return {}
    whole = auc(labels, log_odds(learners, design, values))
    orders = [[generator.permutation(len(values)) for _ in range(_SHUFFLES)] for _ in design.names]

    def without(at: int) -> float:
        shuffled = np.tile(values, (_SHUFFLES, 1))
        shuffled[:, at] = np.concatenate([values[order, at] for order in orders[at]])
        parts = np.split(log_odds(learners, design, shuffled), _SHUFFLES)
        return whole - float(np.mean([auc(labels, part) for part in parts]))

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return dict(zip(design.names, pool.map(without, range(len(design.names))), strict=True))


def score(model: Model, table: Table, graph: Graph | None) -> NDArray[np.float64]:
    """The probability of fraud of each user of a table, float64[n]; the table must have passed `check_fit`."""
    odds = log_odds(model.learners, model.design, matrix(model.design, table, graph))
    return scored(model, odds, graph)


def scored(model: Model, odds: NDArray[np.float64], graph: Graph | None) -> NDArray[np.float64]:
    """Probabilities from log-odds that are known already."""
    seen = cal.inputs(odds, graph)
    if model.design.linked and graph is None:
        alone = np.zeros((len(odds), 3))
        alone[:, 2] = 1.0
        seen = np.concatenate((seen, alone), axis=1)
    elif not model.design.linked:
        seen = seen[:, :1]
    return cal.calibrated(model.calibration, seen)
