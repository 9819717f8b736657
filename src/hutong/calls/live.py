"""The live figures of a data folder, for pages, metrics and the demo: what the counter board says, with names.

Reading costs a few microseconds and a handful of journal records; it never touches the screening process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hutong.calls import board as at
from hutong.calls.board import Board
from hutong.calls.explain import Verdicts
from hutong.kernel.errors import HutongError, StateError
from hutong.kernel.numbering import mask

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.trunks import TrunkTable
    from hutong.kernel.rules import Ruleset

_LEGEND = "board.json"
_SHOWN = 50


class RuleCount(msgspec.Struct):
    """How often a rule of the set in force fired, whatever its stage. `action` is that stage."""

    id: str
    title: dict[str, str]
    action: str
    count: int


class TrunkCount(msgspec.Struct):
    """Attempts and blocks of one trunk."""

    name: str
    kind: str
    attempts: int
    blocked: int


class LatestVerdict(msgspec.Struct):
    """One warned or blocked call; numbers are masked, reasons in both languages."""

    seq: int
    time_ms: int
    call_id: str
    caller: str
    callee: str
    trunk: str
    action: str
    code: int
    rules: list[str]
    reason: dict[str, str]


class LiveSnapshot(msgspec.Struct):
    """Counters since the screening process started. Times in ns since 1970 UTC; `time_ns` is its last sign of life."""

    time_ns: int
    started_ns: int
    attempts: int
    passed: int
    warned: int
    blocked: int
    observed: int
    fail_open: int
    emergency: int
    retransmits: int
    malformed: int
    dropped: int
    tracked_numbers: int
    capacity_numbers: int
    evicted: int
    list_entries: int
    rules: list[RuleCount]
    trunks: list[TrunkCount]
    latest: list[LatestVerdict]


class _RuleName(msgspec.Struct):
    id: str
    title: dict[str, str]
    action: str


class _TrunkName(msgspec.Struct):
    name: str
    kind: str


class _Legend(msgspec.Struct):
    generation: int
    rules: list[_RuleName]
    trunks: list[_TrunkName]


def write_legend(data: Path, ruleset: Ruleset, trunks: TrunkTable, generation: int) -> None:
    """Say which rule and which trunk each counter is for; whole or not at all."""
    legend = _Legend(
        generation=generation,
        rules=[_RuleName(rule.id, rule.title, rule.stage) for rule in ruleset.rules],
        trunks=[_TrunkName(trunk.name, trunk.kind) for trunk in trunks.trunks],
    )
    fresh = data / f"{_LEGEND}.new"
    fresh.write_bytes(msgspec.json.encode(legend))
    fresh.replace(data / _LEGEND)


class LiveSource:
    """Reads the live figures of a data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._board = Board(data / "board.bin")
        self._inode = 0
        self._verdicts = Verdicts(data)
        self._legend = _Legend(0, [], [])
        self._shown: dict[int, LatestVerdict] = {}

    def snapshot(self) -> LiveSnapshot:
        """The figures now.

        Raises:
            StateError: no screening process has counted in this folder yet.
        """
        self._attach()
        cells = self._board.cells
        legend = self._read_legend(int(cells[at.GENERATION]))
        rules = [
            RuleCount(rule.id, rule.title, rule.action, int(cells[at.RULES_FROM + index]))
            for index, rule in enumerate(legend.rules[: at.MAX_RULES])
        ]
        trunks = [
            TrunkCount(trunk.name, trunk.kind, int(cells[row]), int(cells[row + 1]))
            for index, trunk in enumerate(legend.trunks[: at.MAX_TRUNKS])
            for row in [at.TRUNKS_FROM + 2 * index]
        ]
        return LiveSnapshot(
            time_ns=int(cells[at.BEAT_NS]),
            started_ns=int(cells[at.STARTED_NS]),
            attempts=int(cells[at.ATTEMPTS]),
            passed=int(cells[at.PASSED]),
            warned=int(cells[at.WARNED]),
            blocked=int(cells[at.BLOCKED]),
            observed=int(cells[at.OBSERVED]),
            fail_open=int(cells[at.FAIL_OPEN]),
            emergency=int(cells[at.EMERGENCY]),
            retransmits=int(cells[at.RETRANSMITS]),
            malformed=int(cells[at.MALFORMED]),
            dropped=int(cells[at.DROPPED]),
            tracked_numbers=int(cells[at.TRACKED]),
            capacity_numbers=int(cells[at.CAPACITY]),
            evicted=int(cells[at.EVICTED]),
            list_entries=int(cells[at.LIST_ENTRIES]),
            rules=rules,
            trunks=trunks,
            latest=self._latest(),
        )

    def _attach(self) -> None:
        """Follow the board of the newest screening process; each start makes a fresh one."""
        path = self._data / "board.bin"
        try:
            inode = path.stat().st_ino
        except OSError:
            raise StateError(
                "no screening process has counted here yet.", where=str(self._data), fix="Start `hutong up`."
            ) from None
        if inode != self._inode:
            self._board.open_existing()
            self._inode = inode
            self._legend = _Legend(0, [], [])

    def _read_legend(self, generation: int) -> _Legend:
        if self._legend.generation != generation:
            self._legend = msgspec.json.decode((self._data / _LEGEND).read_bytes(), type=_Legend)
        return self._legend

    def _latest(self) -> list[LatestVerdict]:
        cells = self._board.cells
        end = int(cells[at.LATEST_AT])
        newest = [
            int(cells[at.LATEST_FROM + index % at.LATEST]) for index in range(end - 1, max(end - 1 - _SHOWN, -1), -1)
        ]
        self._shown = {seq: found for seq in newest if (found := self._shown.get(seq) or self._show(seq)) is not None}
        return list(self._shown.values())

    def _show(self, seq: int) -> LatestVerdict | None:
        try:
            verdict = self._verdicts.by_seq(seq)
        except HutongError:
            return None
        if verdict is None or verdict.action == "pass":
            # The number was given to another verdict, because the batch that it was first given in was not kept.
            return None
        story = self._verdicts.explain(verdict)
        return LatestVerdict(
            seq=seq,
            time_ms=verdict.time_ms,
            call_id=verdict.call_id,
            caller=mask(verdict.caller),
            callee=mask(verdict.callee),
            trunk=verdict.trunk,
            action=verdict.action,
            code=verdict.code,
            rules=[fired.id for fired in story.fired],
            reason=story.reason,
        )
