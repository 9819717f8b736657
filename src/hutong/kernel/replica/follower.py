"""Brings a replica up to date: asks a source, applies what is new, makes a part anew where it is too far behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel.replica.source import MOST
from hutong.kernel.replica.store import State

if TYPE_CHECKING:
    from hutong.kernel.replica.log import News
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
        applied, up = self._news(parts, self._pages(parts), now_ms)
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

    def _news(self, parts: tuple[str, ...], positions: dict[str, int], now_ms: int) -> tuple[tuple[int, int], bool]:
        """Apply what is new; gives (changes, parts begun), and whether everything is as in the source."""
        found = self._source.news(positions, self._limit)
        behind = [part for part, it in found.items() if it is None]
        for part in behind:
            self._replica.begin(part)
        fresh = {part: (positions[part], it) for part, it in found.items() if it is not None and it.changes}
        self._replica.take_news(fresh)
        states = self._replica.states()
        up = not behind and all(_is_up(states[part], found.get(part)) for part in parts)
        if up:
            self._replica.heard(now_ms)
        return (sum(len(it.changes) for _, it in fresh.values()), len(behind)), up


def _is_up(state: State, found: News | None) -> bool:
    return state.ready and not state.making and found is not None and state.number >= found.newest


def _is_made(state: State | None) -> bool:
    return state is not None and state.making is not None
