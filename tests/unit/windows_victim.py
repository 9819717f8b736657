"""A screening process reduced to its windows: replays a made-up journal whose record `seq` is a function of seq.

Run as a script it works on a file until it is killed; its tests import the same functions to know what must be there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hutong.kernel.compiled import compiled
from hutong.kernel.windows import (
    WindowArrays,
    WindowFile,
    begin,
    commit,
    committed_seq,
    note_answered,
    note_attempt,
    note_ended,
    note_inbound,
    size_for,
    touch,
)

CAPACITY = 300
MEMORY = size_for(CAPACITY)
START = 1_700_000_000
BATCH = 16


@compiled
def apply(w: WindowArrays, seq: int) -> None:
    """One call attempt and the end of another; more numbers than rows, so that rows are evicted all the time."""
    now = START + seq // 7
    caller = 1 + seq * 7919 % 401
    callee = 1000 + seq * 104729 % 97
    a, b = touch(w, caller, now), touch(w, callee, now)
    note_attempt(w, a, callee, 1 + seq % 11, now, seq % 2)
    note_inbound(w, b, now)
    if seq % 3 == 0:
        note_answered(w, a, now)
        note_ended(w, b, now, seq % 2, seq % 9000, seq % 50000)


@compiled
def apply_range(w: WindowArrays, first: int, last: int) -> None:
    """Records first..last outside any batch."""
    for seq in range(first, last + 1):
        apply(w, seq)


@compiled
def apply_batches(w: WindowArrays, first: int, batches: int) -> None:
    """Records from `first` in committed batches."""
    for start in range(first, first + batches * BATCH, BATCH):
        begin(w, start)
        apply_range(w, start, start + BATCH - 1)
        commit(w, start + BATCH - 1)


def main() -> None:
    file = WindowFile(Path(sys.argv[1]), MEMORY, boot_id=bytes(16))
    file.open()
    w = file.arrays
    apply_batches(w, np.int64(committed_seq(w) + 1), 1)
    sys.stdout.write(".")
    sys.stdout.flush()
    apply_batches(w, np.int64(committed_seq(w) + 1), 1 << 40)


if __name__ == "__main__":
    main()
