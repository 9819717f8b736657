"""Keys of many written numbers at once. Compiled, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled
from hutong.kernel.numbering import NUMBER_FIELDS, read_number
from hutong.kernel.numbering.codes import KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.replay.batch import Texts
    from hutong.kernel.numbering import PlanArrays


def keys_of(plan: PlanArrays, texts: Texts, abroad: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The key of each number, as screening reads it.

    Args:
        plan: the numbering.
        texts: n numbers as signalled.
        abroad: uint8[n], 1 where the number came in on an international trunk.
    """
    out = np.zeros(len(abroad), dtype=np.int64)
    data = texts.data.view()
    data.flags.writeable = False
    _fill(plan, data, texts.offsets.astype(np.int64), abroad, np.zeros(NUMBER_FIELDS, dtype=np.int64), out)
    return out


@compiled
def _fill(  # the arrays of one loop
    plan: PlanArrays,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    abroad: NDArray[np.uint8],
    number: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    for i in range(out.shape[0]):
        read_number(plan, data, offsets[i], offsets[i + 1], abroad[i], number)
        out[i] = number[KEY]
