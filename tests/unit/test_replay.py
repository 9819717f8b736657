from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engines import NOON_NS, Bench
from hutong.calls.replay.batch import CallBatch, new_batch, texts_of
from hutong.calls.replay.replay import Consulted, Replay, Summary, Terms
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.scores import Scores, build_rows
from replayed import Judgement, judged, part_of, rules_of

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.engine import Policy
    from hutong.kernel.rules.ruleset import Ruleset

NOON = NOON_NS // 1_000_000
HOME, ABROAD = 3, 1
PASS, BLOCK = 0, 3
ONE, TWO, THREE = "13800138000", "13900139000", "13700137000"


class World:
    """What replays consult: an engine's tables."""

    def __init__(self, folder: Path) -> None:
        engine = Bench(folder).engine
        tables = engine.tables
        self.policy: Policy = engine.policy
        self.moment = engine.moment
        self.consulted = Consulted(tables.numbering, tables.trunks, tables.lists, tables.roaming)

    def replay(self, ruleset: Ruleset, **terms: bool | int) -> Replay:
        return Replay(ruleset, self.consulted, Terms(self.policy, capacity=1000, **terms))  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def batch(*calls: tuple[int, str, str], trunk: int = HOME, **columns: list[int]) -> CallBatch:
    """Calls of (ms after noon, caller, callee)."""
    made = new_batch(
        np.array([NOON + at for at, _, _ in calls], dtype=np.int64),
        np.full(len(calls), trunk, dtype=np.int32),
        texts_of([caller.encode() for _, caller, _ in calls]),
        texts_of([callee.encode() for _, _, callee in calls]),
    )
    return made._replace(**{n: np.array(v, dtype=getattr(made, n).dtype) for n, v in columns.items()})  # type: ignore[arg-type]


def test_an_outcome_is_seen_when_it_happened_and_not_before(world: World) -> None:
    rules = rules_of(("caller.active_calls >= 1", "warn", "warn"), ("caller.ended_1h >= 1", "warn", "warn"))
    calls = batch(
        (0, ONE, TWO), (2999, ONE, THREE), (3000, ONE, THREE), (7999, ONE, THREE), (8000, ONE, THREE),
        answered=[1, -1, -1, -1, -1], ring_ms=[3000, 0, 0, 0, 0], talk_ms=[5000, 0, 0, 0, 0],
    )  # fmt: skip
    replay = world.replay(rules)
    assert [verdict.fired for verdict in judged(replay.feed(calls))] == [(), (), (0,), (0,), (1,)]
    assert replay.finish()[:3] == (5, 2, 0)


def test_a_call_not_answered_ends_after_its_ringing(world: World) -> None:
    rules = rules_of(("caller.ended_1h >= 1 and caller.answer_share_1h < 0.1", "warn", "warn"))
    calls = batch(
        (0, ONE, TWO), (3999, ONE, TWO), (4000, ONE, TWO),
        answered=[0, -1, -1], ring_ms=[4000, 0, 0], talk_ms=[9000, 0, 0],
    )  # fmt: skip
    assert [verdict.fired for verdict in judged(world.replay(rules).feed(calls))] == [(), (), (0,)]


def test_a_call_that_the_replay_blocks_has_no_outcome(world: World) -> None:
    rules = rules_of(("callee.class == 'mobile'", "block", "block"), ("caller.ended_1h >= 1", "warn", "warn"))
    calls = batch((0, ONE, TWO), (60_000, ONE, "02161230000"), answered=[1, 1], ring_ms=[1, 1], talk_ms=[1, 1])
    out = world.replay(rules).feed(calls)
    assert judged(out) == [Judgement("block", 0, (0,)), Judgement("pass", None, ())]
    assert out.action.tolist() == [BLOCK, PASS]
    assert out.score.tolist() == pytest.approx([0.9, 0.0])


@pytest.mark.parametrize(("burst_ms", "apart_ms"), [(900_000, 1), (1, 20_000), (400, 100_000), (60_000, 1_000_000)])
def test_where_a_batch_is_cut_does_not_matter(world: World, burst_ms: int, apart_ms: int) -> None:
    rng = np.random.default_rng(7)
    numbers = [f"1380013{i:04}" for i in range(40)]
    callers, callees = rng.choice(numbers, 3000), rng.choice(numbers, 3000)
    # Call by call nothing is looked for ahead, so that is the truth; bursts make more due at once than a block takes.
    starts = np.sort(rng.integers(0, burst_ms, 3000) + np.arange(3000) // 300 * apart_ms)
    calls = batch(
        *zip(starts.tolist(), callers.tolist(), callees.tolist(), strict=True),
        answered=rng.integers(-1, 2, 3000).tolist(),
        ring_ms=rng.integers(0, 30_000, 3000).tolist(),
        talk_ms=rng.integers(0, 200_000, 3000).tolist(),
    )
    rules = rules_of(
        ("caller.active_calls >= 5 or callee.mean_talk_10m > 100", "block", "block"),
        ("trunk.ended_1m >= 100 and caller.answer_share_1m > 0.6", "warn", "warn"),
        ("caller.distinct_callees_10m >= 20", "warn", "warn"),
    )
    expected, summary = _fed(world.replay(rules), calls, list(range(3001)))
    assert len({verdict.fired for verdict in expected}) > 1
    assert summary.outcomes > 500
    for cuts in ([0, 3000], [0, 1, 33, 100, 101, 900, 2999, 3000], [0, 65, 130, 2000, 3000]):
        found, done = _fed(world.replay(rules), calls, cuts)
        assert found == expected
        assert done == summary


def _fed(replay: Replay, calls: CallBatch, cuts: list[int]) -> tuple[list[Judgement], Summary]:
    found = [verdict for a, b in pairwise(cuts) for verdict in judged(replay.feed(part_of(calls, a, b)))]
    return found, replay.finish()


def test_outcomes_beyond_the_room_for_them_are_counted_and_not_followed(world: World) -> None:
    rules = rules_of(("trunk.ended_1h >= 1", "warn", "warn"))
    calls = batch(*((i, ONE, TWO) for i in range(8)), (60_000, ONE, TWO), answered=[0] * 9, ring_ms=[1000] * 9)
    replay = world.replay(rules, most_under_way=3)
    assert judged(replay.feed(calls))[-1].fired == (0,)
    summary = replay.finish()
    assert (summary.outcomes, summary.unfollowed) == (3, 5)


def test_as_if_promoted_every_rule_acts_as_it_declares(world: World) -> None:
    rules = rules_of(("caller.class == 'mobile'", "block", "observe"), ("call.hour >= 0", "warn", "observe"))
    calls = batch((0, ONE, TWO))
    as_it_is = world.replay(rules).feed(calls)
    assert judged(as_it_is) == [Judgement("pass", None, (0, 1))]
    promoted = world.replay(rules, as_if_promoted=True).feed(calls)
    assert judged(promoted) == [Judgement("block", 0, (0, 1))]
    assert as_it_is.score.tolist() == promoted.score.tolist() == pytest.approx([0.95])


def test_a_learned_score_is_one_more_factor(world: World) -> None:
    key = key_of_digits("86" + ONE)
    rows = build_rows(Scores(np.array([key]), np.array([0.5]), np.array([0]), np.array([1])))
    consulted = world.consulted._replace(scores=rows)
    replay = Replay(rules_of(("call.hour >= 0", "warn", "warn")), consulted, Terms(world.policy, capacity=1000))
    out = replay.feed(batch((0, ONE, TWO), (1, TWO, ONE)))
    assert out.score.tolist() == pytest.approx([0.75, 0.5], abs=1e-4)


def test_a_look_up_that_nobody_can_answer_any_more_has_failed(world: World) -> None:
    rules = rules_of(
        ("caller.roaming == 'unconfirmed'", "warn", "warn"), ("caller.roaming == 'unknown'", "warn", "warn")
    )
    calls = batch((0, "+8613800138000", TWO), (1, "+8613800138000", TWO), trunk=ABROAD, roaming=[-1, 1])
    assert [v.fired for v in judged(world.replay(rules).feed(calls))] == [(0,), ()]
    asking = msgspec.structs.replace(world.policy, look_up_roaming=True)
    replay = Replay(rules, world.consulted, Terms(asking, capacity=1000))
    assert [v.fired for v in judged(replay.feed(calls))] == [(1,), ()]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_hours_and_nights_are_those_of_the_live_engine(tmp_path: Path, zone: str) -> None:
    bench = Bench(tmp_path)
    policy = msgspec.structs.replace(bench.engine.policy, time_zone=zone)
    engine = type(bench.engine)(policy, bench.engine.tables, bench.engine.ruleset, bench.engine.cells, 7)
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000
    moments = [begin + i * 1_733_000 for i in range(19_000)]
    rules = rules_of(
        *((f"call.hour == {hour}", "warn", "observe") for hour in range(24)), ("call.night", "warn", "observe")
    )
    tables = engine.tables
    replay = Replay(
        rules, Consulted(tables.numbering, tables.trunks, tables.lists, tables.roaming), Terms(policy, capacity=1000)
    )
    calls = batch(*((moment - NOON, ONE, TWO) for moment in moments))
    parts = [part_of(calls, a, min(a + 700, calls.n)) for a in range(0, calls.n, 700)]
    found = [verdict.fired for part in parts for verdict in judged(replay.feed(part))]
    live = [engine.moment(moment * 1_000_000) for moment in moments]
    assert found == [(when.hour, 24) if when.night else (when.hour,) for when in live]


def test_nothing_fed_is_nothing_done(world: World) -> None:
    replay = world.replay(rules_of(("call.night", "warn", "warn")))
    assert replay.finish() == (0, 0, 0, 0)
    assert len(replay.feed(batch()).action) == 0
