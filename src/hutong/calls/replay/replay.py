"""Calls of the past through the same judgement as live ones: batches of call records in, verdicts out.

Memory is bounded by what is asked for at the start, whatever the number of calls: a table of windows, and room for the
outcomes of calls that are under way at one time. Files, progress and settings are other modules' business.
"""

from __future__ import annotations

import mmap
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec
import numpy as np

from hutong.calls.attempt import CALL_SLOTS, Judge, new_scratch, rule_arrays
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.model import ACTION_BLOCK, ACTION_OBSERVE, ACTION_WARN, ACTIONS
from hutong.calls.replay.batch import CallBatch, Judged, Texts, new_judged
from hutong.calls.replay.core import Hours, Player, new_block, play
from hutong.calls.replay.owed import MOST_PENDING, OWED, new_owed
from hutong.calls.replay.pending import CHUNK, ENTRY, new_pending
from hutong.kernel import windows
from hutong.kernel.marks import no_marks
from hutong.kernel.scores.table import no_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.engine import Policy
    from hutong.calls.trunks import TrunkTable
    from hutong.kernel.lists.index import ListArrays
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.rules.ruleset import Ruleset

#: What a rule that fired adds to a call's score, by the most that the rule may do.
WEIGHTS: Final = {ACTION_BLOCK: 0.9, ACTION_WARN: 0.5, ACTION_OBSERVE: 0.1}
#: Hashes of a replay's own windows: fixed, so that it gives the same verdicts again. The numbers are not secret: nobody
#: outside chooses what a replay reads.
SALTS: Final = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
#: Calls under way at one time whose outcomes are followed.
MOST_UNDER_WAY: Final = 1 << 22

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS = 24
_STEP = timedelta(days=7)

_T = TypeVar("_T", bound=np.generic)


class Terms(msgspec.Struct, frozen=True):
    """How a replay judges.

    Attributes:
        policy: the settings that live judgement depends on.
        capacity: numbers that the windows track.
        as_if_promoted: each rule acts at its own action, whatever its stage.
        salts: the windows' hashes; those of the node that judged, for an exact replay of its records.
        most_under_way: calls whose outcomes may be awaited at one time, up to owed.MOST_PENDING; no more are followed.
    """

    policy: Policy
    capacity: int
    as_if_promoted: bool = False
    salts: tuple[int, int] = SALTS
    most_under_way: int = MOST_UNDER_WAY


class Consulted(NamedTuple):
    """What a replay consults beside rules: as `engine.Tables`, without what is live.

    scores: rows of published scores (`kernel.scores`), for rules and as one more factor of a call's score.
    marks: rows of marks (`kernel.marks`), for rules.
    """

    numbering: Numbering
    trunks: TrunkTable
    lists: ListArrays
    roaming: ListArrays
    scores: NDArray[np.int64] | None = None
    marks: NDArray[np.int64] | None = None


class Summary(NamedTuple):
    """What a replay did.

    calls: judged. outcomes: noted. unfollowed: calls whose outcomes found no room. evicted: numbers that made room.
    """

    calls: int
    outcomes: int
    unfollowed: int
    evicted: int


class Replay:
    """One replay. Nothing is allocated before the first batch. One thread uses it.

    Args:
        ruleset: what judges.
        consulted: see there.
        terms: see there.
    """

    def __init__(self, ruleset: Ruleset, consulted: Consulted, terms: Terms) -> None:
        self._ruleset, self._consulted, self._terms = ruleset, consulted, terms
        self._zone = zoneinfo.ZoneInfo(terms.policy.time_zone)
        self._hours_known = (0, 0)
        self._player: Player | None = None
        self._table: windows.WindowArrays | None = None
        self._calls = 0

    def feed(self, batch: CallBatch) -> Judged:
        """Judge a batch that follows the one before; its times lie between the years 1 and 9999."""
        n = batch.n
        out = new_judged(n, len(self._ruleset.rules))
        if n:
            player, table = self._ready(batch)
            alike, done = _alike(batch), 0
            while (done := play(*player, alike, done, out)) < n:
                windows.settle_order(table)
            self._calls += n
        return out

    def features(self) -> NDArray[np.float64]:
        """What the rules that fired on the last call of the last batch have read; other places say nothing."""
        if self._player is None:
            return np.zeros(len(self._ruleset.vocabulary.features), dtype=np.float64)
        return self._player.scratch.features.copy()

    def finish(self) -> Summary:
        """Let go of all memory and tell what was done. Outcomes that are still to come change no verdict any more."""
        player, table = self._player, self._table
        self._player = self._table = None
        if player is None or table is None:
            return Summary(0, 0, 0, 0)
        wheel = player.pending.wheel
        return Summary(self._calls, int(wheel.noted), int(wheel.refused), windows.evicted(table))

    def _ready(self, batch: CallBatch) -> tuple[Player, windows.WindowArrays]:
        first, last = int(batch.start_ms.min()), int(batch.start_ms.max())
        if self._player is None or self._table is None:
            self._table = self._new_table()
            self._player = self._begin(self._table, exact=int(batch.seq[0]) >= 0)
        begins, ends = self._hours_known
        if not begins <= first <= last < ends:
            self._hours_known, hours = self._hours(first, last)
            self._player = self._player._replace(hours=hours)
        return self._player, self._table

    def _new_table(self) -> windows.WindowArrays:
        capacity = self._terms.capacity
        table = windows.format_buffer(_memory(windows.size_for(capacity)), capacity, self._terms.salts)
        windows.defer_order(table)
        return table

    def _begin(self, table: windows.WindowArrays, *, exact: bool) -> Player:
        it, terms = self._consulted, self._terms
        most = min(terms.most_under_way, MOST_PENDING)
        learned = no_scores() if it.scores is None else it.scores
        rules = rule_arrays(self._ruleset)
        if terms.as_if_promoted:
            rules = rules._replace(effects=rules.declared)
        judge = Judge(
            plan=it.numbering.arrays,
            trunks=it.trunks.arrays,
            lists=it.lists,
            roaming=it.roaming,
            windows=windows.handle_of(table),
            calls=mirror_calls.no_table(),
            program=self._ruleset.program,
            rules=rules,
            scores=learned,
            marks=no_marks() if it.marks is None else it.marks,
            use_table=int(terms.policy.use_roaming_table),
            look_up_roaming=int(terms.policy.look_up_roaming),
        )
        weights = [WEIGHTS[ACTIONS.index(rule.action)] for rule in self._ruleset.rules]
        return Player(
            judge=judge,
            scratch=new_scratch(len(self._ruleset.rules)),
            call=np.zeros(CALL_SLOTS, dtype=np.int64),
            pending=new_pending(_memory(ENTRY.itemsize * most), _memory(CHUNK.itemsize * most)),
            owed=new_owed(_memory(OWED.itemsize * terms.capacity)),
            hours=Hours(*(np.zeros(0, dtype=np.int64),) * 2, np.zeros(_HOURS, dtype=np.uint8)),
            block=new_block(),
            following=new_block(),
            trunk_rows=np.full(len(it.trunks.names), -1, dtype=np.int64),
            weights=np.array(weights, dtype=np.float64),
            scores=learned,
            exact=int(exact),
        )

    def _hours(self, first: int, last: int) -> tuple[tuple[int, int], Hours]:
        """Local time from well before `first` to well after `last` (ms since 1970 UTC)."""
        policy = self._terms.policy
        at, end = (_EPOCH + timedelta(milliseconds=ms) for ms in (first, last))
        at, end = at - _STEP, end + 5 * _STEP
        known = _milliseconds(at), _milliseconds(end)
        begins, ahead = [known[0]], [self._ahead(at)]
        while at < end:
            then = at + _STEP
            if self._ahead(then) != ahead[-1]:
                then = self._change(at, then)
                begins.append(_milliseconds(then))
                ahead.append(self._ahead(then))
            at = then
        night = [policy.is_night(hour) for hour in range(_HOURS)]
        return known, Hours(
            np.array(begins, dtype=np.int64), np.array(ahead, dtype=np.int64), np.array(night, dtype=np.uint8)
        )

    def _ahead(self, moment: datetime) -> int:
        offset = moment.astimezone(self._zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    def _change(self, before: datetime, after: datetime) -> datetime:
        """The first second at which the zone is no longer as far ahead of UTC as at `before`."""
        was, second = self._ahead(before), timedelta(seconds=1)
        before, after = before.replace(microsecond=0), after.replace(microsecond=0) + second
        while after - before > second:
            middle = (before + (after - before) / 2).replace(microsecond=0)
            before, after = (middle, after) if self._ahead(middle) == was else (before, middle)
        return after


def _memory(size: int) -> mmap.mmap:
    """Memory all zero, taken as it is used."""
    # Rows are touched at random, and with small pages much of the time goes into finding them; Python's own choice,
    # memory that is shared, gets no large ones.
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _alike(batch: CallBatch) -> CallBatch:
    """The same batch in arrays of one kind whatever the source was, so that one version of the compiled code serves."""
    columns: dict[str, Any] = {
        name: _texts(column) if isinstance(column, Texts) else _locked(column)
        for name, column in batch._asdict().items()
        if name != "n"
    }
    return batch._replace(**columns)


def _texts(column: Texts) -> Texts:
    return Texts(_locked(column.data), _locked(column.offsets.astype(np.int64)))


def _locked(array: NDArray[_T]) -> NDArray[_T]:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
