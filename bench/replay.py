"""Calls a second of a replay on one core, from Parquet, and of window queries over the same file beside it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from bench.records import write_records
from bench.replay_work import WORK
from bench.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SIZES = (1_000_000, 10_000_000, 100_000_000)
ROUNDS = 3
#: Who takes part up to which size; beyond it a query would not fit in memory or take longer than all else together.
UP_TO = {"hutong": 100_000_000, "command": 100_000_000, "duckdb": 10_000_000, "polars": 10_000_000, "spark": 1_000_000}
#: Sizes above this are measured once.
_REPEATED = 10_000_000
_SMALL = 20_000
_NAMES = {
    "hutong": "hutong",
    "command": "hutong calls replay",
    "duckdb": "DuckDB windows",
    "polars": "Polars rolling",
    "spark": "PySpark windows",
}


class Run(NamedTuple):
    """One run: seconds, seconds of the core's own, peak memory in GiB."""

    seconds: float
    busy: float
    gib: float


def _run(who: str, path: Path, calls: int, small: Path) -> Run:
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.replay_work", who, str(path), str(calls), str(small), str(_SMALL)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return Run(told["seconds"], told["busy"], told["gib"])


def measure(folder: Path, sizes: Sequence[int] = SIZES, who: Iterable[str] = tuple(WORK)) -> list[list[str]]:
    """Rows of the table; everybody takes turns, round after round."""
    small = folder / "small.parquet"
    write_records(small, _SMALL)
    rows = []
    for calls in sizes:
        path = folder / f"calls-{calls}.parquet"
        write_records(path, calls)
        those = [name for name in who if calls <= UP_TO[name]]
        runs: dict[str, list[Run]] = defaultdict(list)
        for _ in range(ROUNDS if calls <= _REPEATED else 1):
            for name in those:
                runs[name].append(_run(name, path, calls, small))
        path.unlink()
        rows += [_row(calls, name, runs) for name in those]
    return rows


def _row(calls: int, name: str, runs: dict[str, list[Run]]) -> list[str]:
    rates = sorted(calls / run.seconds for run in runs[name])
    ratios = sorted(own.seconds / it.seconds for own, it in zip(runs[name], runs["hutong"], strict=True))
    return [
        f"{calls:,}",
        _NAMES[name],
        f"{statistics.median(rates):,.0f}",
        f"{rates[0]:,.0f} – {rates[-1]:,.0f}",
        f"{calls / statistics.median(run.busy for run in runs[name]):,.0f}",
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} – {ratios[-1]:.2f})",
        f"{max(run.gib for run in runs[name]):.2f}",
    ]


def replay_table(folder: Path, sizes: Sequence[int] = SIZES) -> str:
    """The table of docs/benchmarks.md."""
    head = [
        "calls 呼叫数",
        "who 谁",
        "calls/s",
        "min – max",
        "calls per s of CPU",
        "time × hutong's",
        "peak memory, GiB",
    ]
    return table(head, measure(folder, sizes))
