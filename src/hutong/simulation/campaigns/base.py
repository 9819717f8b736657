"""One campaign: a quota of calls, spent at its pace in its hours, by callers that wear out and are replaced."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.simulation.chance import dice
from hutong.simulation.days import HOUR_MS
from hutong.simulation.outcomes import fail_unallocated, one_at_a_time, settle
from hutong.simulation.rows import CALL, CLASS, NO_CALLS, NOBODY, Calls

if TYPE_CHECKING:
    from hutong.simulation import parameters as shown
    from hutong.simulation.chance import Dice
    from hutong.simulation.directory import Ids
    from hutong.simulation.scene import Scene

_TALK_SHAPE = 2.0
_VICTIM_SPREAD = 0.5
_MINUTE_MS = 60_000


class Callers(NamedTuple):
    """Numbers that a campaign shows, with where they come in and what the network sees of them.

    `owned` is false for numbers of others that are only shown.
    """

    value: np.ndarray
    form: np.ndarray
    trunk: np.ndarray
    roaming: np.ndarray
    imei: np.ndarray
    imsi: np.ndarray
    cell: np.ndarray
    owned: np.ndarray

    @staticmethod
    def plain(value: np.ndarray, form: int | np.ndarray, trunk: int, *, owned: bool = True) -> Callers:
        """Numbers without a device that the network sees."""
        count = len(value)
        nothing = np.zeros(count, np.int64)
        forms = np.broadcast_to(np.asarray(form, np.uint8), count)
        here = np.full(count, trunk, np.uint8)
        return Callers(value, forms, here, np.zeros(count, np.uint8), nothing, nothing, nothing, np.full(count, owned))


def chained(parts: list[Callers]) -> Callers:
    """One after the other."""
    return Callers(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class CampaignRun(ABC):
    """One campaign of a kind.

    A kind is a subclass: `recruit` gives its callers, `targets` whom it calls.

    Args:
        scene: the stage.
        kind: its name, one of CLASSES.
        number: of the campaign in the whole province, from 1; rows carry it.
        nth: of its kind, from 1.
        shown: its parameters.
        quota: how many calls it makes.
    """

    alone = False  # one telephone each: calls of a number never overlap
    step_ms = HOUR_MS  # the longest span that one call of `calls` may cover

    def __init__(self, scene: Scene, kind: str, number: int, nth: int, shown: shown.Campaign, quota: int) -> None:
        self.scene, self.kind, self.number, self.shown = scene, kind, number, shown
        self.name = f"{kind}-{nth}"
        self.left = quota
        self.pace = shown.per_minute
        chance = dice(scene.seed, self.name)
        self.begin_ms = self._beginning(chance, quota)
        self._step = 0
        self._made = 0
        self.callers: Callers | None = None
        self._free_at = np.zeros(0, np.int64)
        self.used = np.zeros(0, bool)  # which of the callers have called

    def _beginning(self, chance: Dice, quota: int) -> int:
        """Anywhere in the period, early enough to spend the quota where that is possible."""
        days = self.scene.days
        active = max(sum(self.shown.hours), 0.1) / 24
        needs_ms = quota / self.shown.per_minute / active * _MINUTE_MS
        room = max(days.end_ms - days.begin_ms - needs_ms, 0)
        return days.begin_ms + int(chance.random() * room)

    @abstractmethod
    def recruit(self, count: int, chance: Dice) -> Callers:
        """New callers."""

    def targets(self, count: int, chance: Dice) -> tuple[Ids, np.ndarray | None]:
        """Whom it calls next: parties; and where one is NOBODY, the digits that are dialled."""
        return self.scene.people.strangers(chance, count, self.scene.parameters.fraud.landlines), None

    def told(self, refused: Calls) -> None:  # noqa: B027  # nothing to do is the rule, not an omission
        """These calls of it were refused. Most campaigns do not care."""

    def calls(self, begin_ms: int, end_ms: int) -> Calls:
        """Its calls between two times, with outcomes."""
        begin_ms = max(begin_ms, self.begin_ms)
        self._step += 1
        if begin_ms >= end_ms or not self.left:
            return NO_CALLS
        chance = dice(self.scene.seed, self.name, self._step)
        busy = self.shown.hours[self.scene.days.hour_of_day(begin_ms)]
        wanted = chance.poisson(self.pace * busy * (end_ms - begin_ms) / _MINUTE_MS)
        count = min(int(wanted), self.left)
        if not count:
            return NO_CALLS
        self.left -= count
        start = np.sort(begin_ms + (chance.random(count) * (end_ms - begin_ms)).astype(np.int64))
        return self._placed(start, chance)

    def _placed(self, start: np.ndarray, chance: Dice) -> Calls:
        count = len(start)
        calls = np.zeros(count, CALL)
        calls["start"] = start
        calls["campaign"] = self.number
        calls["caller_class"] = CLASS[self.kind]
        calls["caller_id"] = NOBODY
        turn = self.turns(count)
        callers = self._callers_up_to(int(turn.max()) + 1, chance)
        self.used = np.concatenate([self.used, np.zeros(len(callers.value) - len(self.used), bool)])
        self.used[turn] = True
        for name in ("form", "trunk"):
            calls["caller_form" if name == "form" else name] = getattr(callers, name)[turn]
        calls["caller"] = callers.value[turn]
        for name in ("roaming", "imei", "imsi", "cell"):
            calls[name] = getattr(callers, name)[turn]
        targets, digits = self.targets(count, chance)
        calls["callee_id"] = targets
        self.scene.directory.dial(calls)
        self._outcomes(calls, chance)
        if digits is not None:
            lost = calls["callee_id"] == NOBODY
            calls["callee"][lost], calls["callee_form"][lost], calls["callee_class"][lost] = digits[lost], 0, 0
            dead = calls[lost]
            fail_unallocated(dead)
            calls[lost] = dead
        if self.alone:
            self._free_at = np.concatenate([self._free_at, np.zeros(len(callers.value) - len(self._free_at), np.int64)])
            one_at_a_time(calls, turn, self._free_at, chance, 20.0)
        return calls

    def turns(self, count: int) -> np.ndarray:
        """Which caller makes each of the next calls: all in turn, and new ones when these are worn out."""
        at = self._made + np.arange(count, dtype=np.int64)
        self._made += count
        shift = self.shown.callers
        return at // (shift * self.shown.calls_per_caller) * shift + at % shift

    def _callers_up_to(self, count: int, chance: Dice) -> Callers:
        have = 0 if self.callers is None else len(self.callers.value)
        if self.callers is None or have < count:
            fresh = self.recruit(max(count - have, self.shown.callers), chance)
            self.callers = fresh if self.callers is None else chained([self.callers, fresh])
        return self.callers

    def _outcomes(self, calls: Calls, chance: Dice) -> None:
        kind = self.shown
        victim = chance.random(len(calls)) < kind.victims
        long = kind.victim_talk_s * np.exp(chance.normal(0, _VICTIM_SPREAD, len(calls)))
        talk = np.where(victim, long, kind.talk_s)
        settle(
            calls, chance, self.scene.parameters.calling, answered=kind.answered, talk_s=talk, talk_shape=_TALK_SHAPE,
            ring_s=kind.ring_s,
        )  # fmt: skip

    def follow_ups(self, calls: Calls, chance: Dice) -> Calls:
        """Calls back from those who missed one."""
        return self.scene.follow_ups(calls, chance, redial=0.0, call_back=self.shown.call_back)
