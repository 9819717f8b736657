"""All that one screening process judges with, held together: arrays in, verdicts out. No socket, no file, no clock.

`Engine` is what the fast lane (`batch`) and the reference path (`reference`) share, so both judge with the same state.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from hutong.calls import answers, attempt, batch, screening, transactions
from hutong.calls import record as rec
from hutong.calls.alerts import conditions as alert_conditions
from hutong.calls.lane import requests as lane
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.model import FLAG_REFERENCE
from hutong.kernel.marks import no_marks
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.scores.table import no_scores
from hutong.kernel.windows import handle_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.identity import Parties
    from hutong.calls.trunks import TrunkTable
    from hutong.kernel.lists.index import ListArrays
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.rules.ruleset import Ruleset
    from hutong.kernel.windows import WindowArrays

_RECORD_BUFFER = 4 * 1024 * 1024
_SALT_BITS = 62


class Policy(msgspec.Struct, frozen=True):
    """The settings that judgement depends on; names and units as in `app.config`."""

    next_hop: str
    redress_url: str
    budget_ms: int
    time_zone: str
    night_from: int
    night_to: int
    use_roaming_table: bool
    look_up_roaming: bool

    def is_night(self, hour: int) -> bool:
        """Whether a local hour is one of the night's."""
        start, end = self.night_from, self.night_to
        return start <= hour < end if start <= end else hour >= start or hour < end


class Tables(NamedTuple):
    """What is consulted besides rules: windows and calls are changed, lists and roaming are looked up.

    calls: the call table, where signalling is mirrored (`mirror.table`).
    """

    numbering: Numbering
    trunks: TrunkTable
    windows: WindowArrays
    lists: ListArrays
    roaming: ListArrays
    calls: NDArray[np.int64] = mirror_calls.no_table()
    scores: NDArray[np.int64] = no_scores()
    marks: NDArray[np.int64] = no_marks()


class Outcome(msgspec.Struct, frozen=True):
    """What became of one judged call: a packed answer, or pending = a roaming look-up must be awaited."""

    answer: int
    pending: bool


class Engine:
    """State of judgement. One thread uses it.

    Args:
        policy: settings.
        tables: numbering, trunks, windows, lists, roaming.
        ruleset: the first rule set.
        cells: the counter board, int64[board.CELLS].
        salt: secret non-negative number below 2**62, for keyed hashes.
    """

    def __init__(self, policy: Policy, tables: Tables, ruleset: Ruleset, cells: NDArray[np.int64], salt: int) -> None:
        self.policy = policy
        self.tables = tables
        self.cells = cells
        self.salt = salt & ((1 << _SALT_BITS) - 1)
        self.transactions = transactions.new_transactions()
        self.inbox = batch.new_inbox()
        self.outbox = batch.new_outbox()
        self.records = rec.new_record_buffer(_RECORD_BUFFER)
        self.spans = np.zeros(lane.SPANS, dtype=np.int64)
        self.call = np.zeros(attempt.CALL_SLOTS, dtype=np.int64)
        self.zone = zoneinfo.ZoneInfo(policy.time_zone)
        self._hour_from = 0
        self._hour = 0
        self.parts: answers.AnswerArrays | None = None
        self.watch = alert_conditions.watch_for(alert_conditions.NO_CONDITIONS, tables.calls)
        self.use_ruleset(ruleset)

    def use_ruleset(self, ruleset: Ruleset) -> None:
        """Judge with this rule set from the next call on."""
        self.ruleset = ruleset
        self.parts = answers.build_answers(
            ruleset, self.tables.trunks, self.policy.next_hop, self.policy.redress_url, self.parts
        )
        self.scratch = attempt.new_scratch(len(ruleset.rules))
        self._assemble()

    def use_alerts(self, conditions: alert_conditions.Conditions) -> None:
        """Watch calls under way for these conditions from now on."""
        self.watch = alert_conditions.watch_for(conditions, self.tables.calls)

    def use_lists(self, lists: ListArrays, roaming: ListArrays) -> None:
        """Consult these list arrays from the next call on."""
        self.tables = self.tables._replace(lists=lists, roaming=roaming)
        self._assemble()

    def use_scores(self, scores: NDArray[np.int64]) -> None:
        """Consult these rows of published scores from the next call on."""
        self.tables = self.tables._replace(scores=scores)
        self._assemble()

    def use_marks(self, marks: NDArray[np.int64]) -> None:
        """Consult these rows of marks from the next call on."""
        self.tables = self.tables._replace(marks=marks)
        # Where there are no marks, judging writes no feature of theirs.
        self.scratch = attempt.new_scratch(len(self.ruleset.rules))
        self._assemble()

    def _assemble(self) -> None:
        self.judge = attempt.Judge(
            plan=self.tables.numbering.arrays,
            trunks=self.tables.trunks.arrays,
            lists=self.tables.lists,
            roaming=self.tables.roaming,
            windows=handle_of(self.tables.windows),
            calls=self.tables.calls,
            program=self.ruleset.program,
            rules=attempt.rule_arrays(self.ruleset),
            scores=self.tables.scores,
            marks=self.tables.marks,
            use_table=int(self.policy.use_roaming_table),
            look_up_roaming=int(self.policy.look_up_roaming),
        )

    def forget_transactions(self) -> None:
        """Drop every transaction: used when a batch could not be journalled and so was never answered."""
        self.transactions = transactions.new_transactions()

    def moment(self, now_ns: int) -> batch.Moment:
        """The batch's view of the time; the local hour is worked out once an hour."""
        now_ms = now_ns // 1_000_000
        if not self._hour_from <= now_ms < self._hour_from + 3_600_000:
            local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone)
            start = local.replace(minute=0, second=0, microsecond=0)
            self._hour_from = int(
                (start.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
            )
            self._hour = local.hour
        return batch.Moment(now_ms, self._hour, int(self.policy.is_night(self._hour)), self.policy.budget_ms, self.salt)

    @property
    def caller_key(self) -> int:
        """The number key of the caller judged last."""
        return int(self.scratch.caller[KEY])

    def screen_batch(self, when: batch.Moment, start: int, count: int, seq: int) -> batch.Done:
        """Screen datagrams of the inbox through the fast lane; see `batch.screen_batch`."""
        assert self.parts is not None  # noqa: S101  # set by the constructor
        return batch.screen_batch(
            self.judge,
            self.parts,
            self.transactions,
            self.inbox,
            self.outbox,
            self.records,
            self.scratch,
            self.cells,
            self.spans,
            self.call,
            when,
            start,
            count,
            seq,
        )

    def judge_parties(
        self,
        parties: Parties,
        call_id: bytes,
        source: tuple[int, int],
        when: batch.Moment,
        *,
        late: bool,
        roaming: int,
        at: int,
        seq: int,
    ) -> tuple[Outcome, int]:
        """Judge a call that the full codec has read.

        Args:
            parties: who calls whom.
            call_id: the Call-ID.
            source: true source address as two halves (see `trunks.address_halves`).
            when: the moment.
            late: the verdict's budget is spent: fail open.
            roaming: a look-up's answer, or attempt.ROAMING_ASK.
            at: first free byte of the records buffer.
            seq: sequence number that the record will get.

        Returns:
            The outcome and the next free byte.
        """
        text = self.set_parties(parties, call_id, source, when, roaming)
        call = self.call
        call[attempt.FAIL_OPEN] = late
        after = screening.judge(self.judge, call, text, self.scratch, self.records, at)
        verdict = self.scratch.verdict
        if verdict[attempt.V_PENDING]:
            return Outcome(answer=0, pending=True), at
        trunk = int(call[attempt.TRUNK])
        batch.count_verdict(self.cells, verdict, self.scratch, trunk, seq)
        if mirror_calls.in_use(self.tables.calls):
            hashes = (self.call_hash(call_id), self.call_hash(parties.tag))
            batch.note_screened(self.judge, call, self.scratch, hashes, seq)
        assert self.parts is not None  # noqa: S101  # set by the constructor
        answer = answers.pack(
            int(verdict[attempt.V_ACTION]),
            int(verdict[attempt.V_CODE]),
            answers.row_of(self.parts, int(verdict[attempt.V_RULE])),
            trunk,
        )
        return Outcome(answer=int(answer), pending=False), int(after)

    def set_parties(
        self, parties: Parties, call_id: bytes, source: tuple[int, int], when: batch.Moment, roaming: int
    ) -> NDArray[np.uint8]:
        """Make `self.call` this attempt (arguments as of `judge_parties`); gives the text that its spans point into."""
        texts = (parties.caller, parties.from_, parties.callee, parties.diverter, call_id)
        # Writable, like the inbox: compiled code then has one version for both.
        text = np.frombuffer(bytearray(b"".join(texts) or b"\0"), dtype=np.uint8)
        call, here = self.call, 0
        call[:] = 0
        for slot, part in zip(
            (attempt.CALLER, attempt.FROM, attempt.CALLEE, attempt.DIVERTER, attempt.CALL_ID),
            texts,
            strict=True,
        ):
            call[slot], call[slot + 1] = here, here + len(part)
            here += len(part)
        high, low = source
        call[attempt.TIME_MS], call[attempt.HOUR], call[attempt.NIGHT] = (
            when.now_ms,
            when.hour,
            when.night,
        )
        call[attempt.ANONYMOUS] = parties.anonymous
        call[attempt.ROAMING] = roaming
        call[attempt.SOURCE_HIGH], call[attempt.SOURCE_LOW] = _signed(high), _signed(low)
        call[attempt.TRUNK] = self.tables.trunks.find(high, low)
        call[attempt.FLAGS] = FLAG_REFERENCE
        return text

    def call_hash(self, text: bytes) -> int:
        """What a Call-ID or tag is known by in the call table; 0 for an empty one."""
        data = np.frombuffer(bytearray(text or b"\0"), dtype=np.uint8)
        return int(mirror_calls.text_hash(self.tables.calls, data, 0, len(text)))


def _signed(half: int) -> int:
    return half - (1 << 64) if half >= 1 << 63 else half
