"""The metrics that all of Hutong shares, in one place: name, type, unit, help; and how they are counted.

What only one system has is declared in its own `metrics.py` in the same way; `docs/operate/metrics.md` is
made from both. A metric that nothing moves does not belong here.
Names follow Prometheus: base units, `_total` on counters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client.core import Metric as Family


class Metric(msgspec.Struct, frozen=True):
    """One declared metric.

    Attributes:
        name: Prometheus name; a counter's ends in _total.
        kind: counters only grow, gauges go both ways.
        unit: what one is, for people.
        zh: help in Chinese.
        en: help in English (the text of the exposition).
        labels: names of its labels.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    zh: str
    en: str
    labels: tuple[str, ...] = ()


CALLS_ATTEMPTS = Metric("hutong_calls_attempts_total", "counter", "calls", "呼叫次数", "Call attempts judged")
CALLS_VERDICTS = Metric(
    "hutong_calls_verdicts_total", "counter", "calls", "各类判决数", "Verdicts by action", ("action",)
)
CALLS_RULE_HITS = Metric(
    "hutong_calls_rule_hits_total",
    "counter",
    "calls",
    "各规则命中数",
    "Calls on which a rule fired",
    ("rule",),
)
CALLS_FAIL_OPEN = Metric(
    "hutong_calls_fail_open_total",
    "counter",
    "calls",
    "判决超时或出错而放行数",
    "Calls passed because a verdict was late or failed",
)
CALLS_EMERGENCY = Metric(
    "hutong_calls_emergency_total",
    "counter",
    "calls",
    "紧急与公益号码呼叫数",
    "Calls to emergency and public lines",
)
SIP_RETRANSMITS = Metric(
    "hutong_sip_retransmits_total",
    "counter",
    "requests",
    "重传的请求数",
    "Retransmitted requests answered again",
)
SIP_MALFORMED = Metric(
    "hutong_sip_malformed_total", "counter", "messages", "格式错误的报文数", "Messages that are not SIP"
)
SIP_DROPPED = Metric("hutong_sip_dropped_total", "counter", "messages", "丢弃的报文数", "Messages dropped unanswered")
WINDOWS_TRACKED = Metric("hutong_windows_tracked", "gauge", "numbers", "窗口中的号码数", "Numbers in the windows")
WINDOWS_CAPACITY = Metric(
    "hutong_windows_capacity", "gauge", "numbers", "窗口可容纳的号码数", "Numbers that the windows can hold"
)
WINDOWS_EVICTED = Metric(
    "hutong_windows_evicted_total",
    "counter",
    "numbers",
    "为新号码让位而移出的号码数",
    "Least recently active numbers that made room",
)
LISTS_ENTRIES = Metric("hutong_lists_entries", "gauge", "entries", "名单条目数", "Entries in the lists")
JOB_RUNS = Metric("hutong_job_runs_total", "counter", "runs", "定时任务运行次数", "Runs of a scheduled job", ("job",))
JOB_FAILURES = Metric(
    "hutong_job_failures_total",
    "counter",
    "runs",
    "定时任务失败次数",
    "Failed runs of a scheduled job",
    ("job",),
)
PROCESS_RESTARTS = Metric(
    "hutong_process_restarts_total",
    "counter",
    "restarts",
    "进程重启次数",
    "Restarts of a process",
    ("process",),
)
RECORDS_LOST = Metric(
    "hutong_records_lost_total",
    "counter",
    "deeds",
    "因数据库故障而未能记录的操作数(退出照常生效)",
    "Deeds that took effect although the records could not keep them (signing out)",
    ("deed",),
)
CONNECTIONS_REFUSED = Metric(
    "hutong_http_connections_refused_total",
    "counter",
    "connections",
    "同一地址连接过多而拒绝的连接数",
    "Connections refused because their address had too many",
)
REQUESTS_PUT_OFF = Metric(
    "hutong_http_requests_put_off_total",
    "counter",
    "requests",
    "同一账号同时请求过多而拒绝的请求数",
    "Requests refused because their account had too many at work",
)
BACKUP_TIME = Metric(
    "hutong_backup_time_seconds",
    "gauge",
    "seconds",
    "最近一次备份的时间(自 1970 年)",
    "When the newest backup was begun",
)
BACKUP_DURATION = Metric(
    "hutong_backup_duration_seconds", "gauge", "seconds", "最近一次备份用时", "How long the newest backup took"
)
BACKUP_BYTES = Metric("hutong_backup_bytes", "gauge", "bytes", "最近一次备份的大小", "Size of the newest backup")
ARCHIVE_ROWS = Metric(
    "hutong_archive_records_total", "counter", "records", "已归档的记录数", "Records carried into the archive"
)
ARCHIVE_LAG = Metric(
    "hutong_archive_lag_records",
    "gauge",
    "records",
    "日志中尚未归档的记录数",
    "Records of the journal not archived yet",
)
ARCHIVE_BYTES = Metric("hutong_archive_bytes", "gauge", "bytes", "归档所占空间", "Size of the archive's files")
RULES_DRIFTED = Metric(
    "hutong_rules_drifted",
    "gauge",
    "rules",
    "一周内因误伤超限被自动降级、尚未处理的规则数",
    "Rules demoted within a week because their false positives drifted, and not decided on since",
)
TRAIL_SIGNED = Metric(
    "hutong_trail_signed_entries",
    "gauge",
    "entries",
    "最近检查点所含的操作记录数",
    "Entries of the trail that the newest checkpoint is of",
)
TRAIL_SIGNED_TIME = Metric(
    "hutong_trail_signed_time_seconds",
    "gauge",
    "seconds",
    "最近检查点的时间(自 1970 年)",
    "When the newest checkpoint of the trail was made",
)
TRAIL_VERIFIED_TIME = Metric(
    "hutong_trail_verified_time_seconds",
    "gauge",
    "seconds",
    "最近一次核对完全部操作记录的时间(自 1970 年)",
    "When the whole trail was last verified",
)
TRAIL_BROKEN = Metric(
    "hutong_trail_broken",
    "gauge",
    "flag",
    "最近一次核对是否发现操作记录被改动(1 为是)",
    "1 if the last verification found that the trail was tampered with",
)
CASES_OPEN = Metric("hutong_cases_open", "gauge", "cases", "各状态的未结案件数", "Open cases by state", ("state",))
CASES_LATE = Metric("hutong_cases_late", "gauge", "cases", "超期的案件数", "Open cases that are late")
NOTICES_FAILED = Metric(
    "hutong_case_notices_failed_total",
    "counter",
    "notices",
    "未能送达、将重试的案件通知次数",
    "Times that a notice about a case was not taken and is to be brought again",
    ("port",),
)
API_REQUESTS = Metric(
    "hutong_api_requests_total",
    "counter",
    "requests",
    "接口请求数,按路由与状态码",
    "Requests to the HTTP API by route and status",
    ("route", "status"),
)
API_THROTTLED = Metric(
    "hutong_api_throttled_total",
    "counter",
    "requests",
    "因超过令牌限额而拒绝的请求数",
    "Requests refused because their token asked too much",
    ("limit",),
)
API_UNMASKED = Metric(
    "hutong_api_unmasked_total",
    "counter",
    "requests",
    "经接口查看完整号码的次数",
    "Requests that were shown whole numbers, each on the trail",
)

OVERLOAD_LEVEL = Metric(
    "hutong_overload_level",
    "gauge",
    "level",
    "当前级别:0 正常,1 繁忙,2 拥挤,3 只保关键",
    "Level: 0 normal, 1 busy, 2 crowded, 3 critical only",
    ("process",),
)
OVERLOAD_LIMIT = Metric(
    "hutong_overload_limit",
    "gauge",
    "requests",
    "可同时办理的请求数上限",
    "How many requests may be at work at once",
    ("process",),
)
OVERLOAD_AT_WORK = Metric(
    "hutong_overload_at_work", "gauge", "requests", "正在办理的请求数", "Requests at work", ("process",)
)
OVERLOAD_WAITING = Metric(
    "hutong_overload_waiting",
    "gauge",
    "requests",
    "各类排队等候的请求数",
    "Requests that wait, by class",
    ("process", "class"),
)
OVERLOAD_SERVED = Metric(
    "hutong_overload_served_total",
    "counter",
    "requests",
    "各类已办理的请求数",
    "Requests served, by class",
    ("process", "class"),
)
OVERLOAD_REFUSED = Metric(
    "hutong_overload_refused_total",
    "counter",
    "requests",
    "各类谢绝的请求数及原因(队满、来不及、级别)",
    "Requests refused, by class and why (full, late, level)",
    ("process", "class", "why"),
)
OVERLOAD_EDGE_REFUSED = Metric(
    "hutong_overload_edge_refused_total",
    "counter",
    "requests",
    "边缘在转来之前谢绝的请求数",
    "Requests that the edge refused before they came here, by class",
    ("process", "class"),
)
OVERLOAD_BOARD_FAILURES = Metric(
    "hutong_overload_board_failures_total",
    "counter",
    "writes",
    "未能写出供边缘读取的状态的次数",
    "Times that the board which the edge reads could not be written",
)

REPLICA_AGE = Metric(
    "hutong_replica_age_seconds",
    "gauge",
    "s",
    "只读副本的内容距今多久",
    "How old what the read replica holds is",
)
REPLICA_ENTRIES = Metric("hutong_replica_entries", "gauge", "entries", "只读副本的条数", "Entries of the read replica")
REPLICA_CHANGES = Metric(
    "hutong_replica_changes_total", "counter", "changes", "只读副本收到的变更", "Changes that the read replica took"
)
REPLICA_FAILURES = Metric(
    "hutong_replica_failures_total",
    "counter",
    "rounds",
    "只读副本未能取得变更的次数",
    "Times that the read replica could not ask for changes",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


class Metrics:
    """Figures of one process, in a registry of their own.

    Figures are either counted here (`add`) or taken over from where they are counted (`set`).
    """

    def __init__(self) -> None:
        self._values: dict[Metric, dict[tuple[str, ...], float]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Let a metric grow; labels are those of its declaration.

        Raises:
            ValueError: a label is missing or not declared.
        """
        series, at = self._series(metric, labels)
        series[at] = series.get(at, 0) + amount

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Take over a value that is counted elsewhere.

        Raises:
            ValueError: a label is missing or not declared.
        """
        series, at = self._series(metric, labels)
        series[at] = value

    def value(self, metric: Metric, **labels: str) -> float:
        """The present value; 0 for one that never moved."""
        return self._values.get(metric, {}).get(tuple(labels[name] for name in metric.labels), 0)

    def expose(self) -> bytes:
        """Prometheus text exposition format 0.0.4."""
        return generate_latest(self._registry)

    def write(self, file: Path) -> None:
        """Leave the exposition in a file, whole or not at all, for a process that serves it.

        Raises:
            OSError: the file cannot be written.
        """
        fresh = file.with_suffix(".new")
        fresh.write_bytes(self.expose())
        fresh.replace(file)

    def collect(self) -> Iterator[Family]:
        """Families for the registry, in the order in which they first moved."""
        for metric, series in list(self._values.items()):
            family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
                metric.name, metric.en, labels=metric.labels
            )
            for labels, value in list(series.items()):
                family.add_metric(labels, value)
            yield family

    def _series(self, metric: Metric, labels: dict[str, str]) -> tuple[dict[tuple[str, ...], float], tuple[str, ...]]:
        if set(labels) != set(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, not {tuple(labels)}")
        return self._values.setdefault(metric, {}), tuple(labels[name] for name in metric.labels)
