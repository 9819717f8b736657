"""Order that nobody asks for yet: rows are stamped when they are touched, and put in order once room runs out.

Links between rows cost a touch four neighbours, which no cache holds where there are millions. All that they are for is
to tell which number makes room, and a table that only one process has, such as a replay's, may never be full. While
order is deferred, the two words of a row's links are a count of touches instead. Such a table has no batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.windows.layout import NO_SLOT

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays

_HALF = np.uint64(32)


def defer_order(w: WindowArrays) -> None:
    """Keep no order in a table that is empty, until `settle_order`: it must not become full before."""
    w.head.touches = 1


def settle_order(w: WindowArrays) -> None:
    """Link the rows in the order in which they were last touched, and keep it from now on."""
    used = int(w.head.used)
    links = w.links.base["cell"][: 2 * used]  # type: ignore[attr-defined]  # see `records.nth`
    stamps = links[::2].astype(np.uint64) | links[1::2].astype(np.uint64) << _HALF
    oldest_first = np.argsort(stamps).astype(np.uint32)
    w.head.touches = 0
    if not used:
        return
    newer, older = links[::2], links[1::2]
    newer[oldest_first[:-1]], newer[oldest_first[-1]] = oldest_first[1:], NO_SLOT
    older[oldest_first[1:]], older[oldest_first[0]] = oldest_first[:-1], NO_SLOT
    w.head.oldest, w.head.newest = int(oldest_first[0]), int(oldest_first[-1])
