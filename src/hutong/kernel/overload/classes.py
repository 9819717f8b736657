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
        queue: how many of it may wait.
        deadline_ms: from its arrival until it must have been served; what cannot be is refused before work is done.
        share: of the places at work, as far as which it may fill them; the rest is kept free for better classes.
        waits: the highest level at which it may wait for a place without a ticket.
        enters: the highest level at which it is let in at all.
    """

    kind: Kind
    name: str
    queue: int
    deadline_ms: int
    share: float
    waits: Level
    enters: Level


#: In the order of `Kind`: name, queue, deadline, share, waits, enters. Queues are short: who waits longer than a
#: deadline has been served for nothing.
CLASSES: Final = (
    # sampling writes, and verification at stations
    Class(Kind.CRITICAL, "critical", 64, 150, 1.0, Level.CRITICAL_ONLY, Level.CRITICAL_ONLY),
    # scans at venues
    Class(Kind.SCAN, "scan", 32, 500, 0.9, Level.CROWDED, Level.CROWDED),
    # first issue of codes
    Class(Kind.ISSUE, "issue", 16, 1000, 0.9, Level.BUSY, Level.CROWDED),
    # history, and other pages that are dear
    Class(Kind.HISTORY, "history", 8, 1000, 0.5, Level.NORMAL, Level.CROWDED),
)

KINDS: Final = {one.name: one.kind for one in CLASSES}

#: Names in metrics, the board and the header, in the order of `Level`.
LEVELS: Final = ("normal", "busy", "crowded", "critical-only")
