"""Brings a replica up to date: asks a source, applies what is new, makes a part anew where it is too far behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel.replica.source import MOST
from hutong.kernel.replica.store import State

if TYPE_CHECKING:
    from hutong.kernel.replica.source import Source
    from hutong.kernel.replica.store import Replica

#: Pages of one round, so that parts which follow do not wait long for one that is made.
_PAGES: Final = 20


class Round(NamedTuple):
    """What came of asking once: how many changes were applied, parts begun anew, whether there is more to ask for."""

    applied: int
    begun: int
    more: bool


class Follower:
    """Follows a source.

    Args:
        source: asked. replica: open, and held `alone`. limit: events or rows of a part asked for at once.
    """

    def __init__(self, source: Source, replica: Replica, limit: int = MOST) -> None:
        self._source, self._replica, self._limit = source, replica, limit

    def round(self, now_ms: int) -> Round:
        """Ask once, for everything.

        Raises:
            HutongError: the source cannot be asked; what is over is removed nevertheless.
        """
        self._replica.forget(now_ms)
        states = self._replica.states()
        parts = self._source.parts()
        begun = [part for part in parts if not states.get(part, State()).ready and not _is_made(states.get(part))]
        for part in begun:
            self._replica.begin(part)
        applied, up = self._news(self._pages(parts), now_ms)
        return Round(applied[0], len(begun) + applied[1], not up)

    def _pages(self, parts: tuple[str, ...]) -> dict[str, int]:
        """Take pages of parts being made; gives the positions of those that follow."""
        left, states = _PAGES, self._replica.states()
        for part in parts:
            state = states[part]
            while left and not state.follows and state.making is not None:
                left -= 1
                after = state.making.after
                state = self._replica.take_page(part, after, self._source.page(part, after, self._limit))
            states[part] = state
        return {part: states[part].position for part in parts if states[part].follows}

    def _news(self, positions: dict[str, int], now_ms: int) -> tuple[tuple[int, int], bool]:
        """Apply what is new; gives (changes, parts begun), and whether everything is as in the source."""
        applied, begun, up = 0, 0, True
        for part, found in self._source.news(positions, self._limit).items():
            if found is None:
                self._replica.begin(part)
                begun, up = begun + 1, False
                continue
            number = positions[part]
            if found.changes:
                number = self._replica.take_news(part, number, found).position
                applied += len(found.changes)
            up = up and number >= found.newest
        states = self._replica.states()
        up = up and len(positions) == len(self._source.parts()) and all(not states[it].making for it in positions)
        if up:
            self._replica.heard(now_ms)
        return (applied, begun), up


def _is_made(state: State | None) -> bool:
    return state is not None and state.making is not None
