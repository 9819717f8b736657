"""The metrics of appeals."""

from __future__ import annotations

from hutong.kernel.metrics import Metric

APPEALS = Metric("hutong_appeals", "gauge", "appeals", "各状态的申诉数", "Appeals by state", ("state",))
APPEALS_LATE = Metric("hutong_appeals_late", "gauge", "appeals", "超期未裁定的申诉数", "Appeals not decided in time")
APPEALS_WAITING = Metric(
    "hutong_appeals_effect_waiting",
    "gauge",
    "appeals",
    "已裁定解除但尚未生效的申诉数",
    "Decided liftings that have yet to take effect",
)
CODES = Metric(
    "hutong_appeal_codes_total",
    "counter",
    "codes",
    "申诉验证码:已发送、发送失败",
    "One-time codes of appeals, by result: sent, failed",
    ("result",),
)
REFUSED = Metric(
    "hutong_appeal_requests_refused_total",
    "counter",
    "requests",
    "因超过限额而拒绝的申诉页请求,按限额",
    "Requests to the appeal pages refused for asking too much, by limit",
    ("limit",),
)
