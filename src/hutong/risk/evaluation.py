"""Cross-validation as it is meant: a model for each fold is fitted without that fold's labels, then judged by them.

Thresholds and calibration come from within the training folds. Links between users of all folds are used (which users
call the same people is known before anybody is judged), labels of the test fold are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from hutong.risk.errors import TableError
from hutong.risk.measures import auc, calibration_error, count, recall_at
from hutong.risk.model import FEWEST, fit, scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.risk.graph import Graph
    from hutong.risk.table import Table

FOLDS: Final = 5


class Fold(NamedTuple):
    """One test fold.

    Attributes:
        seed, fold: which. users, fraud: how many there are in it.
        auc: area under the curve. macro_f1: at the threshold chosen for it within the training folds.
        recall_at_precision: on the fold's own ranking, at the stated precision.
        precision, recall: at the threshold that reached the stated precision within the training folds.
        calibration_error: over ten bins.
    """

    seed: int
    fold: int
    users: int
    fraud: int
    auc: float
    macro_f1: float
    recall_at_precision: float
    precision: float
    recall: float
    calibration_error: float


#: What is reported of each fold, in order: field, heading.
MEASURES: Final = (
    ("auc", "AUC"),
    ("macro_f1", "macro-F1"),
    ("recall_at_precision", "recall at precision {precision:g}"),
    ("precision", "precision at the chosen threshold"),
    ("recall", "recall at the chosen threshold"),
    ("calibration_error", "calibration error"),
)


def cross_validate(
    table: Table,
    graph: Graph | None,
    *,
    seeds: Sequence[int],
    precision: float,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Fold]:
    """Every fold of a stratified five-fold cross-validation, once for each seed.

    Raises:
        TableError: too few users of a class.
    """
    if table.labels is None:
        raise ValueError("the table was read without labels")
    labels = table.labels
    fewest = int(np.bincount(labels, minlength=2).min())
    needed = FEWEST * FOLDS // (FOLDS - 1) + 1
    if fewest < needed:
        raise TableError(
            f"The rarer class has {fewest} users: too few for {FOLDS} folds.",
            where=table.name,
            fix=f"At least {needed} of each class are needed.",
        )
    results = []
    for turn, seed in enumerate(seeds):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
        for at, (learn, test) in enumerate(folds):
            before = turn * FOLDS + at
            fitted = fit(table, graph, learn, seed, lambda done, of: tell(before * of + done, len(seeds) * FOLDS * of))  # noqa: B023
            scores = scored(fitted.model, fitted.odds, graph)[test]
            own = labels[test]
            sure = count(own, scores >= fitted.model.threshold(precision))
            results.append(
                Fold(
                    seed=seed,
                    fold=at + 1,
                    users=len(test),
                    fraud=int((own == 1).sum()),
                    auc=auc(own, scores),
                    macro_f1=count(own, scores >= fitted.model.threshold()).macro_f1,
                    recall_at_precision=recall_at(own, scores, precision),
                    precision=sure.precision,
                    recall=sure.recall,
                    calibration_error=calibration_error(own, scores),
                )
            )
    return results


def spread(folds: Sequence[Fold], name: str) -> tuple[float, float]:
    """Mean and standard deviation of a measure over folds."""
    values = np.array([getattr(fold, name) for fold in folds])
    return float(values.mean()), float(values.std(ddof=1))
