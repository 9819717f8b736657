"""Kafka: calls judged from a topic and verdicts published to one, beside the bare client that only copies messages.

The brokers are librdkafka's mock brokers in this process, so the figures are those of the clients, not of a cluster.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, Producer

from bench.kafka_brokers import Brokers
from bench.peers import HUTONG, Hutong, Server
from bench.tables import table
from hutong.calls.feed.places import fed_in
from hutong.kernel.journal import FileJournal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The mock brokers keep 5 MB of a partition.
MESSAGES, PARTS = 100_000, 32
CALLERS = 5_000
CALLS, VERDICTS, COPIES = "hutong.calls", "hutong.verdicts", "copies"
_LONGEST = 300.0


def kafka_table(folder: Path) -> str:
    """Messages a second, a row for each way."""
    with Brokers({CALLS: PARTS, VERDICTS: PARTS, COPIES: PARTS}) as brokers:
        _fill(brokers)
        copied = _copy(brokers)
        judged, published = _judge(brokers, folder)
    rows = [
        ("confluent-kafka: consume and produce, nothing in between", copied),
        ("calls read, judged and journalled", judged),
        ("the same until their verdicts were published", published),
    ]
    return table(("what", "messages/s"), [(what, f"{rate:,.0f}") for what, rate in rows])


def _fill(brokers: Brokers) -> None:
    producer = Producer({"bootstrap.servers": brokers.address, "linger.ms": 5})
    for at in range(MESSAGES):
        caller = f"138{at * 7919 % CALLERS:08d}"
        call = {"call_id": f"bench-{at}", "caller": caller, "callee": f"139{at % 90_000:08d}", "trunk": "bench"}
        producer.produce(CALLS, msgspec.json.encode(call), caller)
        if at % 10_000 == 0:
            producer.flush()
    producer.flush()


def _copy(brokers: Brokers) -> float:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers.address,
            "group.id": "copy",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": brokers.address, "linger.ms": 5, "enable.idempotence": True})
    consumer.subscribe([CALLS])
    done, began = 0, 0.0
    while done < MESSAGES:
        messages = [it for it in consumer.consume(2048, 0.2) if it.error() is None]
        began = began or (time.monotonic() if messages else 0.0)
        for it in messages:
            producer.produce(COPIES, it.value(), it.key())
        if messages:
            producer.flush()
            consumer.commit(asynchronous=False)
        done += len(messages)
    took = time.monotonic() - began
    consumer.close()
    return MESSAGES / took


class _Screen(Hutong):
    """Screening that takes a feed."""

    def __init__(self, folder: Path, brokers: Brokers) -> None:
        super().__init__(folder, memory_mb=256, name="kafka")
        with self._config.open("a") as file:
            file.write(f'\n[kafka]\nbootstrap_servers = ["{brokers.address}"]\n')


class _Feed(Server):
    """`hutong feed` beside it."""

    def __init__(self, screen: _Screen, folder: Path) -> None:
        super().__init__("feed", folder)
        self._command = [*HUTONG, "feed", "--data", str(screen.data), "--config", str(folder / "kafka.toml")]

    def start(self) -> None:
        """Start it; that it works shows in the journal."""
        self._launch(self._command)


class _Count:
    """How many messages the journal says were judged."""

    def __init__(self, journal: FileJournal) -> None:
        self._journal, self._next, self.judged = journal, 1, 0

    def look(self) -> int:
        """The number now."""
        for frame in self._journal.read_frames(self._next):
            self.judged += sum(len(it.offsets) for it in fed_in(frame))
            self._next = frame.next_seq
        return self.judged


def _judge(brokers: Brokers, folder: Path) -> tuple[float, float]:
    screen = _Screen(folder, brokers)
    feed = _Feed(screen, folder)
    journal, place = FileJournal(screen.data / "journal"), screen.data / "run" / "feed-published"
    count = _Count(journal)
    try:
        screen.start()
        feed.start()
        began = _until(lambda: count.look() > 0)
        first = count.judged
        judged = _until(lambda: count.look() >= MESSAGES)
        published = _until(lambda: place.exists() and int(place.read_text() or 0) >= journal.last_seq)
    finally:
        feed.stop()
        screen.stop()
    return (MESSAGES - first) / (judged - began), (MESSAGES - first) / (published - began)


def _until(true: Callable[[], bool]) -> float:
    """When it became true."""
    deadline = time.monotonic() + _LONGEST
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
    return time.monotonic()
