"""The manifest of the calls system: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.calls import metrics
from hutong.kernel.system import System

SYSTEM = System(
    name="calls",
    title={"zh": "诈骗电话防范系统", "en": "Fraud-call prevention"},
    docs="docs/calls.md",
    metrics=tuple(
        metric.name
        for metric in (
            metrics.TRUNK_ATTEMPTS,
            metrics.TRUNK_BLOCKED,
            metrics.SCREENING_UP,
            metrics.SNAPSHOT_AGE,
            metrics.WATCHERS,
        )
    ),
    commands=("calls screen", "calls explain", "calls replay", "lists", "roaming", "rules"),
)
