"""The manifest of sampling: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.kernel.system import System
from hutong.sampling import metrics

SYSTEM = System(
    name="sampling",
    title={"zh": "核酸采样", "en": "Sampling"},
    docs="docs/sampling.md",
    metrics=tuple(
        it.name
        for it in (
            metrics.TAKEN,
            metrics.AGAIN,
            metrics.REFUSED,
            metrics.TUBES,
            metrics.CONFLICTS,
            metrics.SILENT,
            metrics.TURNAROUND,
        )
    ),
    commands=(
        "sampling station prepare",
        "sampling station register",
        "sampling station seal",
        "sampling station hand-over",
        "sampling station status",
        "sampling station export",
        "sampling station merge",
        "sampling station send",
        "sampling station acknowledge",
        "sampling station forget",
        "sampling serve",
        "sampling receive",
        "sampling results",
        "sampling show",
        "sampling person",
        "sampling recall",
        "sampling settle",
        "sampling conflicts",
        "sampling emergency request",
        "sampling emergency approve",
        "sampling emergency decline",
        "sampling emergency lift",
        "sampling emergency list",
    ),
)
