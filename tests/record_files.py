"""Call record files for tests, and a judge that says of each call what it was shown."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.records.dead_letters import DeadLetters
from hutong.calls.records.layout import Layout
from hutong.calls.records.reading import Reading, Source
from hutong.calls.records.run import Run, Tally
from hutong.calls.replay.batch import CallBatch, Judged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TRUNKS = ("unlisted", "international", "inter-network", "local", "enterprise", "bank")
HEADER = "call_id,start,trunk,caller,callee\n"
GOOD = "a1,2026-03-01T01:00:00Z,local,13800138000,02112345678\n"


class Read(NamedTuple):
    """What a reading gave: rows as plain values, and the dead letters."""

    rows: list[dict[str, object]]
    bad: list[dict[str, str]]


def dead_letters(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    limit = csv.field_size_limit(1 << 30)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    finally:
        csv.field_size_limit(limit)


def read(
    folder: Path, *files: Path, layout: Layout | None = None, stop_share: float = 1.0, trunks: Sequence[str] = TRUNKS
) -> Read:
    """Every row of some files."""
    dead = DeadLetters(folder / "dead.csv")
    reading = Reading(Source(files, trunks, layout or Layout(), "layout.toml", stop_share), dead)
    try:
        rows = [row for batch in reading.batches() for row in batch.to_pylist()]
    finally:
        dead.close()
    return Read(rows, dead_letters(folder / "dead.csv"))


def read_text(folder: Path, text: str | bytes, **further: object) -> Read:
    """Every row of a CSV text."""
    path = folder / "calls.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(folder, path, **further)  # type: ignore[arg-type]


class Witness:
    """Judges nothing: says how many calls it saw before each, and keeps their starts and Call-IDs."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.call_ids: list[bytes] = []

    def feed(self, batch: CallBatch) -> Judged:
        first = len(self.starts)
        self.starts += batch.start_ms.tolist()
        data, offsets = batch.call_id.data.tobytes(), batch.call_id.offsets.tolist()
        self.call_ids += [data[begin:end] for begin, end in pairwise(offsets)]
        places = np.arange(first, first + batch.n)
        return Judged(
            action=np.where(places % 3 == 0, 3, 0).astype(np.uint8),
            decided=np.where(places % 3 == 0, 1, -1).astype(np.int32),
            fired=np.where(places % 3 == 0, 3, 0).astype(np.uint64).reshape(-1, 1),
            score=places.astype(np.float32),
        )


class Ran(NamedTuple):
    """A run's tally, its results in order, and the judges it made (one for each attempt)."""

    tally: Tally
    results: list[dict[str, str]]
    judges: list[Witness]


def run(folder: Path, *files: Path, out: Path | None = None, stop_share: float = 0.01) -> Ran:
    """Replay files with witnesses; rules are "one" and "two"."""
    judges: list[Witness] = []

    def judge() -> Witness:
        judges.append(Witness())
        return judges[-1]

    source = Source(files, TRUNKS, Layout(), "", stop_share)
    stdout = io.BytesIO()
    tally = Run(source, ["one", "two"], judge, out=out, errors=folder / "errors.csv").run(stdout)
    text = stdout.getvalue() if out is None else out.read_bytes()
    parquet = out is not None and out.suffix == ".parquet"
    results = [] if parquet else list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    return Ran(tally, results, judges)
