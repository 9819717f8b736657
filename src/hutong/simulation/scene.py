"""What every source of calls shares: parameters, calendar, people, numbers, and the telephones that move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.simulation.chance import Dice, dice
from hutong.simulation.days import HOURS, Days, Hour, shares
from hutong.simulation.directory import Directory, cell
from hutong.simulation.outcomes import settle
from hutong.simulation.people import People
from hutong.simulation.rows import CALL, LOCAL, NO_CALLS, NOBODY, Calls
from hutong.simulation.stock import Stock

if TYPE_CHECKING:
    from hutong.simulation.parameters import Parameters

_REDIAL_S, _RETURN_S, _DELAY_SPREAD = 50.0, 240.0, 1.1
_RETURNED_ANSWER = 0.75
_OUT_AND_ABOUT = 0.15  # share of calls that are made neither at home nor at work
_MS = 1000


class Scene:
    """The stage.

    Args:
        parameters: of the province.
        persons: how many live there.
        days: the calendar.
        seed: of everything.
    """

    def __init__(self, parameters: Parameters, persons: int, days: Days, seed: int) -> None:
        self.parameters, self.days, self.seed = parameters, days, seed
        self.stock = Stock(parameters.province)
        self.directory = Directory(seed, parameters.province.operators)
        self.people = People(parameters, persons, seed, self.directory, self.stock, days.days)

    def dice(self, name: str, number: int = 0) -> Dice:
        """The chance of one source in one hour."""
        return dice(self.seed, name, number)

    def day_volume(self, rest_volume: float) -> float:
        """The volume of all days together, in working days."""
        rest = self.days.rest_days()
        return self.days.days - rest + rest * rest_volume

    def place_cells(self, calls: Calls, hour: Hour, chance: Dice) -> None:
        """Fill in the cells of callers whom the own network carries."""
        at = np.flatnonzero((calls["trunk"] == LOCAL) & (calls["imsi"] != 0) & (calls["cell"] == 0))
        if not len(at):
            return
        parties = calls["caller_id"][at]
        owner = np.where(parties == NOBODY, 0, self.directory.owner[parties])
        lone = (parties == NOBODY) | (owner == NOBODY)
        persons = np.where(lone, 0, owner)
        people = self.people
        place = np.where(
            people.at_work(persons, hour.of_day, rest=hour.rest),
            people.workplace_cell(persons),
            people.home_cell(persons),
        )
        roam = (parties.astype(np.int64) << 16) + hour.number
        about = lone | (chance.random(len(at)) < _OUT_AND_ABOUT)
        calls["cell"][at] = cell(np.where(about, (1 << 50) + roam, place), self.seed)

    def follow_ups(self, calls: Calls, chance: Dice, *, redial: float, call_back: float) -> Calls:
        """Calls that unanswered ones give rise to: tried again by the caller, or returned by the callee."""
        missed = calls[(calls["answered"] == 0) & (calls["callee_id"] >= 0)]
        if not len(missed):
            return NO_CALLS
        draw = chance.random(len(missed))
        again = missed[draw < redial].copy()
        back = self.returned(missed[(draw >= redial) & (draw < redial + call_back)], chance)
        _delay(again, chance, _REDIAL_S)
        again["origin"], again["key"] = again["key"], 0
        both = np.concatenate([again, back])
        calling = self.parameters.calling
        settle(both, chance, calling, answered=_RETURNED_ANSWER, talk_s=calling.talk_s, talk_shape=calling.talk_shape)
        return both

    def returned(self, missed: Calls, chance: Dice) -> Calls:
        """Calls back from those who missed a call, to the number that they saw."""
        back = np.zeros(len(missed), CALL)
        directory = self.directory
        caller = missed["callee_id"]
        known = missed["caller_id"] >= 0
        back["caller_id"], back["callee_id"] = caller, missed["caller_id"]
        back["caller"], back["caller_form"] = directory.value[caller], directory.form[caller]
        back["trunk"], back["caller_class"] = directory.trunk[caller], directory.klass[caller]
        back["callee"], back["callee_class"] = missed["caller"], missed["caller_class"]
        back["callee_form"] = np.where(known, directory.form[missed["caller_id"]], missed["caller_form"])
        back["start"] = missed["start"] + missed["ring_ms"]
        back["origin"] = missed["key"]
        directory.use_own_telephones(back)
        _delay(back, chance, _RETURN_S)
        return back


def _delay(calls: Calls, chance: Dice, median_s: float) -> None:
    spread = np.exp(chance.normal(0, _DELAY_SPREAD, len(calls))) * median_s
    calls["start"] += calls["ring_ms"] + (spread * _MS).astype(np.int64)


def hourly(weights: tuple[float, ...], hour: Hour, rest_volume: float) -> float:
    """The share of a working day's volume that falls into an hour."""
    return shares(weights)[hour.of_day] * (rest_volume if hour.rest else 1.0)


def moments(chance: Dice, count: int, hour: Hour) -> np.ndarray:
    """Times within an hour, ms."""
    return hour.begin_ms + (chance.random(count) * (hour.end_ms - hour.begin_ms)).astype(np.int64)


__all__ = ["HOURS", "Scene", "hourly", "moments"]
