"""The manifest of the hand-offs: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.handoff import metrics
from hutong.kernel.system import System

SYSTEM = System(
    name="handoff",
    title={"zh": "劝阻移交", "en": "Hand-off to the dissuasion desk"},
    docs="docs/handoff.md",
    commands=("handoff list",),
    metrics=(
        metrics.HANDOFFS.name,
        metrics.HANDOFF_MONEY.name,
        metrics.HANDOFFS_TOLD.name,
        metrics.HANDOFFS_WAITING.name,
    ),
)
