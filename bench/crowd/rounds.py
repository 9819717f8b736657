"""The programme: what is measured in which order, and the tables of it."""

from __future__ import annotations

import itertools
import os
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.crowd import accounts, people
from bench.crowd.accounts import Round, Spent
from bench.crowd.generator import Generator
from bench.crowd.people import MS, Caller, S
from bench.crowd.services import ASKING
from bench.load import pinned
from hutong.kernel.overload.classes import Kind

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from bench.crowd.asked import Asked
    from bench.crowd.people import Temper
    from bench.crowd.services import Service, Services

#: At a time while the cost of a class is measured: as many as share commits under load.
_ABREAST: Final = 16
#: At a time while refusals are: nearly all are refused at once, and come again at once.
_PRESSING: Final = 128
#: Ordinary load, in capacities; what is slower than this is not as before.
_ORDINARY: Final = 0.5
_SLOW_NS: Final = 500 * MS


class Plan(NamedTuple):
    """How long and how much: seconds of a crowd, of measuring, of ordinary load before and after; loads; windows."""

    round_s: float
    measure_s: float
    before_s: float
    after_s: float
    loads: tuple[float, ...]
    windows: tuple[int, ...]


FULL: Final = Plan(6.0, 3.0, 1.0, 3.0, (1.0, 2.0, 5.0, 10.0), (4, 8, 16, 32))
QUICK: Final = Plan(1.5, 0.7, 0.5, 1.0, (2.0, 10.0), (8, 16))


class Costs(NamedTuple):
    """What is known of a service before the crowd comes: seconds of processor time.

    Attributes:
        each: of a request by class. parts: the same by class and part of the service. edge, gate: of a refusal.
        capacity: served in a second, the same seconds. window: at which it was served. mean: of a request of the mix.
    """

    each: dict[Kind, float]
    parts: dict[Kind, dict[str, float]]
    edge: float
    gate: float
    capacity: float
    window: int
    mean: float


class Measured(NamedTuple):
    """A round of a crowd: whose, at what load, how callers behave; what came of it; seconds until it was as before.

    `capacity`: as in `Costs`, measured just before and just after it, for the speed of machines changes.
    """

    service: str
    load: float
    temper: Temper
    capacity: float
    round: Round
    recovery_s: float
    statuses: Counter[str]


class Rounds:
    """Measures services that run.

    Args:
        services: started. asked: what is asked of them. plan: how long.
    """

    def __init__(self, services: Services, asked: Asked, plan: Plan) -> None:
        self._services, self._asked, self._plan = services, asked, plan
        self._seeds = itertools.count(1)

    def costs(self, service: Service, unrefusing: Service) -> Costs:
        """Costs by class and of refusals; the capacity, by the same costs, of what refuses nothing."""
        found = {kind: self._closed(unrefusing.ports, [kind], _ABREAST) for kind in Kind}
        each = {kind: accounts.cost(it.spent.total, it.ended(kind, "served")) for kind, it in found.items()}
        parts = {
            kind: {name: accounts.cost(spent, it.ended(kind, "served")) for name, spent in it.spent.service.items()}
            for kind, it in found.items()
        }
        history = parts[Kind.HISTORY]
        at_edge = self._closed(service.ports, [Kind.HISTORY], _PRESSING)
        at_gate = self._closed(service.behind, [Kind.HISTORY], _PRESSING)
        mix = list(_mix(each))
        found_at = [(self._closed(unrefusing.ports, mix, window), window) for window in self._plan.windows]
        best = max(found_at, key=lambda it: it[0].useful(each))
        counts = {kind: best[0].ended(kind, "served") for kind in Kind}
        return Costs(
            each,
            parts,
            _refusal(at_edge, "nginx", history["nginx"]),
            _refusal(at_gate, "codes", history["codes"]),
            best[0].useful(each),
            best[1],
            accounts.mean_cost(counts, each),
        )

    def capacity(self, unrefusing: Service, costs: Costs) -> float:
        """Once more, as at first."""
        return self._closed(unrefusing.ports, list(_mix(costs.each)), costs.window).useful(costs.each)

    def crowd(self, service: Service, costs: Costs, load: float, temper: Temper, unrefusing: Service) -> Measured:
        """So many capacities for a while, before and after it ordinary load."""
        plan, seed, before = self._plan, next(self._seeds), self.capacity(unrefusing, costs)
        rates = people.offered(load, costs.capacity, costs.each)
        quiet = people.offered(_ORDINARY, costs.capacity, costs.each)
        first = time.monotonic_ns() + 300 * MS  # until then processor times are read, and callers made
        begin = first + int(plan.before_s * S)
        over = begin + int(plan.round_s * S)
        end = over + int(plan.after_s * S)
        steady = {Kind.CRITICAL: rates.pop(Kind.CRITICAL)}
        quiet.pop(Kind.CRITICAL)
        callers = [
            *people.arrivals(steady, first, end, seed, crowd=False, people=1 << 20),
            *people.arrivals(rates, begin, over, seed + 1000, crowd=True, people=1 << 20),
            *people.arrivals(quiet, first, begin, seed + 3000, crowd=False, people=1 << 20),
            *people.arrivals(quiet, over, end, seed + 2000, crowd=False, people=1 << 20),
        ]
        callers.sort(key=lambda it: it.due_ns)
        generator = Generator(service.ports, self._asked, temper=temper, seed=seed)
        round_ = self._watched(generator, (begin, over), lambda: generator.open_loop(callers, over, end))
        recovery = accounts.recovery_s(generator.outcomes, over, end, _SLOW_NS)
        self._services.rest()
        capacity = (before + self.capacity(unrefusing, costs)) / 2
        return Measured(service.name, load, temper, capacity, round_, recovery, generator.statuses)

    def _closed(self, ports: dict[Kind, int], mix: Sequence[Kind], window: int) -> Round:
        draw, begin = random.Random(next(self._seeds)), time.monotonic_ns()
        end = begin + int(self._plan.measure_s * S)
        kinds = itertools.cycle(mix)
        callers = (Caller(next(kinds), draw.randrange(1 << 20), 0, crowd=True) for _ in itertools.count())
        generator = Generator(ports, self._asked)
        round_ = self._watched(generator, (begin, end), lambda: generator.closed_loop(callers, window, end))
        self._services.rest()
        return round_

    def _watched(self, generator: Generator, counted: tuple[int, int], run: object) -> Round:
        assert callable(run)  # noqa: S101
        with pinned(ASKING), _first():
            before, own, began = self._services.read(), time.process_time(), time.perf_counter()
            try:
                run()
            finally:
                generator.close()
            seconds, own = time.perf_counter() - began, time.process_time() - own
            spent = self._services.read().since(before)
        others = max(spent.core - sum(spent.parts.values()), 0.0)
        return Round(generator.outcomes, Spent(seconds, spent.parts, own, others), *counted, generator.behind_ns)


@contextmanager
def _first() -> Iterator[None]:
    """Others on the generator's core wait for it, where that is allowed; else it would be late and say so."""
    before = os.nice(0)
    try:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def _mix(each: Mapping[Kind, float]) -> Iterator[Kind]:
    """Classes as they come at capacity, stations with their part of the cost, evenly mixed; a hundred of them."""
    rates = people.offered(1.0, 1.0, each)
    whole, due = sum(rates.values()), dict.fromkeys(rates, 0.0)
    for _ in range(200):
        for kind, rate in rates.items():
            due[kind] += rate / whole
        kind = max(due, key=due.__getitem__)
        due[kind] -= 1
        yield kind


def _refusal(it: Round, part: str, served: float) -> float:
    kind = Kind.HISTORY
    return accounts.refusal_cost(it.spent.service[part], it.ended(kind, "served"), served, it.ended(kind, "refused"))
