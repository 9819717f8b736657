"""What learns: two kinds of boosted trees, a linear learner, and a linear learner over random kernel features.

Each gives log-odds, and their plain mean is the ensemble: weights fitted to a few thousand users did no better.
Boosted trees see values as they are; the other two see ranks, and err elsewhere than trees do.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import lightgbm as lgb
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from hutong.risk.design import Design, linear_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHARED: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_child_samples": 20,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.3,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "verbosity": -1,
    # One thread for each booster, several boosters at once: the same trees whatever the machine.
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
}

#: Kinds of trees: their rounds and what they have beside the shared parameters. Extra trees draw their splits.
KINDS: Final[dict[str, tuple[int, dict[str, Any]]]] = {
    "boosted": (400, {}),
    "extra": (600, {"extra_trees": True}),
}
BAGS: Final = 2

_ODDS_LIMIT = 8.0  # one learner that is all too sure does not outvote three
_LINEAR_C, _KERNEL_C = 0.1, 1.0
_FEATURES, _GAMMA = 600, 0.5
_KERNEL_WEIGHT, _RANK_WEIGHT, _MISSING_WEIGHT = 3.0, 0.1, 2.0
_MOST_ROWS = 50_000  # the linear learners learn from a sample of larger tables
_CHUNK = 50_000


class Kernel(NamedTuple):
    """Random Fourier features of the Gaussian kernel (Rahimi and Recht, NIPS 2007).

    frequencies: float64[columns, features]; phases: float64[features].
    """

    frequencies: NDArray[np.float64]
    phases: NDArray[np.float64]


class Learners(NamedTuple):
    """What was learned.

    Attributes:
        trees: boosters by kind, BAGS of each.
        linear: float64[columns + 1], coefficients and intercept last.
        kernel: the random features. over_kernel: float64[columns + features + 1], as `linear`.
    """

    trees: dict[str, list[lgb.Booster]]
    linear: NDArray[np.float64]
    kernel: Kernel
    over_kernel: NDArray[np.float64]


def fit_learners(
    design: Design, matrix: NDArray[np.float64], labels: NDArray[np.int8], rows: NDArray[np.int64], seed: int
) -> Learners:
    """Learn from these rows of the trees' matrix; the same arguments give the same learners."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool, threadpool_limits(1):
        jobs = {
            kind: [pool.submit(_boost, design, matrix, labels, rows, kind, seed * 100 + bag) for bag in range(BAGS)]
            for kind in KINDS
        }
        generator = np.random.default_rng(seed)
        sample = rows if len(rows) <= _MOST_ROWS else np.sort(generator.choice(rows, _MOST_ROWS, replace=False))
        line = linear_matrix(design, matrix[sample])
        kernel = Kernel(
            generator.normal(size=(line.shape[1], _FEATURES)) * np.sqrt(2 * _GAMMA),
            generator.uniform(0, 2 * np.pi, _FEATURES),
        )
        own = labels[sample]
        linear = _logistic(line, own, _LINEAR_C)
        over_kernel = _logistic(_kernel_matrix(design, kernel, line), own, _KERNEL_C)
        return Learners(
            {kind: [job.result() for job in started] for kind, started in jobs.items()}, linear, kernel, over_kernel
        )


def _boost(
    design: Design,
    matrix: NDArray[np.float64],
    labels: NDArray[np.int8],
    rows: NDArray[np.int64],
    kind: str,
    seed: int,
) -> lgb.Booster:
    rounds, own = KINDS[kind]
    parameters = {**_SHARED, **own, "seed": seed}
    data = lgb.Dataset(
        matrix[rows],
        labels[rows],
        feature_name=[f"c{at}" for at in range(len(design.names))],
        categorical_feature=design.categories,
        params=parameters,
    )
    return lgb.train(parameters, data, rounds)


def _logistic(matrix: NDArray[np.float64], labels: NDArray[np.int8], inverse_penalty: float) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where it stopped is good enough, and always the same
        fitted = LogisticRegression(C=inverse_penalty, max_iter=500).fit(matrix, labels)
    return np.append(fitted.coef_[0], fitted.intercept_[0])


def _kernel_matrix(design: Design, kernel: Kernel, line: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = line.copy()
    spread[:, len(design.numbers) :] *= _MISSING_WEIGHT
    waves = np.cos(spread / np.sqrt(max(line.shape[1], 1)) @ kernel.frequencies + kernel.phases)
    return np.concatenate((line * _RANK_WEIGHT, waves * (_KERNEL_WEIGHT * np.sqrt(2 / _FEATURES))), axis=1)


def log_odds(learners: Learners, design: Design, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ensemble's log-odds of each row of the trees' matrix, float64[n]."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool, threadpool_limits(1):
        starts = range(0, len(matrix), _CHUNK)
        parts = list(pool.map(lambda at: _log_odds(learners, design, matrix[at : at + _CHUNK]), starts))
    return np.concatenate(parts) if parts else np.zeros(0)


def _log_odds(learners: Learners, design: Design, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    line = linear_matrix(design, matrix)
    waves = _kernel_matrix(design, learners.kernel, line)
    votes = [
        line @ learners.linear[:-1] + learners.linear[-1],
        waves @ learners.over_kernel[:-1] + learners.over_kernel[-1],
    ]
    votes += [
        np.mean([booster.predict(matrix, raw_score=True, num_threads=1) for booster in boosters], axis=0)
        for boosters in learners.trees.values()
    ]
    return np.asarray(np.clip(votes, -_ODDS_LIMIT, _ODDS_LIMIT).mean(axis=0))


def contributions(learners: Learners, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each column moved the trees' log-odds (TreeSHAP), float64[n, columns]; the base value is left out."""
    parts: list[NDArray[np.float64]] = [
        np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))[:, :-1]
        for boosters in learners.trees.values()
        for booster in boosters
    ]
    return np.asarray(np.mean(parts, axis=0))


def gains(learners: Learners, columns: int) -> NDArray[np.float64]:
    """The share of the trees' gain that each column brought, float64[columns]."""
    total = np.zeros(columns)
    for boosters in learners.trees.values():
        for booster in boosters:
            total += booster.feature_importance("gain")
    return np.asarray(total / max(total.sum(), 1e-12))
