"""Opening and closing a batch from Python, for the loop that does it thousands of times a second.

The same stores in the same order as `undo.begin` and `undo.commit` (tests hold it to them): crossing into compiled code
costs many times as much as the stores do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hutong.kernel.windows.layout import HEAD

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays

_WORD = 8


def _at(name: str) -> int:
    """Which 64-bit word of the head a field begins at."""
    assert HEAD.fields is not None  # noqa: S101  # a record type has fields
    return int(HEAD.fields[name][1]) // _WORD


_USED, _SAVED = _at("used"), _at("saved")
_ROWS, _LINKS, _FIRST = _at("undo_rows"), _at("undo_links"), _at("first_seq")
_BATCH, _COMMITTED = _at("batch"), _at("committed")
#: `begin` saves these fields, which stand in a row from "used" on.
_SCALARS = 5


class BatchGate:
    """The batch of one table."""

    def __init__(self, w: WindowArrays) -> None:
        head: Any = w.head
        self._words = head.base.view(np.ndarray).view(np.int64)

    def begin(self, first_seq: int) -> None:
        """See `undo.begin`.

        Raises:
            RuntimeError: a batch is open already.
        """
        words = self._words
        if words[_BATCH]:
            raise RuntimeError("a window batch is open already: commit or recover it first")
        words[_SAVED : _SAVED + _SCALARS] = words[_USED : _USED + _SCALARS]
        words[_ROWS] = 0
        words[_LINKS] = 0
        words[_FIRST] = first_seq
        words[_BATCH] = 1

    def commit(self, last_seq: int) -> None:
        """See `undo.commit`.

        Raises:
            RuntimeError: no batch is open.
        """
        words = self._words
        if not words[_BATCH]:
            raise RuntimeError("no window batch is open")
        words[_COMMITTED] = last_seq
        words[_BATCH] = 0
