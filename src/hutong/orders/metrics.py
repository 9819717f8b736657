"""The metrics that only orders have."""

from __future__ import annotations

from typing import Final

from hutong.kernel.metrics import Metric

BY_STATE: Final = Metric("hutong_orders", "gauge", "orders", "各状态的指令数", "Orders by state", ("state",))
ACKNOWLEDGED: Final = Metric(
    "hutong_orders_acknowledged_total",
    "counter",
    "orders",
    "筛查进程确认生效的指令数",
    "Orders that the screening process acknowledged to be in force",
)
DELAY: Final = Metric(
    "hutong_orders_effect_seconds_total",
    "counter",
    "seconds",
    "从批准(或起始)到生效的时间之和",
    "Time from approval, or the beginning, until orders were in force, added up",
)
WAITING: Final = Metric(
    "hutong_orders_unacknowledged",
    "gauge",
    "orders",
    "已列入名单五秒以上而筛查进程尚未确认的指令数",
    "Orders placed for more than five seconds that the screening process has not acknowledged",
)
