"""A node that judges what a feed brings, in this process, and everything it left behind when it died."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engines import NOON_NS, TRUNKS, node_settings
from hutong.calls.explain import Verdicts
from hutong.calls.feed.desk import FeedDesk
from hutong.calls.feed.places import PlaceBook, fed_in
from hutong.calls.loop import ScreeningLoop
from hutong.calls.node import Node
from hutong.calls.outcomes import Outcome, decode_outcome
from hutong.calls.record import KIND_OUTCOME
from hutong.kernel import windows
from hutong.kernel.clock import ManualClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.feed.port import Part

TRUNK_NAMES = frozenset(it.name for it in TRUNKS)


def call(number: int, caller: str = "", **members: Any) -> bytes:  # noqa: ANN401  # JSON
    """A call attempt as a message."""
    event = {
        "call_id": f"fed-{number}",
        "caller": caller or f"1380000{number % 7:04d}",
        "callee": f"1390013{number % 5:04d}",
        "trunk": "neighbour",
    }
    return msgspec.json.encode(event | members)


def outcome(number: int, event: str = "ended", **members: Any) -> bytes:  # noqa: ANN401  # JSON
    """What became of a call of `call`, as a message."""
    told = {"call_id": f"fed-{number}", "event": event, "ring_ms": 4000 + number % 9, "release": 16}
    return msgspec.json.encode(told | members)


class Killed(Exception):  # noqa: N818  # what a test does to a process
    """The process is gone."""


class FedNode:
    """A node with a feed's desk; `die` says when it dies the next time."""

    def __init__(self, data: Path) -> None:
        self.clock = ManualClock(NOON_NS)
        (data / "run").mkdir(parents=True, exist_ok=True)
        log = Reporter("test", stream=io.StringIO(), clock=self.clock).log
        self.node = Node(node_settings(data, followed_calls=4096), self.clock, log)
        self.engine = self.node.open()
        self.trouble: list[str] = []
        loop = ScreeningLoop(self.engine, self.node, self.clock, lambda _kind, text: self.trouble.append(text))
        self.desk = FeedDesk(loop, PlaceBook(data, self.node.journal))
        self.desk.open()
        self.die = ""

    def commit_or_die(self) -> None:
        """Die between the change of the windows and the journal, or between the journal and their commit."""
        kept, journal = self.node.commit, self.node.journal

        def commit(end: int, records: int, now_ns: int) -> None:
            if self.die == "before the journal":
                raise Killed
            if self.die == "after the journal":
                journal.append_records(self.engine.records.bytes_[:end].data, records, now_ns)
                raise Killed
            kept(end, records, now_ns)

        self.node.commit = commit  # type: ignore[method-assign]

    def counts(self, feature: str = "attempts_1m") -> dict[str, int]:
        """A window feature of each caller that `call` makes, where it is not 0."""
        table, numbering = self.engine.tables.windows, self.engine.tables.numbering
        place = windows.WINDOW_FEATURES.index(feature)
        values, found = np.zeros(len(windows.WINDOW_FEATURES)), {}
        for caller in range(7):
            number = f"1380000{caller:04d}"
            slot = windows.find(table, numbering.read(number).key)
            if slot >= 0:
                windows.read_features(table, slot, self.clock.wall() // 10**9, values, 0)
                found[number] = int(values[place])
        return {number: count for number, count in found.items() if count}


def outcomes_in(data: Path) -> list[Outcome]:
    """Every outcome that a journal holds."""
    journal = FileJournal(data / "journal")
    return [decode_outcome(it.seq, it.body) for it in journal.read(1) if it.kind == KIND_OUTCOME]


def journalled(data: Path) -> tuple[dict[Part, list[int]], list[str]]:
    """What a journal holds: offsets of verdicts by partition in their order, and the Call-IDs of all verdicts."""
    offsets: dict[Part, list[int]] = {}
    for frame in FileJournal(data / "journal").read_frames(1):
        for it in fed_in(frame):
            offsets.setdefault((it.topic, it.partition), []).extend(it.offsets)
    return offsets, [it.call_id for it in Verdicts(data).all()]
