"""What a tracked number costs: bytes, and nanoseconds per call, with 5 million numbers in a file.

Cold means that each call's two numbers are drawn from all 5 million, warm that they are among 1,000: a real node is
in between. Times are the least of several rounds of the process's own time, so that neighbours count little.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.tables import table
from hutong.kernel.compiled import compiled
from hutong.kernel.windows import (
    WINDOW_FEATURES,
    WindowArrays,
    WindowFile,
    begin,
    commit,
    note_attempt,
    note_inbound,
    prefetch_index,
    prefetch_row,
    read_features,
    size_for,
    touch,
    tracked,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = 5_000_000
CALLS = 40_000
ROUNDS = 5
BATCH = 32
START = 1_700_000_000
TRUNK = 1
_LENGTH = len(WINDOW_FEATURES)
TOUCH, NOTE, READ = 1, 2, 3  # how much of a call's work is done


class Numbers(NamedTuple):
    """Keys of each call's caller and callee, int64[calls]."""

    callers: NDArray[np.int64]
    callees: NDArray[np.int64]


@compiled
def _work(w: WindowArrays, numbers: Numbers, now: int, out: NDArray[np.float64], much: int, ahead: int) -> None:
    for start in range(0, len(numbers.callers), BATCH):
        end = min(start + BATCH, len(numbers.callers))
        if ahead != 0:
            for i in range(start, end):
                prefetch_index(w, numbers.callers[i])
                prefetch_index(w, numbers.callees[i])
            for i in range(start, end):
                prefetch_row(w, numbers.callers[i])
                prefetch_row(w, numbers.callees[i])
        begin(w, start)
        for i in range(start, end):
            callee_key = numbers.callees[i]
            caller, callee, trunk = touch(w, numbers.callers[i], now), touch(w, callee_key, now), touch(w, TRUNK, now)
            if much >= NOTE:
                note_attempt(w, caller, callee_key, 1 + i % 300, now, 0)
                note_inbound(w, callee, now)
                note_attempt(w, trunk, callee_key, 1 + i % 300, now, 0)
            if much >= READ:
                read_features(w, caller, now, out, 0)
                read_features(w, callee, now, out, _LENGTH)
                read_features(w, trunk, now, out, 2 * _LENGTH)
        commit(w, end)


def _keys(count: int) -> NDArray[np.int64]:
    return np.int64((1 << 55) + (13 << 50) + 8_613_000_000_000) + np.arange(count) * 7


def _nanoseconds(w: WindowArrays, population: int, much: int, ahead: int) -> float:
    rng = np.random.default_rng(population)
    out = np.zeros(3 * _LENGTH)
    keys = _keys(population)
    least = float("inf")
    for turn in range(ROUNDS):
        numbers = Numbers(rng.choice(keys, CALLS), rng.choice(keys, CALLS))
        now = START + 100 + 7 * turn
        began = time.process_time_ns()
        _work(w, numbers, now, out, much, ahead)
        least = min(least, (time.process_time_ns() - began) / CALLS)
    return least


def run(numbers: int = NUMBERS) -> list[list[str]]:
    """Rows of (what, figure) for a table of `numbers` numbers in a temporary file, which it fills first."""
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        path = Path(name) / "windows.bin"
        memory = size_for(numbers)
        began = time.perf_counter()
        file = WindowFile(path, memory)
        file.open()
        created = time.perf_counter() - began
        w = file.arrays
        keys = _keys(numbers - 1)
        _work(w, Numbers(keys[:10], keys[:10]), START, np.zeros(3 * _LENGTH), READ, 1)  # compiles
        _work(w, Numbers(keys, keys), START, np.zeros(3 * _LENGTH), NOTE, 1)
        rows = [
            ["numbers tracked 号码数", f"{tracked(w):,}"],
            ["bytes a number, all included 每号码字节数", f"{memory / tracked(w):.1f}"],
            ["create the file 建立文件", f"{1000 * created:.1f} ms"],
        ]
        for label, population in (("warm 热", 1_000), ("cold 冷", numbers - 1)):
            for what, much, ahead in (
                ("3 touches 三次定位", TOUCH, 0),
                ("+ 3 notes 加三次计数", NOTE, 0),
                ("+ 3 × 49 values read 加读取三组值", READ, 0),
                ("the same, prefetched by batch 同上, 按批预取", READ, 1),
            ):
                rows.append([f"{label}: {what}", f"{_nanoseconds(w, population, much, ahead):.0f} ns a call"])
        del w
        file.close()
        file.open()  # loads what opening needs
        file.close()
        began = time.perf_counter()
        file.open()
        rows.append(["open it again 再次打开", f"{1000 * (time.perf_counter() - began):.1f} ms"])
        file.close()
    return rows


def memory_table() -> str:
    """The table of docs/benchmarks.md."""
    return table(["5 million numbers 五百万号码", "measured 实测"], run())


if __name__ == "__main__":
    print(memory_table())
