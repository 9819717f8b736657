"""The metrics of hand-offs."""

from __future__ import annotations

from hutong.kernel.metrics import Metric

HANDOFFS = Metric(
    "hutong_handoffs",
    "gauge",
    "handoffs",
    "劝阻移交数,按结果(none 为尚无)",
    "Hand-offs to the dissuasion desk by answer; none = none yet",
    ("answer",),
)
HANDOFF_MONEY = Metric(
    "hutong_handoff_money_yuan",
    "gauge",
    "yuan",
    "劝阻回填的金额:止损 saved、已损失 lost",
    "Money that answers to hand-offs tell of: saved, lost",
    ("what",),
)
HANDOFFS_TOLD = Metric(
    "hutong_handoffs_told_total",
    "counter",
    "tries",
    "送往劝阻席的尝试次数,按结果",
    "Tries to bring hand-offs to the desk, by result: delivered, failed, refused, given-up",
    ("result",),
)
HANDOFFS_WAITING = Metric(
    "hutong_handoffs_waiting", "gauge", "handoffs", "尚未送达劝阻席的移交数", "Hand-offs that the desk has yet to get"
)
