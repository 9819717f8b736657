"""The level: rises when trouble is seen twice in a row, falls when it has not been seen for a while. Pure."""

from __future__ import annotations

from typing import Final

from hutong.kernel.overload.classes import Level

#: How long a level outlasts its trouble. Shorter than the second in which service must be back after a crowd.
HOLD_NS: Final = 500_000_000


class Ladder:
    """A level with hysteresis.

    Attributes:
        level: the present one.
    """

    def __init__(self) -> None:
        self.level = Level.NORMAL
        self._before = Level.NORMAL
        self._seen = [0] * len(Level)

    def see(self, trouble: Level, now_ns: int) -> Level:
        """Take in what one look found.

        Args:
            trouble: the level that the last interval called for.
            now_ns: time of the look; does not go back.

        Returns:
            The level from now on. One look alone raises nothing: short bursts are what queues are for.
        """
        for step in range(1, trouble + 1):
            self._seen[step] = now_ns
        confirmed = min(trouble, self._before)
        self._before = trouble
        self.level = max(self.level, confirmed)
        while self.level and now_ns - self._seen[self.level] >= HOLD_NS:
            self.level = Level(self.level - 1)
        return self.level
