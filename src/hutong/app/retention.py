"""What jobs do with data whose time has come: deleted, or counted first. When is the schedule's business."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from hutong.app.first_sign_in import forget_first
from hutong.calls.history import KEPT_MINUTES
from hutong.kernel.access.forgetting import forget
from hutong.kernel.access.people import People
from hutong.kernel.metrics import ARCHIVE_BYTES, ARCHIVE_LAG, ARCHIVE_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.archiving import Archiver
    from hutong.calls.history import History
    from hutong.calls.index import VerdictIndex
    from hutong.kernel.lists.store import ListStore, Snapshot
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.records import Database

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


def count_calls(database: Database, history: History, index: VerdictIndex) -> int:
    """Fold what the journal gained into the minutes; returns how many records were counted.

    Must keep pace with the journal's own retention: what is deleted there uncounted stays uncounted.

    Raises:
        RecordsError: the records fail; the next slot goes on from where this one began.
    """
    database.open()
    return history.fold(index)


def carry_over(archiver: Archiver, metrics: Metrics, now: int) -> int:
    """Archive what the journal gained by `now` (nanoseconds since 1970); returns how many records were taken.

    Raises:
        ArchiveError: the archive cannot be written; the next slot goes on from where this one began.
    """
    taken = archiver.run(now)
    metrics.add(ARCHIVE_ROWS, taken)
    metrics.set(ARCHIVE_LAG, archiver.lag())
    metrics.set(ARCHIVE_BYTES, archiver.size())
    return taken


def forget_minutes(database: Database, history: History, now: int) -> int:
    """Delete minutes that are kept long enough at `now` (nanoseconds since 1970); returns how many rows went."""
    database.open()
    return history.forget(now // 1_000_000 - KEPT_MINUTES * 60_000)


def forget_access(database: Database, now: int) -> int:
    """Delete ended sessions and faded attempts at `now` (nanoseconds since 1970); returns how many rows went."""
    database.open()
    return forget(database, now // 1_000_000)


def forget_one_time(database: Database, run_folder: Path) -> int:
    """Delete the file with the first one-time password once that is replaced; returns how many files went."""
    database.open()
    return forget_first(People(database), run_folder)


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
