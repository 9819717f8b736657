"""The metrics that only bulletins have."""

from __future__ import annotations

from typing import Final

from hutong.kernel.metrics import Metric

MADE: Final = Metric(
    "hutong_bulletins_made_total", "counter", "bulletins", "自动拟出的通报数", "Bulletins made by themselves"
)
WAITING: Final = Metric(
    "hutong_bulletins_waiting", "gauge", "bulletins", "待签发的通报数", "Bulletins that wait to be signed"
)
DAYS: Final = Metric(
    "hutong_bulletins_days_counted_total", "counter", "days", "已按日统计呼叫的天数", "Days whose calls were counted"
)
