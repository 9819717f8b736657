"""Honest callers that look like fraud: couriers, drivers, hospitals, schools, banks, call centres, public lines.

Each trade has numbers of its own kind, hours, and customers. What tells it from fraud is what is not in one call:
that it is called back, has regular customers, or belongs to somebody known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.simulation.days import HOUR_MS
from hutong.simulation.outcomes import one_at_a_time, settle
from hutong.simulation.rows import (
    CLASS,
    ENTERPRISE,
    INTER_NETWORK,
    LOCAL,
    NO_CALLS,
    PLAIN,
    TRUNK_ZERO,
    Calls,
    joined,
    pick,
    scramble,
)
from hutong.simulation.scene import Scene, hourly, moments
from hutong.simulation.stock import VIRTUAL

if TYPE_CHECKING:
    from hutong.simulation.chance import Dice
    from hutong.simulation.days import Hour
    from hutong.simulation.directory import Ids
    from hutong.simulation.parameters import Trade

_BANKS = (95588, 95533, 95599, 95566, 95559, 95555, 95580, 95577, 95528, 95561, 95568, 95595)
_CENTRES = (95511, 95518, 95519, 95500, 95522, 95338, 95311, 95543, 95546, 95554, 95338001, 95013123, 95040567)
_PUBLIC = {"city_hall": (12345,), "consumer_line": (12315,), "anti_fraud_line": (96110,),
           "emergency_line": (110, 120, 119, 122), "bank": _BANKS, "call_centre": _CENTRES}  # fmt: skip
_ON_OTHER_NETWORKS = ("bank", "call_centre", "anti_fraud_line")
#: Lines that people call and that do not call themselves.
SERVICES = (10086, 10010, 10000, 12306, 12123, 12333, 12366, 95598, 114, 11185, 12329, 12328)
_SHARED_COST = (4008000000, 4006000000, 4001000000)
_FIXED = ("delivery_station", "hospital", "school")
_OWN_RANGE = ("marketing", "enterprise", "conference")
_MOBILE = ("courier", "ride_driver", "insurance_agent")
NAMES = (*_MOBILE, *_FIXED, "bank", "call_centre", *_OWN_RANGE, "city_hall", "consumer_line", "anti_fraud_line",
         "emergency_line", "small_business")  # fmt: skip

_PRIVACY = 0.5  # privacy numbers for each driver
_RIDER_CALLS = 0.35  # share of calls about a ride that the rider makes
_BRIDGE_MS = 900  # from one leg of such a call to the other
_NEAR = 0.85  # share of customers in the trade's own area
_DISTRICT = 4_000  # a school's or station's customers live in a stretch of so many neighbours
_FEWEST_REGULARS = 20


class _Line(NamedTuple):
    """The numbers of one trade with what is theirs."""

    parties: Ids
    volume: np.ndarray  # calls of each on a working day


class Crowd:
    """The calls of one trade.

    Args:
        scene: the stage.
        name: of the trade, as its section of parameters.
    """

    def __init__(self, scene: Scene, name: str) -> None:
        self._scene, self.name = scene, name
        self._trade: Trade = getattr(scene.parameters, name)
        chance = scene.dice(f"numbers of {name}")
        lines = max(1, round(self._trade.lines_per_10k * scene.people.count / 10_000))
        parties = self._give_numbers(lines, chance)
        spread = np.exp(chance.normal(0, self._trade.spread, len(parties)))
        # A small province has one number where a part of one is due: that number then calls less.
        due = self._trade.lines_per_10k * scene.people.count / 10_000
        volume = spread / spread.sum() * due * self._trade.calls_per_day
        self._lines = _Line(parties, volume)
        self._free_at = np.zeros(len(parties), np.int64)
        self._alone = name in _MOBILE or name == "small_business"
        self._privacy = np.zeros(0, np.int32)
        if name == "ride_driver":
            values = scene.stock.mobiles(VIRTUAL, max(20, int(len(parties) * _PRIVACY)))
            klass = CLASS["privacy-number"]
            self._privacy = scene.directory.add(values, form=PLAIN, klass=klass, trunk=INTER_NETWORK, mobile=True)

    @property
    def parties(self) -> Ids:
        """Its numbers."""
        return self._lines.parties

    def expected(self) -> float:
        """How many calls to expect over all days, with those that follow."""
        trade = self._trade
        made = float(self._lines.volume.sum()) * self._scene.day_volume(trade.rest_volume) * self._in_term()
        return made * (1 + (1 - trade.answered) * trade.call_back) * (2 if len(self._privacy) else 1)

    def _in_term(self) -> float:
        return float(self.name != "school" or self._scene.parameters.calendar.term)

    def _give_numbers(self, lines: int, chance: Dice) -> Ids:
        scene, name = self._scene, self.name
        klass = CLASS[name.replace("_", "-")]
        add = scene.directory.add
        if name in _PUBLIC:
            codes = np.array(_PUBLIC[name][: max(lines, 4)], dtype=np.int64)
            trunk = np.full(len(codes), INTER_NETWORK if name in _ON_OTHER_NETWORKS else LOCAL, np.uint8)
            trunk[1::2] = INTER_NETWORK if name == "emergency_line" else trunk[1::2]
            return add(codes, form=PLAIN, klass=klass, trunk=trunk)
        if name in _OWN_RANGE:
            return add(scene.stock.enterprise(lines), form=TRUNK_ZERO, klass=klass, trunk=ENTERPRISE)
        area = np.sort(scene.people.area[chance.integers(0, scene.people.count, lines)])
        if name in _MOBILE:
            return self._give_mobiles(area, klass, chance)
        if name in _FIXED:
            return self._give_fixed(area, klass, chance)
        half = chance.random(lines) < 0.7  # noqa: PLR2004
        return np.concatenate(
            [self._give_mobiles(area[half], klass, chance), self._give_fixed(area[~half], klass, chance)]
        )

    def _give_mobiles(self, area: np.ndarray, klass: int, chance: Dice) -> Ids:
        place = self._scene.parameters.province
        weights = np.array(place.operator_weights) / sum(place.operator_weights)
        operator = np.sort(chance.choice(len(weights), len(area), p=weights).astype(np.uint8))
        counts = np.bincount(operator, minlength=len(weights))
        values = [self._scene.stock.mobiles(pool, count) for pool, count in zip(place.operators, counts, strict=True)]
        home = place.operators.index(place.home_operator)
        return self._scene.directory.add(
            np.concatenate(values), form=PLAIN, klass=klass, mobile=True, operator=operator,
            trunk=np.where(operator == home, LOCAL, INTER_NETWORK).astype(np.uint8), area=chance.permutation(area),
        )  # fmt: skip

    def _give_fixed(self, area: np.ndarray, klass: int, chance: Dice) -> Ids:
        counts = np.bincount(area, minlength=len(self._scene.stock.areas))
        values = [self._scene.stock.fixed(at, count) for at, count in enumerate(counts) if count]
        trunk = np.where(chance.random(len(area)) < 0.3, LOCAL, INTER_NETWORK).astype(np.uint8)  # noqa: PLR2004
        return self._scene.directory.add(
            np.concatenate(values) if values else np.zeros(0, np.int64),
            form=TRUNK_ZERO,
            klass=klass,
            trunk=trunk,
            area=area,
        )

    def calls(self, hour: Hour) -> Calls:
        """The calls of an hour."""
        chance = self._scene.dice(self.name, hour.number)
        trade = self._trade
        share = hourly(trade.hours, hour, trade.rest_volume) * self._in_term()
        batches = chance.poisson(self._lines.volume * (share / trade.batch))
        line = np.repeat(np.arange(len(batches)), batches)
        if not len(line):
            return NO_CALLS
        start = moments(chance, len(line), hour)
        nth = np.zeros(len(line), np.int64)
        if trade.batch > 1:
            sizes = np.maximum(chance.poisson(trade.batch, len(line)), 1)
            first = np.cumsum(sizes) - sizes
            line, start = np.repeat(line, sizes), np.repeat(start, sizes)
            nth = np.arange(len(line)) - np.repeat(first, sizes)
            start = start + (chance.random(len(line)) * trade.batch_s * 1000).astype(np.int64)
        callers = self._lines.parties[line]
        calls = self._scene.directory.between(callers, self._customers(callers, nth, hour, chance), start)
        settle(
            calls, chance, self._scene.parameters.calling, answered=trade.answered, talk_s=trade.talk_s,
            talk_shape=trade.talk_shape,
        )  # fmt: skip
        if self._alone:
            one_at_a_time(calls, line, self._free_at, chance)
        calls = self._bridged(calls, chance) if len(self._privacy) else calls
        self._scene.place_cells(calls, hour, chance)
        return calls

    def _customers(self, callers: Ids, nth: np.ndarray, hour: Hour, chance: Dice) -> Ids:
        """Whom a line calls: its regular customers, or anybody, mostly near."""
        people, trade = self._scene.people, self._trade
        area = self._scene.directory.area[callers]
        word = chance.integers(0, 1 << 40, len(callers))
        regulars = max(_FEWEST_REGULARS, trade.batch * 6 // 5)
        place = callers.astype(np.int64) << 20
        # In a batch everybody is called once: the list is read from a place of the hour's own.
        read = (nth + pick(place + hour.number, self._scene.seed + 31, regulars)) % regulars
        which = np.where(nth > 0, read, word % regulars) if trade.batch > 1 else word % regulars
        stretch = pick(callers, self._scene.seed + 32, 1 << 30) * _DISTRICT
        known = stretch + (scramble(place + which, self._scene.seed + 33) % np.uint64(_DISTRICT)).astype(np.int64)
        near = people.neighbours(area, np.where(chance.random(len(callers)) < trade.regulars, known, word), _DISTRICT)
        far = chance.random(len(callers)) < (1 - _NEAR) * (1 - trade.regulars)
        return np.where(far, people.strangers(chance, len(callers), 0.04), near).astype(np.int32)

    def _bridged(self, calls: Calls, chance: Dice) -> Calls:
        """A privacy number stands between both: one call to it, one from it."""
        directory = self._scene.directory
        turned = chance.random(len(calls)) < _RIDER_CALLS
        drivers, riders = calls["caller_id"], calls["callee_id"]
        ride = (riders.astype(np.int64) << 20) + calls["start"] // HOUR_MS // 24
        between = self._privacy[pick(ride, self._scene.seed + 34, len(self._privacy))]
        first = directory.between(np.where(turned, riders, drivers), between, calls["start"])
        second = directory.between(between, np.where(turned, drivers, riders), calls["start"] + _BRIDGE_MS)
        for leg in (first, second):
            for name in ("answered", "ring_ms", "talk_ms", "release"):
                leg[name] = calls[name]
        first["ring_ms"] += np.where(first["answered"] == 1, _BRIDGE_MS, 0)
        return joined([first, second])

    def follow_ups(self, calls: Calls, chance: Dice) -> Calls:
        """Calls back from customers who missed one."""
        return self._scene.follow_ups(calls, chance, redial=0.0, call_back=self._trade.call_back)


def called_services(scene: Scene, crowds: dict[str, Crowd]) -> tuple[Ids, np.ndarray]:
    """What people call for a service, and how likely each is: lines that only answer, and the trades'."""
    chance = scene.dice("services")
    shared = np.concatenate([first + np.arange(40, dtype=np.int64) * 9_973 for first in _SHARED_COST])
    values = np.concatenate([np.array(SERVICES, np.int64), shared])
    lines = scene.directory.add(values, form=PLAIN, klass=CLASS["service"], trunk=INTER_NETWORK)
    shares = {"hospital": 0.12, "bank": 0.06, "small_business": 0.4, "school": 0.03, "city_hall": 0.03,
              "consumer_line": 0.01, "conference": 0.03, "delivery_station": 0.02}  # fmt: skip
    parts = [(lines, 0.3), *((crowds[name].parties, share) for name, share in shares.items())]
    weights = []
    for parties, share in parts:
        each = np.exp(chance.normal(0, 1, len(parties)))
        weights.append(each / each.sum() * share)
    return np.concatenate([parties for parties, _ in parts]), np.concatenate(weights)
