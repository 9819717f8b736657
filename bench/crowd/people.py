"""Who comes when, and what they do when they are refused. Pure: times are ns of any clock, draws come in."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from hutong.kernel.overload.classes import Kind

#: obedient: come back when told, with the ticket. storm: three more times, whatever is said. gone: never again.
Temper = Literal["obedient", "storm", "gone"]
Rates = Mapping[Kind, float]

S: Final = 1_000_000_000
MS: Final = 1_000_000
STORM_TRIES: Final = 3
STORM_PAUSE_NS: Final = 100 * MS
#: Whoever is told no time comes back within so many seconds, as people do.
UNTOLD_S: Final = (5.0, 15.0)
#: What the crowd asks for, by requests.
CROWD: Final = {Kind.SCAN: 0.7, Kind.ISSUE: 0.2, Kind.HISTORY: 0.1}
#: Part of the capacity that stations ask for at any time.
STATIONS: Final = 0.2


class Caller:
    """Somebody who wants one thing, from the first try to the answer.

    Attributes:
        kind: its class. number: which of the made-up phones or stations. due_ns: when this try is due.
        tries: how many came before this one. ticket, holder: what was given at the last refusal.
        crowd: goes when the crowd goes.
    """

    __slots__ = ("crowd", "due_ns", "holder", "kind", "number", "ticket", "tries")

    def __init__(self, kind: Kind, number: int, due_ns: int, *, crowd: bool) -> None:
        self.kind, self.number, self.due_ns, self.crowd = kind, number, due_ns, crowd
        self.tries = 0
        self.ticket = self.holder = b""


class Refusal(NamedTuple):
    """What a refused caller was told: Retry-After in s (None: nothing), ticket and holder's secret, or b""."""

    retry_after_s: int | None
    ticket: bytes = b""
    holder: bytes = b""


def comes_back(caller: Caller, temper: Temper, told: Refusal, now_ns: int, draw: float) -> bool:
    """Whether a refused caller tries again; if so it is told apart by its `due_ns`, and shows what it was given.

    Args:
        caller: changed. draw: from [0, 1).
    """
    if temper == "gone" or (temper == "storm" and caller.tries >= STORM_TRIES):
        return False
    caller.tries += 1
    if temper == "storm":
        caller.due_ns = now_ns + STORM_PAUSE_NS
        return True
    least, most = UNTOLD_S
    wait_s = told.retry_after_s if told.retry_after_s is not None else least + draw * (most - least)
    caller.due_ns = now_ns + int(wait_s * S)
    caller.ticket, caller.holder = told.ticket, told.holder or caller.holder
    return True


def offered(load: float, capacity: float, costs: Mapping[Kind, float]) -> dict[Kind, float]:
    """Requests a second by class for a load of so many capacities, the stations' part of it constant.

    Args:
        load: in capacities. capacity: in seconds of processor time a second. costs: seconds a request.
    """
    least = min(load, STATIONS)
    mean = sum(share * costs[kind] for kind, share in CROWD.items())
    each = (load - least) * capacity / mean
    return {Kind.CRITICAL: least * capacity / costs[Kind.CRITICAL], **{k: each * part for k, part in CROWD.items()}}


def arrivals(rates: Rates, begin_ns: int, end_ns: int, seed: int, *, crowd: bool, people: int) -> list[Caller]:
    """Independent callers of each class at these rates (Poisson), in the order of their times."""
    draw = random.Random(seed)
    found = []
    for kind, rate in rates.items():
        at = begin_ns + draw.expovariate(rate) * S if rate > 0 else end_ns
        while at < end_ns:
            found.append(Caller(kind, draw.randrange(people), int(at), crowd=crowd))
            at += draw.expovariate(rate) * S
    found.sort(key=lambda it: it.due_ns)
    return found


class Returning:
    """Keeps the load what it was said to be: who comes back as told stands for somebody who would come anew."""

    def __init__(self) -> None:
        self._back = dict.fromkeys(Kind, 0)

    def came_back(self, kind: Kind) -> None:
        """One of this class came again."""
        self._back[kind] += 1

    def stays_away(self, kind: Kind) -> bool:
        """Whether a new one of this class is not counted in, since another came back."""
        if not self._back[kind]:
            return False
        self._back[kind] -= 1
        return True
