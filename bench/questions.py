"""What the index of verdicts takes for the console's questions, asked in memory, with ten million verdicts on record.

.venv/bin/python -m bench.questions [VERDICTS] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import tables
from bench.day import END_MS, RESTLESS, SPAN_MS, mobile_key, write_verdicts
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.model import FLAG_NIGHT
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from collections.abc import Callable


def questions(index: VerdictIndex) -> dict[str, Callable[[int], object]]:
    """What pages ask, each varied by a counter so that no answer is a remembered one."""
    base = END_MS - SPAN_MS
    rule = load_ruleset([SHIPPED_RULES], VOCABULARY).rules[3].id

    def read(seqs: list[int]) -> object:
        return index.read(seqs)

    return {
        "newest 50": lambda _: read(index.page(Filters()).seqs),
        "page 100,000 of 50": lambda n: read(index.page(Filters(), offset=5_000_000 + n).seqs),
        "blocked, any one hour": lambda n: read(
            index.page(Filters(action="block", since_ms=base + n * 40_000, until_ms=base + n * 40_000 + 3_600_000)).seqs
        ),
        "blocked since a moment, counted": lambda n: read(index.page(Filters(action="block", since_ms=base + n)).seqs),
        "one rule fired, since a moment": lambda n: read(index.page(Filters(rule=rule, since_ms=base + n)).seqs),
        "trunk, area, night, since a moment": lambda n: read(
            index.page(Filters(trunk="intl-1", areas=(1 + n % 300,), flags=FLAG_NIGHT, since_ms=base + n)).seqs
        ),
        "sorted by trunk, since a moment": lambda n: read(
            index.page(Filters(since_ms=base + n), sort="trunk", offset=1_000_000).seqs
        ),
        "sorted by rule, blocked": lambda n: read(
            index.page(Filters(action="block", since_ms=base + n), sort="rule").seqs
        ),
        "an ordinary number": lambda n: read(index.by_number(mobile_key(5_000_000 + n), limit=50)),
        "a restless number": lambda n: read(index.by_number(mobile_key(n % RESTLESS), limit=50)),
        "a restless number's columns": lambda n: index.columns_of_number(
            mobile_key(n % RESTLESS), ("time", "caller", "callee", "area", "flags")
        ),
        "a Call-ID that is not there": lambda n: index.by_call_id(f"{n:034x}"),
    }


def measure(index: VerdictIndex, rounds: int) -> list[list[str]]:
    """A row for each question: median, 95th percentile and worst, in ms."""
    rows = []
    for name, ask in questions(index).items():
        taken = []
        for n in range(rounds):
            begun = time.perf_counter()
            ask(n)
            taken.append((time.perf_counter() - begun) * 1000)
        half, most, worst = np.percentile(taken, [50, 95, 100])
        rows.append([name, f"{half:.1f}", f"{most:.1f}", f"{worst:.1f}"])
    return rows


def _own_memory_mb() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("RssAnon"))


def main() -> None:
    """Write the record, build the index, ask."""
    parser = argparse.ArgumentParser(prog="bench.questions", description=__doc__)
    parser.add_argument("verdicts", nargs="?", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="use this data folder, and write to it only if it has no journal")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        data = arguments.keep or Path(name)
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "journal").exists():
            seconds = write_verdicts(data, arguments.verdicts)
            print(f"{arguments.verdicts:,} verdicts written in {seconds} s", flush=True)
        begun = time.perf_counter()
        built = VerdictIndex(data).build()
        print(f"{built} sidecars in {time.perf_counter() - begun:.1f} s", flush=True)
        index = VerdictIndex(data)
        begun = time.perf_counter()
        rows = index.refresh()
        print(f"{rows:,} rows opened in {(time.perf_counter() - begun) * 1000:.0f} ms", flush=True)
        print(tables.table(["question", "median ms", "95 % ms", "worst ms"], measure(index, arguments.rounds)))
        print(f"memory of its own {_own_memory_mb()} MiB, beside what is mapped")


if __name__ == "__main__":
    main()
