"""Bounded keyed sliding windows: what each caller, callee and trunk did in the last minute, ten minutes, hour and day.

Takes number keys and `now`, gives feature values. The table lives in one byte buffer of fixed size (`file` maps it to
disk); nothing here knows a call, a rule or a clock. See docs/windows.md.
"""

from hutong.kernel.windows.ahead import (
    prefetch,
    prefetch_counts,
    prefetch_index,
    prefetch_link,
    prefetch_order,
    prefetch_row,
)
from hutong.kernel.windows.features import SPAN_NAMES, WINDOW_FEATURES, day_counts, read_features
from hutong.kernel.windows.file import WindowFile
from hutong.kernel.windows.gate import BatchGate
from hutong.kernel.windows.handle import handle_of, table_at
from hutong.kernel.windows.layout import (
    WindowArrays,
    capacity_for,
    capacity_of,
    committed_seq,
    evicted,
    format_buffer,
    size_for,
    tracked,
    views,
)
from hutong.kernel.windows.notes import (
    RUN_SECONDS,
    forget_active,
    is_short,
    note_answered,
    note_attempt,
    note_end,
    note_ended,
    note_inbound,
    note_lost,
    tenths,
)
from hutong.kernel.windows.order import defer_order, settle_order
from hutong.kernel.windows.records import nth
from hutong.kernel.windows.table import find, find_near, touch, touch_near
from hutong.kernel.windows.undo import begin, commit, recover, undo_room

__all__ = [
    "RUN_SECONDS",
    "SPAN_NAMES",
    "WINDOW_FEATURES",
    "BatchGate",
    "WindowArrays",
    "WindowFile",
    "begin",
    "capacity_for",
    "capacity_of",
    "commit",
    "committed_seq",
    "day_counts",
    "defer_order",
    "evicted",
    "find",
    "find_near",
    "forget_active",
    "format_buffer",
    "handle_of",
    "is_short",
    "note_answered",
    "note_attempt",
    "note_end",
    "note_ended",
    "note_inbound",
    "note_lost",
    "nth",
    "prefetch",
    "prefetch_counts",
    "prefetch_index",
    "prefetch_link",
    "prefetch_order",
    "prefetch_row",
    "read_features",
    "recover",
    "settle_order",
    "size_for",
    "table_at",
    "tenths",
    "touch",
    "touch_near",
    "tracked",
    "undo_room",
    "views",
]
