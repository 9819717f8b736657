"""Group commit: events that come at the same time share a transaction, and are answered once it is durable.

A disk keeps some hundred transactions a second and many thousand rows. While one transaction is being kept, what comes
meanwhile gathers for the next; nothing waits for a timer, so a lone registration is as quick as ever. The queue is
short: whoever comes when it is full is refused at once, and has the event at the station to send again.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from hutong.sampling import metrics
from hutong.sampling.errors import SamplingRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.metrics import Metrics
    from hutong.sampling.model import Event
    from hutong.sampling.store import Outcome, Sampling, Taking

MOST_AT_ONCE: Final = 200
MOST_WAITING: Final = 2000
_Item = tuple["Taking", "Future[Outcome]"]


class GroupCommit:
    """One thread that takes events into the records for many.

    Args:
        sampling: the records of sampling. now_ms: the time, ms since 1970. figures: counts what was done.
        at_once: most events of a transaction. waiting: most that wait.
    """

    def __init__(
        self,
        sampling: Sampling,
        now_ms: Callable[[], int],
        figures: Metrics,
        *,
        at_once: int = MOST_AT_ONCE,
        waiting: int = MOST_WAITING,
    ) -> None:
        self._sampling, self._now_ms, self._figures, self._at_once = sampling, now_ms, figures, at_once
        self._queue: queue.Queue[_Item | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take events."""
        self._thread = threading.Thread(target=self._run, name="sampling-commit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what waits, and stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, taking: Taking) -> Future[Outcome]:
        """An event's outcome, once it is durable or refused.

        Raises:
            SamplingRefused: "busy": too many wait; nothing was done.
        """
        future: Future[Outcome] = Future()
        try:
            self._queue.put_nowait((taking, future))
        except queue.Full:
            self._figures.add(metrics.REFUSED, reason="busy")
            raise SamplingRefused(
                "busy", "Too many events wait to be kept.", fix="Send it again in a moment."
            ) from None
        return future

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, ends = [first], False
            while len(group) < self._at_once and not ends:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    ends = True
                else:
                    group.append(item)
            self._take(group)
            if ends:
                return

    def _take(self, group: list[_Item]) -> None:
        try:
            outcomes = self._sampling.take([taking for taking, _ in group], self._now_ms())
        except Exception as error:  # noqa: BLE001  # whoever waits is told, and the thread goes on
            for _, future in group:
                future.set_exception(error)
            return
        for (taking, future), outcome in zip(group, outcomes, strict=True):
            self._count(taking.event, outcome)
            future.set_result(outcome)

    def _count(self, event: Event, outcome: Outcome) -> None:
        if outcome.refusal is not None:
            self._figures.add(metrics.REFUSED, reason=outcome.refusal.reason)
        elif outcome.again:
            self._figures.add(metrics.AGAIN)
        else:
            self._figures.add(metrics.TAKEN, action=event.action)
