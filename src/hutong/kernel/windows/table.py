"""Numbers to rows: index, least recently active order, eviction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays


@compiled
def find(w: WindowArrays, key: int) -> int:
    """The row of `key`, or -1."""
    return -1


@compiled
def touch(w: WindowArrays, key: int, now: int) -> int:
    """The row of `key`, made if need be (the least recently active number makes room), now the most recent one."""
    return 0
