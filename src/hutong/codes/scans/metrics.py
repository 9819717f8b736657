"""The metrics of venues, scans and look-ups."""

from __future__ import annotations

from typing import Final

from hutong.kernel.metrics import Metric

MERGED: Final = Metric(
    "hutong_codes_scans_merged_total",
    "counter",
    "scans",
    "并入的扫码登记数，按方式与核验结果",
    "Scans merged, by who scanned and what verifying gave",
    ("mode", "verdict"),
)
AGAIN: Final = Metric(
    "hutong_codes_scans_again_total", "counter", "scans", "重复送来、只计一次的扫码数", "Scans that came again"
)
OVER: Final = Metric(
    "hutong_codes_scans_over_total",
    "counter",
    "scans",
    "送来时已过保存期限的扫码数",
    "Scans that came when their term of keeping was over",
)
WRONG_CLOCK: Final = Metric(
    "hutong_codes_scans_wrong_clock_total",
    "counter",
    "scans",
    "设备时钟明显错误、时间不可知的扫码数",
    "Scans whose time a wrong clock has lost",
)
REFUSED: Final = Metric(
    "hutong_codes_scans_refused_total", "counter", "scans", "拒收的扫码数", "Scans refused, by reason", ("reason",)
)
COPIES: Final = Metric(
    "hutong_codes_scan_copies_total",
    "counter",
    "codes",
    "并入时发现的复制码、重放码数",
    "Codes found copied when scans were merged",
    ("kind",),
)
LOOKUPS: Final = Metric(
    "hutong_codes_lookups_total",
    "counter",
    "lookups",
    "依令查询次数，按是否答复",
    "Look-ups under orders, answered or refused",
    ("outcome",),
)
ORDERS: Final = Metric(
    "hutong_codes_lookup_orders", "gauge", "orders", "各状态的查询令", "Orders of look-up by state", ("state",)
)
KEPT: Final = Metric("hutong_codes_scans", "gauge", "scans", "在库的扫码登记数", "Scans that are kept")
VENUES: Final = Metric("hutong_codes_venues", "gauge", "venues", "各状态的场所数", "Venues by state", ("state",))
CLOCKS: Final = Metric(
    "hutong_codes_scan_clocks_off",
    "gauge",
    "devices",
    "一天内上送过、时钟不准的设备数",
    "Devices heard of within a day whose clock is off",
)
EMPTIED: Final = Metric(
    "hutong_codes_scan_days_forgotten_total",
    "counter",
    "days",
    "到期整日删除的天数",
    "Days of scans that went as a whole",
)
ALL: Final = (MERGED, AGAIN, OVER, WRONG_CLOCK, REFUSED, COPIES, LOOKUPS, ORDERS, KEPT, VENUES, CLOCKS, EMPTIED)
