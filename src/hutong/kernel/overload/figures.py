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


def publish(metrics: Metrics, admission: Admission, edge_refused: Sequence[int], process: str) -> None:
    """Take over what was counted; `edge_refused` by class, `process`: whose figures these are."""
    metrics.set(OVERLOAD_LEVEL, admission.level, process=process)
    metrics.set(OVERLOAD_LIMIT, admission.limit, process=process)
    metrics.set(OVERLOAD_AT_WORK, admission.at_work, process=process)
    for one in CLASSES:
        kind, its = one.kind, {"process": process, "class": one.name}
        metrics.set(OVERLOAD_WAITING, admission.waiting(kind), **its)
        metrics.set(OVERLOAD_SERVED, admission.served[kind], **its)
        metrics.set(OVERLOAD_EDGE_REFUSED, edge_refused[kind], **its)
        for why, count in admission.refused[kind].items():
            metrics.set(OVERLOAD_REFUSED, count, **its, why=why)
