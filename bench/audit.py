"""The trail as a log: entries a second, beside the bare row; verification, checkpoints and proofs of a long one.

`python -m bench.audit [--entries N] [URL…]`: SQLite in a folder of its own, and each empty PostgreSQL database named.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.tables import table
from hutong.kernel.access.trail import Trail
from hutong.kernel.audit.checkpoints import Checkpoints, Verification, gather_marks, trail_key
from hutong.kernel.audit.entry import COLUMNS, Entry
from hutong.kernel.audit.log import number_rest
from hutong.kernel.records import Database, database_url, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 1_000_000
PROCESSES = 4
SECONDS = 5.0
_NOW = 1_772_416_800_000
_BATCH = 10_000
_DEED = {"time_ms": _NOW, "who": "wang", "address": "192.0.2.7", "deed": "lists.add", "target": "k7x2m4"}
_ROW = {**_DEED, "before": None, "after": '{"list":"block","reason":"案件 3101152022030001"}', "purpose": "as agreed"}


def measure(url: str, data: Path, entries: int) -> Iterator[tuple[str, str]]:
    """What was measured, and the figure; the records at `url` are empty before."""
    database = Database(url)
    database.open()
    try:
        yield "bare rows/s, one process", f"{_rate(lambda: _bare(database)):,.0f}"
        with database.write() as connection:
            number_rest(connection)
        trail = Trail(database)
        yield "entries/s, one process", f"{_rate(lambda: _record(trail)):,.0f}"
        yield f"entries/s, {PROCESSES} processes", f"{_together(url):,.0f}"
        yield from _long(database, data, entries)
    finally:
        database.close()


def _long(database: Database, data: Path, entries: int) -> Iterator[tuple[str, str]]:
    with database.write() as connection:
        for _ in range(0, entries, _BATCH):
            connection.execute(sa.insert(tables.trail), [_ROW] * _BATCH)
        began = time.perf_counter()
        numbered = number_rest(connection)
        yield "numbering of an earlier version's entries/s", f"{numbered / (time.perf_counter() - began):,.0f}"
    checkpoints = Checkpoints(database, data, trail_key(data, "bench"))
    yield f"first checkpoint over {entries:,} entries, s", f"{_seconds(lambda: checkpoints.make(_NOW)):,.2f}"
    Trail(database).record("wang", "192.0.2.7", "lists.add", now_ms=_NOW)
    yield "checkpoint after one more, ms", f"{_seconds(lambda: checkpoints.make(_NOW)) * 1000:,.1f}"
    yield "proof of one entry, ms", f"{_seconds(lambda: checkpoints.prove(entries // 3, _NOW)) * 1000:,.1f}"
    marks = gather_marks(database, data, [trail_key(data, "bench").public])
    verification = Verification(database, marks.marks)
    began = time.perf_counter()
    while not verification.step():
        pass
    assert verification.fault is None, verification.fault  # noqa: S101  # a figure of something else is none
    yield "verified entries/s", f"{verification.size / (time.perf_counter() - began):,.0f}"
    yield "SHA-256 of as many bytes and their tree, entries/s: the limit", f"{_hashed(entries):,.0f}"


def _hashed(entries: int) -> float:
    """What Python's SHA-256 does alone: a leaf of as many bytes, and a node of two hashes, for each entry."""
    leaf, node = b"\0" + Entry.of([({**_ROW, "id": 1})[name] for name in COLUMNS]).canonical(), bytes(65)
    began = time.perf_counter()
    for _ in range(entries):
        hashlib.sha256(leaf).digest()
        hashlib.sha256(node).digest()
    return entries / (time.perf_counter() - began)


def audit_table(folder: Path, entries: int = ENTRIES) -> str:
    """The table of `python -m bench audit`, on SQLite."""
    data = folder / "audit"
    data.mkdir()
    return table(("what", "figure"), list(measure(database_url("", data), data, entries)))


def _bare(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(tables.trail), _ROW)


def _record(trail: Trail) -> None:
    trail.record("wang", "192.0.2.7", "lists.add", "k7x2m4", None, {"list": "block"}, "as agreed", now_ms=_NOW)


def _rate(work: Callable[[], None]) -> float:
    for _ in range(20):
        work()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        work()
        done += 1
    return done / (time.perf_counter() - began)


def _together(url: str) -> float:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        return sum(pool.map(_alone, [url] * PROCESSES, chunksize=1))


def _alone(url: str) -> float:
    database = Database(url)
    database.open()
    trail = Trail(database)
    try:
        return _rate(lambda: _record(trail))
    finally:
        database.close()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure each engine and print its table."""
    parser = argparse.ArgumentParser(prog="bench.audit", description=__doc__)
    parser.add_argument("urls", nargs="*", metavar="URL", help="empty PostgreSQL databases")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="of the long trail")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        for url in (database_url("", Path(name)), *arguments.urls):
            data = Path(name, f"data-{abs(hash(url))}")
            data.mkdir()
            rows = list(measure(url, data, arguments.entries))
            print(f"{url.partition(':')[0]}\n{table(('what', 'figure'), rows)}\n", flush=True)


if __name__ == "__main__":
    main()
