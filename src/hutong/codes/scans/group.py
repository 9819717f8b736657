"""Group commit: batches that come at the same time share a transaction, and are answered once it is durable.

While one transaction is being kept, what comes meanwhile gathers for the next; nothing waits for a timer, so a lone
scan is as quick as ever. The queue is short: whoever comes when it is full is refused at once, and keeps the scans.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from hutong.codes.scans import metrics
from hutong.codes.scans.errors import ScanRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.scans.model import Answer, Batch, Merged
    from hutong.codes.scans.store import Scans
    from hutong.kernel.metrics import Metrics

MOST_AT_ONCE: Final = 500
_Item = tuple["Batch", "Future[Answer]"]


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
        waiting: int,
        *,
        at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._scans, self._now_ms, self._figures = scans, now_ms, figures
        self._waiting, self._at_once = waiting, at_once
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._here = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to merge."""
        self._thread = threading.Thread(target=self._run, name="scan-commit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Merge what waits, and stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, batch: Batch) -> Future[Answer]:
        """A batch's answer, once what it says is durable.

        Raises:
            ScanRefused: "busy": too many wait; nothing was done.
        """
        with self._lock:
            if self._here and self._here + len(batch.scans) > self._waiting:
                self._figures.add(metrics.REFUSED, reason="busy")
                raise ScanRefused("busy", "Too many scans wait to be kept.", fix="Send them again in a moment.")
            self._here += len(batch.scans)
        future: Future[Answer] = Future()
        self._queue.put((batch, future))
        return future

    def _run(self) -> None:
        ends = False
        while not ends:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            count = len(first[0].scans)
            while count < self._at_once:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    ends = True
                    break
                group.append(item)
                count += len(item[0].scans)
            self._merge(group)

    def _merge(self, group: list[_Item]) -> None:
        # Whoever went away before it began sends it again.
        wanted = [(batch, future) for batch, future in group if future.set_running_or_notify_cancel()]
        try:
            merged = self._scans.merge([batch for batch, _ in wanted], self._now_ms())
        except Exception as error:  # noqa: BLE001  # whoever waits is told, and the thread goes on
            for _, future in wanted:
                future.set_exception(error)
        else:
            count_merged(merged, self._figures)
            for (_, future), answer in zip(wanted, merged.answers, strict=True):
                future.set_result(answer)
        with self._lock:
            self._here -= sum(len(batch.scans) for batch, _ in group)


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
