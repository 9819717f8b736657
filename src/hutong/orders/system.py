"""The manifest of orders: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.kernel.system import System
from hutong.orders import metrics

SYSTEM = System(
    name="orders",
    title={"zh": "封停解封指令", "en": "Block, unblock and limit orders"},
    docs="docs/orders.md",
    metrics=tuple(it.name for it in (metrics.BY_STATE, metrics.ACKNOWLEDGED, metrics.DELAY, metrics.WAITING)),
    commands=(
        "orders request",
        "orders approve",
        "orders decline",
        "orders withdraw",
        "orders lift",
        "orders list",
        "orders show",
        "orders pack",
        "orders verify-pack",
    ),
)
