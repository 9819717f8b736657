"""The manifest of the appeals: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.appeals import metrics
from hutong.kernel.system import System

SYSTEM = System(
    name="appeals",
    title={"zh": "误拦申诉", "en": "Appeals against blocks"},
    docs="docs/appeals.md",
    commands=("appeals list", "appeals show", "appeals decide", "appeals labels"),
    metrics=(
        metrics.APPEALS.name,
        metrics.APPEALS_LATE.name,
        metrics.APPEALS_WAITING.name,
        metrics.CODES.name,
        metrics.REFUSED.name,
    ),
)
