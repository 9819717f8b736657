"""The metrics of colours and of the people behind codes."""

from __future__ import annotations

from hutong.kernel.metrics import Metric

JUDGED = Metric(
    "hutong_codes_judged_total", "counter", "people", "到时重新判定的人数", "People judged again because time passed"
)
CHANGES = Metric(
    "hutong_codes_changes",
    "gauge",
    "changes",
    "人工改码:待批准、生效中",
    "Colours given by hand, by state: requested, in-force",
    ("state",),
)
APPEALS = Metric("hutong_codes_appeals_open", "gauge", "appeals", "待裁定的健康码申诉", "Open appeals against colours")
APPEALS_LATE = Metric(
    "hutong_codes_appeals_late",
    "gauge",
    "appeals",
    "超期未裁定的健康码申诉",
    "Appeals against colours not decided in time",
)
DAY_KEYS = Metric("hutong_codes_day_keys", "gauge", "keys", "日密钥数", "Keys of days in the folder of keys")
DAY_KEYS_OVERDUE = Metric(
    "hutong_codes_day_keys_overdue",
    "gauge",
    "keys",
    "已到期而未销毁的日密钥数",
    "Keys of days that are over and not destroyed yet",
)
EXPIRED = Metric(
    "hutong_codes_people_expired_total",
    "counter",
    "people",
    "因到期而删除信息的人次",
    "People of whom something was removed because its day was over",
)
RESULTS = Metric(
    "hutong_codes_results_total",
    "counter",
    "results",
    "采样结果成为变码依据:已取、拒绝、待补、略过",
    "Results of sampling as evidence of colours, by outcome: taken, refused, owed, passed",
    ("outcome",),
)
RESULTS_BEHIND = Metric(
    "hutong_codes_results_behind",
    "gauge",
    "results",
    "尚未成为变码依据的采样结果数",
    "Results of sampling that colours have not looked at yet",
)
RESULTS_OWED = Metric(
    "hutong_codes_results_owed",
    "gauge",
    "results",
    "因密钥或数据损坏待重试的采样结果数",
    "Results of sampling that wait because keys or rows of their people are damaged",
)
ALL = (
    *(JUDGED, CHANGES, APPEALS, APPEALS_LATE, DAY_KEYS, DAY_KEYS_OVERDUE, EXPIRED),
    *(RESULTS, RESULTS_BEHIND, RESULTS_OWED),
)
