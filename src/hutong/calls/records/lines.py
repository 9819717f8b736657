"""Where the rows of a piece of CSV begin: compiled, because it looks at every byte. Reading fields is pyarrow's.

The reader parses each piece by itself, so a piece must end where a row does: not inside quotes. Quotes are understood
as pyarrow understands them: they open at the beginning of a field only, and a doubled one stands for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LF, _CR, _QUOTE = 10, 13, 34
_ROW_START, _FIELD_START, _IN_FIELD, _IN_QUOTES, _AFTER_QUOTE = 0, 1, 2, 3, 4


class Split(NamedTuple):
    """Rows found whole: how many, where the first one that is not whole begins, whether that one is inside quotes."""

    rows: int
    end: int
    quoted: int


@compiled
def split_rows(data: NDArray[np.uint8], size: int, separator: int, starts: NDArray[np.int64]) -> Split:
    """Find rows in data[:size], which begins where a row does; empty lines are none.

    Args:
        data: the text. size: bytes of it.
        separator: the byte between fields.
        starts: int64, gets where each row begins; as many rows are found as fit.
    """
    rows, begin, state, at = 0, 0, _ROW_START, 0
    while at < size and rows < starts.size:
        byte = data[at]
        at += 1
        if state == _IN_QUOTES:
            if byte == _QUOTE:
                state = _AFTER_QUOTE
        elif byte in (_LF, _CR):
            if state != _ROW_START:
                starts[rows] = begin
                rows += 1
            begin, state = at, _ROW_START
        elif byte == separator:
            state = _FIELD_START
        elif byte == _QUOTE and state != _IN_FIELD:
            state = _IN_QUOTES
        else:
            state = _IN_FIELD
    return Split(rows, begin, 1 if state == _IN_QUOTES else 0)
