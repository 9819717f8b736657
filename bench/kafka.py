"""Calls from Kafka to journalled verdicts and verdicts to Kafka, beside a bare client that reads the same topic.

Client and node take turns, round after round. The brokers are librdkafka's mock brokers in this process, and everybody
shares the machine's cores: the figures are those of the clients and the node, not of a cluster, and of a machine that
does other work they say little. What it did before is said beside them.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from confluent_kafka import Consumer, Producer

from bench.kafka_brokers import Brokers
from bench.peers import HUTONG, Hutong, Server
from bench.tables import table
from hutong.calls.feed.places import fed_in
from hutong.kernel.journal import FileJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: The mock brokers keep 5 MB of a partition.
MESSAGES, PARTS, ROUNDS = 40_000, 32, 3
CALLERS = 5_000
CALLS, VERDICTS = "hutong.calls", "hutong.verdicts"
_LONGEST = 120.0


class Round(NamedTuple):
    """Messages a second: read by the bare client, judged and in the journal, and with their verdicts published."""

    read: float
    judged: float
    published: float


def kafka_table(folder: Path) -> str:
    """Messages a second and the share of the bare client's, a row for each way, and what else the machine did."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    with Brokers({CALLS: PARTS, VERDICTS: PARTS}) as brokers:
        _fill(brokers)
        rounds = [Round(_read(brokers, at), *_judge(brokers, folder, at)) for at in range(ROUNDS)]
    ways = (
        ("confluent-kafka: messages consumed, nothing done with them", [it.read for it in rounds]),
        ("calls read, judged and in the journal", [it.judged for it in rounds]),
        ("the same, with their verdicts published", [it.published for it in rounds]),
    )
    rows = [(what, _spread(rates, ",.0f"), _shares(rates, rounds)) for what, rates in ways]
    note = f"{MESSAGES:,} messages, {ROUNDS} rounds; load average before: {load:.1f} on {cores} cores"
    return f"{table(('median (lowest to highest)', 'messages/s', 'of the bare client'), rows)}\n\n{note}."


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _shares(rates: Sequence[float], rounds: Sequence[Round]) -> str:
    return _spread([rate / it.read for rate, it in zip(rates, rounds, strict=True)], ".2f")


def _fill(brokers: Brokers) -> None:
    producer = Producer({"bootstrap.servers": brokers.address, "linger.ms": 5})
    for at in range(MESSAGES):
        caller = f"138{at * 7919 % CALLERS:08d}"
        call = {"call_id": f"bench-{at}", "caller": caller, "callee": f"139{at % 90_000:08d}", "trunk": "bench"}
        producer.produce(CALLS, msgspec.json.encode(call), caller)
        if at % 10_000 == 0:
            producer.flush()
    producer.flush()


def _read(brokers: Brokers, at: int) -> float:
    """Messages a second that a consumer gets, from its first ones on."""
    options = {"bootstrap.servers": brokers.address, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**options, "group.id": f"bare-{at}"})
    consumer.subscribe([CALLS])
    done = first = 0
    began, deadline = 0.0, time.monotonic() + _LONGEST
    while done < MESSAGES:
        if time.monotonic() > deadline:
            raise TimeoutError
        done += sum(1 for it in consumer.consume(2048, 0.2) if it.error() is None)
        if done and not began:
            began, first = time.monotonic(), done
    took = time.monotonic() - began
    consumer.close()
    return (MESSAGES - first) / took


class _Screen(Hutong):
    """Screening that takes a feed, in a consumer group of its own."""

    def __init__(self, folder: Path, brokers: Brokers, name: str) -> None:
        super().__init__(folder, memory_mb=256, name=name)
        with self._config.open("a") as file:
            file.write(f'\n[kafka]\nbootstrap_servers = ["{brokers.address}"]\ngroup = "{name}"\n')


class _Feed(Server):
    """`hutong feed` beside it."""

    def __init__(self, screen: _Screen, folder: Path) -> None:
        super().__init__(f"{screen.name}-feed", folder)
        self._command = [*HUTONG, "feed", "--data", str(screen.data), "--config", str(folder / f"{screen.name}.toml")]

    def start(self) -> None:
        """Start it; that it works shows in the journal."""
        self._launch(self._command)


def _judge(brokers: Brokers, folder: Path, at: int) -> tuple[float, float]:
    """Messages a second from the first frame in the journal to the last, and to the last verdict's publication."""
    screen = _Screen(folder, brokers, f"kafka{at}")
    feed = _Feed(screen, folder)
    journal, place = FileJournal(screen.data / "journal"), screen.data / "run" / "feed-published"
    try:
        screen.start()
        feed.start()
        # Judging is timed by the journal's own clock, so that nobody reads along.
        _until(lambda: place.exists() and int(place.read_text() or 0) >= MESSAGES)
        published = _until(lambda: int(place.read_text() or 0) >= journal.last_seq)
    finally:
        feed.stop()
        screen.stop()
    frames = [(frame.wall_ns, sum(len(it.offsets) for it in fed_in(frame))) for frame in journal.read_frames(1)]
    judged = [(wall, count) for wall, count in frames if count]
    total, began = sum(count for _, count in judged), judged[0][0]
    if total != MESSAGES:
        raise RuntimeError(f"{total} of {MESSAGES} messages are in the journal")
    rest = MESSAGES - judged[0][1]
    return rest / (judged[-1][0] - began) * 1e9, rest / (published - began) * 1e9


def _until(true: Callable[[], bool]) -> int:
    """When it became true, ns since 1970."""
    deadline = time.monotonic() + _LONGEST
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
    return time.time_ns()
