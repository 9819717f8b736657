"""The only module that reads a clock. Cores take `now` as an argument; shells get a `Clock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and monotonic time, both in nanoseconds."""

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""

    def monotonic(self) -> int:
        """Nanoseconds from an arbitrary start; never goes back."""


class SystemClock:
    """The machine's clock."""

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns()

    def monotonic(self) -> int:
        """Nanoseconds from an arbitrary start; never goes back."""
        return time.monotonic_ns()


class ManualClock:
    """A clock that moves when it is told to; ships because replays and tests need it."""

    def __init__(self, wall: int = 0) -> None:
        self._wall = wall
        self._monotonic = 0

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z, as last set or advanced."""
        return self._wall

    def monotonic(self) -> int:
        """Nanoseconds advanced since the start."""
        return self._monotonic

    def advance(self, nanoseconds: int) -> None:
        """Move both readings forward."""
        self._wall += nanoseconds
        self._monotonic += nanoseconds
