"""What the live page's figures say of a series of snapshots."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.calls.live.figures import TrunkCount
from hutong.calls.live.view import SPAN, STALE_AFTER, LiveHistory
from live_samples import SECOND, START, snapshot


def _fed(seconds: int, per_second: int = 100) -> LiveHistory:
    history = LiveHistory()
    for at in range(seconds + 1):
        history.add(snapshot(at, at * per_second))
    return history


def test_rates_and_counts_of_steady_calls() -> None:
    view = _fed(20).view(START + 20 * SECOND)
    assert view.state == "screening"
    assert view.rate == 100
    assert view.blocked_rate == 20
    assert view.span_s == 20
    assert view.recent["attempts"] == 2000
    assert view.recent["blocked"] == 400
    assert [second.blocked for second in view.seconds] == [20.0] * 20


def test_only_the_span_is_counted() -> None:
    view = _fed(SPAN + 100, 10).view(START + (SPAN + 100) * SECOND)
    assert view.recent["attempts"] == SPAN * 10
    assert view.span_s == SPAN
    assert len(view.seconds) == SPAN


def test_a_restart_of_screening_counts_from_nought_and_never_below() -> None:
    history = _fed(5)
    history.add(snapshot(6, 30, started_ns=START + 5 * SECOND))
    view = history.view(START + 6 * SECOND)
    assert view.recent["attempts"] == 530
    assert view.seconds[-1].blocked == 6


@pytest.mark.parametrize(
    ("later_s", "state"), [(0, "screening"), (STALE_AFTER, "screening"), (STALE_AFTER + 1, "stale")]
)
def test_silence_of_the_screening_process_shows(later_s: int, state: str) -> None:
    view = _fed(20).view(START + (20 + later_s) * SECOND)
    assert view.state == state
    assert view.silent_s == later_s


def test_counters_that_cannot_be_read_are_stale_at_once() -> None:
    view = _fed(3).view(START + 3 * SECOND, "board.bin: is gone.")
    assert view.state == "stale"
    assert view.trouble == "board.bin: is gone."


def test_before_the_first_snapshot_screening_is_absent() -> None:
    view = LiveHistory().view(START, "nothing there")
    assert view.state == "absent"
    assert view.snapshot is None
    assert view.rules == []


def test_no_calls_is_idle_and_not_a_fault() -> None:
    history = LiveHistory()
    for at in range(30):
        history.add(snapshot(at, 0))
    assert history.view(START + 29 * SECOND).state == "idle"


@pytest.mark.parametrize(("unscreened", "state"), [(1, "screening"), (30, "failing_open")])
def test_many_unscreened_calls_are_the_headline_and_few_are_not(unscreened: int, state: str) -> None:
    history = _fed(20)
    history.add(snapshot(21, 2100, fail_open=unscreened))
    view = history.view(START + 21 * SECOND)
    assert view.state == state
    assert view.recent["fail_open"] == unscreened


def test_the_headline_clears_and_the_count_stays() -> None:
    history = _fed(5)
    history.add(snapshot(6, 600, fail_open=300))
    for at in range(7, 30):
        history.add(snapshot(at, at * 100, fail_open=300))
    view = history.view(START + 29 * SECOND)
    assert view.state == "screening"
    assert view.recent["fail_open"] == 300


def test_blocking_rules_come_first_then_what_fired_lately() -> None:
    history = _fed(19)
    last = snapshot(20, 2000)
    last.rules[2].count = 5000
    history.add(last)
    view = history.view(START + 20 * SECOND)
    assert [(row.action, row.recent) for row in view.rules] == [("block", 400), ("warn", 200), ("observe", 5000)]
    assert view.rules[0].share == pytest.approx(0.2)


def test_trunks_show_their_rate_now_and_their_blocked_share() -> None:
    (row,) = _fed(10).view(START + 10 * SECOND).trunks
    assert (row.name, row.rate, row.recent) == ("gw-1", 100, 1000)
    assert row.blocked_share == pytest.approx(0.2)


def test_calls_from_outside_the_configured_networks_show_once_there_are_any() -> None:
    history = LiveHistory()
    unlisted = TrunkCount("unlisted", "unknown", 3, 1)
    for at in range(2):
        history.add(snapshot(at, 10, trunks=[unlisted]))
    assert [row.name for row in history.view(START + SECOND).trunks] == ["unlisted"]


def test_the_table_averages_half_minutes_newest_first() -> None:
    rows = _fed(90).view(START + 90 * SECOND).half_minutes()
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)
    assert {(row.passed, row.warned, row.blocked) for row in rows} == {(70.0, 10.0, 20.0)}


def test_a_snapshot_that_is_not_newer_changes_nothing() -> None:
    history = _fed(5)
    before = history.view(START + 5 * SECOND)
    history.add(snapshot(5, 900))
    assert history.view(START + 5 * SECOND) == before


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5000), st.booleans()), max_size=40))
def test_whatever_the_counters_do_the_figures_stay_within_reason(steps: list[tuple[int, int, bool]]) -> None:
    history, at, attempts, started = LiveHistory(), 0, 0, START
    for gap, gained, restart in steps:
        at += gap
        attempts = gained if restart else attempts + gained
        started = START + at * SECOND if restart else started
        history.add(snapshot(at, attempts, started_ns=started))
        view = history.view(START + at * SECOND)
        assert all(count >= 0 for count in view.recent.values())
        assert all(second.passed >= 0 and second.blocked >= 0 for second in view.seconds)
        assert all(row.share >= 0 for row in view.rules)
        assert 0 <= view.span_s <= SPAN
