"""What people call: family, friends, colleagues, shops and services, from home, from work and from abroad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.simulation.outcomes import settle
from hutong.simulation.people import WEEK_H
from hutong.simulation.rows import (
    CLASS,
    CONFIRMED,
    INTERNATIONAL,
    NO_CALLS,
    PLUS_86,
    UNKNOWN,
    WITHHELD,
    ZEROS_86,
    Calls,
    fraction,
    joined,
)
from hutong.simulation.scene import Scene, hourly, moments

if TYPE_CHECKING:
    from hutong.simulation.chance import Dice
    from hutong.simulation.days import Hour
    from hutong.simulation.directory import Ids

_SECOND_SIM = 0.25  # share of a two-card user's calls that leave from the second card
_LANDLINE = 0.15  # share of calls of a household with a fixed line that leave from it
_OWN_SERVICES = 4  # shops, banks, hospitals that one person calls
_FIRST_CALLS, _FIRST_HOURS = 10.0, 2  # whom a newcomer tells the new number


class Residents:
    """Everybody's private calls.

    Args:
        scene: the stage.
        calls: how many to expect in all.
        services: parties that people call for a service, and how likely each is.
        emergency: emergency lines.
    """

    def __init__(self, scene: Scene, calls: float, services: tuple[Ids, np.ndarray], emergency: Ids) -> None:
        self._scene = scene
        self._services, self._service_cut = services[0], np.cumsum(services[1]) / services[1].sum()
        self._emergency = emergency
        calling, people = scene.parameters.calling, scene.people
        follow = (1 - calling.answered) * (calling.redial + calling.call_back)
        far = (1 - calling.services - calling.strangers) * (calling.elsewhere + calling.abroad)
        whole = 1 + far * calling.called_from_elsewhere
        first = len(people.newcomers) * _FIRST_CALLS
        self._daily = max(calls / (1 + follow) - first, 0.0) / whole / scene.day_volume(calling.rest_volume)
        self._groups = [np.flatnonzero(people.age == age).astype(np.int32) for age in range(3)]
        self._cuts = [np.cumsum(people.activity[group], dtype=np.float64) for group in self._groups]
        total = sum(float(cut[-1]) for cut in self._cuts if len(cut))
        self._parts = [float(cut[-1]) / total if len(cut) else 0.0 for cut in self._cuts]
        slots = np.arange(1, 65, dtype=np.float64) ** -calling.contact_bias
        self._slot_cut = np.cumsum(slots)
        self._far = far
        begins = scene.dice("newcomers").integers(0, max(scene.days.days * 24, 1), len(people.newcomers))
        self._begins = np.zeros(people.count, np.int32)
        self._begins[people.newcomers] = begins

    def calls(self, hour: Hour) -> Calls:
        """The calls that people make in an hour, with what follows from them."""
        scene, chance = self._scene, self._scene.dice("residents", hour.number)
        calling = scene.parameters.calling
        weights = (
            calling.rest_hours if hour.rest else calling.worker_hours,
            calling.student_hours if scene.parameters.calendar.term and not hour.rest else calling.rest_hours,
            calling.elder_hours,
        )
        persons = []
        for group, cut, part, hours in zip(self._groups, self._cuts, self._parts, weights, strict=True):
            count = chance.poisson(self._daily * part * hourly(hours, hour, calling.rest_volume))
            if len(group):
                persons.append(group[np.searchsorted(cut, chance.random(count) * cut[-1])])
        callers = np.concatenate(persons)
        callers = callers[self._begins[callers] <= hour.number]
        made = [
            self._made(callers, hour, chance),
            self._received(int(chance.poisson(len(callers) * self._far * calling.called_from_elsewhere)), hour, chance),
            self._announced(hour, chance),
        ]
        calls = joined(made)
        scene.place_cells(calls, hour, chance)
        return calls

    def _made(self, persons: Ids, hour: Hour, chance: Dice) -> Calls:
        scene, people = self._scene, self._scene.people
        calling = scene.parameters.calling
        callees = people.tie(persons, self._slots(persons, chance))
        draw = chance.random(len(persons))
        service = draw < calling.services
        own = persons.astype(np.int64) * _OWN_SERVICES + chance.integers(0, _OWN_SERVICES, len(persons))
        chosen = np.searchsorted(self._service_cut, fraction(own, scene.seed + 22))
        callees = np.where(service, self._services[np.minimum(chosen, len(self._services) - 1)], callees)
        urgent = draw < calling.services * calling.emergency
        callees = np.where(urgent, self._emergency[chance.integers(0, len(self._emergency), len(persons))], callees)
        strange = (draw >= calling.services) & (draw < calling.services + calling.strangers)
        callees = np.where(strange, people.strangers(chance, len(persons)), callees)
        # Who calls much is called much: either of two who know each other may be the one that calls.
        tied = ~(service | strange) & (callees < people.count) & (chance.random(len(persons)) < 0.5)  # noqa: PLR2004
        persons, callees = np.where(tied, callees, persons), np.where(tied, persons, callees)
        calls = scene.directory.between(self._telephones(persons, chance), callees, moments(chance, len(persons), hour))
        likely = np.where(service, calling.answered_service, calling.answered)
        settle(calls, chance, calling, answered=likely, talk_s=calling.talk_s, talk_shape=calling.talk_shape)
        self._roam(calls, persons, hour, chance)
        return calls

    def _slots(self, persons: Ids, chance: Dice) -> np.ndarray:
        """Which of their contacts people call: the first ones most."""
        degree = np.minimum(self._scene.people.degree[persons], 64)
        return np.asarray(np.searchsorted(self._slot_cut, chance.random(len(persons)) * self._slot_cut[degree - 1]))

    def _telephones(self, persons: Ids, chance: Dice) -> Ids:
        people = self._scene.people
        second = people.second[persons]
        draw = chance.random(len(persons))
        found = np.where((second >= 0) & (draw < _SECOND_SIM), second, persons)
        line = people.line_of[people.household[persons]]
        return np.where((line >= 0) & (draw > 1 - _LANDLINE), line, found).astype(np.int32)

    def _roam(self, calls: Calls, persons: Ids, hour: Hour, chance: Dice) -> None:
        """Some are abroad this week: their calls come in on international trunks."""
        shown = self._scene.parameters.people
        abroad = self._scene.people.abroad(persons, hour.number // WEEK_H)
        at = np.flatnonzero(abroad & self._scene.directory.mobile[calls["caller_id"]])
        calls["trunk"][at] = INTERNATIONAL
        calls["caller_form"][at] = np.where(chance.random(len(at)) < 0.7, PLUS_86, ZEROS_86)  # noqa: PLR2004
        calls["roaming"][at] = np.where(chance.random(len(at)) < shown.roaming_unknown, UNKNOWN, CONFIRMED)
        calls["imei"][at] = calls["imsi"][at] = 0

    def _received(self, count: int, hour: Hour, chance: Dice) -> Calls:
        """Calls from other provinces and countries to people who know them."""
        people, scene = self._scene.people, self._scene
        calling = scene.parameters.calling
        share = calling.abroad / max(calling.elsewhere + calling.abroad, 1e-9)
        foreign = chance.random(count) < share
        callers = np.where(
            foreign,
            people.foreigners[chance.integers(0, len(people.foreigners), count)],
            people.elsewhere[chance.integers(0, len(people.elsewhere), count)],
        )
        calls = scene.directory.between(callers, people.strangers(chance, count, 0.03), moments(chance, count, hour))
        settle(calls, chance, calling, answered=calling.answered, talk_s=calling.talk_s, talk_shape=calling.talk_shape)
        hidden = foreign & (chance.random(count) < calling.withheld)
        calls["caller_form"][hidden] = WITHHELD
        return calls

    def _announced(self, hour: Hour, chance: Dice) -> Calls:
        """Newcomers tell their contacts the new number."""
        people, scene = self._scene.people, self._scene
        since = hour.number - self._begins[people.newcomers]
        fresh = people.newcomers[(since >= 0) & (since < _FIRST_HOURS)]
        if not len(fresh):
            return NO_CALLS
        persons = np.repeat(fresh, chance.poisson(_FIRST_CALLS / _FIRST_HOURS, len(fresh)))
        slots = chance.integers(0, np.minimum(people.degree[persons], 64))
        calling = scene.parameters.calling
        calls = scene.directory.between(persons, people.tie(persons, slots), moments(chance, len(persons), hour))
        settle(calls, chance, calling, answered=calling.answered, talk_s=calling.talk_s, talk_shape=calling.talk_shape)
        return calls

    def follow_ups(self, calls: Calls, chance: Dice) -> Calls:
        """Redials and calls back among people."""
        calling = self._scene.parameters.calling
        private = calls[(calls["callee_class"] != CLASS["service"]) & (calls["caller_form"] != WITHHELD)]
        return self._scene.follow_ups(private, chance, redial=calling.redial, call_back=calling.call_back)
