"""Reads a user part into key, class, country, operator, area, form and fault. Compiled; a trie walk, no allocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.compiled import compiled
from hutong.kernel.numbering.codes import NUMBER_FIELDS

if TYPE_CHECKING:
    import numpy as np

    from hutong.kernel.numbering.plan import PlanArrays


@compiled
def read_number(plan: PlanArrays, text: np.ndarray, start: int, end: int, abroad: int, out: np.ndarray) -> None:
    """Read `text[start:end]` (uint8) and fill the NUMBER_FIELDS slots of `out` (int64)."""
    for slot in range(NUMBER_FIELDS):
        out[slot] = 0
