"""The manifest of the calls system: what the app wires, and what the house checks that it has."""

from __future__ import annotations

import msgspec

from hutong.calls import metrics


class System(msgspec.Struct, frozen=True):
    """One system of the platform.

    Attributes:
        name: the package's name.
        title: in both languages.
        docs: its page. metrics: names of the metrics that only it has. commands: its commands.
    """

    name: str
    title: dict[str, str]
    docs: str
    metrics: tuple[str, ...]
    commands: tuple[str, ...]


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
    commands=("calls screen", "calls explain", "lists", "roaming", "rules"),
)
