"""What is deleted because its time is over, and how. When it happens is the schedule's business."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.lists import ListStore
    from hutong.kernel.lists.store import Snapshot

WHO = "hutong work"
# Each removal is a transaction of its own, so that nobody who adds an entry waits long; the rest goes next time.
MOST_AT_ONCE = 5_000


def remove_expired_entries(store: ListStore, now: int) -> int:
    """Remove list entries whose time is over at `now` (nanoseconds since 1970); returns how many went.

    They stopped having effect on time by themselves: look-ups judge that by the time of the call.

    Raises:
        StateError: the lists cannot be opened or written.
    """
    store.open()
    seconds = now // 1_000_000_000
    with store.snapshot() as snapshot:
        expired = list(islice(_expired(snapshot, seconds), MOST_AT_ONCE))
    return sum(_remove(store, number, seconds) for number in expired)


def forget_removed_entries(store: ListStore, before: int) -> int:
    """Delete for good what was removed before `before` (nanoseconds since 1970); returns how many went.

    Raises:
        StateError: the lists cannot be opened or written.
    """
    store.open()
    return store.forget(before // 1_000_000_000, MOST_AT_ONCE)


def _expired(snapshot: Snapshot, seconds: int) -> Iterator[int]:
    for rows in snapshot.chunks:
        over = (rows["expires"] > 0) & (rows["expires"] <= seconds)
        yield from (int(number) for number in rows["id"][np.flatnonzero(over)])


def _remove(store: ListStore, number: int, seconds: int) -> int:
    entry = store.entry(number)
    if entry is None or entry.removed:
        return 0
    gone = store.remove(entry, seconds, who=WHO, why="expired")
    # Entries are removed by target: one that replaced ours a moment ago has to come back.
    renewed = [other for other in gone if other.id != number]
    if renewed:
        store.add([replace(other, removed=0, removed_by="", removed_why="") for other in renewed], seconds)
    return len(gone) - len(renewed)
