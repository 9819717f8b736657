"""The live counters as metrics.

Names that are the platform's come from `kernel.metrics`; those that only calls has (by trunk, the freshness of the
counters, the page's watchers) are declared here. All counters begin at nought when the screening process starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from hutong.kernel import metrics as declared
from hutong.kernel.metrics import Metric, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric as Family

    from hutong.calls.live_view import LiveView

CONTENT_TYPE = "text/plain; version=0.0.4"

TRUNK_ATTEMPTS = Metric(
    "hutong_calls_trunk_attempts_total",
    "counter",
    "calls",
    "各中继呼叫次数",
    "Call attempts by trunk",
    ("trunk", "kind"),
)
TRUNK_BLOCKED = Metric(
    "hutong_calls_trunk_blocked_total", "counter", "calls", "各中继拦截数", "Blocked calls by trunk", ("trunk", "kind")
)
SCREENING_UP = Metric("hutong_calls_screening_up", "gauge", "flag", "筛查进程是否在写数据", "1 while screening counts")
SNAPSHOT_AGE = Metric(
    "hutong_calls_snapshot_age_seconds", "gauge", "seconds", "数据时延", "Age of the screening process's counters"
)
WATCHERS = Metric("hutong_calls_live_watchers", "gauge", "streams", "实况页观看数", "Open streams of the live page")

_FROM_SNAPSHOT = {
    declared.CALLS_ATTEMPTS: "attempts",
    declared.CALLS_FAIL_OPEN: "fail_open",
    declared.CALLS_EMERGENCY: "emergency",
    declared.SIP_RETRANSMITS: "retransmits",
    declared.SIP_MALFORMED: "malformed",
    declared.SIP_DROPPED: "dropped",
    declared.WINDOWS_TRACKED: "tracked_numbers",
    declared.WINDOWS_CAPACITY: "capacity_numbers",
    declared.WINDOWS_EVICTED: "evicted",
    declared.LISTS_ENTRIES: "list_entries",
}
_ACTIONS = {"pass": "passed", "warn": "warned", "block": "blocked"}


class _Own:
    """The metrics declared here, as families for a registry."""

    def __init__(self, view: LiveView, watchers: int) -> None:
        self._view = view
        self._watchers = watchers

    def collect(self) -> Iterator[Family]:
        view = self._view
        up = view.snapshot is not None and view.state != "stale"
        yield GaugeMetricFamily(SCREENING_UP.name, SCREENING_UP.en, value=float(up))
        yield GaugeMetricFamily(WATCHERS.name, WATCHERS.en, value=self._watchers)
        if view.snapshot is None:
            return
        yield GaugeMetricFamily(SNAPSHOT_AGE.name, SNAPSHOT_AGE.en, value=view.silent_s)
        attempts = CounterMetricFamily(TRUNK_ATTEMPTS.name, TRUNK_ATTEMPTS.en, labels=TRUNK_ATTEMPTS.labels)
        blocked = CounterMetricFamily(TRUNK_BLOCKED.name, TRUNK_BLOCKED.en, labels=TRUNK_BLOCKED.labels)
        for trunk in view.snapshot.trunks:
            attempts.add_metric([trunk.name, trunk.kind], trunk.attempts)
            blocked.add_metric([trunk.name, trunk.kind], trunk.blocked)
        yield attempts
        yield blocked


def exposition(view: LiveView, watchers: int) -> bytes:
    """The metrics as Prometheus text (`CONTENT_TYPE`)."""
    shared = Metrics()
    if view.snapshot is not None:
        for metric, field in _FROM_SNAPSHOT.items():
            shared.set(metric, getattr(view.snapshot, field))
        for action, field in _ACTIONS.items():
            shared.set(declared.CALLS_VERDICTS, getattr(view.snapshot, field), action=action)
        for rule in view.snapshot.rules:
            shared.set(declared.CALLS_RULE_HITS, rule.count, rule=rule.id)
    own = CollectorRegistry(auto_describe=False)
    own.register(_Own(view, watchers))
    return shared.expose() + generate_latest(own)
