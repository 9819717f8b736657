"""The rows of one journal segment as columns, whatever holds them: memory, or the map of a sidecar file.

A part never changes. Rows are in the order of the journal; `seq` and `offset` count from the segment's first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from hutong.calls import record as rec
from hutong.calls.index.rows import call_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]

#: Columns of every row, with their types.
COLUMNS: dict[str, str] = {
    "time": "<i8",
    "caller": "<i8",
    "callee": "<i8",
    "seq": "<u4",
    "offset": "<u4",
    "call": "<u4",
    "code": "<u2",
    "area": "<u2",
    "flags": "<u2",
    "trunk": "<u2",
    "rule": "<u2",
    "kind": "u1",
    "action": "u1",
}
#: One element for each fired rule of a verdict: the row, and the rule's place in the part's list.
HITS: dict[str, str] = {"hit_row": "<u4", "hit_rule": "<u2"}
#: One element for each outcome: the row, what it is about, times in ms.
OUTCOMES: dict[str, str] = {
    "outcome_row": "<u4",
    "outcome_phase": "u1",
    "outcome_answered": "u1",
    "outcome_ring": "<u4",
    "outcome_talk": "<u4",
}
#: Made when a part is complete: rows in the order of a column; rows by fired rule.
SORTED = ("caller", "callee", "call")


class PartHead(msgspec.Struct, frozen=True):
    """What is known of a part without looking at its rows.

    Attributes:
        first_seq, salt, created_ns: the segment's.
        bytes_: how long the segment was when it was read to its end.
        rows, verdicts, outcomes: how many there are.
        oldest_ms, newest_ms: times of its rows.
        trunks: names of its trunks. rules: (digest of the set, rule's index) of its rules, deciding or fired.
    """

    first_seq: int
    salt: int
    created_ns: int
    bytes_: int
    rows: int
    verdicts: int
    outcomes: int
    oldest_ms: int
    newest_ms: int
    trunks: tuple[str, ...]
    rules: tuple[tuple[int, int], ...]


class Part(Protocol):
    """What queries need of a segment's rows."""

    head: PartHead
    sealed: bool

    def column(self, name: str) -> NDArray[Any]:
        """The values of a column; not to be changed."""

    def equal(self, name: str, value: int) -> Rows:
        """Rows, ascending, in which `name` (of SORTED) has this value."""

    def fired(self, rule: int) -> Rows:
        """Rows, ascending, of verdicts on which the rule at this place of `head.rules` fired."""

    def fired_among(self, rows: Rows) -> NDArray[np.int64]:
        """On how many of these rows each rule of `head.rules` fired."""


class MemoryPart:
    """A part in memory, of a segment that is still being written or that no file could be made for.

    Args:
        head: see `PartHead`.
        columns: COLUMNS, HITS and OUTCOMES.
    """

    sealed = False

    def __init__(self, head: PartHead, columns: Mapping[str, NDArray[Any]]) -> None:
        self.head = head
        self._columns = columns

    def column(self, name: str) -> NDArray[Any]:
        """See `Part.column`."""
        return self._columns[name]

    def equal(self, name: str, value: int) -> Rows:
        """See `Part.equal`."""
        return np.flatnonzero(self._columns[name] == value)

    def fired(self, rule: int) -> Rows:
        """See `Part.fired`."""
        rows: Rows = self._columns["hit_row"][self._columns["hit_rule"] == rule].astype(np.intp)
        return rows

    def fired_among(self, rows: Rows) -> NDArray[np.int64]:
        """See `Part.fired_among`."""
        marks = np.zeros(self.head.rows, dtype=np.bool_)
        marks[rows] = True
        hit = self._columns["hit_rule"][marks[self._columns["hit_row"]]]
        return np.bincount(hit, minlength=len(self.head.rules))


def sealed_columns(part: MemoryPart) -> dict[str, NDArray[Any]]:
    """All columns of a complete part, as a sidecar keeps them."""
    columns = {name: part.column(name) for name in (*COLUMNS, *OUTCOMES)}
    for name in SORTED:
        columns[f"by_{name}"] = np.argsort(columns[name], kind="stable").astype(np.uint32)
    rule = part.column("hit_rule")
    order = np.argsort(rule, kind="stable")
    columns["fired_rows"] = part.column("hit_row")[order]
    columns["fired_starts"] = np.searchsorted(rule[order], np.arange(len(part.head.rules) + 1)).astype(np.uint32)
    return columns


def hash_of_call(call_id: str, salt: int) -> int:
    """What the column `call` holds for a Call-ID in a segment of this salt."""
    data = np.frombuffer(call_id.encode()[: rec.MAX_TEXT], dtype=np.uint8)
    return int(call_hash(data, 0, data.size, salt))
