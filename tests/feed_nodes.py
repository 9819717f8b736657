"""A node that judges what a feed brings, in this process, and everything it left behind when it died."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engines import NOON_NS, TRUNKS
from hutong.calls.engine import Policy
from hutong.calls.explain import Verdicts
from hutong.calls.feed.desk import FeedDesk
from hutong.calls.feed.places import PlaceBook, fed_in
from hutong.calls.loop import ScreeningLoop
from hutong.calls.node import Node, NodeSettings
from hutong.kernel import windows
from hutong.kernel.clock import ManualClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.feed.port import Part

_POLICY = Policy("192.0.2.249:5080", "http://127.0.0.1/redress", 50, "Asia/Shanghai", 22, 8, True, False)  # noqa: FBT003
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


class Killed(Exception):  # noqa: N818  # what a test does to a process
    """The process is gone."""


class FedNode:
    """A node with a feed's desk; `die` says when it dies the next time."""

    def __init__(self, data: Path) -> None:
        self.clock = ManualClock(NOON_NS)
        settings = NodeSettings(
            data=data,
            policy=_POLICY,
            trunks=TRUNKS,
            proxies=("127.0.0.1/32",),
            home_area="",
            rule_folders=(),
            window_bytes=8 << 20,
            segment_bytes=1 << 20,
            sync_ms=1000,
            keep_ns=3600 * 10**9,
        )
        (data / "run").mkdir(parents=True, exist_ok=True)
        self.node = Node(settings, self.clock, Reporter("test", stream=io.StringIO(), clock=self.clock).log)
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

    def attempts(self) -> dict[str, int]:
        """Attempts in the last minute of the callers that `call` makes, as the windows have them."""
        table, numbering = self.engine.tables.windows, self.engine.tables.numbering
        place = windows.WINDOW_FEATURES.index("attempts_1m")
        values, found = np.zeros(len(windows.WINDOW_FEATURES)), {}
        for caller in range(7):
            number = f"1380000{caller:04d}"
            slot = windows.find(table, numbering.read(number).key)
            if slot >= 0:
                windows.read_features(table, slot, self.clock.wall() // 10**9, values, 0)
                found[number] = int(values[place])
        return found


def journalled(data: Path) -> tuple[dict[Part, list[int]], list[str]]:
    """What a journal holds: offsets of verdicts by partition in their order, and the Call-IDs of all verdicts."""
    offsets: dict[Part, list[int]] = {}
    for frame in FileJournal(data / "journal").read_frames(1):
        for it in fed_in(frame):
            offsets.setdefault((it.topic, it.partition), []).extend(it.offsets)
    return offsets, [it.call_id for it in Verdicts(data).all()]
