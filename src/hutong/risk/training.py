"""From files to a model that can be kept, and from a model to scores. Reading, fitting and telling meet here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.risk.design import check_fit, matrix
from hutong.risk.drift import MOVED, baselines, drift
from hutong.risk.graph import read_edges
from hutong.risk.learners import gains
from hutong.risk.measures import auc, calibration_error, count, recall_at
from hutong.risk.model import fit, score
from hutong.risk.model_file import Card, Importance, Stored
from hutong.risk.table import read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.risk.graph import Graph
    from hutong.risk.model import Model
    from hutong.risk.table import Table


class Given(NamedTuple):
    """What a command was given: the table, its edges, and what is to be said about them."""

    table: Table
    graph: Graph | None
    notes: tuple[str, ...]


def read_given(table: Path, edges: Path | None, *, labelled: bool) -> Given:
    """Read a table and its edges.

    Raises:
        TableError: something is wrong with one of them.
    """
    users = read_table(table, labelled=labelled)
    if edges is None:
        return Given(users, None, users.notes)
    graph = read_edges(edges, users)
    notes = users.notes
    if graph.unknown:
        notes += (f"{graph.unknown:,} of {graph.pairs:,} pairs name users who are not in the table: passed over",)
    return Given(users, graph, notes)


def train(
    given: Given,
    *,
    seed: int,
    trained: str,
    hutong: str,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Stored:
    """Learn from a whole table.

    Args:
        given: table with labels, edges, notes.
        seed: of all draws.
        trained: the time of day, RFC 3339, for the card.
        hutong: this version, for the card.
        tell: hears of steps done, and how many there are.

    Raises:
        TableError: too few users of a class, or no column that says anything.
    """
    table, graph = given.table, given.graph
    if table.labels is None:
        raise ValueError("the table was read without labels")
    fitted = fit(table, graph, np.arange(len(table.users)), seed, tell, shuffle=True)
    model = fitted.model
    values = matrix(model.design, table, graph)
    shares = gains(model.learners, len(model.design.names))
    order = np.argsort(-shares, kind="stable")
    card = Card(
        hutong=hutong,
        trained=trained,
        table=table.name.rpartition("/")[2],
        table_digest=table.digest,
        edges=graph.name.rpartition("/")[2] if graph else "",
        edges_digest=graph.digest if graph else "",
        users=len(table.users),
        fraud=int((table.labels == 1).sum()),
        links=int(graph.degree.sum() / 2) if graph else 0,
        seed=seed,
        held_out=_held_out(model),
        importances=tuple(
            Importance(model.design.names[at], float(shares[at]), float(fitted.permutation[at])) for at in order
        ),
        notes=given.notes,
    )
    return Stored(model, card, baselines(model.design, values, model.held_out[1]))


def _held_out(model: Model) -> dict[str, float]:
    labels, scores = model.held_out[0].astype(np.int8), model.held_out[1]
    return {
        "AUC": auc(labels, scores),
        "macro-F1": count(labels, scores >= model.threshold()).macro_f1,
        "recall at precision 0.99": recall_at(labels, scores, 0.99),
        "calibration error": calibration_error(labels, scores),
    }


class Scored(NamedTuple):
    """Scores of a table.

    Attributes:
        scores: float64[n]. matrix: the trees' matrix, for reasons.
        moved: the stability index of each column and the score, the largest first.
        notes: what people should know of the table.
    """

    scores: NDArray[np.float64]
    matrix: NDArray[np.float64]
    moved: dict[str, float]
    notes: tuple[str, ...]


def score_given(stored: Stored, given: Given) -> Scored:
    """Score a table by a model.

    Raises:
        TableError: the table lacks what the model needs.
    """
    table, graph, design = given.table, given.graph, stored.model.design
    notes = [*given.notes, *check_fit(design, table, linked=graph is not None)]
    values = matrix(design, table, graph if design.linked else None)
    scores = score(stored.model, table, graph if design.linked else None)
    moved = drift(stored.baselines, design, values, scores)
    far = [f"{name} ({index:.2f})" for name, index in moved.items() if index > MOVED]
    if far:
        notes.append(
            f"{len(far)} columns moved far from the training table (PSI > {MOVED:g}): {', '.join(far[:5])}"
            + (" …" if len(far) > 5 else "")  # noqa: PLR2004
        )
    return Scored(scores, values, moved, tuple(notes))
