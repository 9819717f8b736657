"""The live figures of a data folder, for pages, metrics and the demo: what the counter board says, with names.

Reading costs a few microseconds and a handful of journal records; it never touches the screening process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from hutong.calls import board as at
from hutong.calls.board import Board
from hutong.calls.explain import Verdicts
from hutong.kernel.errors import HutongError, StateError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.numbering import AREAS, Numbering
from hutong.kernel.reporter import masked

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.trunks import TrunkTable
    from hutong.kernel.rules.ruleset import Ruleset

_Counts = TypeVar("_Counts", "MirrorCount", "AskCount", "SipCount")

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


class AreaCount(msgspec.Struct):
    """Attempts and blocks of calls to one area, by its code with 0."""

    area: str
    attempts: int
    blocked: int


class MirrorCount(msgspec.Struct):
    """Mirrored signalling: packets by what became of them, then calls. `followed` and `connections` are now."""

    packets: int
    malformed: int
    unauthorised: int
    lost: int
    orphans: int
    late: int
    followed: int
    answered: int
    ended: int
    judged: int
    unended: int
    connections: int


class AskCount(msgspec.Struct):
    """Screening over HTTP: requests, the calls in them, and requests that were refused."""

    requests: int
    calls: int
    refused: int


class SipCount(msgspec.Struct):
    """What else the SIP edge counts. `connections` is now."""

    acks: int = 0
    other_requests: int = 0
    reference_read: int = 0
    repeated: int = 0
    unrepeated: int = 0
    forgotten: int = 0
    connections: int = 0
    untrusted_source: int = 0
    roaming_asked: int = 0
    allowed: int = 0


class LatestVerdict(msgspec.Struct):
    """One warned or blocked call; numbers are masked, also within its Call-ID and its reasons in both languages."""

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
    areas: list[AreaCount]
    """Those with calls; calls to numbers without a known area are in none of them."""
    mirror: MirrorCount
    ask: AskCount
    latest: list[LatestVerdict]
    journal_refused: int = 0
    """Batches that the journal did not take."""
    sip: SipCount = msgspec.field(default_factory=SipCount)


_SCALARS = {
    "time_ns": at.BEAT_NS,
    "started_ns": at.STARTED_NS,
    "attempts": at.ATTEMPTS,
    "passed": at.PASSED,
    "warned": at.WARNED,
    "blocked": at.BLOCKED,
    "observed": at.OBSERVED,
    "fail_open": at.FAIL_OPEN,
    "emergency": at.EMERGENCY,
    "retransmits": at.RETRANSMITS,
    "malformed": at.MALFORMED,
    "dropped": at.DROPPED,
    "tracked_numbers": at.TRACKED,
    "capacity_numbers": at.CAPACITY,
    "evicted": at.EVICTED,
    "list_entries": at.LIST_ENTRIES,
    "journal_refused": at.JOURNAL_REFUSED,
}


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
        self._numbering = Numbering()  # keys are read already, with the home area where one was missing
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
            **{name: int(cells[cell]) for name, cell in _SCALARS.items()},
            rules=rules,
            trunks=trunks,
            areas=self._areas(),
            mirror=self._counts(MirrorCount, "MIRROR_"),
            ask=self._counts(AskCount, "ASK_"),
            sip=self._counts(SipCount, ""),
            latest=self._latest(),
        )

    def _areas(self) -> list[AreaCount]:
        """Place 0 is for numbers without a known area."""
        pairs = self._board.cells[at.AREAS_FROM : at.AREAS_FROM + 2 * len(AREAS)].reshape(-1, 2).tolist()
        return [AreaCount(area, *pair) for area, pair in zip(AREAS[1:], pairs[1:], strict=True) if pair[0]]

    def _counts(self, kind: type[_Counts], block: str) -> _Counts:
        """The cells whose names begin with `block` and go on with a struct's fields."""
        cells = self._board.cells
        return kind(*(int(cells[getattr(at, f"{block}{name.upper()}")]) for name in kind.__struct_fields__))

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
            file = self._data / _LEGEND
            try:
                self._legend = msgspec.json.decode(file.read_bytes(), type=_Legend)
            except UNREADABLE as error:
                raise StateError(
                    f"the names of the live counters cannot be read: {error}.",
                    where=str(file),
                    fix="Restart the screening process: it writes them anew.",
                ) from error
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
            call_id=masked(verdict.call_id),
            caller=self._numbering.mask(verdict.caller_key, verdict.caller),
            callee=self._numbering.mask(verdict.callee_key, verdict.callee),
            trunk=verdict.trunk,
            action=verdict.action,
            code=verdict.code,
            rules=[fired.id for fired in story.fired],
            reason={lang: masked(text) for lang, text in story.reason.items()},
        )
