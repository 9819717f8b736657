"""The whole province: people, trades and campaigns, and all of their calls in the order in which they begin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from hutong.kernel.errors import ConfigError
from hutong.simulation.campaigns import kinds
from hutong.simulation.campaigns.adaptive import Adaptive
from hutong.simulation.days import HOUR_MS, Days
from hutong.simulation.residents import Residents
from hutong.simulation.rows import NO_CALLS, Calls, joined
from hutong.simulation.scene import Scene
from hutong.simulation.trades import NAMES, Crowd, called_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.simulation.campaigns.base import CampaignRun
    from hutong.simulation.days import Hour
    from hutong.simulation.parameters import Parameters

_MONTH_DAYS = 365.25 / 12
_LEAST_PRIVATE = 0.2  # share of calls below which there is hardly a population left
_FEWEST_PERSONS, _MOST_PERSONS = 500, 60_000_000
_MOST_DAYS = 400
_KINDS: dict[str, type[CampaignRun]] = {
    "spoofed-police": kinds.SpoofedPolice,
    "sequential-robocall": kinds.SequentialRobocall,
    "wangiri": kinds.Wangiri,
    "refund": kinds.Refund,
    "sim-box": kinds.SimBox,
    "relay": kinds.Relay,
    "forged-service": kinds.ForgedService,
    "virtual-desk": kinds.VirtualDesk,
    "adaptive": Adaptive,
}


class Size(Struct, frozen=True):
    """How large a province is: calls in all, days, persons."""

    calls: int
    days: int
    persons: int


def size_of(parameters: Parameters, calls: int, days: int, persons: int) -> Size:
    """The size that is meant; 0 stands for what is not given.

    With persons and days the calls follow from the parameters; with calls, too, people call more or less than there.

    Raises:
        ConfigError: too small or too large.
    """
    daily = parameters.calling.calls_per_user_month / _MONTH_DAYS
    if not days:
        days = max(1, math.ceil(calls / persons / daily)) if calls and persons else 7
    if not persons:
        persons = max(1, round(calls / days / daily))
    calls = calls or round(persons * days * daily)
    if not _FEWEST_PERSONS <= persons <= _MOST_PERSONS:
        fix = f"Between {_FEWEST_PERSONS} and {_MOST_PERSONS}: change --calls, --days or --population."
        raise ConfigError(f"A province of {persons} persons cannot be made.", where="--population", fix=fix)
    if days > _MOST_DAYS:
        raise ConfigError(f"{days} days are too many.", where="--days", fix=f"{_MOST_DAYS} at most.")
    return Size(calls=calls, days=days, persons=persons)


class Province:
    """A province that does not exist.

    Args:
        parameters: what it is made of.
        size: how large it is.
        seed: the same seed, size and parameters give the same calls.

    Raises:
        ConfigError: there is no room for private calls beside those of trades.
    """

    def __init__(self, parameters: Parameters, size: Size, seed: int) -> None:
        self.parameters, self.size, self.seed = parameters, size, seed
        self.days = Days(parameters.calendar, size.days)
        self.scene = scene = Scene(parameters, size.persons, self.days, seed)
        self._crowds = {name: Crowd(scene, name) for name in NAMES}
        fraud = size.calls * parameters.fraud.share
        private = size.calls - fraud - sum(crowd.expected() for crowd in self._crowds.values())
        if private < size.calls * _LEAST_PRIVATE:
            fix = "Ask for more --calls or fewer people, or lower the trades' lines_per_10k."
            raise ConfigError("Trades and campaigns leave no room for people's own calls.", where="--calls", fix=fix)
        services = called_services(scene, self._crowds)
        self._residents = Residents(scene, private, services, self._crowds["emergency_line"].parties)
        self.campaigns = self._plan_campaigns(fraud)
        self._waiting = NO_CALLS
        self._keys = 1

    def _plan_campaigns(self, calls: float) -> list[CampaignRun]:
        """As many of each kind as its share of calls needs; a smaller share makes a campaign shorter, not slower."""
        shown = {name: getattr(self.parameters, name.replace("-", "_")) for name in _KINDS}
        total = sum(kind.weight for kind in shown.values())
        found: list[CampaignRun] = []
        for name, make in _KINDS.items():
            budget = round(calls * shown[name].weight / total) if total else 0
            count = max(1, round(budget / shown[name].size)) if budget else 0
            for nth in range(count):
                quota = budget * (nth + 1) // count - budget * nth // count
                found.append(make(self.scene, name, len(found) + 1, nth + 1, shown[name], quota))
        return found

    def run(self, step_ms: int = HOUR_MS) -> Iterator[Calls]:
        """All calls, a step at a time; within and between steps ordered by start.

        Args:
            step_ms: divides an hour. What is `told` between steps changes the steps that follow.
        """
        for hour in self.days.hours():
            self._admit(self._crowd_calls(hour))
            for begin in range(hour.begin_ms, hour.end_ms, step_ms):
                end = begin + step_ms
                self._admit(self._campaign_calls(hour, begin, end))
                yield self._due(end)

    def told(self, refused: Calls) -> None:
        """These calls of earlier steps were refused: nobody returns or repeats them, and campaigns hear of theirs."""
        if not len(refused):
            return
        self._waiting = self._waiting[~np.isin(self._waiting["origin"], refused["key"])]
        for number in np.unique(refused["campaign"]):
            if number:
                self.campaigns[number - 1].told(refused[refused["campaign"] == number])

    def campaign_names(self) -> list[str]:
        """Names by the number that rows carry; 0 is none."""
        return ["", *(run.name for run in self.campaigns)]

    def _crowd_calls(self, hour: Hour) -> Calls:
        chance = self.scene.dice("follow-ups", hour.number)
        made = self._keyed(self._residents.calls(hour))
        parts = [made, self._residents.follow_ups(made, chance)]
        for crowd in self._crowds.values():
            made = self._keyed(crowd.calls(hour))
            parts += [made, crowd.follow_ups(made, chance)]
        calls = joined(parts)
        self.scene.place_cells(calls, hour, chance)
        return calls

    def _campaign_calls(self, hour: Hour, begin_ms: int, end_ms: int) -> Calls:
        parts = []
        for run in self.campaigns:
            if not run.left or run.begin_ms >= end_ms:
                continue
            step = min(run.step_ms, end_ms - begin_ms)
            for begin in range(begin_ms, end_ms, step):
                made = self._keyed(run.calls(begin, begin + step))
                if len(made):
                    chance = self.scene.dice(f"returns {run.name}", begin // 1000)
                    parts += [made, run.follow_ups(made, chance)]
        calls = joined(parts)
        self.scene.place_cells(calls, hour, self.scene.dice("cells", begin_ms // 1000))
        return calls

    def _keyed(self, calls: Calls) -> Calls:
        calls["key"] = self._keys + np.arange(len(calls))
        self._keys += len(calls)
        return calls

    def _admit(self, calls: Calls) -> None:
        fresh = calls["key"] == 0
        calls["key"][fresh] = self._keys + np.arange(int(fresh.sum()))
        self._keys += int(fresh.sum())
        self._waiting = joined([self._waiting, calls])

    def _due(self, end_ms: int) -> Calls:
        """Those that begin before `end_ms`; the rest wait. What would begin after the last day never does."""
        waiting = self._waiting
        now = waiting["start"] < end_ms
        due, self._waiting = waiting[now], waiting[~now]
        due = due[np.argsort(due["start"], kind="stable")]
        directory = self.scene.directory
        for name in ("caller_id", "callee_id"):
            directory.seen[due[name][due[name] >= 0]] = True
        return due
