"""Who calls whom in the demo: seeded sources of call attempts, honest ones and campaigns. No socket, no clock.

Every number is made up from public numbering ranges. What a source knows about its own calls (honest or fraud, and
whether the fraud is certain from the signalling alone) stays with the gateway.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERNATIONAL, INTERCONNECT, LOCAL, ENTERPRISE = "international-gw", "interconnect", "local", "enterprise-acme"
TRUNKS = {INTERNATIONAL: "international", INTERCONNECT: "inter-network", LOCAL: "local", ENTERPRISE: "enterprise"}
ENTERPRISE_RANGE = ("02161230000", "02161239999")

_MOBILE = ("134", "135", "136", "137", "138", "139", "150", "151", "158", "159", "182", "187", "188", "198",
           "130", "131", "155", "156", "185", "186", "133", "153", "177", "180", "189", "199")  # fmt: skip
_AREAS = ("010", "021", "020", "0571", "0512", "028", "025", "027", "0755", "029")
_BANKS = ("95588", "95533", "95599", "95566", "95555", "95559", "95528", "10010", "10086", "10000", "95338", "95519")
_EMERGENCY = ("110", "119", "120", "122")
# Beginnings of numbers, each with the count of digits that follow.
_ABROAD = (("14155550", 3), ("442079460", 3), ("4930123450", 2), ("8522345", 4), ("6563280", 3), ("33142345", 3))
_WANGIRI = (("24762", 3), ("23222", 6), ("67733", 3), ("24206", 7), ("535", 7))


class Attempt(Struct, frozen=True):
    """One call that the gateway will make.

    Attributes:
        source: name of the source; trunk: the trunk it comes in on.
        caller, callee: user parts as the trunk writes them.
        fraud: the gateway's own knowledge; certain: a forged or impossible caller, which must be blocked.
        ring_s, talk_s: how long the callee lets it ring and talks; hang_up: the caller gives up while it rings.
    """

    source: str
    trunk: str
    caller: str
    callee: str
    fraud: bool
    certain: bool
    ring_s: float
    talk_s: float
    hang_up: bool = False


class Source(Protocol):
    """Makes the attempts of one kind of caller."""

    def __call__(self, dice: random.Random) -> Attempt:
        """The next attempt."""


def mobile(dice: random.Random) -> str:
    """A Chinese mobile number, 11 digits."""
    return f"{dice.choice(_MOBILE)}{dice.randrange(10**8):08d}"


def landline(dice: random.Random) -> str:
    """A Chinese fixed number with its area code; subscriber numbers begin with 2 to 8."""
    area = dice.choice(_AREAS)
    return f"{area}{dice.randrange(2, 9)}{dice.randrange(10**7):07d}"


def anyone(dice: random.Random) -> str:
    """A subscriber: mostly mobile."""
    return mobile(dice) if dice.random() < 0.8 else landline(dice)  # noqa: PLR2004


def _many(count: int, make: Callable[[random.Random], str], dice: random.Random) -> list[str]:
    return [make(dice) for _ in range(count)]


class _Crowd:
    """Honest callers of one kind: a fixed set of numbers, each calling many."""

    def __init__(self, name: str, trunks: tuple[str, ...], callers: list[str], ring: float, talk: float) -> None:
        self._name, self._trunks, self._callers, self._ring, self._talk = name, trunks, callers, ring, talk

    def __call__(self, dice: random.Random) -> Attempt:
        caller = dice.choice(self._callers)
        return _honest(self._name, self._trunks[hash_of(caller) % len(self._trunks)], caller, anyone(dice), dice,
                       ring=self._ring, talk=self._talk)  # fmt: skip


def hash_of(text: str) -> int:
    """The same for the same text in every run, so that a number always comes in on its own trunk."""
    return sum((i + 1) * ord(c) for i, c in enumerate(text))


def _honest(
    name: str, trunk: str, caller: str, callee: str, dice: random.Random, *, ring: float = 0.6, talk: float = 1.5
) -> Attempt:
    return Attempt(
        source=name, trunk=trunk, caller=caller, callee=callee, fraud=False, certain=False,
        ring_s=dice.uniform(0.1, ring), talk_s=dice.uniform(0.1, talk),
    )  # fmt: skip


def _fraud(
    name: str, trunk: str, caller: str, callee: str, dice: random.Random, *, certain: bool, hang_up: bool = False
) -> Attempt:
    return Attempt(
        source=name, trunk=trunk, caller=caller, callee=callee, fraud=True, certain=certain,
        ring_s=dice.uniform(0.1, 0.5), talk_s=dice.uniform(0.05, 0.3), hang_up=hang_up,
    )  # fmt: skip


class Population:
    """Everybody in the demo.

    Args:
        seed: the same seed gives the same attempts in the same order.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311  # a simulation
        dice = random.Random(f"people {seed}")  # noqa: S311
        self.roaming = _many(400, mobile, dice)
        """Subscribers who are abroad and belong in the roaming table, national format."""
        self._sources: list[tuple[int, Source]] = [*self._honest_sources(dice), *self._campaigns(dice)]
        self._weights = list(itertools.accumulate(weight for weight, _ in self._sources))

    def attempts(self) -> Iterator[Attempt]:
        """Attempts without end."""
        sources = [source for _, source in self._sources]
        while True:
            yield self._dice.choices(sources, cum_weights=self._weights)[0](self._dice)

    def _honest_sources(self, dice: random.Random) -> list[tuple[int, Source]]:
        both = (LOCAL, INTERCONNECT)
        own = [str(n).zfill(11) for n in range(int(ENTERPRISE_RANGE[0]), int(ENTERPRISE_RANGE[1]), 37)]
        households = _Crowd("household", both, _many(20_000, anyone, dice), 0.9, 2.5)
        return [
            (360, households),
            (80, _Crowd("courier", both, _many(1_500, mobile, dice), 0.5, 0.4)),
            (60, _Crowd("ride-driver", both, _many(1_200, mobile, dice), 0.5, 0.4)),
            (40, _Crowd("hospital", (LOCAL,), _many(60, landline, dice), 0.7, 0.8)),
            (30, _Crowd("school", (LOCAL,), _many(80, landline, dice), 0.7, 0.8)),
            (50, _Crowd("bank", (INTERCONNECT,), list(_BANKS), 0.7, 1.0)),
            (20, _Crowd("city-hall", (LOCAL,), ["12345", "02112345"], 0.7, 1.0)),
            (60, _Crowd("enterprise", (ENTERPRISE,), own, 0.7, 0.6)),
            (40, self._roamer),
            (50, _foreigner),
            (12, _emergency),
        ]

    def _campaigns(self, dice: random.Random) -> list[tuple[int, Source]]:
        return [
            (45, self._spoofed_police),
            (25, _forged_service),
            (20, _malformed),
            (10, _unassigned),
            (30, _out_of_range),
            (25, _Sequence("robocall", _many(4, mobile, dice))),
            (15, _wangiri),
            (20, _SimBox(_many(16, mobile, dice))),
        ]

    def _roamer(self, dice: random.Random) -> Attempt:
        caller = f"+86{dice.choice(self.roaming)}"
        return _honest("roaming", INTERNATIONAL, caller, anyone(dice), dice)

    def _spoofed_police(self, dice: random.Random) -> Attempt:
        """“This is the police”: Chinese numbers shown on calls from abroad."""
        victim = anyone(dice)
        number = mobile(dice)
        while number in self.roaming:
            number = mobile(dice)
        shown = dice.choice((f"+86{number}", f"0086{number}", "110", "+86110", "0086021110", "+8696110"))
        return _fraud("spoofed-police", INTERNATIONAL, shown, victim, dice, certain=True)


def _foreigner(dice: random.Random) -> Attempt:
    caller = f"{dice.choice(('+', '00'))}{_complete(dice, _ABROAD)}"
    return _honest("foreigner", INTERNATIONAL, caller, anyone(dice), dice)


def _complete(dice: random.Random, starts: tuple[tuple[str, int], ...]) -> str:
    start, count = dice.choice(starts)
    return f"{start}{dice.randrange(10**count):0{count}d}"


def _emergency(dice: random.Random) -> Attempt:
    """Somebody in need; now and then with a caller that would be blocked on any other call."""
    line = dice.choice(_EMERGENCY)
    if dice.random() < 0.2:  # noqa: PLR2004
        return _honest("emergency", INTERNATIONAL, f"+86{mobile(dice)}", line, dice)
    return _honest("emergency", LOCAL, anyone(dice), line, dice)


def _forged_service(dice: random.Random) -> Attempt:
    """“Your parcel, your loan”: 400 numbers can be called but cannot call."""
    return _fraud("forged-400", INTERCONNECT, f"400{dice.randrange(10**7):07d}", anyone(dice), dice, certain=True)


def _malformed(dice: random.Random) -> Attempt:
    """Callers from abroad that no numbering plan can hold."""
    shown = dice.choice(("12", "support", "0000", "1", "service-desk", "+86"))
    return _fraud("malformed", INTERNATIONAL, shown, anyone(dice), dice, certain=True)


def _unassigned(dice: random.Random) -> Attempt:
    """Callers that look like numbers but belong to nobody; a plan may have changed, so none of them is certain."""
    shown = dice.choice((f"+999{dice.randrange(10**7):07d}", f"+0{dice.randrange(10**9):09d}", "+123456789012345678"))
    return _fraud("unassigned", INTERNATIONAL, shown, anyone(dice), dice, certain=False)


def _out_of_range(dice: random.Random) -> Attempt:
    """An enterprise's line, rented out: callers that are not the enterprise's."""
    return _fraud("out-of-range", ENTERPRISE, landline_outside(dice), anyone(dice), dice, certain=True)


def landline_outside(dice: random.Random) -> str:
    """A fixed number outside `ENTERPRISE_RANGE`."""
    low, high = ENTERPRISE_RANGE
    while low <= (number := landline(dice)) <= high:
        pass
    return number


def _wangiri(dice: random.Random) -> Attempt:
    """One ring from a dear destination, in the hope of being called back."""
    return _fraud(
        "wangiri", INTERNATIONAL, f"+{_complete(dice, _WANGIRI)}", mobile(dice), dice, certain=False, hang_up=True
    )


class _Sequence:
    """Robocalls that walk through the numbers one by one."""

    def __init__(self, name: str, callers: list[str]) -> None:
        self._name = name
        self._next = {caller: 13_900_000_000 + 1_000_000 * i for i, caller in enumerate(callers)}

    def __call__(self, dice: random.Random) -> Attempt:
        caller = dice.choice(list(self._next))
        self._next[caller] += 1
        return _fraud(self._name, INTERCONNECT, caller, str(self._next[caller]), dice, certain=False)


class _SimBox:
    """Cards in a box: each calls many over the whole country, briefly, and is never called."""

    def __init__(self, cards: list[str]) -> None:
        self._cards = cards

    def __call__(self, dice: random.Random) -> Attempt:
        return _fraud("sim-box", LOCAL, dice.choice(self._cards), anyone(dice), dice, certain=False)
