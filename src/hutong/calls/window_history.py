"""The windows of one number over time, from its own records: counted again by the code that judged, read at moments.

A private table of a few rows is enough: a number's row depends on its own records only, and the number is in every one
of them, so it never makes room for another. With the salts of the node's windows even estimates come out the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.model import FLAG_FAIL_OPEN, FLAG_NIGHT
from hutong.calls.outcomes import note_outcome
from hutong.calls.record import KIND_VERDICT
from hutong.calls.weighing import note_call
from hutong.kernel import windows
from hutong.kernel.compiled import compiled
from hutong.kernel.numbering import trunk_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Columns of a number's records that its windows follow from (`VerdictIndex.columns_of_number`).
COLUMNS = ("time", "kind", "caller", "callee", "area", "flags", "phase", "answered", "ring", "talk")
(_TIME, _KIND, _CALLER, _CALLEE, _AREA, _FLAGS, _PHASE, _ANSWERED, _RING, _TALK) = range(len(COLUMNS))

_CAPACITY = 16
_VALUES = len(windows.WINDOW_FEATURES)
_TRUNK = trunk_key("any")  # the trunk's own windows are nobody's business here


@compiled
def _count(w: windows.WindowArrays, event: NDArray[np.int64], keys: NDArray[np.int64]) -> None:
    now = event[_TIME] // 1000
    if event[_KIND] != KIND_VERDICT:
        note_outcome(
            w,
            event[_CALLER],
            event[_CALLEE],
            _TRUNK,
            event[_PHASE],
            event[_ANSWERED],
            event[_RING],
            event[_TALK],
            now,
        )
    elif event[_FLAGS] & FLAG_FAIL_OPEN == 0:
        keys[0], keys[1], keys[2] = event[_CALLER], event[_CALLEE], _TRUNK
        note_call(w, keys, event[_AREA], now, 1 if event[_FLAGS] & FLAG_NIGHT else 0)


@compiled
def _draw(  # arrays, not objects
    table: NDArray[np.int64],
    key: int,
    events: NDArray[np.int64],
    moments: NDArray[np.int64],
    keys: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    w = windows.table_at(table)
    done = 0
    for at in range(moments.shape[0]):
        while done < events.shape[0] and events[done, _TIME] // 1000 <= moments[at]:
            _count(w, events[done], keys)
            done += 1
        windows.read_features(w, windows.find(w, key), moments[at], out, at * _VALUES)


def draw_windows(
    key: int, columns: Mapping[str, NDArray[np.int64]], moments_s: NDArray[np.int64], salts: tuple[int, int]
) -> NDArray[np.float64]:
    """The windows of a number at each of some moments.

    Args:
        key: the number.
        columns: COLUMNS of all its records since at least a day before the first moment, in the order of the journal.
        moments_s: seconds since 1970, ascending; a record counts from its second on.
        salts: of the node's windows (`WindowsReader.salts`).

    Returns:
        float64[moments, WINDOW_FEATURES].
    """
    events = np.stack([columns[name] for name in COLUMNS], axis=1)
    table = windows.format_buffer(bytearray(windows.size_for(_CAPACITY)), _CAPACITY, salts)
    out = np.zeros(moments_s.size * _VALUES)
    _draw(windows.handle_of(table), key, events, moments_s, np.zeros(3, np.int64), out)
    return out.reshape(-1, _VALUES)
