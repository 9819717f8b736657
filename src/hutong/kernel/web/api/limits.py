"""How much each token may ask: token buckets. Pure; time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_NS: Final = 1_000_000_000
#: Askers that are remembered; one that was forgotten begins with a full bucket.
_MOST: Final = 4096


class Buckets:
    """A bucket for each asker: it holds a second's worth, or `burst` if that is more, and fills at `rate` a second.

    Args:
        rate: units a second.
        burst: the most that one request may take.
    """

    def __init__(self, rate: int, burst: int = 0) -> None:
        self._rate = rate
        self._size = max(rate, burst)
        self._kept: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, asker: str, amount: int, now_ns: int) -> float:
        """Take `amount`; 0 where it was there, else the seconds after which it will be, and nothing was taken.

        An amount above the bucket's size never fits; it waits as long as a whole bucket takes.
        """
        left, at = self._kept.pop(asker, (float(self._size), now_ns))
        left = min(self._size, left + max(now_ns - at, 0) * self._rate / _NS)
        enough = amount <= left
        self._kept[asker] = (left - amount if enough else left, now_ns)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return 0.0 if enough else (min(amount, self._size) - left) / self._rate or 1.0 / self._rate
