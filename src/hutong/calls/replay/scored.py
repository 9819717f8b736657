"""A replay whose scores change while it runs, as they did for a node: each call reads those of its own time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hutong.calls.replay.batch import Judged, Texts
from hutong.calls.replay.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hutong.calls.replay.batch import CallBatch
    from hutong.calls.replay.replay import Consulted, Terms
    from hutong.kernel.rules.ruleset import Ruleset
    from hutong.kernel.scores.past import Publication


class ScoredReplay(Replay):
    """A replay that takes up scores while it runs, as a node does."""

    def use_scores(self, rows: NDArray[np.int64]) -> None:
        """Consult these rows of published scores from the next call on."""
        self._consulted = self._consulted._replace(scores=rows)
        if self._player is not None:
            judge = self._player.judge._replace(scores=rows)
            self._player = self._player._replace(judge=judge, scores=rows)


class PastReplay(ScoredReplay):
    """A replay that takes up each publication of the past when a call begins after it.

    Args:
        ruleset, consulted, terms: as of a replay.
        publications: in order of their moments.
    """

    def __init__(
        self, ruleset: Ruleset, consulted: Consulted, terms: Terms, publications: Iterator[Publication]
    ) -> None:
        super().__init__(ruleset, consulted, terms)
        self._publications = publications
        self._next = next(publications, None)

    def feed(self, batch: CallBatch) -> Judged:
        """As of a replay."""
        parts, begin = [], 0
        while begin < batch.n:
            self._take_up(int(batch.start_ms[begin]))
            end = self._turn(batch.start_ms[begin:])
            parts.append(super().feed(_part(batch, begin, begin + end)))
            begin += end
        if len(parts) == 1:
            return parts[0]
        return Judged(*map(np.concatenate, zip(*parts, strict=True))) if parts else super().feed(batch)

    def _take_up(self, moment: int) -> None:
        """Read what was last published by a moment."""
        newest = None
        while self._next is not None and self._next.moment <= moment:
            newest, self._next = self._next, next(self._publications, None)
        if newest is not None:
            self.use_scores(newest.rows)

    def _turn(self, starts: NDArray[np.int64]) -> int:
        """How many calls begin before the next publication."""
        if self._next is None:
            return len(starts)
        late = np.flatnonzero(starts >= self._next.moment)
        return int(late[0]) if len(late) else len(starts)


def _part(batch: CallBatch, begin: int, end: int) -> CallBatch:
    """Some calls of a batch that follow each other, without a copy."""
    if (begin, end) == (0, batch.n):
        return batch
    columns: dict[str, Any] = {
        name: Texts(column.data, column.offsets[begin : end + 1]) if isinstance(column, Texts) else column[begin:end]
        for name, column in batch._asdict().items()
        if name != "n"
    }
    return batch._replace(n=end - begin, **columns)
