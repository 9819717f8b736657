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

    from hutong.calls.live.view import LiveView

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
JOURNAL_REFUSED = Metric(
    "hutong_calls_journal_refused_total",
    "counter",
    "batches",
    "日志未能写入的批次(其呼叫未应答)",
    "Batches that the journal did not take; their calls were not answered",
)
FEED_MESSAGES = Metric(
    "hutong_feed_messages_total",
    "counter",
    "messages",
    "Kafka 来的消息数,按结果(已判决、呼叫结果、重复、呼叫不明、无法使用)",
    "Messages from Kafka by result: judged, outcome, repeated, unknown-call, dead",
    ("result",),
)
FEED_LAG = Metric(
    "hutong_feed_lag_messages",
    "gauge",
    "messages",
    "各分区尚未读取的消息数",
    "Messages of a partition not read yet",
    ("topic", "partition"),
)
FEED_PUBLISHED = Metric(
    "hutong_feed_published_total", "counter", "verdicts", "已发布到 Kafka 的判决数", "Verdicts published to Kafka"
)
FEED_BEHIND = Metric(
    "hutong_feed_behind_records",
    "gauge",
    "records",
    "日志中尚未发布的记录数",
    "Records of the journal whose verdicts are not published yet",
)
FEED_FAILURES = Metric(
    "hutong_feed_failures_total",
    "counter",
    "failures",
    "读取、判决、发布失败次数",
    "Failures to read, to judge and to publish",
    ("what",),
)
API_CALLS = Metric(
    "hutong_api_calls_total",
    "counter",
    "calls",
    "经接口筛查的呼叫数,按结果",
    "Calls screened over HTTP: judged, repeated, refused (wrong in themselves), unavailable (to be passed)",
    ("result",),
)
ASK_REQUESTS = Metric(
    "hutong_calls_ask_requests_total", "counter", "requests", "接口筛查请求数", "Requests to screen calls"
)
ASK_CALLS = Metric("hutong_calls_ask_calls_total", "counter", "calls", "接口筛查呼叫数", "Calls screened on request")
ASK_REFUSED = Metric(
    "hutong_calls_ask_refused_total",
    "counter",
    "requests",
    "被拒的接口筛查请求数",
    "Requests to screen calls that were refused",
)


ALERTS_OPEN = Metric("hutong_alerts_open", "gauge", "calls", "正在告警的通话数", "Calls under way that are under alert")
ALERTS_CALLEES = Metric(
    "hutong_alerts_callees",
    "gauge",
    "numbers",
    "正被可疑主叫联系的被叫数",
    "Callees whom flagged callers are working on",
)
ALERTS_RAISED = Metric(
    "hutong_alerts_raised_total",
    "counter",
    "alerts",
    "发出的告警数,按类别与阶段",
    "Alerts raised, by kind and stage, since this process began",
    ("kind", "stage"),
)
ALERTS_TOLD = Metric(
    "hutong_alerts_told_total",
    "counter",
    "events",
    "送往外部的告警事件数,按去处与结果",
    "Events of alerts brought to a sink: delivered, failed (and brought again), refused by it",
    ("sink", "result"),
)


def _mirror(name: str, unit: str, zh: str, en: str) -> Metric:
    return Metric(f"hutong_mirror_{name}", "counter" if name.endswith("_total") else "gauge", unit, zh, en)


#: Mirrored signalling, by the field of `MirrorCount`.
MIRROR: dict[str, Metric] = {
    "packets": _mirror("packets_total", "packets", "镜像信令包数", "Packets of mirrored signalling"),
    "malformed": _mirror("malformed_total", "packets", "格式错误的镜像包数", "Mirrored packets that cannot be read"),
    "unauthorised": _mirror("unauthorised_total", "packets", "密钥不符的镜像包数", "Mirrored packets without the key"),
    "lost": _mirror("lost_total", "packets", "内核丢弃的镜像包数", "Mirrored packets that the kernel dropped"),
    "orphans": _mirror(
        "orphans_total", "packets", "无对应呼叫的镜像包数", "Mirrored packets of calls that nobody knows"
    ),
    "late": _mirror("late_total", "packets", "迟到的镜像包数", "Mirrored packets that came late"),
    "followed": _mirror("followed", "calls", "正在跟踪的呼叫数", "Calls that are followed"),
    "answered": _mirror("answered_total", "calls", "观察到接通的呼叫数", "Calls seen to be answered"),
    "ended": _mirror("ended_total", "calls", "观察到结束的呼叫数", "Calls seen to end"),
    "judged": _mirror(
        "judged_total", "calls", "仅作观察判决的呼叫数", "Calls judged in observe mode because nobody asked"
    ),
    "unended": _mirror("unended_total", "calls", "未见结束的呼叫数", "Calls never seen to end"),
    "connections": _mirror("connections", "connections", "镜像的 TCP 连接数", "TCP connections that mirror signalling"),
}


def _sip(name: str, unit: str, zh: str, en: str) -> Metric:
    return Metric(f"hutong_sip_{name}", "counter" if name.endswith("_total") else "gauge", unit, zh, en)


#: The SIP edge and its calls, by the field of `SipCount`.
SIP: dict[str, Metric] = {
    "acks": _sip("acks_total", "requests", "收到的 ACK 数", "ACKs received"),
    "other_requests": _sip(
        "other_requests_total", "messages", "INVITE 以外的其他报文数", "Messages that are neither INVITE nor ACK"
    ),
    "reference_read": _sip(
        "full_codec_total", "messages", "由完整解码器读取的报文数", "Messages that the full codec read"
    ),
    "repeated": _sip("repeated_total", "responses", "未获确认而重发的应答数", "Answers sent again for want of an ACK"),
    "unrepeated": _sip(
        "unrepeated_total", "responses", "无空位可供重发的应答数", "Answers that found no room to be repeated"
    ),
    "forgotten": _sip(
        "forgotten_total", "transactions", "提前让位的事务数", "Transactions that made room before their time"
    ),
    "connections": _sip("connections", "connections", "SIP 的 TCP 连接数", "TCP connections that carry SIP"),
    "untrusted_source": _sip(
        "untrusted_source_total",
        "requests",
        "不可信或不可读的 X-Hutong-Source 数",
        "X-Hutong-Source headers of somebody who is no trusted proxy, or that cannot be read",
    ),
    "roaming_asked": Metric(
        "hutong_calls_roaming_asked_total", "counter", "calls", "向外查询漫游的呼叫数", "Calls with an outside look-up"
    ),
    "allowed": Metric(
        "hutong_calls_allowed_total",
        "counter",
        "calls",
        "因放行名单而放行的呼叫数",
        "Calls that an allow entry let pass",
    ),
}
_ASK = {ASK_REQUESTS: "requests", ASK_CALLS: "calls", ASK_REFUSED: "refused"}

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
    JOURNAL_REFUSED: "journal_refused",
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
        for field, metric in MIRROR.items():
            shared.set(metric, getattr(view.snapshot.mirror, field))
        for field, metric in SIP.items():
            shared.set(metric, getattr(view.snapshot.sip, field))
        for metric, field in _ASK.items():
            shared.set(metric, getattr(view.snapshot.ask, field))
        for action, field in _ACTIONS.items():
            shared.set(declared.CALLS_VERDICTS, getattr(view.snapshot, field), action=action)
        for rule in view.snapshot.rules:
            shared.set(declared.CALLS_RULE_HITS, rule.count, rule=rule.id)
    own = CollectorRegistry(auto_describe=False)
    own.register(_Own(view, watchers))
    return shared.expose() + generate_latest(own)
