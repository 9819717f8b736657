"""The metrics that only reports have."""

from __future__ import annotations

from typing import Final

from hutong.kernel.metrics import Metric

TAKEN: Final = Metric(
    "hutong_reports_taken_total",
    "counter",
    "reports",
    "受理的举报数,按对象与来源",
    "Reports taken in, by kind and source",
    ("kind", "source"),
)
REFUSED: Final = Metric(
    "hutong_reports_refused_total",
    "counter",
    "requests",
    "公众举报页面拒绝的请求数,按原因",
    "Requests that the public pages refused, by reason",
    ("why",),
)
WAITING: Final = Metric(
    "hutong_reports_unanswered", "gauge", "matters", "尚未答复的举报对象数", "Reported subjects without an answer"
)
