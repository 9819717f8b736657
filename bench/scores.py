"""Looking up a learned score: `python -m bench.scores`. Nanoseconds for each call, and publishing a whole table."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled
from hutong.kernel.scores import ScoreFile, Scores, ScoreWriter, look_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = (10_000, 1_000_000, 20_000_000)
LOOKS = 2_000_000
ROUNDS = 5
_KIND_AND_COUNT = (1 << 55) | (13 << 50)


@compiled
def _look(rows: NDArray[np.int64], keys: NDArray[np.int64]) -> int:
    found = 0
    for i in range(keys.shape[0]):
        found += look_up(rows, keys[i]) & 1
    return found


def _best(rows: NDArray[np.int64], keys: NDArray[np.int64]) -> float:
    """Nanoseconds a look-up, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter_ns()
        _look(rows, keys)
        best = min(best, time.perf_counter_ns() - begun)
    return best / len(keys)


def main() -> None:
    """Measure and print."""
    draw = np.random.default_rng(0)
    print("| scores held | look-up, known number | look-up, unknown number | publish | file |")
    print("|--:|--:|--:|--:|--:|")
    for size in SIZES:
        keys = _KIND_AND_COUNT | draw.permutation(np.arange(8613800000000, 8613800000000 + size, dtype=np.int64))
        held = Scores(keys, draw.random(size), np.zeros(size, np.int64), np.full(size, 1_700_000_000))
        with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
            begun = time.perf_counter()
            with ScoreWriter(Path(name)) as writer:
                writer.publish(held, ("bench",), 1)
            took = time.perf_counter() - begun
            reader = ScoreFile(Path(name))
            reader.refresh()
            megabytes = (Path(name) / "scores.table").stat().st_size / 1e6
            some = draw.choice(keys, LOOKS)
            _look(reader.rows, some[:10])
            known, unknown = _best(reader.rows, some), _best(reader.rows, some + 100_000_000_000)
        print(f"| {size:,} | {known:.0f} ns | {unknown:.0f} ns | {took:.2f} s | {megabytes:,.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
