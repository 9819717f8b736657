"""The metrics that only the risk score has."""

from __future__ import annotations

from typing import Final

from hutong.kernel.metrics import Metric

SCORED: Final = Metric(
    "hutong_risk_scored_numbers", "gauge", "numbers", "最近一次评分的号码数", "Numbers scored by the newest run"
)
FLAGGED: Final = Metric(
    "hutong_risk_flagged_numbers",
    "gauge",
    "numbers",
    "最近一次评分中达到阈值的号码数",
    "Numbers of the newest run whose score reaches the model's threshold",
)
PUBLISHED: Final = Metric(
    "hutong_risk_published_time_seconds",
    "gauge",
    "seconds",
    "最近一次发布评分的时间(自 1970 年)",
    "When scores were last published",
)
DRIFT: Final = Metric(
    "hutong_risk_drift_max",
    "gauge",
    "index",
    "最近一次评分中各列与评分的最大漂移 (PSI)",
    "Largest population stability index of any column or the score in the newest run",
)
