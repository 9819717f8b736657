"""Group commit: what comes at the same time shares a transaction, and is answered once it is durable.

A disk keeps some hundred transactions a second and many thousand rows. While one transaction is being kept, what comes
meanwhile gathers for the next; nothing waits for a timer, so whoever is alone is as quick as ever. The queue is short:
whoever comes when it is full is refused at once, and sends it again. What is taken, and how, is the system's own.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Told = TypeVar("Told")


class Committer(Generic[Item, Told]):
    """One thread that takes items into the records for many.

    Args:
        take: takes items in one transaction, and gives what each is told; where it raises, each is told that.
        weigh: how much an item is, 1 at least. full: makes what is raised when there is no room.
        at_once: a transaction takes no further item once it has so much. waiting: the most that may wait.
        name: of the thread.
    """

    def __init__(
        self,
        take: Callable[[list[Item]], Sequence[Told]],
        weigh: Callable[[Item], int],
        full: Callable[[], Exception],
        *,
        at_once: int,
        waiting: int,
        name: str,
    ) -> None:
        self._take, self._weigh, self._full = take, weigh, full
        self._at_once, self._most, self._name = at_once, waiting, name
        self._queue: deque[tuple[Item, Future[Told]]] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take items."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what waits, and stop."""
        if self._thread is not None:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            self._thread.join()
            self._thread = None

    def put(self, item: Item) -> Future[Told]:
        """What an item is told, once it is durable or refused. Raises what `full` makes: nothing was done."""
        future: Future[Told] = Future()
        weight = self._weigh(item)
        with self._changed:
            if self._stopping or (self._waiting and self._waiting + weight > self._most):
                raise self._full()
            self._waiting += weight
            self._queue.append((item, future))
            self._changed.notify()
        return future

    def _run(self) -> None:
        while group := self._next():
            # Whoever went away before it began sends it again, or never asked.
            wanted = [(item, future) for item, future in group if future.set_running_or_notify_cancel()]
            if not wanted:
                continue
            try:
                told = self._take([item for item, _ in wanted])
            except Exception as error:  # noqa: BLE001  # whoever waits is told, and the thread goes on
                for _, future in wanted:
                    future.set_exception(error)
            else:
                for (_, future), answer in zip(wanted, told, strict=True):
                    future.set_result(answer)

    def _next(self) -> list[tuple[Item, Future[Told]]]:
        """What is taken together next; nothing when it is time to stop."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            group: list[tuple[Item, Future[Told]]] = []
            weight = 0
            while self._queue and weight < self._at_once:
                group.append(self._queue.popleft())
                weight += self._weigh(group[-1][0])
            self._waiting -= weight
        return group
