"""Calls by the city of the callee over the last minutes: pure, fed with counters and their time.

Belongs here: what each area gained within the span, and how much of all calls has a known city. Not here: where a city
lies (`console.live_map`), the other figures of the wall (`live.view`).
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = 10
"""Seconds that are counted together: cities are many, and a map of minutes does not move by the second."""


class AreaRow(Struct, frozen=True):
    """Calls to one area within the span."""

    area: str
    """Area code with its 0, such as 0755."""
    recent: int
    blocked: int
    blocked_share: float


class AreaHistory:
    """What each area gained within the last `span` seconds; counters that begin anew count from nought."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._last: dict[str, tuple[int, int]] = {}
        self._steps: deque[tuple[int, Counter[str], Counter[str]]] = deque()
        self._calls: Counter[str] = Counter()
        self._blocked: Counter[str] = Counter()

    def add(self, at: int, areas: Mapping[str, tuple[int, int]], *, first: bool, restarted: bool) -> None:
        """Take the counters (calls, blocked) of each area at second `at`.

        Args:
            at: seconds since the epoch, no smaller than before.
            areas: those with calls.
            first: what was counted before is not recent.
            restarted: the counters began anew.
        """
        before = {} if restarted else self._last
        self._last = dict(areas)
        if first:
            return
        if not self._steps or self._steps[-1][0] != at // _STEP:
            self._steps.append((at // _STEP, Counter(), Counter()))
        _, step_calls, step_blocked = self._steps[-1]
        for area, (calls, blocked) in areas.items():
            old_calls, old_blocked = before.get(area, (0, 0))
            if calls > old_calls:
                step_calls[area] += calls - old_calls
                self._calls[area] += calls - old_calls
            if blocked > old_blocked:
                step_blocked[area] += blocked - old_blocked
                self._blocked[area] += blocked - old_blocked

    def forget(self, now: int) -> None:
        """Let go of what is older than the span at second `now`."""
        while self._steps and self._steps[0][0] * _STEP <= now - self._span - _STEP:
            _, calls, blocked = self._steps.popleft()
            self._calls.subtract(calls)
            self._blocked.subtract(blocked)

    def rows(self) -> list[AreaRow]:
        """The areas with calls within the span: most blocked calls first, then most calls."""
        rows = [
            AreaRow(area, calls, self._blocked[area], self._blocked[area] / calls)
            for area, calls in self._calls.items()
            if calls > 0
        ]
        return sorted(rows, key=lambda row: (-row.blocked, -row.recent, row.area))
