"""Whether rows are in order of time, and rows without their places in the order of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hutong.calls.records.columns import ORDERS, SCHEMA
from hutong.calls.replay.batch import BY_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutOfOrder(Exception):  # noqa: N818  # no error: the run goes on another way
    """A row is earlier than the one before it."""


def is_counted(rows: pa.RecordBatch) -> bool:
    """Whether the place of every row in the order of all events is known."""
    return bool((rows.column("seq").to_numpy() != BY_TIME).all())


def uncounted(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows without their places: some rows have none, so the times decide about all."""
    nothing = pa.array(np.full(rows.num_rows, BY_TIME, dtype=np.int64))
    for name in ORDERS:
        rows = rows.set_column(rows.schema.get_field_index(name), SCHEMA.field(name), nothing)
    return rows


def ordered(batches: Iterator[pa.RecordBatch], *, counted: bool | None) -> Iterator[pa.RecordBatch]:
    """The batches as they come, for as long as each row is no earlier than the one before.

    `counted`: whether numbers decide; None to see from the first batch.
    """
    last = 0
    for rows in batches:
        if counted is None:
            counted = is_counted(rows)
        elif counted != is_counted(rows) and counted:
            raise OutOfOrder
        column = rows.column("seq" if counted else "start").to_numpy()
        if column[0] < last or (np.diff(column) < 0).any():
            raise OutOfOrder
        last = int(column[-1])
        yield rows if counted else uncounted(rows)
