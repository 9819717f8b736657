"""The live counters as metrics: by action, rule and trunk, and the word that there are none."""

from __future__ import annotations

from hutong.calls import metrics
from hutong.calls.live.view import LiveHistory
from live_samples import SECOND, START, snapshot


def test_metrics_count_by_action_rule_and_trunk() -> None:
    history = LiveHistory()
    history.add(snapshot(10, 1000))
    lines = metrics.exposition(history.view(START + 10 * SECOND), watchers=3).decode().splitlines()
    assert "hutong_calls_attempts_total 1000.0" in lines
    assert 'hutong_calls_verdicts_total{action="block"} 200.0' in lines
    assert 'hutong_calls_rule_hits_total{rule="calls.callees-in-sequence"} 100.0' in lines
    assert 'hutong_calls_trunk_blocked_total{kind="international",trunk="gw-1"} 200.0' in lines
    assert "hutong_calls_screening_up 1.0" in lines
    assert "hutong_calls_live_watchers 3.0" in lines


def test_metrics_without_screening_say_so() -> None:
    lines = metrics.exposition(LiveHistory().view(START, "nothing there"), watchers=0).decode().splitlines()
    assert "hutong_calls_screening_up 0.0" in lines
    assert not any(line.startswith("hutong_calls_attempts") for line in lines)
