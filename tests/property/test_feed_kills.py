"""A message is judged once by effect, whoever is killed and whenever: windows, journal and verdicts tell."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feed_nodes import TRUNK_NAMES, FedNode, Killed, call, journalled, outcome, outcomes_in
from hutong.calls.asking import wire as asking
from hutong.calls.feed import wire
from hutong.calls.feed.port import FeedError, MemoryFeed, MemoryLog, MemoryOutlet, ScreeningAway
from hutong.calls.feed.publisher import VerdictPublisher
from hutong.calls.feed.reader import FeedReader
from hutong.kernel.access.refs import Refs

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS, OUTCOMES, DEAD, VERDICTS = "calls", "outcomes", "dead", "verdicts"
#: What may go wrong in one turn of the feed, and where.
MISHAPS = ("none", "before the journal", "after the journal", "before the answer", "before the commit", "note first")


class DeskLine:
    """The feed's line to a desk in this process; `lose` drops the answer to what was judged."""

    def __init__(self, node: FedNode) -> None:
        self._node = node
        self.lose = False

    def places(self) -> list[wire.Place]:
        frames = asking.FrameReader().feed(self._node.desk.take(asking.Frame(wire.PLACES, 0, 1, b"")))
        return wire.decode_places(next(frames).body)

    def judge(self, topic: str, partition: int, offsets: Sequence[int], calls: Sequence[asking.Attempt]) -> list[int]:
        asked = wire.encode_feed(7, topic, partition, offsets, [asking.encode_call(it) for it in calls])
        return [it.status for it in asking.decode_reply(self._ask(asked))]

    def note(self, topic: str, partition: int, offsets: Sequence[int], told: Sequence[wire.Told]) -> list[int]:
        return list(self._ask(wire.encode_outcomes(7, topic, partition, offsets, told)).body)

    def _ask(self, asked: bytes) -> asking.Frame:
        (frame,) = asking.FrameReader().feed(asked)
        (answer,) = asking.FrameReader().feed(self._node.desk.take(frame))
        if self.lose:
            raise ScreeningAway("the connection was lost.")
        return answer


def start(data: Path, log: MemoryLog, counts: Counter[str]) -> tuple[FedNode, DeskLine, FeedReader]:
    node = FedNode(data)
    node.commit_or_die()
    line = DeskLine(node)
    feed = MemoryFeed(log, [CALLS, OUTCOMES], "group", "node")
    reader = FeedReader(
        feed,
        line,
        MemoryOutlet(log),
        outcomes=OUTCOMES,
        dead_topic=DEAD,
        trunks=TRUNK_NAMES,
        count=lambda result, number: counts.update({result: number}),
    )
    reader.open()
    return node, line, reader


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from(MISHAPS)), min_size=2, max_size=5),
    st.integers(0, 3),
)
def test_every_message_counts_once_whatever_is_killed(turns: list[tuple[int, str]], refusals: int) -> None:
    log, counts = MemoryLog(2), Counter[str]()
    number = last = 0
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        node, line, reader = start(data, log, counts)
        for size, mishap in [*turns, (1, "none")]:
            put_outcomes(log, number - last, number)
            last = size
            for _ in range(size):
                caller = f"1380000{number % 7:04d}".encode()
                log.put(CALLS, caller, b"{no call" if number % 11 == 10 else call(number))
                number += 1
            node.die, line.lose = mishap, mishap == "before the answer"
            feed = reader._feed  # noqa: SLF001  # the kill between journal and broker has no other place
            if mishap == "before the commit":
                feed.commit = lambda _places: (_ for _ in ()).throw(Killed())  # type: ignore[assignment,method-assign]
            if mishap == "note first":
                node.desk.close()
            try:
                while reader.run(0):
                    pass
            except ScreeningAway:
                # Screening lives; only its answer was lost, and the feed brings again what it holds.
                line.lose = False
                while reader.run(0):
                    pass
            except Killed:
                reader.close()
                node.node.close()
                node, line, reader = start(data, log, counts)
                while reader.run(0):
                    pass
        windows_say, ended, talking = node.counts(), node.counts("ended_1h"), node.counts("active_calls")
        reader.close()
        node.node.close()
        check(data, log, number, windows_say, refusals)
        check_outcomes(data, number - last, ended, talking)


def test_outcomes_wait_for_the_calls_of_a_backlog(tmp_path: Path) -> None:
    log, counts = MemoryLog(2), Counter[str]()
    for at in range(6000):
        log.put(CALLS, f"1380000{at % 7:04d}".encode(), call(at))
    put_outcomes(log, 0, 1000)
    node, _, reader = start(tmp_path, log, counts)
    while reader.run(0):
        pass
    node.node.close()
    assert counts["unknown-call"] == 0
    assert counts["outcome"] == len([at for at in range(1000) if at % 3]) + len(
        [at for at in range(1000) if at % 3 < 2]
    )


def is_call(number: int) -> bool:
    return number % 11 != 10


def put_outcomes(log: MemoryLog, first: int, last: int) -> None:
    """What became of these calls: a third rang in vain, a third was answered and ended, a third still talks."""
    for at in range(first, last):
        caller = f"1380000{at % 7:04d}".encode()
        if at % 3:
            log.put(OUTCOMES, caller, outcome(at, "answered"))
        if at % 3 < 2:
            for _ in range(1 + at % 2):
                log.put(OUTCOMES, caller, outcome(at, answered=at % 3 == 1, talk_ms=61_000))
        if at % 13 == 0:
            log.put(OUTCOMES, caller, b"{no outcome")


def check_outcomes(data: Path, number: int, ended: dict[str, int], talking: dict[str, int]) -> None:
    calls = [at for at in range(number) if is_call(at)]
    told = Counter((it.call_id, it.phase, it.answered) for it in outcomes_in(data))
    wanted = [(f"fed-{at}", "answered", True) for at in calls if at % 3]
    wanted += [(f"fed-{at}", "ended", at % 3 == 1) for at in calls if at % 3 < 2]
    assert told == Counter(wanted), "each outcome once, none of a call that nobody knows"
    for found, kinds in ((ended, (0, 1)), (talking, (2,))):
        assert found == Counter(f"1380000{at % 7:04d}" for at in calls if at % 3 in kinds)


def check(data: Path, log: MemoryLog, number: int, windows_say: dict[str, int], refusals: int) -> None:
    good = [it for it in log.all(CALLS) if it.value != b"{no call"]
    offsets, call_ids = journalled(data)
    by_part: dict[tuple[str, int], list[int]] = {}
    for it in good:
        by_part.setdefault((it.topic, it.partition), []).append(it.offset)
    assert {part: of for part, of in offsets.items() if of} == by_part, (
        "each message once, in the order of its partition"
    )
    assert Counter(call_ids) == Counter(f"fed-{at}" for at in range(number) if at % 11 != 10)
    callers = Counter(f"1380000{at % 7:04d}" for at in range(number) if at % 11 != 10)
    assert windows_say == callers
    for topic, broken in ((CALLS, b"{no call"), (OUTCOMES, b"{no outcome")):
        dead = {it.key for it in log.all(DEAD) if it.value == broken}
        assert dead == {it.key for it in log.all(topic) if it.value == broken}
    outlet = MemoryOutlet(log, *(FeedError("away.") for _ in range(refusals)))
    refs = Refs(data / "refs.key")
    for _ in range(refusals + 2):
        publisher = VerdictPublisher(data, "node", outlet, VERDICTS, refs, whole=False)
        try:
            while publisher.run()[0]:
                pass
        except FeedError:
            continue
    told = [msgspec.json.decode(it.value or b"") for it in log.all(VERDICTS)]
    assert {it["id"] for it in told} == {f"{it.topic}/{it.partition}/{it.offset}" for it in good}
    assert {it["call_id"] for it in told if it["source"]} == {it["call_id"] for it in told}
    assert len({it["id"] for it in told}) == len({it["seq"] for it in told}), "one id for each verdict"
