"""From the ensemble's log-odds to probabilities: a logistic layer, and an isotonic step where that fits better.

The logistic layer is Platt's; where there are edges it also sees what the ensemble says of whom a user is linked with.
Everything is learned from predictions for rows that the predicting learners had not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from hutong.risk.measures import log_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.risk.graph import Graph

_FOLDS: Final = 5
_C: Final = 1.0
_TIES: Final = 0.02  # the share of the logistic probability in an isotonic one: keeps the order within its steps
_FLOOR: Final = 1e-4


class Calibration(NamedTuple):
    """What was learned.

    Attributes:
        coefficients: float64[inputs + 1], the logistic layer's, intercept last.
        steps: float64[2, k], ascending probabilities before and after the isotonic step; empty where it is left out.
    """

    coefficients: NDArray[np.float64]
    steps: NDArray[np.float64]


def inputs(odds: NDArray[np.float64], graph: Graph | None) -> NDArray[np.float64]:
    """What the logistic layer sees: log-odds; with edges also the neighbours' mean score and how many there are."""
    if graph is None:
        return odds[:, np.newaxis]
    near = graph.mean_of_linked(expit(odds))
    return np.column_stack((odds, near, np.log1p(graph.degree), graph.degree == 0))


def fit_calibration(seen: NDArray[np.float64], labels: NDArray[np.int8], seed: int) -> Calibration:
    """Learn from inputs and labels; the isotonic step is taken where it fits unseen rows better."""
    plain = np.zeros(len(labels))
    stepped = np.zeros(len(labels))
    for learn, test in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(seen, labels):
        layer = _logistic(seen[learn], labels[learn])
        bent = Calibration(layer, _isotonic(_apply_logistic(layer, seen[learn]), labels[learn]))
        plain[test] = calibrated(bent._replace(steps=np.zeros((2, 0))), seen[test])
        stepped[test] = calibrated(bent, seen[test])
    layer = _logistic(seen, labels)
    better = log_loss(labels, stepped) < log_loss(labels, plain)
    steps = _isotonic(_apply_logistic(layer, seen), labels) if better else np.zeros((2, 0))
    return Calibration(layer, steps)


def cross_calibrated(seen: NDArray[np.float64], labels: NDArray[np.int8], seed: int) -> NDArray[np.float64]:
    """Probabilities of the same rows, each from a calibration that has not seen it: thresholds are chosen on these."""
    out = np.zeros(len(labels))
    for learn, test in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed + 1).split(seen, labels):
        out[test] = calibrated(fit_calibration(seen[learn], labels[learn], seed), seen[test])
    return out


def calibrated(calibration: Calibration, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of fraud, float64[n] within 0..1."""
    plain = _apply_logistic(calibration.coefficients, seen)
    if not calibration.steps.shape[1]:
        return plain
    bent = np.interp(plain, calibration.steps[0], calibration.steps[1])
    return np.asarray((1 - _TIES) * bent + _TIES * plain)


def _apply_logistic(coefficients: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(expit(seen @ coefficients[:-1] + coefficients[-1]))


def _logistic(seen: NDArray[np.float64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-9
    fitted = LogisticRegression(C=_C, max_iter=1000).fit((seen - middle) / spread, labels)
    slopes = fitted.coef_[0] / spread
    return np.append(slopes, fitted.intercept_[0] - middle @ slopes)


def _isotonic(plain: NDArray[np.float64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    fitted = IsotonicRegression(y_min=_FLOOR, y_max=1 - _FLOOR, out_of_bounds="clip").fit(plain, labels)
    return np.stack((fitted.X_thresholds_, fitted.y_thresholds_))
