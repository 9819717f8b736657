"""How much strangers may ask: so many at once for each, filled up again over a time, which is an argument."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

_NS: Final = 1_000_000_000
#: Askers that are remembered; one that was forgotten begins anew, so a flood from everywhere meets the limit of all.
_MOST: Final = 65_536


class Quota:
    """So many of something in so long, for each asker; what was taken comes back evenly. Safe for many threads.

    Args:
        amount: the most at once.
        per_s: seconds until all of it is back.
    """

    def __init__(self, amount: int, per_s: int) -> None:
        self._amount, self._per_ns = amount, per_s * _NS
        self._kept: OrderedDict[str, tuple[float, int]] = OrderedDict()
        # Two who ask at once must not both find what one of them takes.
        self._lock = threading.Lock()

    def take(self, asker: str, now_ns: int) -> int:
        """Take one; 0 where it was there, else the whole seconds after which it will be, and nothing was taken."""
        with self._lock:
            left, at = self._kept.pop(asker, (float(self._amount), now_ns))
            left = min(self._amount, left + max(now_ns - at, 0) * self._amount / self._per_ns)
            enough = left >= 1
            self._kept[asker] = (left - 1 if enough else left, now_ns)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return 0 if enough else max(1, -int(-(1 - left) * self._per_ns // self._amount // _NS))
