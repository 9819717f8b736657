"""Batches that come at the same time share a transaction (`kernel.group_commit`), and are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.codes.scans import metrics
from hutong.codes.scans.errors import ScanRefused
from hutong.kernel.group_commit import Committer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from hutong.codes.scans.model import Answer, Batch, Merged
    from hutong.codes.scans.store import Scans
    from hutong.kernel.metrics import Metrics

MOST_AT_ONCE: Final = 500
MOST_WAITING: Final = 5_000


class GroupCommit:
    """One thread that merges for many.

    Args:
        scans: the records. now_ms: the time, ms since 1970. figures: counts what was done.
        waiting: most scans that wait. at_once: a transaction takes no further batch once it has so many scans.
    """

    def __init__(
        self,
        scans: Scans,
        now_ms: Callable[[], int],
        figures: Metrics,
        waiting: int = MOST_WAITING,
        *,
        at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._scans, self._now_ms, self._figures = scans, now_ms, figures
        self._committer: Committer[Batch, Answer] = Committer(
            self._take,
            lambda it: max(len(it.scans), 1),
            self._full,
            at_once=at_once,
            waiting=waiting,
            name="scan-commit",
        )
        self.start, self.stop = self._committer.start, self._committer.stop

    def submit(self, batch: Batch) -> asyncio.Future[Answer]:
        """A batch's answer, once what it says is durable.

        Raises:
            ScanRefused: "busy": too many wait; nothing was done.
        """
        return self._committer.put(batch)

    def _full(self) -> ScanRefused:
        self._figures.add(metrics.REFUSED, reason="busy")
        return ScanRefused("busy", "Too many scans wait to be kept.", fix="Send them again in a moment.")

    def _take(self, batches: list[Batch]) -> Sequence[Answer]:
        merged = self._scans.merge(batches, self._now_ms())
        count_merged(merged, self._figures)
        return merged.answers


def count_merged(merged: Merged, figures: Metrics) -> None:
    """Count what a merge brought."""
    for scanned in merged.scanned:
        figures.add(metrics.MERGED, mode=scanned.mode, verdict=scanned.verdict)
    for copy in merged.copies:
        figures.add(metrics.COPIES, kind=copy.kind)
    for answer in merged.answers:
        for metric, count in (
            (metrics.AGAIN, answer.again),
            (metrics.OVER, answer.over),
            (metrics.WRONG_CLOCK, len(answer.wrong)),
        ):
            if count:
                figures.add(metric, count)
        for refusal in answer.refused:
            figures.add(metrics.REFUSED, reason=refusal.reason)
