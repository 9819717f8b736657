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
ALL = (JUDGED, CHANGES, APPEALS, APPEALS_LATE, DAY_KEYS, DAY_KEYS_OVERDUE, EXPIRED)
