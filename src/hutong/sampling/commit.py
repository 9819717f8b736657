"""Group commit: events and batches that come at the same time share a transaction, answered once it is durable.

A disk keeps some hundred transactions a second and many thousand rows. While one transaction is being kept, what comes
meanwhile gathers for the next; nothing waits for a timer, so a lone registration is as quick as ever. The queue is
short: whoever comes when it is full is refused at once, and has the event at the station to send again.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from hutong.sampling import metrics
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.model import Batch
from hutong.sampling.store import Taking, check_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.metrics import Metrics
    from hutong.sampling.model import Action, MergeAnswer
    from hutong.sampling.store import Outcome, Sampling

MOST_AT_ONCE: Final = 200
MOST_WAITING: Final = 2000
_Item = tuple[Taking | Batch, "Future[Any]"]


class GroupCommit:
    """One thread that takes events and batches into the records for many.

    Args:
        sampling: the records of sampling. now_ms: the time, ms since 1970. figures: counts what was done.
        at_once: events after which a transaction takes no more. waiting: most events that wait.
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
        self._sampling, self._now_ms, self._figures = sampling, now_ms, figures
        self._at_once, self._most = at_once, waiting
        self._queue: deque[_Item] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take events."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sampling-commit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what waits, and stop."""
        if self._thread is not None:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            self._thread.join()
            self._thread = None

    def submit(self, taking: Taking) -> Future[Outcome]:
        """An event's outcome, once it is durable or refused.

        Raises:
            SamplingRefused: "busy": too many wait; nothing was done.
        """
        return self._put(taking)

    def merge(self, batch: Batch) -> Future[MergeAnswer]:
        """The answer to a station, once what it says is durable. Raises SamplingRefused: "busy", or too large."""
        check_batch(batch)
        return self._put(batch)

    def _put(self, item: Taking | Batch) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            if self._stopping or self._waiting + _weight(item) > self._most:
                self._figures.add(metrics.REFUSED, reason="busy")
                raise SamplingRefused("busy", "Too many events wait to be kept.", fix="Send it again in a moment.")
            self._waiting += _weight(item)
            self._queue.append((item, future))
            self._changed.notify()
        return future

    def _run(self) -> None:
        while group := self._next():
            self._take(group)

    def _next(self) -> list[_Item]:
        """What is taken together next; nothing when it is time to stop."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            group: list[_Item] = []
            weight = 0
            while self._queue and weight < self._at_once:
                group.append(self._queue.popleft())
                weight += _weight(group[-1][0])
            self._waiting -= weight
        return group

    def _take(self, group: list[_Item]) -> None:
        # Whoever went away before it began sends it again, or never asked.
        wanted = [(item, future) for item, future in group if future.set_running_or_notify_cancel()]
        events = [(item, future) for item, future in wanted if isinstance(item, Taking)]
        batches = [(item, future) for item, future in wanted if isinstance(item, Batch)]
        try:
            done = self._sampling.group([it for it, _ in events], [it for it, _ in batches], self._now_ms())
        except Exception as error:  # noqa: BLE001  # whoever waits is told, and the thread goes on
            for _, future in wanted:
                future.set_exception(error)
            return
        for action, outcome in done.counted:
            self._count(action, outcome)
        for (_, future), told in zip([*events, *batches], [*done.outcomes, *done.answers], strict=True):
            future.set_result(told)

    def _count(self, action: Action, outcome: Outcome) -> None:
        if outcome.refusal is not None:
            self._figures.add(metrics.REFUSED, reason=outcome.refusal.reason)
        elif outcome.again:
            self._figures.add(metrics.AGAIN)
        else:
            self._figures.add(metrics.TAKEN, action=action)


def _weight(item: Taking | Batch) -> int:
    return max(len(item.events), 1) if isinstance(item, Batch) else 1
