"""A batch happens wholly or not at all, even under kill -9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays


@compiled
def begin(w: WindowArrays, first_seq: int) -> None:
    """Open a batch whose first journal record will be `first_seq`."""


@compiled
def commit(w: WindowArrays, last_seq: int) -> None:
    """Close the batch: its effects stand, up to journal sequence `last_seq`."""


@compiled
def recover(w: WindowArrays) -> int:
    """Undo a batch that was left open; the number of rows put back."""
    return 0


@compiled
def undo_room(w: WindowArrays) -> int:
    """How many more touches the open batch can surely take before it must commit."""
    return 1024
