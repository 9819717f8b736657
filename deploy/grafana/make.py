"""Draws hutong.json, the dashboard of a node: `python deploy/grafana/make.py` renews it.

The layout is here; names, units and words come from the declared metrics. A metric that the layout does not know yet is
drawn in the last row, so that none is forgotten.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hutong.app.reference import all_metrics
from hutong.kernel import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.metrics import Metric

FILE = Path(__file__).with_name("hutong.json")
SOURCE = {"type": "prometheus", "uid": "${source}"}
NODE = 'instance=~"$node"'
TOKENS = Path(web.__file__).parent / "static" / "tokens.css"
ACTIONS = ("pass", "warn", "block")
WIDE, HIGH = 24, 8

#: Title in Chinese and English, kind, unit, and (expression, legend) of each query; `{n}` stands for the node's filter.
LAYOUT: list[tuple[str, list[tuple[str, str, str, list[tuple[str, str]]]]]] = [
    (
        "现在 Now",
        [
            ("筛查在运行 Screening", "stat", "bool_on_off", [("min(hutong_calls_screening_up{n})", "")]),
            ("数据时延 Age of the figures", "stat", "s", [("max(hutong_calls_snapshot_age_seconds{n})", "")]),
            ("呼叫/秒 Calls a second", "stat", "cps", [("sum(rate(hutong_calls_attempts_total{n}[1m]))", "")]),
            (
                "拦截占比 Share blocked",
                "stat",
                "percentunit",
                [
                    (
                        'sum(rate(hutong_calls_verdicts_total{action="block",{m}}[5m]))'
                        " / sum(rate(hutong_calls_verdicts_total{n}[5m]))",
                        "",
                    )
                ],
            ),
            (
                "一小时内超时放行 Failed open within the hour",
                "stat",
                "short",
                [("sum(increase(hutong_calls_fail_open_total{n}[1h]))", "")],
            ),
            ("距上次备份 Since the newest backup", "stat", "s", [("time() - max(hutong_backup_time_seconds{n})", "")]),
        ],
    ),
    (
        "判决 Verdicts",
        [
            (
                "各类判决/秒 Verdicts a second",
                "timeseries",
                "cps",
                [("sum by (action) (rate(hutong_calls_verdicts_total{n}[1m]))", "{{action}}")],
            ),
            (
                "命中最多的规则 Rules that fire most",
                "timeseries",
                "cps",
                [("topk(10, sum by (rule) (rate(hutong_calls_rule_hits_total{n}[5m])))", "{{rule}}")],
            ),
            (
                "各中继呼叫/秒 Calls a second by trunk",
                "timeseries",
                "cps",
                [("topk(10, sum by (trunk) (rate(hutong_calls_trunk_attempts_total{n}[5m])))", "{{trunk}}")],
            ),
            (
                "各中继拦截占比 Share blocked by trunk",
                "timeseries",
                "percentunit",
                [
                    (
                        "topk(10, sum by (trunk) (rate(hutong_calls_trunk_blocked_total{n}[5m]))"
                        " / sum by (trunk) (rate(hutong_calls_trunk_attempts_total{n}[5m])))",
                        "{{trunk}}",
                    )
                ],
            ),
            (
                "紧急与公益呼叫/秒 Emergency and public lines",
                "timeseries",
                "cps",
                [("sum(rate(hutong_calls_emergency_total{n}[5m]))", "呼叫 calls")],
            ),
            (
                "放行名单、漫游查询/秒 Allow list, roaming look-ups",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_calls_allowed_total{n}[5m]))", "放行名单 allowed by list"),
                    ("sum(rate(hutong_calls_roaming_asked_total{n}[5m]))", "漫游查询 roaming asked"),
                ],
            ),
            (
                "超时放行/秒 Failed open",
                "timeseries",
                "cps",
                [("sum by (instance) (rate(hutong_calls_fail_open_total{n}[5m]))", "{{instance}}")],
            ),
        ],
    ),
    (
        "过载 Overload",
        [
            (
                "级别 Level",
                "timeseries",
                "short",
                [("max by (instance, process) (hutong_overload_level{n})", "{{instance}} {{process}}")],
            ),
            (
                "已办理 Served",
                "timeseries",
                "reqps",
                [("sum by (class) (rate(hutong_overload_served_total{n}[1m]))", "{{class}}")],
            ),
            (
                "谢绝 Refused",
                "timeseries",
                "reqps",
                [
                    ("sum by (class, why) (rate(hutong_overload_refused_total{n}[1m]))", "{{class}} {{why}}"),
                    ("sum by (class) (rate(hutong_overload_edge_refused_total{n}[1m]))", "{{class}} 边缘 edge"),
                ],
            ),
            (
                "办理与等候 At work and waiting",
                "timeseries",
                "short",
                [
                    ("sum by (process) (hutong_overload_at_work{n})", "{{process}} 办理 at work"),
                    ("sum by (process) (hutong_overload_limit{n})", "{{process}} 上限 limit"),
                    ("sum by (class) (hutong_overload_waiting{n})", "{{class}}"),
                ],
            ),
        ],
    ),
    (
        "案件 Cases",
        [
            (
                "各状态未结案件 Open cases by state",
                "timeseries",
                "short",
                [("max by (state) (hutong_cases_open{n})", "{{state}}")],
            ),
            (
                "超期案件 Late cases",
                "timeseries",
                "short",
                [("max(hutong_cases_late{n})", "超期 late")],
            ),
            (
                "未送达的案件通知 Notices that were not taken",
                "timeseries",
                "short",
                [("sum by (port) (increase(hutong_case_notices_failed_total{n}[5m]))", "{{port}}")],
            ),
        ],
    ),
    (
        "信令 Signalling",
        [
            (
                "重传、格式错误、丢弃/秒 Retransmits, malformed, dropped",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_sip_retransmits_total{n}[5m]))", "重传 retransmits"),
                    ("sum(rate(hutong_sip_malformed_total{n}[5m]))", "格式错误 malformed"),
                    ("sum(rate(hutong_sip_dropped_total{n}[5m]))", "丢弃 dropped"),
                ],
            ),
            (
                "其他 SIP 报文/秒 Other SIP messages",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_sip_acks_total{n}[5m]))", "ACK"),
                    ("sum(rate(hutong_sip_other_requests_total{n}[5m]))", "其他 other"),
                    ("sum(rate(hutong_sip_full_codec_total{n}[5m]))", "完整解码 full codec"),
                    ("sum(rate(hutong_sip_untrusted_source_total{n}[5m]))", "来源不可信 untrusted source"),
                ],
            ),
            (
                "应答重发、事务与连接 Answers again, transactions, connections",
                "timeseries",
                "short",
                [
                    ("sum(rate(hutong_sip_repeated_total{n}[5m]))", "重发/秒 repeated"),
                    ("sum(rate(hutong_sip_unrepeated_total{n}[5m]))", "无处重发/秒 not repeatable"),
                    ("sum(rate(hutong_sip_forgotten_total{n}[5m]))", "事务让位/秒 made room"),
                    ("sum(hutong_sip_connections{n})", "连接 connections"),
                ],
            ),
            (
                "日志未能写入的批次 Batches that the journal did not take",
                "timeseries",
                "short",
                [("sum by (instance) (increase(hutong_calls_journal_refused_total{n}[5m]))", "{{instance}}")],
            ),
            (
                "接口筛查/秒 Screening over HTTP",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_calls_ask_requests_total{n}[5m]))", "请求 requests"),
                    ("sum(rate(hutong_calls_ask_calls_total{n}[5m]))", "呼叫 calls"),
                    ("sum(rate(hutong_calls_ask_refused_total{n}[5m]))", "被拒 refused"),
                ],
            ),
            (
                "接口请求/秒 API requests",
                "timeseries",
                "cps",
                [("sum by (route, status) (rate(hutong_api_requests_total{n}[5m]))", "{{route}} {{status}}")],
            ),
            (
                "接口筛查结果/秒 API results",
                "timeseries",
                "cps",
                [
                    ("sum by (result) (rate(hutong_api_calls_total{n}[5m]))", "{{result}}"),
                    ("sum by (limit) (rate(hutong_api_throttled_total{n}[5m]))", "限流 limited: {{limit}}"),
                ],
            ),
            (
                "经接口看完整号码 Whole numbers shown over the API",
                "timeseries",
                "short",
                [("sum(increase(hutong_api_unmasked_total{n}[1h]))", "一小时内 within the hour")],
            ),
            (
                "网页与接口受限/秒 Pages and API held back",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_http_connections_refused_total{n}[5m]))", "连接 connections"),
                    ("sum(rate(hutong_http_requests_put_off_total{n}[5m]))", "请求 requests"),
                    ("sum by (deed) (rate(hutong_records_lost_total{n}[5m]))", "未记录 not recorded: {{deed}}"),
                ],
            ),
            (
                "镜像信令包/秒 Mirrored packets",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_mirror_packets_total{n}[5m]))", "收到 received"),
                    ("sum(rate(hutong_mirror_late_total{n}[5m]))", "迟到 late"),
                    ("sum(rate(hutong_mirror_orphans_total{n}[5m]))", "无对应呼叫 of no known call"),
                ],
            ),
            (
                "镜像信令之失 Mirrored packets that were of no use",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_mirror_lost_total{n}[5m]))", "内核丢弃 dropped by the kernel"),
                    ("sum(rate(hutong_mirror_malformed_total{n}[5m]))", "格式错误 malformed"),
                    ("sum(rate(hutong_mirror_unauthorised_total{n}[5m]))", "密钥不符 without the key"),
                ],
            ),
            (
                "镜像所见呼叫/秒 Calls as mirrored",
                "timeseries",
                "cps",
                [
                    ("sum(rate(hutong_mirror_answered_total{n}[5m]))", "接通 answered"),
                    ("sum(rate(hutong_mirror_ended_total{n}[5m]))", "结束 ended"),
                    ("sum(rate(hutong_mirror_judged_total{n}[5m]))", "仅观察 judged only"),
                    ("sum(rate(hutong_mirror_unended_total{n}[5m]))", "未见结束 never seen to end"),
                ],
            ),
            (
                "正在跟踪的呼叫、连接 Calls followed, connections",
                "timeseries",
                "short",
                [
                    ("sum(hutong_mirror_followed{n})", "呼叫 calls"),
                    ("sum(hutong_mirror_connections{n})", "连接 connections"),
                ],
            ),
        ],
    ),
    (
        "节点 Node",
        [
            (
                "窗口占用 Windows in use",
                "timeseries",
                "percentunit",
                [("hutong_windows_tracked{n} / hutong_windows_capacity{n}", "{{instance}}")],
            ),
            (
                "为新号码让位/秒 Numbers that made room",
                "timeseries",
                "cps",
                [("sum by (instance) (rate(hutong_windows_evicted_total{n}[5m]))", "{{instance}}")],
            ),
            ("名单条目 List entries", "timeseries", "short", [("hutong_lists_entries{n}", "{{instance}}")]),
            (
                "进程重启 Restarts of processes",
                "timeseries",
                "short",
                [("increase(hutong_process_restarts_total{n}[1h])", "{{process}}")],
            ),
            (
                "定时任务 Scheduled jobs",
                "timeseries",
                "short",
                [
                    ("sum by (job) (increase(hutong_job_runs_total{n}[1h]))", "{{job}}"),
                    ("sum by (job) (increase(hutong_job_failures_total{n}[1h]))", "{{job}} 失败 failed"),
                ],
            ),
            (
                "备份 Backups",
                "timeseries",
                "short",
                [
                    ("hutong_backup_bytes{n}", "大小 bytes"),
                    ("hutong_backup_duration_seconds{n}", "用时 seconds"),
                ],
            ),
            (
                "实况页观看数 Watchers of the live wall",
                "timeseries",
                "short",
                [("hutong_calls_live_watchers{n}", "{{instance}}")],
            ),
        ],
    ),
]


def dashboard() -> dict[str, Any]:
    """The whole file as values."""
    panels: list[dict[str, Any]] = []
    top = 0
    known = set(re.findall(r"hutong_\w+", json.dumps(LAYOUT)))
    rest = [_other(metric) for metric in all_metrics() if metric.name not in known]
    for title, entries in [*LAYOUT, *([("其他 Other", rest)] if rest else [])]:
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "gridPos": _place(0, top, WIDE, 1), "panels": []}
        )
        top += 1
        stats = all(kind == "stat" for _, kind, _, _ in entries)
        each, high = (WIDE // len(entries), 4) if stats else (WIDE // 3, HIGH)
        left = 0
        for entry in entries:
            if left + each > WIDE:
                left, top = 0, top + high
            panels.append(_panel(entry, _place(left, top, each, high)))
            left += each
        top += high
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    return {
        "title": "护通 Hutong",
        "uid": "hutong",
        "tags": ["hutong"],
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "schemaVersion": 36,
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "panels": panels,
    }


def _other(metric: Metric) -> tuple[str, str, str, list[tuple[str, str]]]:
    by = f"sum by ({', '.join(metric.labels)}) " if metric.labels else "sum"
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels) or metric.name
    counts = metric.kind == "counter"
    inner = f"rate({metric.name}{{n}}[5m])" if counts else f"{metric.name}{{n}}"
    return f"{metric.zh} {metric.en}", "timeseries", "cps" if counts else "short", [(f"{by}({inner})", legend)]


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "source", "label": "数据源 source", "type": "datasource", "query": "prometheus"}
    yield {
        "name": "node",
        "label": "节点 node",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": "label_values(hutong_calls_screening_up, instance)", "refId": "nodes"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _place(left: int, top: int, wide: int, high: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": wide, "h": high}


def _panel(entry: tuple[str, str, str, list[tuple[str, str]]], place: dict[str, int]) -> dict[str, Any]:
    title, kind, unit, queries = entry
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": list(_overrides(queries))},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if kind == "timeseries" else {},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": expression.replace("{n}", f"{{{NODE}}}").replace("{m}", NODE),
                "legendFormat": legend,
            }
            for at, (expression, legend) in enumerate(queries)
        ],
    }


def _overrides(queries: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    if any(legend == "{{action}}" for _, legend in queries):
        for name in ACTIONS:
            # The same colour for the same meaning as in the console.
            colour = re.search(rf"--{name}: (#\w+);", TOKENS.read_text(encoding="utf-8"))[1]
            yield {
                "matcher": {"id": "byName", "options": name},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }


if __name__ == "__main__":
    FILE.write_text(json.dumps(dashboard(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
