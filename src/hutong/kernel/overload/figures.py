"""Figures of admission, and how they are taken over from where they are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.metrics import (
    OVERLOAD_AT_WORK,
    OVERLOAD_EDGE_REFUSED,
    OVERLOAD_LEVEL,
    OVERLOAD_LIMIT,
    OVERLOAD_REFUSED,
    OVERLOAD_SERVED,
    OVERLOAD_WAITING,
)
from hutong.kernel.overload.classes import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.kernel.metrics import Metrics
    from hutong.kernel.overload.admission import Admission


def publish(metrics: Metrics, admission: Admission, edge_refused: Sequence[int]) -> None:
    """Take over what was counted; `edge_refused` by class."""
    metrics.set(OVERLOAD_LEVEL, admission.level)
    metrics.set(OVERLOAD_LIMIT, admission.limit)
    metrics.set(OVERLOAD_AT_WORK, admission.at_work)
    for one in CLASSES:
        kind, name = one.kind, one.name
        metrics.set(OVERLOAD_WAITING, admission.waiting(kind), **{"class": name})
        metrics.set(OVERLOAD_SERVED, admission.served[kind], **{"class": name})
        metrics.set(OVERLOAD_EDGE_REFUSED, edge_refused[kind], **{"class": name})
        for why, count in admission.refused[kind].items():
            metrics.set(OVERLOAD_REFUSED, count, **{"class": name, "why": why})
