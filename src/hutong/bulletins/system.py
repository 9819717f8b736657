"""The manifest of the bulletins: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.bulletins import metrics
from hutong.kernel.system import System

SYSTEM = System(
    name="bulletins",
    title={"zh": "通报", "en": "Bulletins"},
    docs="docs/bulletins.md",
    metrics=tuple(metric.name for metric in (metrics.MADE, metrics.WAITING, metrics.DAYS)),
    commands=("bulletin make", "bulletin list", "bulletin sign", "bulletin count", "losses import"),
)
