"""Group commit: what comes at the same time shares a transaction, and is answered once it is durable.

A disk keeps some hundred transactions a second and many thousand rows, and a transaction costs the processor more than
the rows of many requests. While one is being kept, what comes meanwhile gathers for the next, and for a moment after it
(`REST_S`), unless there is enough for a whole one. Whoever is alone comes after that moment, and is as quick as ever.
The queue is short: whoever comes when it is full is refused at once, and sends it again. What is taken, and how, is the
system's own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REST_S: Final = 0.02
"""Between two transactions."""

Item = TypeVar("Item")
Told = TypeVar("Told")


class Committer(Generic[Item, Told]):
    """One thread that takes items into the records for many.

    Args:
        take: takes items in one transaction, and gives what each is told; where it raises, each is told that.
        weigh: how much an item is, 1 at least. full: makes what is raised when there is no room.
        at_once: a transaction takes no further item once it has so much. waiting: the most that may wait.
        name: of the thread. rest_s: as `REST_S`.
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
        rest_s: float = REST_S,
    ) -> None:
        self._take, self._weigh, self._full, self._rest_s = take, weigh, full, rest_s
        self._at_once, self._most, self._name = at_once, waiting, name
        self._queue: deque[tuple[Item, asyncio.Future[Told]]] = deque()
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

    def put(self, item: Item) -> asyncio.Future[Told]:
        """What an item is told, once it is durable or refused; to be awaited in the running loop.

        Raises:
            Exception: what `full` makes: nothing was done.
        """
        future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        weight = self._weigh(item)
        with self._changed:
            if self._stopping or (self._waiting and self._waiting + weight > self._most):
                raise self._full()
            was, self._waiting = self._waiting, self._waiting + weight
            self._queue.append((item, future))
            if not was or self._is_whole():  # it waits for the first, or for no more
                self._changed.notify()
        return future

    def _run(self) -> None:
        while group := self._next():
            # Whoever went away before it began sends it again, or never asked.
            wanted = [(item, future) for item, future in group if not future.cancelled()]
            if not wanted:
                continue
            try:
                told = self._take([item for item, _ in wanted])
            except Exception as error:  # noqa: BLE001  # whoever waits is told, and the thread goes on
                _tell([(future, partial(future.set_exception, error)) for _, future in wanted])
            else:
                _tell([(future, partial(future.set_result, it)) for (_, future), it in zip(wanted, told, strict=True)])
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._is_whole(), self._rest_s)

    def _is_whole(self) -> bool:
        return self._waiting >= self._at_once

    def _next(self) -> list[tuple[Item, asyncio.Future[Told]]]:
        """What is taken together next; nothing when it is time to stop."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            group: list[tuple[Item, asyncio.Future[Told]]] = []
            weight = 0
            while self._queue and weight < self._at_once:
                group.append(self._queue.popleft())
                weight += self._weigh(group[-1][0])
            self._waiting -= weight
        return group


def _tell(answers: Sequence[tuple[asyncio.Future[Told], Callable[[], None]]]) -> None:
    """Settle futures; each loop is woken once for all of its own: woken for each, it would run once for each."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Told], Callable[[], None]]]] = {}
    for future, settle in answers:
        loops.setdefault(future.get_loop(), []).append((future, settle))
    for loop, own in loops.items():
        with suppress(RuntimeError):  # it is closed: nobody waits there any more
            loop.call_soon_threadsafe(_settle, own)


def _settle(answers: Sequence[tuple[asyncio.Future[Told], Callable[[], None]]]) -> None:
    for future, settle in answers:
        if not future.done():  # whoever waited may have gone
            settle()
