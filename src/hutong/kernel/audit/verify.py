"""Holding the trail to its log: which entry is the first that was changed, dropped, re-ordered or added. Pure.

Rows come in the order of their ids, leaves in that of their numbers; in a log that nobody touched they go in step. Who
changed a row and its leaf hash alike is found at the next checkpoint: then the entry is one of those since the last
checkpoint that held.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

import msgspec

from hutong.kernel.audit.log import STEP
from hutong.kernel.audit.merkle import Frontier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hutong.kernel.audit.entry import Entry

Kind = Literal["changed", "dropped", "moved", "added", "rewritten", "cut", "index", "checkpoint"]


class Fault(msgspec.Struct, frozen=True):
    """What is wrong first.

    Attributes:
        kind: changed: the row is not what was recorded. dropped: it is gone. moved: another stands in its place.
            added: a row without a number stands there. rewritten: one of first to last is any of these, and hashes
            were made to fit. cut: there are only `left` entries where a checkpoint says that there were `last`: those
            at the end are gone, or others from `first` on and numbers were closed up. index: a kept hash over these
            entries is wrong. checkpoint: that of so many entries was tampered with.
        first, last: numbers of entries, the same where it is known which.
        id: the row's id in the trail; 0 where there is no row.
    """

    kind: Kind
    first: int
    last: int
    id: int = 0
    left: int = 0

    @property
    def word(self) -> str:
        """Its kind, and whether it is about several entries: what names its text."""
        return self.kind if self.first == self.last else f"{self.kind}_many"


class Mark(msgspec.Struct, frozen=True):
    """A checkpoint to hold the log to: its size, and its root; None if its signature does not fit."""

    size: int
    root: bytes | None


class Verifier:
    """Goes through the log once, some entries at a time.

    Args:
        marks: checkpoints that known keys signed, in any order.
        number_of: the number of a row by its id; asked only where something is wrong.
    """

    def __init__(self, marks: Iterable[Mark], number_of: Callable[[int], int | None]) -> None:
        # From the end; of one size, those that were tampered with first.
        self._marks = sorted((it for it in marks if it.size), key=lambda it: (-it.size, it.root is None))
        self._nodes: Mapping[tuple[int, int], bytes] = {}
        self._number_of = number_of
        self._tree = Frontier(self._node)
        self._fault: Fault | None = None
        self.last_id = -(1 << 63)  # nothing hides below the first entry
        self.held_at = 0
        self.compared = 0

    @property
    def size(self) -> int:
        """How many entries were found to be right."""
        return self._tree.size

    def take(
        self,
        rows: Iterable[Entry],
        leaves: Iterable[tuple[int, int, bytes]],
        nodes: Mapping[tuple[int, int], bytes],
    ) -> Fault | None:
        """Look at the next entries; as many of both where nothing is wrong.

        Args:
            rows: those with ids above `last_id`. leaves: (number, id, hash) of those with numbers above `size`.
            nodes: the hashes kept of the subtrees that these entries complete, by level and place.
        """
        self._nodes = nodes
        for row, leaf in zip_longest(rows, leaves):
            fault = self._entry(row, leaf) or self._compare()
            if fault is not None:
                return fault
        return None

    def finish(self) -> Fault | None:
        """What is wrong once there are no more entries: a checkpoint says that there were."""
        if not self._marks:
            return None
        last = self._marks[0]
        if last.root is None:
            return Fault("checkpoint", last.size, last.size)
        return Fault("cut", self.held_at + 1, last.size, left=self.size)

    def _entry(self, row: Entry | None, leaf: tuple[int, int, bytes] | None) -> Fault | None:
        number = self.size + 1
        if leaf is None or (row is not None and leaf[0] == number and row.id < leaf[1]):
            assert row is not None  # noqa: S101  # one of both is there
            kind: Kind = "added" if self._number_of(row.id) is None else "moved"
            return Fault(kind, number, number, row.id)
        if leaf[0] != number or row is None or row.id > leaf[1]:
            return Fault("dropped", number, number)
        hashed = row.leaf()
        if hashed != leaf[2]:
            return Fault("changed", number, number, row.id)
        self.last_id = row.id
        self._tree.append(hashed)
        return self._fault

    def _node(self, level: int, place: int, hashed: bytes) -> None:
        if level % STEP == 0 and self._nodes.get((level, place)) != hashed and self._fault is None:
            self._fault = Fault("index", (place << level) + 1, place + 1 << level)

    def _compare(self) -> Fault | None:
        marks, size = self._marks, self.size
        while marks and marks[-1].size == size:
            mark = marks.pop()
            if mark.root is None:
                return Fault("checkpoint", size, size)
            if mark.root != self._tree.root():
                return Fault("rewritten", self.held_at + 1, size)
            self.compared += 1
            self.held_at = size
        return None
