"""The people of a province: households, workplaces and classes, ages, who knows whom. Who calls when is in `residents`.

People stand in the order of their areas and households, so that neighbours have neighbouring places. Friendships need
no storage: within a circle of people the friend of place x is the one at (c - x), so that friends are each other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.simulation.chance import dice
from hutong.simulation.rows import (
    CLASS,
    INTER_NETWORK,
    INTERNATIONAL,
    LOCAL,
    PLAIN,
    PLUS,
    TRUNK_ZERO,
    fraction,
    pick,
)
from hutong.simulation.stock import VIRTUAL, Stock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.simulation.directory import Directory, Ids
    from hutong.simulation.parameters import Parameters

#: Countries of people with friends or business here: country codes with the digits that may follow.
FOREIGN = ((1, 4155550000, 9999), (44, 2079460000, 999), (852, 23450000, 9999), (65, 63280000, 9999),
           (81, 332340000, 9999), (49, 3012345000, 999), (61, 291230000, 9999), (82, 220230000, 9999),
           (60, 321230000, 9999), (886, 223450000, 9999))  # fmt: skip
_CIRCLES = (64, 1_024, 16_384)  # sizes of circles of friends; the last circle is everybody
_ELSEWHERE, _ABROAD = 0.05, 0.003  # parties of other provinces and countries, for each person
_FAMILY, _COLLEAGUE, _FAR, _FOREIGN_TIE, _FRIEND = range(5)
_STUDENT_AGE = 1
_MONTH_DAYS = 30
WEEK_D = 7
WEEK_H = WEEK_D * 24


class People:
    """Everybody, and the ties between them.

    Args:
        parameters: of the province.
        count: persons.
        seed: of everything.
        directory: gets their numbers.
        stock: gives them.
        days: of the records.
    """

    def __init__(
        self, parameters: Parameters, count: int, seed: int, directory: Directory, stock: Stock, days: int
    ) -> None:
        self._days = days
        self.parameters, self.count, self.directory, self._seed = parameters, count, directory, seed
        place = parameters.province
        chance = dice(seed, "people")
        weights = np.array(place.area_weights) / sum(place.area_weights)
        self.area_first = np.concatenate([[0], np.cumsum(weights) * count]).round().astype(np.int64)
        self.area = np.repeat(np.arange(len(weights)), np.diff(self.area_first)).astype(np.uint8)
        self.household, self.household_first = self._settle_households(chance)
        kind = chance.random(count)
        shown = parameters.people
        self.age = np.where(kind < shown.students, 1, np.where(kind < shown.students + shown.elders, 2, 0)).astype(
            np.int8
        )
        self._find_groups(chance)
        self.degree = np.maximum(3, chance.gamma(6, parameters.calling.contacts / 6, count)).astype(np.int16)
        self.activity = np.exp(chance.normal(0, parameters.calling.spread, count)).astype(np.float32)
        self._number(stock, chance)

    def _settle_households(self, chance: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The household of each person, and the first person of each (and one more, past the end)."""
        weights = np.array(self.parameters.people.household_sizes)
        sizes = chance.choice(len(weights), self.count, p=weights / weights.sum()) + 1
        ends = np.cumsum(sizes)
        households = int(np.searchsorted(ends, self.count)) + 1
        first = np.minimum(np.concatenate([[0], ends[:households]]), self.count).astype(np.int32)
        return np.repeat(np.arange(households, dtype=np.int32), np.diff(first)), first

    def _find_groups(self, chance: np.random.Generator) -> None:
        """Workplaces and classes: groups of those of one area and age who stand together in a shuffled order."""
        order = np.lexsort((chance.random(self.count), self.age, self.area)).astype(np.int32)
        self._order = order
        self._position = np.empty(self.count, np.int32)
        self._position[order] = np.arange(self.count, dtype=np.int32)
        mean = self.parameters.people.workplace_size
        sizes = chance.integers(2, 2 * mean - 1, 2 * self.count // mean + 2)
        self._group_ends = np.cumsum(sizes)

    def _number(self, stock: Stock, chance: np.random.Generator) -> None:
        """Telephone numbers: everybody has a card, some a second one, some households a fixed line."""
        shown, place = self.parameters.people, self.parameters.province
        klass = np.array([CLASS["resident"], CLASS["student"], CLASS["elder"]], np.uint8)[self.age]
        newcomer = chance.random(self.count) < shown.newcomers * self._days / _MONTH_DAYS
        klass[newcomer] = CLASS["new-user"]
        self.newcomers = np.flatnonzero(newcomer).astype(np.int32)
        self.mobiles = self._give_mobiles(stock, chance, np.arange(self.count, dtype=np.int32), klass)
        second = np.flatnonzero(chance.random(self.count) < shown.second_sim).astype(np.int32)
        self.second = np.full(self.count, -1, np.int32)
        self.second[second] = self._give_mobiles(stock, chance, second, klass[second])
        with_line = np.flatnonzero(chance.random(len(self.household_first) - 1) < shown.landlines)
        self.line_of = np.full(len(self.household_first) - 1, -1, np.int32)
        areas = self.area[self.household_first[with_line]]
        for area in range(len(place.areas)):
            households = with_line[areas == area]
            self.line_of[households] = self.directory.add(
                stock.fixed(area, len(households)), form=TRUNK_ZERO, klass=CLASS["household-line"],
                trunk=INTER_NETWORK, area=area,
            )  # fmt: skip
        self.lines = self.line_of[with_line]
        self._add_others(stock, chance)

    def _give_mobiles(self, stock: Stock, chance: np.random.Generator, owners: Ids, klass: NDArray[np.uint8]) -> Ids:
        """One number for each owner, in blocks by operator and area."""
        place = self.parameters.province
        weights = np.array([*(np.array(place.operator_weights) / sum(place.operator_weights)), 0.0])
        weights = weights * (1 - place.virtual_share)
        weights[-1] = place.virtual_share
        operator = chance.choice(len(weights), len(owners), p=weights).astype(np.uint8)
        value = np.empty(len(owners), np.int64)
        for at, pool in enumerate((*place.operators, VIRTUAL)):
            chosen = np.flatnonzero(operator == at)
            value[chosen] = stock.mobiles(pool, len(chosen))
        home = place.operators.index(place.home_operator)
        trunk = np.where(operator == home, LOCAL, INTER_NETWORK).astype(np.uint8)
        return self.directory.add(
            value, form=PLAIN, klass=klass, trunk=trunk, area=self.area[owners], operator=operator, owner=owners,
            mobile=True,
        )  # fmt: skip

    def _add_others(self, stock: Stock, chance: np.random.Generator) -> None:
        """People of other provinces and countries whom somebody here knows."""
        count = max(50, int(self.count * _ELSEWHERE))
        pools = self.parameters.province.operators
        values = np.concatenate(
            [stock.mobiles_elsewhere(pools[at % len(pools)], count // 4, chance) for at in range(3)]
        )
        fixed = stock.fixed_elsewhere(count // 6, chance)
        add = self.directory.add
        klass = CLASS["elsewhere"]
        self.elsewhere = np.concatenate(
            [add(values, form=PLAIN, klass=klass, trunk=INTER_NETWORK),
             add(fixed, form=TRUNK_ZERO, klass=klass, trunk=INTER_NETWORK)]
        )  # fmt: skip
        count = max(20, int(self.count * _ABROAD))
        country = chance.integers(0, len(FOREIGN), count)
        self.foreigners = add(
            foreign_numbers(country, chance), form=PLUS, klass=CLASS["foreigner"], trunk=INTERNATIONAL
        )

    def strangers(self, chance: np.random.Generator, count: int, landlines: float = 0.0) -> Ids:
        """Numbers of people picked at random: mobile ones, with a share of fixed lines."""
        persons = chance.integers(0, self.count, count)
        second = self.second[persons]
        found = np.where((second >= 0) & (chance.random(count) < 0.25), second, persons)  # noqa: PLR2004
        if len(self.lines):
            fixed = chance.random(count) < landlines
            found = np.where(fixed, self.lines[chance.integers(0, len(self.lines), count)], found)
        return found.astype(np.int32)

    def neighbours(self, area: NDArray[np.uint8], word: NDArray[np.int64], width: int = 0) -> Ids:
        """A person of each area, told by a word of chance; with a width, of one stretch of so many neighbours."""
        first, size = self.area_first[area], np.maximum(np.diff(self.area_first)[area], 1)
        if width:
            stretch = first + word // width % np.maximum(size // width, 1) * width
            return np.asarray(stretch + word % np.minimum(width, size), np.int32)
        return (first + word % size).astype(np.int32)

    def tie(self, persons: Ids, slot: NDArray[np.int64]) -> Ids:
        """The party in a slot of a person's contacts: family, colleague, friend, somebody elsewhere."""
        calling = self.parameters.calling
        edge = persons.astype(np.int64) * 64 + slot
        shares = np.cumsum([calling.family, calling.colleagues, calling.elsewhere, calling.abroad])
        kind = np.searchsorted(shares, fraction(edge, self._seed + 11), side="right")
        found = self._friend(persons, edge)
        family = self._relative(persons, edge)
        found = np.where((kind == _FAMILY) & (family != persons), family, found)
        colleague = self._colleague(persons, edge)
        found = np.where((kind == _COLLEAGUE) & (colleague != persons), colleague, found)
        far = self.elsewhere[pick(edge, self._seed + 12, len(self.elsewhere))]
        found = np.where(kind == _FAR, far, found)
        foreign = self.foreigners[pick(edge, self._seed + 13, len(self.foreigners))]
        return np.where(kind == _FOREIGN_TIE, foreign, found).astype(np.int32)

    def _relative(self, persons: Ids, edge: NDArray[np.int64]) -> Ids:
        home = self.household[persons]
        first, size = self.household_first[home], self.household_first[home + 1] - self.household_first[home]
        step = 1 + pick(edge, self._seed + 14, 64) % np.maximum(size - 1, 1)
        return np.asarray(first + (persons - first + step) % size, np.int32)

    def _colleague(self, persons: Ids, edge: NDArray[np.int64]) -> Ids:
        at = self._position[persons]
        group = np.searchsorted(self._group_ends, at, side="right")
        first = np.where(group > 0, self._group_ends[group - 1], 0)
        last = np.minimum(self._group_ends[group], self.count)
        size = np.maximum(last - first, 1)
        step = 1 + pick(edge, self._seed + 15, 1024) % np.maximum(np.minimum(size - 1, 8), 1)
        return np.asarray(self._order[first + (at - first + step) % size])

    def _friend(self, persons: Ids, edge: NDArray[np.int64]) -> Ids:
        slot = edge % 64
        circle = np.where(slot % 8 == 7, self.count, np.array(_CIRCLES)[slot % 3])  # noqa: PLR2004
        first = persons // circle * circle
        size = np.minimum(circle, self.count - first)
        turn = pick(first * 64 + slot, self._seed + 16, 1 << 40)
        friend = first + (turn - (persons - first)) % size
        return np.where(friend == persons, (persons + 1) % self.count, friend).astype(np.int32)

    def abroad(self, persons: Ids, week: int) -> NDArray[np.bool_]:
        """Who is abroad in a week, counted from 0."""
        word = persons.astype(np.int64) * 1024 + week
        return np.asarray(fraction(word, self._seed + 21) < self.parameters.people.abroad)

    def roamers(self) -> Ids:
        """Mobile numbers of everybody who is abroad in some week."""
        everybody = np.arange(self.count, dtype=np.int32)
        away = np.zeros(self.count, bool)
        for week in range(-(-self._days // WEEK_D)):
            away |= self.abroad(everybody, week)
        persons = everybody[away]
        second = self.second[persons]
        return np.concatenate([persons, second[second >= 0]])

    def workplace_cell(self, persons: Ids) -> NDArray[np.int64]:
        """The place where each works or learns, as a word that stands for its cell."""
        group = np.searchsorted(self._group_ends, self._position[persons], side="right")
        return np.asarray((1 << 40) + group.astype(np.int64) // 16)

    def home_cell(self, persons: Ids) -> NDArray[np.int64]:
        """The place where each lives, likewise."""
        return persons.astype(np.int64) // self.parameters.province.persons_per_cell

    def at_work(self, persons: Ids, of_day: int, *, rest: bool) -> NDArray[np.bool_]:
        """Who is away from home at an hour."""
        working = (self.age[persons] != _STUDENT_AGE + 1) & (not rest) & (9 <= of_day < 18)  # noqa: PLR2004
        return np.asarray(working, dtype=bool)


def foreign_numbers(country: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Plausible numbers of countries, by their places in FOREIGN: E.164 digits."""
    table = np.array([[code * 10 ** len(str(start)) + start, span] for code, start, span in FOREIGN], dtype=np.int64)
    return np.asarray(table[country, 0] + (chance.random(len(country)) * table[country, 1]).astype(np.int64))
