"""The manifest of reports: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.kernel.system import System
from hutong.reports import metrics

SYSTEM = System(
    name="reports",
    title={"zh": "群众举报", "en": "Reports from people"},
    docs="docs/reports.md",
    metrics=tuple(it.name for it in (metrics.TAKEN, metrics.REFUSED, metrics.WAITING)),
    commands=("report add", "report show", "report import", "report list"),
)
