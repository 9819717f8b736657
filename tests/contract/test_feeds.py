"""What a log of messages does for Hutong, on each that there is: in memory, and Kafka (librdkafka's mock brokers)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import pytest
from bench.kafka_brokers import Brokers

from hutong.calls.feed.kafka import KafkaFeed, KafkaLink, KafkaOutlet
from hutong.calls.feed.port import FeedError, Letter, MemoryFeed, MemoryLog, MemoryOutlet
from hutong.calls.feed.wire import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hutong.calls.feed.port import Feed, Message, Outlet

pytestmark = pytest.mark.enable_socket

TOPIC, PARTS = "calls", 4
PATIENCE = 40.0


class Log(Protocol):
    """A log of messages with one topic of PARTS partitions, and members of one group."""

    def feed(self, node: str) -> Feed: ...

    def outlet(self) -> Outlet: ...


class InMemory:
    def __init__(self) -> None:
        self.log = MemoryLog(PARTS)

    def feed(self, node: str) -> Feed:
        return MemoryFeed(self.log, [TOPIC], "group", node)

    def outlet(self) -> Outlet:
        return MemoryOutlet(self.log)


class OnKafka:
    def __init__(self, brokers: Brokers) -> None:
        self.link = KafkaLink(brokers.address)

    def feed(self, node: str) -> Feed:
        times = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200}
        return KafkaFeed(self.link, [TOPIC], "group", node, **times)

    def outlet(self) -> Outlet:
        return KafkaOutlet(self.link, "node")


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    if request.param == "memory":
        yield InMemory()
        return
    with Brokers({TOPIC: PARTS}) as brokers:
        yield OnKafka(brokers)


@pytest.fixture
def opened(log: Log) -> Iterator[Callable[..., Feed]]:
    feeds: list[Feed] = []

    def make(node: str, places: Sequence[Place] = ()) -> Feed:
        feed = log.feed(node)
        feeds.append(feed)
        feed.open(lambda: places)
        return feed

    yield make
    for feed in feeds:
        feed.close()


def fill(log: Log, count: int, first: int = 0) -> None:
    """Messages of ten callers, numbered."""
    outlet = log.outlet()
    outlet.send([Letter(TOPIC, b"caller%d" % (at % 10), b"%d" % at) for at in range(first, first + count)])
    outlet.close()


def take(count: int, *feeds: Feed, done: Callable[[list[list[Message]]], bool] | None = None) -> list[list[Message]]:
    """Poll until so many messages came in all (or `done` says so)."""
    found: list[list[Message]] = [[] for _ in feeds]
    deadline = time.monotonic() + PATIENCE
    while sum(map(len, found)) < count or (done is not None and not done(found)):
        assert time.monotonic() < deadline, [len(one) for one in found]
        for got, feed in zip(found, feeds, strict=True):
            got.extend(feed.poll(100, 0.05))
    return found


def ends(messages: Sequence[Message]) -> list[Place]:
    last = {(it.topic, it.partition): it.offset + 1 for it in messages}
    return [Place(topic, part, following) for (topic, part), following in last.items()]


def test_one_reader_gets_every_message_in_the_order_of_its_partition(log: Log, opened: Callable[..., Feed]) -> None:
    fill(log, 200)
    (got,) = take(200, opened("one"))
    assert sorted(int(it.value or b"") for it in got) == list(range(200))
    for part in range(PARTS):
        offsets = [it.offset for it in got if it.partition == part]
        assert offsets == list(range(len(offsets)))
    homes = {it.key: it.partition for it in got}
    assert all(homes[it.key] == it.partition for it in got), "one caller, one partition"


def test_the_next_of_a_group_begins_where_the_last_one_said(log: Log, opened: Callable[..., Feed]) -> None:
    fill(log, 100)
    first = opened("one")
    (got,) = take(100, first)
    first.commit(ends(got))
    first.close()
    fill(log, 50, first=100)
    (rest,) = take(50, opened("two"))
    assert sorted(int(it.value or b"") for it in rest) == list(range(100, 150))


def test_what_was_not_committed_is_given_again_unless_this_nodes_journal_has_it(
    log: Log, opened: Callable[..., Feed]
) -> None:
    fill(log, 100)
    first = opened("one")
    (got,) = take(100, first)
    first.close()
    again = opened("two")
    (repeated,) = take(100, again)
    again.close()
    assert sorted(repeated) == sorted(got)
    fill(log, 10, first=100)
    (fresh,) = take(10, opened("one", ends(got)))
    assert sorted(int(it.value or b"") for it in fresh) == list(range(100, 110))


def test_a_journal_behind_its_own_commit_gets_the_missing_messages_again(log: Log, opened: Callable[..., Feed]) -> None:
    fill(log, 100)
    first = opened("one")
    (got,) = take(100, first)
    first.commit(ends(got))
    first.close()
    kept = [Place(it.topic, it.partition, it.next - 1) for it in ends(got)]
    (again,) = take(len(kept), opened("one", kept))
    assert sorted((it.partition, it.offset) for it in again) == sorted((it.partition, it.next) for it in kept)


def test_two_readers_share_the_partitions_and_the_one_that_stays_gets_all(
    log: Log, opened: Callable[..., Feed]
) -> None:
    one, two = opened("one"), opened("two")
    take(0, one, two, done=lambda _: bool(one.parts()) and bool(two.parts()) and not one.parts() & two.parts())
    assert len(one.parts() | two.parts()) == PARTS
    fill(log, 100)
    found = take(100, one, two)
    assert all(found)
    assert sorted(int(it.value or b"") for got in found for it in got) == list(range(100))
    for feed, got in zip((one, two), found, strict=True):
        feed.commit(ends(got))
    two.close()
    take(0, one, done=lambda _: len(one.parts()) == PARTS)
    fill(log, 20, first=100)
    (rest,) = take(20, one)
    assert sorted(int(it.value or b"") for it in rest) == list(range(100, 120))


def test_lag_is_what_was_not_polled(log: Log, opened: Callable[..., Feed]) -> None:
    fill(log, 30)
    feed = opened("one")
    got: list[Message] = []
    deadline = time.monotonic() + PATIENCE
    while not got:
        assert time.monotonic() < deadline
        got = feed.poll(1, 0.05)
    # Of a partition that was not fetched yet nothing may be known; of this one it is.
    part = got[0].partition
    left = feed.lag()[TOPIC, part]
    got += take(29, feed)[0]
    assert left == sum(it.partition == part for it in got) - 1
    assert sum(feed.lag().values()) == 0


def test_what_is_on_hold_waits_and_loses_nothing(log: Log, opened: Callable[..., Feed]) -> None:
    feed = opened("one")
    take(0, feed, done=lambda _: len(feed.parts()) == PARTS)
    held = {(TOPIC, part) for part in range(1, PARTS)}
    feed.hold(held)
    fill(log, 100)
    (early,) = take(1, feed)
    feed.keep_alive(0.05)
    early += feed.poll(100, 0.05)
    assert {it.partition for it in early} == {0}
    feed.hold(set())
    (late,) = take(100 - len(early), feed)
    assert sorted(int(it.value or b"") for it in early + late) == list(range(100))
    assert {(TOPIC, it.partition) for it in late} >= held


def test_brokers_that_are_away_are_an_error_and_come_back() -> None:
    with Brokers({TOPIC: 1}) as brokers:
        link = KafkaLink(brokers.address)
        brokers.set_down()
        outlet = KafkaOutlet(link, "node", patience_s=1.5)
        with pytest.raises(FeedError, match="does not keep"):
            outlet.send([Letter(TOPIC, b"k", b"1")])
        brokers.set_up()
        KafkaOutlet(link, "node").send([Letter(TOPIC, b"k", b"2")])
        outlet.close()
