"""The kinds of campaign, but for the one that adapts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from hutong.simulation.campaigns.base import Callers, CampaignRun, chained
from hutong.simulation.directory import card, cell, device
from hutong.simulation.outcomes import NORMAL
from hutong.simulation.people import FOREIGN, foreign_numbers
from hutong.simulation.rows import (
    INTER_NETWORK,
    INTERNATIONAL,
    LOCAL,
    PLAIN,
    PLUS,
    PLUS_86,
    UNCONFIRMED,
    ZEROS,
    ZEROS_86,
    Calls,
    pick,
)
from hutong.simulation.stock import VIRTUAL

if TYPE_CHECKING:
    from hutong.simulation import parameters as shown
    from hutong.simulation.chance import Dice
    from hutong.simulation.directory import Ids

#: Where one-ring calls come from: country codes with subscriber numbers that exist there.
_DEAR = ((247, 62000, 999), (232, 22200000, 99999), (677, 33000, 999), (242, 60000000, 999999), (216, 71000000, 99999),
         (257, 22200000, 99999))  # fmt: skip
_SHOWN_SERVICES = (110, 12110, 96110, 12309, 12368, 95588, 95533, 10086, 10000, 12381)
_SHOWN_BANKS = (95588, 95533, 95599, 95555, 95580, 95528)
_EVERYONE = 1 << 20


def home_cards(run: CampaignRun, count: int, chance: Dice, cards_per_device: int) -> Callers:
    """Cards of the own network in devices that stay where they are."""
    scene = run.scene
    value = scene.stock.mobiles(scene.parameters.province.home_operator, count)
    base = _EVERYONE * 1024 + run.number * _EVERYONE + int(chance.integers(0, 1 << 18))
    at = np.arange(count, dtype=np.int64)
    return Callers(
        value=value,
        form=np.full(count, PLAIN, np.uint8),
        trunk=np.full(count, LOCAL, np.uint8),
        roaming=np.zeros(count, np.uint8),
        imei=device(base + at // cards_per_device, scene.seed + 40),
        imsi=card(0, base + at, scene.seed + 40),
        cell=np.broadcast_to(cell(np.array([run.number], np.int64) << 45, scene.seed), count),
        owned=np.ones(count, bool),
    )


def far_mobiles(run: CampaignRun, count: int, chance: Dice, pool: str = "") -> Callers:
    """Mobile numbers of other networks."""
    place = run.scene.parameters.province
    others = [name for name in place.operators if name != place.home_operator] or [VIRTUAL]
    pool = pool or others[int(chance.integers(0, len(others)))]
    return Callers.plain(run.scene.stock.mobiles_elsewhere(pool, count, chance), PLAIN, INTER_NETWORK)


class SpoofedPolice(CampaignRun):
    """Police and prosecutors from abroad: Chinese numbers that are not roaming, service numbers, foreign ones."""

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Each shows another kind of number."""
        kind = cast("shown.SpoofedPolice", self.shown)
        draw = chance.random(count)
        foreign = int((draw < kind.foreign).sum())
        service = int(((draw >= kind.foreign) & (draw < kind.foreign + kind.service)).sum())
        chinese = count - foreign - service
        abroad = Callers.plain(foreign_numbers(chance.integers(0, len(FOREIGN), foreign), chance), PLUS, INTERNATIONAL)
        forms = np.where(chance.random(service) < 0.5, PLUS_86, PLAIN)  # noqa: PLR2004
        lines = Callers.plain(
            np.array(_SHOWN_SERVICES)[chance.integers(0, len(_SHOWN_SERVICES), service)],
            forms,
            INTERNATIONAL,
            owned=False,
        )
        stock = self.scene.stock
        operator = self.scene.parameters.province.operators[-1]
        values = np.where(
            chance.random(chinese) < 0.5,  # noqa: PLR2004
            stock.mobiles_elsewhere(operator, chinese, chance),
            stock.fixed_elsewhere(chinese, chance) // 1000 * 1000 + 110,
        )
        forms = np.where(chance.random(chinese) < 0.6, PLUS_86, ZEROS_86)  # noqa: PLR2004
        people = Callers.plain(values, forms, INTERNATIONAL, owned=False)
        people = people._replace(roaming=np.full(chinese, UNCONFIRMED, np.uint8))
        mixed = chained([abroad, lines._replace(roaming=np.full(service, UNCONFIRMED, np.uint8)), people])
        order = chance.permutation(count)
        return Callers(*(column[order] for column in mixed))


class SequentialRobocall(CampaignRun):
    """Machines that dial number after number."""

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Mobile numbers of other networks."""
        return far_mobiles(self, count, chance)

    def targets(self, count: int, chance: Dice) -> tuple[Ids, np.ndarray | None]:
        """Each machine goes on from where it was, in a block of its own."""
        turn = (self._made - count + np.arange(count)) % self.shown.callers
        if not hasattr(self, "_next"):
            firsts = self.scene.directory.value[chance.integers(0, self.scene.people.count, self.shown.callers)]
            self._next = firsts // 10_000 * 10_000 + chance.integers(0, 200, self.shown.callers)
        digits = np.empty(count, np.int64)
        for machine in range(self.shown.callers):
            mine = np.flatnonzero(turn == machine)
            digits[mine] = self._next[machine] + np.arange(len(mine))
            self._next[machine] += len(mine)
        return self.scene.directory.find(digits), digits


class Wangiri(CampaignRun):
    """One ring from a dear destination; the caller hangs up."""

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Numbers of one country after the other."""
        code, first, span = _DEAR[int(chance.integers(0, len(_DEAR)))]
        values = code * 10 ** len(str(first)) + first + chance.integers(0, span, count)
        return Callers.plain(values.astype(np.int64), PLUS, INTERNATIONAL)

    def _outcomes(self, calls: Calls, chance: Dice) -> None:
        super()._outcomes(calls, chance)
        given_up = calls["answered"] == 0
        ring = self.shown.ring_s * np.exp(chance.normal(0, 0.3, len(calls))) * 1000
        calls["ring_ms"] = np.where(given_up, ring, calls["ring_ms"])
        calls["release"] = NORMAL

    def follow_ups(self, calls: Calls, chance: Dice) -> Calls:
        """Those who call back hear a machine that never ends."""
        back = super().follow_ups(calls, chance)
        back["callee_form"] = ZEROS
        back["answered"], back["release"] = 1, NORMAL
        back["talk_ms"] = np.exp(chance.normal(0, 0.8, len(back))) * 45_000
        return back


class Refund(CampaignRun):
    """Customers of one shop, after its orders leaked: few calls a number, long talks."""

    alone = True

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Mobile numbers of other networks, and some from abroad."""
        if chance.random() < 0.3:  # noqa: PLR2004
            country = chance.integers(0, len(FOREIGN), count)
            return Callers.plain(foreign_numbers(country, chance), PLUS, INTERNATIONAL)
        return far_mobiles(self, count, chance)

    def targets(self, count: int, chance: Dice) -> tuple[Ids, np.ndarray | None]:
        """The shop's customers: the younger half of a list, each called until it is through."""
        people = self.scene.people
        customers = pick(np.arange(4 * self.shown.size, dtype=np.int64) + self.number * _EVERYONE, self.scene.seed + 41,
                         people.count)  # fmt: skip
        young = customers[people.age[customers] < 2]  # noqa: PLR2004
        return young[chance.integers(0, max(len(young), 1), count)].astype(np.int32), None


class SimBox(CampaignRun):
    """Cards in boxes, low and slow, from one place."""

    alone = True

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Cards of the own network, several in each device."""
        return home_cards(self, count, chance, cast("shown.SimBox", self.shown).cards_per_device)


class Relay(CampaignRun):
    """Two telephones and an audio cable: one card after the other in a telephone like any other."""

    alone = True

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Cards of the own network, a device each."""
        return home_cards(self, count, chance, 1)


class ForgedService(CampaignRun):
    """400 and bank numbers shown by another network."""

    def recruit(self, count: int, chance: Dice) -> Callers:
        """400 numbers cannot call at all; 95 numbers are others'."""
        shared = 4_000_000_000 + chance.integers(0, 10_000_000, count)
        banks = np.array(_SHOWN_BANKS)[chance.integers(0, len(_SHOWN_BANKS), count)]
        bank = chance.random(count) < 0.35  # noqa: PLR2004
        made = Callers.plain(np.where(bank, banks, shared), PLAIN, INTER_NETWORK)
        return made._replace(owned=~bank)


class VirtualDesk(CampaignRun):
    """Customer service that is none, from numbers of virtual operators."""

    alone = True

    def recruit(self, count: int, chance: Dice) -> Callers:
        """Numbers of virtual operators."""
        return far_mobiles(self, count, chance, VIRTUAL)
