"""Which numbers are known, as ranges: a device's scans take one pair of numbers, however many there are. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Ranges:
    """A set of whole numbers.

    Args:
        pairs: first and last of each range, in order, with gaps between them.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in pairs:
            self._first.append(first)
            self._last.append(last)

    def __contains__(self, number: int) -> bool:
        """Whether a number is known."""
        at = bisect_right(self._first, number) - 1
        return at >= 0 and number <= self._last[at]

    def __len__(self) -> int:
        """How many ranges."""
        return len(self._first)

    def add(self, number: int) -> bool:
        """Know a number; whether it is new."""
        at = bisect_right(self._first, number) - 1
        if at >= 0 and number <= self._last[at]:
            return False
        joins_left = at >= 0 and self._last[at] == number - 1
        joins_right = at + 1 < len(self._first) and self._first[at + 1] == number + 1
        if joins_left and joins_right:
            self._last[at] = self._last.pop(at + 1)
            self._first.pop(at + 1)
        elif joins_left:
            self._last[at] = number
        elif joins_right:
            self._first[at + 1] = number
        else:
            self._first.insert(at + 1, number)
            self._last.insert(at + 1, number)
        return True

    def pairs(self) -> list[tuple[int, int]]:
        """First and last of each range, in order."""
        return list(zip(self._first, self._last, strict=True))
