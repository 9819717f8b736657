"""From messages to verdicts: reads a feed, lets the screening process judge, and only then says how far it came.

What became of calls is read beside them, so that an outcome finds its call: of one poll calls are judged first, and
outcomes are left where they are while a backlog of calls of the same partition is read.

A polling object without a thread or a clock. What it has polled and not brought to judgement is held here, at most one
poll's worth; while screening is away it polls nothing more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from hutong.calls.asking import wire as asking
from hutong.calls.feed.events import message_id, read_call, read_outcome
from hutong.calls.feed.port import Letter, ScreeningAway
from hutong.calls.feed.wire import KNOWN, NOTED, REFUSED, UNKNOWN, Place
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from hutong.calls.feed.port import Feed, Message, Outlet, Part
    from hutong.calls.feed.wire import Told

#: Messages polled at once.
AT_ONCE: Final = 8 * asking.MAX_CALLS
#: Calls of a partition not read yet, below which it is said to be read, and above which no longer.
_FEW, _MANY = asking.MAX_CALLS, AT_ONCE
#: How a message fared, as it is counted.
JUDGED, REPEATED, DEAD = "judged", "repeated", "dead"
#: How an outcome fared beside the last two: it was noted, or no call is known that it could be of.
OUTCOME, UNKNOWN_CALL = "outcome", "unknown-call"
_FATES: Final = {NOTED: OUTCOME, KNOWN: REPEATED, UNKNOWN: UNKNOWN_CALL}
_STATUSES: Final = {asking.JUDGED: JUDGED}

_T = TypeVar("_T", bound="asking.Attempt | Told")


class Line(Protocol):
    """Who judges (`line.ScreenLine`)."""

    def places(self) -> list[Place]:
        """How far the node's journal is."""

    def judge(self, topic: str, partition: int, offsets: Sequence[int], calls: Sequence[asking.Attempt]) -> list[int]:
        """How the calls of one partition fared."""

    def note(self, topic: str, partition: int, offsets: Sequence[int], told: Sequence[Told]) -> list[int]:
        """How the outcomes of one partition fared."""


class FeedReader:
    """Brings a feed's messages to judgement.

    Args:
        feed: opened by `open`. line: who judges. outlet: takes messages that cannot be used.
        outcomes: the topic of what became of calls; of all others come call attempts.
        dead_topic: where messages that cannot be used go. trunks: names that exist.
        count: told how many messages fared how: (result, number).
    """

    def __init__(
        self,
        feed: Feed,
        line: Line,
        outlet: Outlet,
        *,
        outcomes: str,
        dead_topic: str,
        trunks: Container[str],
        count: Callable[[str, int], None],
    ) -> None:
        self._feed, self._line, self._outlet, self._outcomes = feed, line, outlet, outcomes
        self._dead_topic, self._trunks, self._count = dead_topic, trunks, count
        self._held: list[Message] = []
        self._read_up: set[int] = set()

    def open(self) -> None:
        """Begin to read; again after a failure of `run`. Raises FeedError."""
        self._held, self._read_up = [], set()
        self._feed.open(self._line.places)

    def close(self) -> None:
        """Leave the group."""
        self._feed.close()

    def run(self, wait_s: float) -> int:
        """Poll once, judge, commit; gives how many messages were done with.

        Raises:
            FeedError: the log of messages fails; close and open again.
            ScreeningAway: what was polled is held, and brought again by the next call.
        """
        if self._held:
            # Some time has gone by without a poll: partitions may be another's by now.
            self._feed.keep_alive(0)
            mine = self._feed.parts()
            self._held = [it for it in self._held if (it.topic, it.partition) in mine]
        else:
            if self._outcomes:
                self._hold_outcomes()
            self._held = self._feed.poll(AT_ONCE, wait_s)
        if not self._held:
            return 0
        by_part: dict[Part, list[Message]] = {}
        for it in self._held:
            by_part.setdefault((it.topic, it.partition), []).append(it)
        for part, messages in sorted(by_part.items(), key=lambda of: of[0][0] == self._outcomes):
            if part[0] == self._outcomes:
                self._bring(part, messages, read_outcome, self._line.note, _FATES, REFUSED)
            else:
                self._bring(part, messages, self._read_call, self._line.judge, _STATUSES, asking.UNAVAILABLE)
        self._feed.commit([Place(*part, messages[-1].offset + 1) for part, messages in by_part.items()])
        done = len(self._held)
        self._held = []
        return done

    def _hold_outcomes(self) -> None:
        """Leave outcomes where they are whose calls are not read up."""
        mine, left = self._feed.parts(), self._feed.lag()
        calls = {part: left.get((topic, part), _MANY) for topic, part in mine if topic != self._outcomes}
        self._read_up &= {part for part, lag in calls.items() if lag <= _MANY}
        self._read_up |= {part for part, lag in calls.items() if lag <= _FEW}
        self._feed.hold({(self._outcomes, part) for part in calls.keys() - self._read_up})

    def wait(self, wait_s: float) -> None:
        """Stay in the group while screening is away."""
        self._feed.keep_alive(wait_s)

    def _read_call(self, value: bytes | None) -> asking.Attempt:
        return read_call(value, self._trunks)

    def _bring(
        self,
        part: Part,
        messages: Sequence[Message],
        read: Callable[[bytes | None], _T],
        ask: Callable[[str, int, Sequence[int], Sequence[_T]], list[int]],
        results: Mapping[int, str],
        refused: int,
    ) -> None:
        rows: list[tuple[int, _T]] = []
        dead: list[Letter] = []
        for it in messages:
            try:
                rows.append((it.offset, read(it.value)))
            except CodecError as error:
                dead.append(self._dead(it, str(error)))
        if dead:
            # Before judgement: the journal's place passes over them.
            self._outlet.send(dead)
            self._count(DEAD, len(dead))
        for start in range(0, len(rows), asking.MAX_CALLS):
            some = rows[start : start + asking.MAX_CALLS]
            fared = ask(*part, [offset for offset, _ in some], [row for _, row in some])
            if refused in fared:
                raise ScreeningAway("the journal takes nothing now.", fix="Free space on the disk of the data folder.")
            for result, number in Counter(results.get(one, REPEATED) for one in fared).items():
                self._count(result, number)

    def _dead(self, it: Message, reason: str) -> Letter:
        named = message_id(it.topic, it.partition, it.offset)
        headers = (("hutong-id", named.encode()), ("hutong-reason", reason.encode()))
        return Letter(self._dead_topic, it.key or b"", it.value or b"", headers)
