"""A live run replayed from its own records gives the same verdicts: action, deciding rule, rules that fired."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from engines import ABROAD, COMPANY, HOME, NEIGHBOUR, shipped_rules
from hutong.calls.identity import Parties
from hutong.calls.model import FLAG_MIRRORED
from hutong.calls.outcomes import PHASE_ANSWERED, PHASE_ENDED, PHASE_LOST
from hutong.calls.replay.batch import BY_TIME, DERIVE
from hutong.kernel.marks import no_marks
from hutong.kernel.marks.table import Known, put, rows_for
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.scores import Scores, build_rows
from hutong.kernel.windows import evicted
from replayed import CAPACITY, Live, judged, part_of, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.rules.ruleset import Ruleset

#: 21:58 in Shanghai: two minutes before the night.
EVENING_NS = 1_772_459_880 * 1_000_000_000
MS = 1_000_000


def promoted_rules() -> Ruleset:
    """The shipped rules, each at its own action."""
    ruleset = shipped_rules()
    return ruleset.with_stages({(rule.id, rule.version): rule.action for rule in ruleset.rules})


def touchy_rules() -> Ruleset:
    """Rules that a few calls fire, over every kind of value."""
    return rules_of(
        ("caller.distinct_callees_1m >= 3", "block", "block"),
        ("caller.attempts_10m >= 2 and caller.attempts_10m > 1.5 * caller.distinct_callees_10m", "warn", "warn"),
        ("callee.inbound_1h >= 3 and caller.idle < 30", "block", "warn"),
        ("trunk.attempts_1m >= 4 or trunk.ended_1h >= 2 and trunk.answer_share_1h < 0.6", "warn", "observe"),
        ("caller.ended_24h >= 1 and caller.mean_ring_24h > 2", "warn", "warn"),
        ("caller.active_calls >= 1 and not call.night", "block", "warn"),
        ("callee.active_calls >= 1 or callee.short_share_1h > 0.4", "warn", "observe"),
        ("caller.run_sequential >= 2 or caller.run_same >= 3", "warn", "warn"),
        ("call.night and call.hour >= 22 and caller.night_share_24h > 0.1", "warn", "observe"),
        ("caller.roaming == 'unconfirmed' or caller.roaming == 'unknown'", "block", "block"),
        ("call.identity_conflict or call.diverted and not caller.diverter_in_own_ranges", "warn", "warn"),
        ("call.anonymous and callee.age < 60", "warn", "observe"),
        ("call.emergency or caller.listed_block or callee.listed_allow", "block", "block"),
        ("trunk.name == 'abroad' and caller.out_share_1h > 0.5", "warn", "observe"),
        ("caller.risk >= 0.5", "block", "block"),
        ("caller.risk_known and caller.risk < 0.5", "warn", "warn"),
        ("caller.limited and caller.attempts_1h > caller.call_limit", "block", "block"),
        ("caller.reported and caller.reporters_24h < caller.reporters_30d or caller.wrong_blocks >= 1", "warn", "warn"),
    )


RULES: dict[str, Callable[[], Ruleset]] = {
    "shipped": shipped_rules,
    "promoted": promoted_rules,
    "touchy": touchy_rules,
}

CALLERS = (
    *(b"13800138000", b"13800138001", b"17012345678", b"+8613800138000", b"02161230005", b"4008001234"),
    *(b"+14155550100", b"anonymous", b"95588", b"", b"+86138", b"110", b"008613900139000"),
)
CALLEES = (
    *(b"13900139000", b"13900139001", b"13900139002", b"13900139003", b"61230005", b"110", b"12345"),
    *(b"01088886666", b"13800138000", b"+14155550100", b"x"),
)
LISTED = (
    *(("13800138000", "block"), ("13800138001", "allow"), ("13900139001", "block")),
    *(("1390013*", "allow"), ("4008001234", "allow"), ("170*", "block")),
)
callers, callees = st.sampled_from(CALLERS), st.sampled_from(CALLEES)
parties = st.builds(
    Parties,
    caller=callers,
    from_=st.one_of(st.just(b""), callers),
    callee=callees,
    diverter=st.one_of(st.just(b""), st.just(b""), st.sampled_from([b"02161230005", b"13800138001"])),
    anonymous=st.booleans(),
)
calls = st.tuples(
    st.just("call"),
    parties,
    st.sampled_from([ABROAD, NEIGHBOUR, HOME, COMPANY, "203.0.113.9"]),
    st.sampled_from([-1, -1, 1, 2, 3]),
    st.sampled_from([False, False, False, False, True]),
    st.sampled_from([0, 0, 0, FLAG_MIRRORED]),
)
ends = st.tuples(
    st.just("end"),
    st.integers(0, 7),
    st.sampled_from([PHASE_ENDED, PHASE_ENDED, PHASE_LOST]),
    st.integers(0, 40_000),
    st.integers(0, 4_000_000),
)
waits = st.sampled_from([0, 0, 1, 700, 2_000, 15_000, 61_000, 700_000, 4_000_000, 90_000_000, -3_000])
events = st.lists(
    st.tuples(waits, st.one_of(calls, calls, st.tuples(st.just("answer"), st.integers(0, 7)), ends)), max_size=60
)
listed = st.lists(st.sampled_from(LISTED), max_size=3)
SCORED = ("8613800138000", "862161230005", "14155550100")
scored = st.dictionaries(st.sampled_from(SCORED), st.floats(0, 1), max_size=3)


def score_rows(scores: dict[str, float]) -> NDArray[np.int64]:
    """Published scores of numbers."""
    keys = np.array([key_of_digits(digits) for digits in scores], dtype=np.int64)
    none = np.zeros(len(keys), dtype=np.int64)
    return build_rows(Scores(keys, np.array([*scores.values()], dtype=np.float64), none, none))


def mark_rows(limits: dict[str, int]) -> NDArray[np.int64]:
    """Marks of numbers: limits that end in the evening of these tests, reports, a wrong block where no limit is."""
    if not limits:
        return no_marks()
    rows = rows_for(len(limits))
    for digits, calls in limits.items():
        until = EVENING_NS // 10**9 + 600
        put(rows, key_of_digits(digits), Known((calls, 2, 2), int(calls == 0), calls, calls, until))
    return rows


def live_run(live: Live, happened: list[tuple[int, tuple[object, ...]]]) -> None:
    """Let it all happen."""
    live.bench.now_ns = EVENING_NS
    under_way: list[tuple[int, tuple[int, int, int]]] = []
    answered: set[int] = set()
    for wait, what in happened:
        live.bench.now_ns += wait * MS
        match what:
            case ("call", Parties() as who, str() as source, int() as roaming, bool() as late, int() as flags):
                live.call(who, source, roaming=roaming, late=late, flags=flags)
                under_way = [call for call in live.passed if call[0] not in live.over][-8:]
            case ("answer", int() as which) if under_way:
                seq, keys = under_way[which % len(under_way)]
                if seq not in answered:
                    answered.add(seq)
                    live.outcome(seq, keys, PHASE_ANSWERED, answered=1, ring=0, talk=0)
            case ("end", int() as which, int() as phase, int() as ring, int() as talk) if under_way:
                seq, keys = under_way.pop(which % len(under_way))
                live.over.add(seq)
                taken = int(seq in answered)
                live.outcome(seq, keys, phase, answered=taken, ring=ring, talk=talk * taken)


def test_numbers_run_out_of_room_on_the_way(tmp_path: Path) -> None:
    live, rng = Live(tmp_path, touchy_rules(), capacity=170), np.random.default_rng(3)
    live.bench.now_ns = EVENING_NS
    for caller, callee in rng.integers(0, 300, (400, 2)):
        live.bench.now_ns += int(caller) * 10 * MS
        who = Parties(f"1380013{caller:04}".encode(), b"", f"1390013{callee // 8:04}".encode(), b"", anonymous=False)
        live.call(who, HOME)
    replay = live.replay()
    assert judged(replay.feed(live.batch())) == live.judgements()
    assert replay.finish().evicted == evicted(live.bench.window) > 0


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happened=events,
    entries=listed,
    scores=scored,
    limits=st.dictionaries(st.sampled_from(SCORED), st.integers(0, 3), max_size=3),
    capacity=st.sampled_from([CAPACITY, CAPACITY, 5]),
    cuts=st.lists(st.integers(0, 60), max_size=3),
)
def test_a_replay_of_its_records_gives_the_verdicts_of_the_live_run(
    tmp_path_factory: pytest.TempPathFactory,
    rules: str,
    happened: list[tuple[int, tuple[object, ...]]],
    entries: list[tuple[str, str]],
    scores: dict[str, float],
    limits: dict[str, int],
    capacity: int,
    cuts: list[int],
) -> None:
    live = Live(tmp_path_factory.mktemp("live"), RULES[rules](), capacity=capacity)
    for target, kind in entries:
        live.bench.list(target, kind)
    live.bench.engine.use_scores(score_rows(scores))
    live.bench.engine.use_marks(mark_rows(limits))
    live_run(live, happened)
    batch, replay = live.batch(), live.replay()
    places = sorted({0, batch.n, *(min(cut, batch.n) for cut in cuts)})
    found = [verdict for a, b in pairwise(places) for verdict in judged(replay.feed(part_of(batch, a, b)))]
    expected = live.judgements()
    assert found == expected
    event(f"fired: {any(verdict.fired for verdict in expected)}, outcomes: {bool(live.outcomes())}")
    assert replay.finish().outcomes == sum(map(len, live.outcomes().values())) - _unseen(live)


FEW_CALLERS, FEW_CALLEES = CALLERS[:4], (*CALLEES[:3], *CALLERS[:2])
fates = st.tuples(
    st.sampled_from([-1, 0, 1, 1, 1]),
    st.sampled_from([0, 0, 400, 5_000, 61_000]),
    st.sampled_from([0, 400, 15_000, 15_049, 61_000, 700_000, 100_000_000]),
    st.sampled_from([DERIVE, DERIVE, DERIVE, DERIVE, -9_000, 0, 2_000]),  # the answer was seen so long after the start
)
busy = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 400, 5_000, 15_000, 61_000, 700_000, 4_000_000]),
        st.sampled_from(FEW_CALLERS),
        st.sampled_from(FEW_CALLEES),
        st.sampled_from([HOME, NEIGHBOUR]),
        fates,
    ),
    min_size=1,
    max_size=60,
)


class Fates:
    """What becomes of live calls, seen at the latest when the next call is made; of `most` calls at one time."""

    def __init__(self, live: Live, most: int) -> None:
        self._live, self._most, self._born = live, most, count()
        self._due: list[tuple[int, int, dict[str, int], int]] = []
        self.seen = self.refused = 0
        self.columns: dict[str, list[int]] = {name: [] for name in ("answered", "ring_ms", "talk_ms", "answered_at")}

    def until(self, now: int) -> None:
        while self._due and self._due[0][0] <= now:
            at, _, call, phase = heappop(self._due)
            self._live.bench.now_ns = at * MS
            ends = phase == PHASE_ENDED
            told = {"ring": call["ring"], "talk": call["talk"]} if ends else {"ring": 0, "talk": 0}
            self._live.outcome(*self._live.passed[call["place"]], phase, answered=call["taken"], **told)
            self.seen += 1
            if not ends:
                heappush(self._due, (call["end"], next(self._born), call, PHASE_ENDED))

    def put(self, start: int, passed: bool, fate: tuple[int, int, int, int]) -> None:  # noqa: FBT001  # it is what it is
        taken, ring, talk, after = fate
        answered_at = DERIVE if after == DERIVE else start + after
        for column, value in zip(self.columns.values(), (taken, ring, talk, answered_at), strict=True):
            column.append(value)
        if not passed or taken < 0:
            return
        if len(self._due) == self._most:
            self.refused += 1
            return
        talk *= taken
        call = {"place": len(self._live.passed) - 1, "taken": taken, "ring": ring, "talk": talk}
        call["end"] = start + ring + talk
        first = (
            (start + ring if after == DERIVE else answered_at, PHASE_ANSWERED) if taken else (call["end"], PHASE_ENDED)
        )
        heappush(self._due, (first[0], next(self._born), call, first[1]))


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happened=busy,
    capacity=st.sampled_from([CAPACITY, 7, 5, 3, 2, 1]),
    most=st.sampled_from([100, 100, 4, 1]),
    cuts=st.lists(st.integers(0, 60), max_size=3),
)
def test_a_replay_by_time_sees_every_outcome_when_a_live_run_would(
    tmp_path_factory: pytest.TempPathFactory,
    rules: str,
    happened: list[tuple[int, bytes, bytes, str, tuple[int, int, int, int]]],
    capacity: int,
    most: int,
    cuts: list[int],
) -> None:
    live = Live(tmp_path_factory.mktemp("live"), RULES[rules](), capacity=capacity)
    fates_, now = Fates(live, most), EVENING_NS // MS
    for wait, caller, callee, source, fate in happened:
        now += wait
        fates_.until(now)
        live.bench.now_ns, before = now * MS, len(live.passed)
        live.call(Parties(caller=caller, from_=b"", callee=callee, diverter=b"", anonymous=False), source)
        fates_.put(now, len(live.passed) > before, fate)
    batch = live.batch()
    nothing, derived = np.full(batch.n, BY_TIME, dtype=np.int64), np.full(batch.n, DERIVE, dtype=np.int64)
    known = {name: np.array(values, dtype=getattr(batch, name).dtype) for name, values in fates_.columns.items()}
    batch = batch._replace(
        ended_at=derived, lost=np.zeros(batch.n, dtype=np.uint8), seq=nothing, answered_seq=nothing, ended_seq=nothing
    )._replace(**known)
    replay = live.replay(most_under_way=most)
    places = sorted({0, batch.n, *(min(cut, batch.n) for cut in cuts)})
    found = [verdict for a, b in pairwise(places) for verdict in judged(replay.feed(part_of(batch, a, b)))]
    assert found == live.judgements()
    assert replay.finish()[:3] == (batch.n, fates_.seen, fates_.refused)
    event(f"room for {most}, rows for {capacity}")


def _unseen(live: Live) -> int:
    """Outcomes after the last attempt: no replay gets to them, for no verdict depends on them."""
    last = max((verdict.seq for verdict in live.verdicts()), default=0)
    return sum(outcome.seq > last for by_phase in live.outcomes().values() for outcome in by_phase.values())
