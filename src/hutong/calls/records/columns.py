"""The one layout of call records: names, types, and what an empty field means. docs/records.md is made to agree.

`SCHEMA` is what readers make of any file: no nulls, codes of `replay.batch` where something is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from hutong.calls.replay.batch import CallBatch, Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUIRED: Final = ("call_id", "start", "trunk", "caller", "callee")
OUTCOME: Final = ("answered", "ring_ms", "talk_ms", "release")
#: Known, and not read: judging does not use them.
UNUSED: Final = ("imei", "imsi", "cell")
#: What only our own archive has.
EXACT: Final = (
    *("from", "diverter", "anonymous", "roaming", "answered_at", "ended_at", "lost", "flags"),
    *("seq", "answered_seq", "ended_seq"),
)
COLUMNS: Final = (*REQUIRED, *OUTCOME, *UNUSED, *EXACT)
READ: Final = tuple(name for name in COLUMNS if name not in UNUSED)

TEXTS: Final = ("call_id", "caller", "callee", "from", "diverter")
TIMES: Final = ("start", "answered_at", "ended_at")
DURATIONS: Final = ("ring_ms", "talk_ms")
ORDERS: Final = ("seq", "answered_seq", "ended_seq")
#: Longest text that screening keeps of a call, bytes (`record.MAX_TEXT`).
MAX_TEXT: Final = 2048

ROW: Final = "row"
_TYPES: Final = {
    **dict.fromkeys(TEXTS, pa.binary()),
    **dict.fromkeys((ROW, *TIMES, *DURATIONS, *ORDERS), pa.int64()),
    **dict.fromkeys(("trunk", "release"), pa.int32()),
    **dict.fromkeys(("answered", "roaming"), pa.int8()),
    **dict.fromkeys(("anonymous", "lost"), pa.uint8()),
    "flags": pa.uint16(),
}
SCHEMA: Final = pa.schema([(name, _TYPES[name]) for name in (ROW, *READ)])


def call_batch(rows: pa.RecordBatch) -> CallBatch:
    """Rows of `SCHEMA` as a replay takes them; numbers and texts stay where they are."""
    fields: dict[str, Any] = {
        name: text_column(rows.column(name)) if name in TEXTS else rows.column(name).to_numpy(zero_copy_only=True)
        for name in READ
    }
    return CallBatch(n=rows.num_rows, start_ms=fields.pop("start"), from_=fields.pop("from"), **fields)


def text_column(array: pa.BinaryArray) -> Texts:
    """A column of texts without nulls, not copied."""
    _, offsets, data = array.buffers()
    ends: NDArray[np.int32] = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    return Texts(np.frombuffer(data or b"", dtype=np.uint8), ends)
