"""Numbers that call are scored again and again, beside the calls: what is published is what calls read.

One run takes the numbers that made calls since the run before and called a few different ones, tells of them by
their calls of the last weeks, scores them by the installed model and publishes a whole new table in which other numbers
keep the score they had. A score goes when it is older than those weeks. What was published is kept with its moment, for
looks back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.scores import ScoreFile, Scores, ScoreWriter, no_scores, unpack_rows
from hutong.kernel.scores.past import PastScores
from hutong.risk import metrics as declared
from hutong.risk.graph import graph_of
from hutong.risk.model_file import load_model
from hutong.risk.number_table import table_of_archive
from hutong.risk.reading import Source
from hutong.risk.table import table_of
from hutong.risk.training import Given, score_given

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.metrics import Metrics
    from hutong.risk.model_file import Stored
    from hutong.risk.telling import Kind, Made

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_DAY: Final = 86_400 * _SECOND
# Outcomes come after their verdict, and the archive after both: a call is looked at once more by the next run.
_OVERLAP: Final = 3600 * _SECOND


#: Numbers that called fewer have no score: so few calls of a new user and of a card for fraud look the same.
LEAST_CALLEES: Final = 8


class Place(NamedTuple):
    """Where a node keeps what scoring needs: the model's file, the archive, the published scores, those of the past."""

    model: Path
    archive: Path
    scores: Path
    past: Path


class Fresh(NamedTuple):
    """What one run gave: the scores, how far what they rest on has moved since training, and notes for people."""

    scores: Scores
    moved: float
    notes: tuple[str, ...]


def fresh_scores(stored: Stored, made: Made, name: str, now: int) -> Fresh:
    """The scores of the numbers of a table, given at wall time `now` (ns).

    Args:
        stored: the model.
        made: what calls tell of numbers.
        name: where the calls are, for errors.

    Raises:
        TableError: the model asks for columns that calls do not tell.
    """
    if not made.table.num_rows:
        return Fresh(unpack_rows(no_scores()), 0.0, ())
    table = table_of(Source(name, made.table, ""), labelled=False)
    graph = graph_of(Source(name, made.edges, ""), table) if stored.model.design.linked else None
    scored = score_given(stored, Given(table, graph, ()))
    keys = np.array([key_of_digits(user[1:]) for user in table.users], dtype=np.int64)
    given = np.full(len(keys), now // _SECOND, dtype=np.int64)
    scores = Scores(keys, scored.scores, np.zeros(len(keys), dtype=np.int64), given)
    return Fresh(scores, next(iter(scored.moved.values())), scored.notes)


class NearLine:
    """Scores active numbers; one run at a time.

    Args:
        place: see `Place`.
        kind: what is known of the node.
        days: how many days of calls a score looks back on, and how long it is kept.
        metrics: where runs are counted.
        warn: hears of what people should know, such as drift.
    """

    def __init__(self, place: Place, kind: Kind, days: int, metrics: Metrics, warn: Callable[[str], None]) -> None:
        self._place, self._kind, self._days = place, kind, days
        self._metrics, self._warn = metrics, warn
        self._model: tuple[tuple[int, int], Stored] | None = None

    def run(self, now: int) -> int:
        """Score and publish as of wall time `now` (ns); returns how many numbers were scored.

        Raises:
            ModelError: there is no model that can be used.
            TableError: the model asks for columns that calls do not tell.
            ArchiveError: the archive cannot be read.
            StateError: another process publishes, or past scores cannot be kept.
        """
        stored = self._installed()
        past = PastScores(self._place.past)
        published = ScoreFile(self._place.scores)
        published.refresh()
        since = now - self._days * _DAY
        head = published.head
        # Another model scores everybody anew: two models' scores are not to be compared.
        known = head is not None and head.models == (stored.version,)
        active = max(since, head.published - _OVERLAP) if head is not None and known else since
        scores = self._scored(stored, since, active, now)
        kept = kept_scores(unpack_rows(published.rows), scores, since) if known else scores
        with ScoreWriter(self._place.scores) as writer:
            # A run that was cut off after it had published left this to be done.
            past.keep(self._place.scores, since // _SECOND)
            writer.publish(kept, (stored.version,), now)
            past.keep(self._place.scores, since // _SECOND)
        self._metrics.set(declared.PUBLISHED, now / _SECOND)
        return len(scores.keys)

    def _installed(self) -> Stored:
        try:
            status = self._place.model.stat()
            seen = (status.st_ino, status.st_mtime_ns)
        except OSError:
            seen = (0, 0)
        if self._model is None or self._model[0] != seen:
            self._model = (seen, load_model(self._place.model))
        return self._model[1]

    def _scored(self, stored: Stored, since: int, active: int, now: int) -> Scores:
        linked = stored.model.design.linked
        made = table_of_archive(
            self._place.archive, since // _MS, self._kind, active // _MS, callees=LEAST_CALLEES, linked=linked
        )
        fresh = fresh_scores(stored, made, str(self._place.archive), now)
        for note in fresh.notes:
            self._warn(note)
        self._count(stored, fresh.scores.scores, fresh.moved)
        return fresh.scores

    def _count(self, stored: Stored, scores: np.ndarray, moved: float) -> None:
        self._metrics.set(declared.SCORED, len(scores))
        self._metrics.set(declared.FLAGGED, int((scores >= stored.model.threshold()).sum()))
        self._metrics.set(declared.DRIFT, moved)


def kept_scores(before: Scores, fresh: Scores, since: int) -> Scores:
    """The fresh scores, and of the earlier ones those of other numbers that are not older than `since` (ns)."""
    stay = ~np.isin(before.keys, fresh.keys) & (before.seconds >= since // _SECOND)
    return Scores(*(np.concatenate((own, old[stay])) for own, old in zip(fresh, before, strict=True)))
