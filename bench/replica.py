"""A read replica, `python -m bench replica`: changes that it takes a second, and look-ups beside SQL at a million."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from hutong.codes.bundles import BundleStore
from hutong.codes.replicas.reading import CodesReplica
from hutong.codes.replicas.topics import BUNDLES, Owned, tables
from hutong.kernel.records import Database, bundle_tables, database_url
from hutong.kernel.replica.follower import Follower
from hutong.kernel.replica.log import Change, tell, value_of
from hutong.kernel.replica.source import RecordsSource
from hutong.kernel.replica.store import Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 1_000_000
CHANGES = 100_000
LOOKS = 20_000
_BATCH = 10_000
_FAR = 4_000_000_000_000
_PERSON_DAYS = 30


def replica_table(entries: int = ENTRIES, changes: int = CHANGES, looks: int = LOOKS) -> str:
    """Both tables, as Markdown."""
    return "\n".join(_lines(entries, changes, looks))


def _lines(entries: int, changes: int, looks: int) -> Iterator[str]:
    draw = np.random.default_rng(6)
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        folder = Path(name)
        database, replica = Database(database_url("", folder)), Replica(folder / "replica")
        database.open()
        replica.open()
        handles = [row.tobytes().hex() for row in draw.integers(0, 256, (entries + changes, 8), np.uint8)]
        _fill(database, handles[:entries])
        first = {handle[0]: handle for handle in handles[:entries]}
        _say(database, list(first.values()))  # each part has an event, and is not begun anew for its first one
        follower = Follower(RecordsSource(database, tables(_PERSON_DAYS)), replica)
        made_s = _follow(follower)
        _say(database, handles[entries:])
        taken_s = _follow(follower)
        some = [handles[at] for at in draw.integers(0, entries, looks)]
        copy, store = CodesReplica(replica), BundleStore(database)
        yield "| made from records, entries/s | changes taken, changes/s |"
        yield "|--:|--:|"
        yield f"| {entries / made_s:,.0f} | {changes / taken_s:,.0f} |"
        yield ""
        yield f"| whose bundle, of {entries:,} | p50 | p99 |"
        yield "|---|--:|--:|"
        yield _latency("replica (LMDB)", some, lambda it: copy.bundle_person(it, 0))
        yield _latency("records (SQLite)", some, lambda it: store.looked_up(it)[0])
        replica.close()
        database.close()


def _fill(database: Database, handles: list[str]) -> None:
    for at in range(0, len(handles), _BATCH):
        rows = [
            {"handle": it, "person": it * 2, "kind": "own", "issued_ms": 0, "expires_ms": _FAR}
            for it in handles[at : at + _BATCH]
        ]
        with database.write() as connection:
            connection.execute(sa.insert(bundle_tables.code_bundles), rows)


def _say(database: Database, handles: list[str]) -> None:
    for at in range(0, len(handles), _BATCH):
        told = [Change(it, value_of(Owned(it * 2)), _FAR) for it in handles[at : at + _BATCH]]
        with database.write() as connection:
            tell(database, connection, BUNDLES, told, 1)


def _follow(follower: Follower) -> float:
    begun = time.perf_counter()
    while follower.round(1).more:
        pass
    return time.perf_counter() - begun


def _latency(name: str, handles: list[str], look: Callable[[str], str | None]) -> str:
    times = np.empty(len(handles), np.int64)
    for at, handle in enumerate(handles):
        begun = time.perf_counter_ns()
        if look(handle) is None:
            raise SystemExit(f"{name} does not know {handle}.")
        times[at] = time.perf_counter_ns() - begun
    p50, p99 = np.percentile(times, (50, 99)) / 1000
    return f"| {name} | {p50:.1f} µs | {p99:.1f} µs |"


if __name__ == "__main__":
    print(replica_table())
