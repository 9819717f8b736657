"""From messages to verdicts: reads a feed, lets the screening process judge, and only then says how far it came.

A polling object without a thread or a clock. What it has polled and not brought to judgement is held here, at most one
poll's worth; while screening is away it polls nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from hutong.calls.asking import wire as asking
from hutong.calls.feed.events import message_id, read_call
from hutong.calls.feed.port import Letter, ScreeningAway
from hutong.calls.feed.wire import Place
from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from hutong.calls.feed.port import Feed, Message, Outlet, Part

#: Messages polled at once.
AT_ONCE: Final = 8 * asking.MAX_CALLS
#: How a message fared, as it is counted.
JUDGED, REPEATED, DEAD = "judged", "repeated", "dead"


class Line(Protocol):
    """Who judges (`line.ScreenLine`)."""

    def places(self) -> list[Place]:
        """How far the node's journal is."""

    def judge(self, topic: str, partition: int, offsets: Sequence[int], calls: Sequence[asking.Attempt]) -> list[int]:
        """How the calls of one partition fared."""


class _Read(NamedTuple):
    """A message that holds a call."""

    offset: int
    call: asking.Attempt


class FeedReader:
    """Brings a feed's messages to judgement.

    Args:
        feed: opened by `open`. line: who judges. outlet: takes messages that cannot be used.
        dead_topic: where those go. trunks: names that exist.
        count: told how many messages fared how: (result, number).
    """

    def __init__(
        self,
        feed: Feed,
        line: Line,
        outlet: Outlet,
        *,
        dead_topic: str,
        trunks: Container[str],
        count: Callable[[str, int], None],
    ) -> None:
        self._feed, self._line, self._outlet = feed, line, outlet
        self._dead_topic, self._trunks, self._count = dead_topic, trunks, count
        self._held: list[Message] = []

    def open(self) -> None:
        """Begin to read; again after a failure of `run`. Raises FeedError."""
        self._held = []
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
            self._held = self._feed.poll(AT_ONCE, wait_s)
        if not self._held:
            return 0
        by_part: dict[Part, list[Message]] = {}
        for it in self._held:
            by_part.setdefault((it.topic, it.partition), []).append(it)
        for part, messages in by_part.items():
            self._bring(part, messages)
        self._feed.commit([Place(*part, messages[-1].offset + 1) for part, messages in by_part.items()])
        done = len(self._held)
        self._held = []
        return done

    def wait(self, wait_s: float) -> None:
        """Stay in the group while screening is away."""
        self._feed.keep_alive(wait_s)

    def _bring(self, part: Part, messages: Sequence[Message]) -> None:
        read: list[_Read] = []
        dead: list[Letter] = []
        for it in messages:
            try:
                read.append(_Read(it.offset, read_call(it.value, self._trunks)))
            except CodecError as error:
                dead.append(self._dead(it, str(error)))
        if dead:
            # Before judgement: the journal's place passes over them.
            self._outlet.send(dead)
            self._count(DEAD, len(dead))
        for some in _cut(read):
            statuses = self._line.judge(*part, [it.offset for it in some], [it.call for it in some])
            if asking.UNAVAILABLE in statuses:
                raise ScreeningAway("the journal takes nothing now.", fix="Free space on the disk of the data folder.")
            judged = statuses.count(asking.JUDGED)
            self._count(JUDGED, judged)
            self._count(REPEATED, len(statuses) - judged)

    def _dead(self, it: Message, reason: str) -> Letter:
        named = message_id(it.topic, it.partition, it.offset)
        headers = (("hutong-id", named.encode()), ("hutong-reason", reason.encode()))
        return Letter(self._dead_topic, it.key or b"", it.value or b"", headers)


def _cut(read: Sequence[_Read]) -> Iterator[Sequence[_Read]]:
    for start in range(0, len(read), asking.MAX_CALLS):
        yield read[start : start + asking.MAX_CALLS]
