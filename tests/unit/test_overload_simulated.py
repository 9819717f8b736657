"""Admission in a simulated crowd: what matters first succeeds, the processor serves as much as refusing leaves it."""

from __future__ import annotations

import heapq
import random

import pytest

from hutong.kernel.overload.classes import Kind, Level
from hutong.kernel.overload.concurrency import Concurrency
from overload_world import MS, STATIONS, S, World

RHO = 0.02


def _critical(world: World, begin_s: float, end_s: float) -> tuple[float, int]:
    """Share of critical requests that were answered, and the 99th percentile of their time."""
    asked = world.of(Kind.CRITICAL, begin_s, end_s)
    took = sorted(it.took_ns for it in asked if it.served)
    return len(took) / len(asked), took[int(len(took) * 0.99)]


@pytest.mark.parametrize(("load", "goodput"), [(1, 0.95), (2, 0.95), (5, 0.9), (10, 0.82)])
def test_an_obedient_crowd_costs_no_critical_request_and_little_of_the_processor(load: float, goodput: float) -> None:
    world = World(load, seconds=6, rho=RHO, seed=3).run()
    success, p99 = _critical(world, 0, 5.8)
    assert success >= 0.994
    assert p99 < 200 * MS
    assert world.goodput(2, 5.9) >= goodput


def test_without_admission_the_same_crowd_leaves_nothing_of_the_service() -> None:
    world = World(10, seconds=4, guarded=False).run()
    assert world.goodput(2, 3.9) < 0.05
    assert not any(it.served and it.took_ns < S for it in world.of(Kind.CRITICAL, 2))


def test_a_storm_of_retries_takes_its_own_cost_and_no_more() -> None:
    world = World(10, seconds=4, rho=RHO / 2, storm=True).run()
    success, p99 = _critical(world, 0, 3.8)
    assert success >= 0.994
    assert p99 < 200 * MS
    assert world.goodput(1, 3.9) >= 0.6


def test_when_a_crowd_leaves_all_are_served_again_within_a_second() -> None:
    world = World(10, seconds=6, crowd_s=(1, 4), after=0.6).run()
    after = [it for it in world.answers if it.came_ns >= 4.5 * S]
    assert len(after) > 300
    assert all(it.served and it.took_ns < 100 * MS for it in after)
    assert {level for at, level, _ in world.levels if 2 * S < at < 4 * S} == {Level.CROWDED}
    assert {level for at, level, _ in world.levels if at >= 5 * S} == {Level.NORMAL}


def test_a_time_that_was_promised_is_kept_and_gaps_go_to_whoever_is_there() -> None:
    world = World(3, seconds=14).run()
    scans = world.of(Kind.SCAN, 8, 13)
    kept = [it.served for it in scans if it.ticket]
    assert len(kept) > 1000
    assert sum(kept) / len(kept) >= 0.99
    assert sum(it.served for it in scans if not it.ticket) > 100
    assert world.goodput(8, 13) > 0.93


def test_the_limit_keeps_near_its_target_where_requests_wait_for_the_processor() -> None:
    """2 ms of processor and 6 ms of commit need four at work; 30 ms of target allow about 15."""
    world = World(2, seconds=5).run()
    limits = [limit for at, _, limit in world.levels if at > 2 * S]
    assert min(limits) >= 8
    assert max(limits) <= 40


def test_the_limit_grows_past_its_target_where_requests_wait_for_something_else() -> None:
    """With commits of 60 ms a target of 30 ms cannot be met: two at work, where it would end, serve a fifteenth."""
    world = World(2, seconds=12, commit_ns=60 * MS).run()
    assert world.goodput(6, 11.9) >= 0.75
    assert _critical(world, 6, 11.7)[0] >= 0.994


def test_below_capacity_nobody_is_refused() -> None:
    world = World(0.8, seconds=5).run()
    assert all(it.served for it in world.answers)
    assert STATIONS < world.goodput(1, 4.9) < 0.9


def test_slow_requests_among_many_quick_ones_are_seen_however_slow_they_get() -> None:
    """What real processes showed: wallets share the processor with scans of a fiftieth of the cost. The more at work,
    the fewer wallets begin and end between two looks: quick ones alone would say that all is well.
    """
    draw, concurrency = random.Random(1), Concurrency(30 * MS)
    work: list[tuple[int, int, Kind]] = []
    limits = []
    for now in range(0, 10 * S, MS):
        while work and work[0][0] <= now:
            end, began, kind = heapq.heappop(work)
            concurrency.ended(kind, end - began, now)
        while len(work) < concurrency.limit:
            kind, each = (Kind.ISSUE, 15 * MS) if draw.random() < 0.2 else (Kind.SCAN, 3 * MS // 10)
            heapq.heappush(work, (now + concurrency.limit * each, now, kind))
        concurrency.pressed()
        limits.append(concurrency.look(now))
    assert max(limits) <= 20, "at 9 the mean is the target's 30 ms"
    assert min(limits) >= 4
