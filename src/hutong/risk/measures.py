"""How good scores are: area under the curve, macro-F1, recall at a precision, calibration error. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 10


class Counts(NamedTuple):
    """What became of users at a threshold."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of fraud among the flagged; 1 where nobody is flagged."""
        flagged = self.true_positives + self.false_positives
        return self.true_positives / flagged if flagged else 1.0

    @property
    def recall(self) -> float:
        """Share of fraud that is flagged."""
        return self.true_positives / max(self.true_positives + self.false_negatives, 1)

    @property
    def macro_f1(self) -> float:
        """The mean of both classes' F1."""
        wrong = self.false_positives + self.false_negatives
        fraud = 2 * self.true_positives / max(2 * self.true_positives + wrong, 1)
        honest = 2 * self.true_negatives / max(2 * self.true_negatives + wrong, 1)
        return (fraud + honest) / 2


def count(labels: NDArray[np.int8], flagged: NDArray[np.bool_]) -> Counts:
    """Count by label and flag."""
    fraud = labels == 1
    return Counts(
        int((fraud & flagged).sum()),
        int((~fraud & flagged).sum()),
        int((fraud & ~flagged).sum()),
        int((~fraud & ~flagged).sum()),
    )


def auc(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> float:
    """The area under the receiver operating characteristic: ties count half (Mann and Whitney)."""
    fraud = labels == 1
    positives, negatives = int(fraud.sum()), int((~fraud).sum())
    above = float(rankdata(scores)[fraud].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def _steps(
    labels: NDArray[np.int8], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Each different score as a threshold, from the highest: it, how many reach it, how many of them are fraud."""
    order = np.argsort(-scores, kind="stable")
    own = scores[order]
    last = np.append(own[1:] != own[:-1], [True])
    return own[last], (np.flatnonzero(last) + 1), np.cumsum(labels[order] == 1)[last]


def recall_at(labels: NDArray[np.int8], scores: NDArray[np.float64], precision: float) -> float:
    """The largest recall of any threshold whose precision is at least this one; 0 where none is."""
    _, flagged, fraud = _steps(labels, scores)
    reached = fraud / flagged >= precision
    return float(fraud[reached].max() / max((labels == 1).sum(), 1)) if reached.any() else 0.0


def threshold_at(labels: NDArray[np.int8], scores: NDArray[np.float64], precision: float) -> float:
    """The lowest threshold whose precision on these scores is at least this one; above 1 where none is.

    It lies midway to the next lower score, so that nobody stands exactly on it.
    """
    levels, flagged, fraud = _steps(labels, scores)
    reached = np.flatnonzero(fraud / flagged >= precision)
    return _below(levels, int(reached[-1])) if len(reached) else 2.0


def threshold_f1(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> float:
    """The threshold with the largest macro-F1 on these scores, midway to the next lower score."""
    levels, flagged, fraud = _steps(labels, scores)
    positives = int((labels == 1).sum())
    wrong = (flagged - fraud) + (positives - fraud)
    honest = len(labels) - flagged - (positives - fraud)
    f1 = 2 * fraud / (2 * fraud + wrong) + 2 * honest / np.maximum(2 * honest + wrong, 1)
    return _below(levels, int(np.argmax(f1)))


def _below(levels: NDArray[np.float64], at: int) -> float:
    return float((levels[at] + levels[at + 1]) / 2) if at + 1 < len(levels) else float(levels[at])


def calibration_error(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> float:
    """Expected calibration error over ten bins of equal width: how far scores and shares of fraud lie apart."""
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    sizes = np.bincount(bins, minlength=_BINS)
    gap = np.bincount(bins, weights=scores, minlength=_BINS) - np.bincount(bins, weights=labels == 1, minlength=_BINS)
    return float(np.abs(gap[sizes > 0]).sum() / len(labels))


def log_loss(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> float:
    """Mean negative log-likelihood, in nats."""
    kept = np.clip(scores, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(labels == 1, np.log(kept), np.log(1 - kept))))
