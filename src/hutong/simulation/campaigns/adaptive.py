"""A campaign that notices when it is blocked: it takes other numbers, slows down and comes in elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from hutong.simulation.campaigns.base import Callers, CampaignRun
from hutong.simulation.campaigns.kinds import far_mobiles, home_cards
from hutong.simulation.people import FOREIGN, foreign_numbers
from hutong.simulation.rows import INTERNATIONAL, PLUS
from hutong.simulation.stock import VIRTUAL

if TYPE_CHECKING:
    from hutong.simulation import parameters as shown
    from hutong.simulation.chance import Dice
    from hutong.simulation.rows import Calls

_WAYS = 4


class Adaptive(CampaignRun):
    """Changes after refusals that it is told of.

    Where nobody tells it (records are made before they are judged), it assumes that a number is blocked after
    `assumed_calls` calls; once it is told of any refusal, it believes only what it is told.
    """

    step_ms = 60_000

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.changes = 0
        self._refused = 0
        self._first = 0
        self._assuming = True

    @property
    def _kind(self) -> shown.Adaptive:
        return cast("shown.Adaptive", self.shown)

    def turns(self, count: int) -> np.ndarray:
        """Its present numbers in turn."""
        each = self._kind.assumed_calls * self._kind.callers
        if self._assuming and self._made >= each:
            self._change()
        at = self._made + np.arange(count, dtype=np.int64)
        self._made += count
        return self._first + at % self._kind.callers

    def told(self, refused: Calls) -> None:
        """Count refusals of its present numbers; change after so many."""
        self._assuming = False
        if self.callers is None:
            return
        present = self.callers.value[self._first :]
        self._refused += int(np.isin(refused["caller"], present).sum())
        if self._refused >= self._kind.refused:
            self._change()

    def _change(self) -> None:
        self.changes += 1
        self._refused = self._made = 0
        self._first = 0 if self.callers is None else len(self.callers.value)
        self.pace = max(self.pace * self._kind.slower, min(self._kind.slowest, self.pace))

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Other networks' numbers first, then virtual operators', local cards, foreign numbers."""
        way = self.changes % _WAYS
        if way == 0:
            return far_mobiles(self, count, chance)
        if way == 1:
            return far_mobiles(self, count, chance, VIRTUAL)
        if way == _WAYS - 1:
            return Callers.plain(foreign_numbers(chance.integers(0, len(FOREIGN), count), chance), PLUS, INTERNATIONAL)
        return home_cards(self, count, chance, 2)
