"""Call records to replay, streamed to Parquet: a thousand calls a second among up to five million subscribers.

4 % of the calls come from busy callers, 5 % come in from abroad, six in ten are answered. Parties are drawn from all
subscribers alike, so that most calls touch numbers that no cache holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hutong.calls.trunks import TRUNK_KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MOST_SUBSCRIBERS = 5_000_000
CALLS_A_SUBSCRIBER = 4
RATE = 1_000  # calls a second
_START_MS = 1_772_416_800_000
_PIECE = 1_000_000
_BUSY_SHARE, _BUSY_CALLERS = 0.04, 2_000
_FIRST, _STRIDE, _RANGE = 13_000_000_000, 577, 1_000_000_000
#: Shares of TRUNK_KINDS[1:].
_TRUNKS = (0.05, 0.40, 0.53, 0.02)


def subscribers_of(calls: int) -> int:
    """How many subscribers so many calls are made among."""
    return min(calls // CALLS_A_SUBSCRIBER, MOST_SUBSCRIBERS)


def _numbers(subscribers: NDArray[np.int64]) -> pa.Array:
    return pa.array(_FIRST + subscribers * _STRIDE % _RANGE).cast(pa.string())


def write_records(path: Path, calls: int) -> None:
    """Write `calls` records in order of their starts; the same for the same number of calls."""
    rng = np.random.default_rng(calls)
    subscribers, kinds = subscribers_of(calls), pa.array(TRUNK_KINDS[1:])
    writer = None
    for first in range(0, calls, _PIECE):
        n = min(_PIECE, calls - first)
        busy = rng.random(n) < _BUSY_SHARE
        callers = np.where(busy, rng.integers(0, _BUSY_CALLERS, n), rng.integers(0, subscribers, n))
        answered = (rng.random(n) < 0.6).astype(np.int8)
        trunk = rng.choice(len(_TRUNKS), n, p=_TRUNKS).astype(np.int8)
        begins = _START_MS + first * 1000 // RATE
        table = pa.table(
            {
                "call_id": pa.array(np.arange(first, first + n)).cast(pa.string()),
                "start": np.sort(rng.integers(begins, begins + n * 1000 // RATE, n)),
                "trunk": pa.DictionaryArray.from_arrays(trunk, kinds),
                "caller": _numbers(callers),
                "callee": _numbers(rng.integers(0, subscribers, n)),
                "answered": answered,
                "ring_ms": rng.exponential(8_000, n).astype(np.int64),
                "talk_ms": np.where(answered, rng.exponential(70_000, n), 0).astype(np.int64),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema, use_dictionary=["trunk"])
        writer.write_table(table, row_group_size=_PIECE // 8)
    if writer is not None:
        writer.close()
