"""The four classes of requests and the four levels, as data. What a class means is decided here and nowhere else."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec


class Kind(IntEnum):
    """Which class a request is of; the smaller, the sooner it is served."""

    CRITICAL = 0
    SCAN = 1
    ISSUE = 2
    HISTORY = 3


class Level(IntEnum):
    """How much is kept back for what matters more; the greater, the more."""

    NORMAL = 0
    BUSY = 1
    CROWDED = 2
    CRITICAL_ONLY = 3


class Class(msgspec.Struct, frozen=True):
    """A class of requests.

    Attributes:
        kind: which one. name: in tickets, metrics and configurations.
        title: for people.
        queue: how many of it may wait.
        deadline_ms: from its arrival until it must have been served; what cannot be is refused before work is done.
        share: of the places at work, as far as which it may fill them; the rest is kept free for better classes.
        waits: the highest level at which it may wait for a place without a ticket.
        enters: the highest level at which it is let in at all.
    """

    kind: Kind
    name: str
    title: dict[str, str]
    queue: int
    deadline_ms: int
    share: float
    waits: Level
    enters: Level


#: In the order of `Kind`. Queues are short: who waits longer than a deadline has been served for nothing.
CLASSES: Final = (
    Class(
        Kind.CRITICAL,
        "critical",
        {"zh": "采样登记与采样点验码", "en": "sampling writes and verification at stations"},
        queue=64,
        deadline_ms=150,
        share=1.0,
        waits=Level.CRITICAL_ONLY,
        enters=Level.CRITICAL_ONLY,
    ),
    Class(
        Kind.SCAN,
        "scan",
        {"zh": "扫码", "en": "scans at venues"},
        queue=32,
        deadline_ms=500,
        share=0.9,
        waits=Level.CROWDED,
        enters=Level.CROWDED,
    ),
    Class(
        Kind.ISSUE,
        "issue",
        {"zh": "首次领码", "en": "first issue of codes"},
        queue=16,
        deadline_ms=1000,
        share=0.9,
        waits=Level.BUSY,
        enters=Level.CROWDED,
    ),
    Class(
        Kind.HISTORY,
        "history",
        {"zh": "历史记录等页面", "en": "history and other dear pages"},
        queue=8,
        deadline_ms=1000,
        share=0.5,
        waits=Level.NORMAL,
        enters=Level.CROWDED,
    ),
)

KINDS: Final = {one.name: one.kind for one in CLASSES}

#: Names in metrics, the board and the header, in the order of `Level`.
LEVELS: Final = ("normal", "busy", "crowded", "critical-only")
