"""The manifest of the risk score: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.kernel.system import System
from hutong.risk import metrics

SYSTEM = System(
    name="risk",
    title={"zh": "涉诈风险评分", "en": "Risk score"},
    docs="docs/risk.md",
    metrics=tuple(metric.name for metric in (metrics.SCORED, metrics.FLAGGED, metrics.PUBLISHED, metrics.DRIFT)),
    commands=("risk train", "risk score", "risk evaluate", "risk card", "risk table", "risk rescore"),
)
