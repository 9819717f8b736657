"""Rules that cannot fire are not run and windows that nobody asks for are not read: what fires is as if all were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import HOME, NEIGHBOUR, NOON_NS, shipped_rules
from hutong.calls.features import CALLEE_WINDOWS, CALLER_WINDOWS, TRUNK_WINDOWS
from hutong.calls.identity import Parties
from hutong.kernel import windows
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.rules.tree import evaluate
from replayed import Live, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.rules.ruleset import Ruleset


def edge_rules() -> Ruleset:
    """Rules whose thresholds few calls reach exactly, for every count that rules are ruled out by."""
    return rules_of(
        *(
            (f"{value}_{span} >= {count}", "warn", "warn")
            for value in ("caller.attempts", "caller.distinct_callees", "caller.areas", "callee.inbound")
            for span in ("1m", "24h")
            for count in (1, 2, 3, 7, 7.5)
        ),
        *((f"caller.run_{kind} >= {count}", "warn", "warn") for kind in ("same", "sequential") for count in (2, 3, 9)),
        ("caller.attempts_1h > 2 and callee.inbound_1h > 1 or caller.inbound_1m >= 1", "warn", "warn"),
        ("not (caller.attempts_1h < 4) and not caller.attempts_24h < 5", "warn", "warn"),
        ("4 <= caller.distinct_callees_10m and trunk.attempts_1m >= 3", "warn", "warn"),
        ("caller.areas_24h == 2 or caller.distinct_callees_1h in (3, 5)", "warn", "warn"),
    )


RULES: dict[str, Callable[[], Ruleset]] = {"shipped": shipped_rules, "edge": edge_rules}
WAITS = (0, 0, 0, 1_000, 30_000, 500_000, 601_000, 40_000_000, 86_399_000, 86_401_000)
steps = st.lists(
    st.tuples(
        st.sampled_from(WAITS), st.integers(0, 2), st.integers(0, 12), st.booleans(), st.integers(1, 12), st.booleans()
    ),
    max_size=25,
)


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_what_fires_is_what_all_rules_over_all_windows_say(
    tmp_path_factory: pytest.TempPathFactory, rules: str, steps: list[tuple[int, int, int, bool, int, bool]]
) -> None:
    live = Live(tmp_path_factory.mktemp("live"), RULES[rules]())
    live.bench.now_ns = NOON_NS
    for wait, caller, callee, inland, times, runs in steps:
        live.bench.now_ns += wait * 1_000_000
        for turn in range(times):
            called = callee + turn * runs
            who = Parties(b"1380013800%d" % caller, b"", b"139001390%02d" % called, b"", anonymous=False)
            live.call(who, HOME if inland else NEIGHBOUR)
            _check(live)


def _check(live: Live) -> None:
    """The marks of the last call against the tree of every rule, over a vector in which every window was read."""
    engine, window = live.bench.engine, live.bench.window
    vector, now = engine.scratch.features.copy(), live.bench.when.now_ms // 1000
    for key, first in zip(
        (engine.scratch.caller[KEY], engine.scratch.callee[KEY], engine.scratch.keys[2]),
        (CALLER_WINDOWS, CALLEE_WINDOWS, TRUNK_WINDOWS),
        strict=True,
    ):
        windows.read_features(window, windows.find(window, key), now, vector, first)
    expected = [evaluate(tree, vector) for tree in live.ruleset.trees]
    assert engine.scratch.fired.astype(bool).tolist() == expected


def test_a_number_that_calls_itself_is_read_before_it_is_called(tmp_path_factory: pytest.TempPathFactory) -> None:
    live = Live(tmp_path_factory.mktemp("live"), rules_of(("caller.inbound_1m >= 1", "warn", "warn")))
    for _ in range(2):
        live.call(Parties(b"13800138000", b"", b"13800138000", b"", anonymous=False), HOME)
    assert [judgement.fired for judgement in live.judgements()] == [(), (0,)]
    assert np.array_equal(live.bench.engine.scratch.fired, [1])
