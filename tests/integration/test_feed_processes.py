"""Real processes between Kafka's topics: killed at random moments, sharing partitions, and meeting what is no call."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest
from bench.kafka_brokers import Brokers
from confluent_kafka import Consumer

from e2e.processes import HUTONG, HutongNode, running
from feed_nodes import call, journalled, outcome, outcomes_in
from hutong.calls.feed.kafka import KafkaLink, KafkaOutlet
from hutong.calls.feed.port import Letter
from integration.nodes import settings_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(400)]

CALLS, OUTCOMES, VERDICTS, DEAD = "hutong.calls", "hutong.outcomes", "hutong.verdicts", "hutong.calls.dead"
PATIENCE = 120.0


class Screen(HutongNode):
    """`hutong calls screen` that takes a feed."""

    def __init__(self, folder: Path, name: str, brokers: Brokers) -> None:
        config = folder / f"{name}.toml"
        more = f'[node]\nname = "{name}"\n[kafka]\nbootstrap_servers = ["{brokers.address}"]\nwhole_numbers = true\n'
        more += f'outcomes_topic = "{OUTCOMES}"\n'
        config.write_text(settings_text(more=more), encoding="utf-8")
        super().__init__(name, folder, config)
        self.feed = Feed(self, config)


class Feed(HutongNode):
    """`hutong feed` beside it."""

    def __init__(self, screen: Screen, config: Path) -> None:
        super().__init__(f"{screen.name}-feed", screen.log.parent, config)
        self.data = screen.data
        self.command = [*HUTONG, "feed", *self._common(config)]


def put(brokers: Brokers, numbers: Sequence[int], value: bytes | None = None) -> None:
    outlet = KafkaOutlet(KafkaLink(brokers.address), "test")
    callers = [f"1380000{number % 7:04d}" for number in numbers]
    outlet.send(
        [Letter(CALLS, caller.encode(), value or call(number)) for number, caller in zip(numbers, callers, strict=True)]
    )
    outlet.close()


def tell(brokers: Brokers, numbers: Sequence[int]) -> None:
    """That these calls were answered, and that they ended."""
    outlet = KafkaOutlet(KafkaLink(brokers.address), "test")
    told = [(it, outcome(it, "answered")) for it in numbers]
    told += [(it, outcome(it, answered=True, talk_ms=61_000)) for it in numbers]
    outlet.send([Letter(OUTCOMES, f"1380000{it % 7:04d}".encode(), value) for it, value in told])
    outlet.close()


def ended(*data: Path) -> Counter[tuple[str, str]]:
    """Call-ID and phase of every outcome that these journals hold."""
    return Counter((it.call_id, it.phase) for one in data for it in outcomes_in(one))


class Reader:
    """Everything in a topic, from its beginning."""

    def __init__(self, brokers: Brokers, topic: str, group: str) -> None:
        options = {"bootstrap.servers": brokers.address, "group.id": group, "auto.offset.reset": "earliest"}
        self._consumer = Consumer(options)
        self._consumer.subscribe([topic])
        self.got: list[dict[str, object]] = []
        self.headers: list[dict[str, bytes]] = []

    def until(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not enough():
            assert time.monotonic() < deadline, f"{len(self.got)} messages"
            for it in self._consumer.consume(500, 0.1):
                if it.error() is None:
                    self.headers.append(dict(it.headers() or ()))
                    self.got.append(
                        msgspec.json.decode(it.value()) if self.headers[-1].get("hutong-reason") is None else {}
                    )

    def close(self) -> None:
        self._consumer.close()


def test_kills_at_random_moments_lose_no_call_and_judge_none_twice(
    tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    seed = random.SystemRandom().randrange(1 << 30)
    dice = random.Random(seed)
    with Brokers({CALLS: 3, OUTCOMES: 3, VERDICTS: 2, DEAD: 1}) as brokers:
        screen = Screen(tmp_path, "one", brokers)
        with running(screen, screen.feed):
            screen.start()
            screen.feed.start()
            sent = 0
            for _ in range(4):
                wait_until(lambda sent=sent: len(journalled(screen.data)[1]) >= sent, PATIENCE, f"seed {seed}")
                tell(brokers, range(max(sent - 1500, 0), sent))
                put(brokers, range(sent, sent + 1500))
                sent += 1500
                goal = sent - dice.randrange(1500)
                wait_until(lambda goal=goal: len(journalled(screen.data)[1]) >= goal, PATIENCE, f"seed {seed}")
                victims = dice.choice([[screen], [screen.feed], [screen, screen.feed]])
                for victim in victims:
                    victim.kill()
                for victim in victims:
                    victim.start()
            verdicts = Reader(brokers, VERDICTS, "test")
            verdicts.until(lambda: len({it["id"] for it in verdicts.got}) >= sent)
            verdicts.close()
            told = {(f"fed-{at}", phase): 1 for at in range(sent - 1500) for phase in ("answered", "ended")}
            wait_until(lambda: len(ended(screen.data)) >= len(told), PATIENCE, f"seed {seed}")
        offsets, call_ids = journalled(screen.data)
    assert ended(screen.data) == told, f"seed {seed}"
    offsets = {part: of for part, of in offsets.items() if of}
    assert Counter(call_ids) == Counter(f"fed-{at}" for at in range(sent)), f"seed {seed}"
    assert {part: len(of) for part, of in offsets.items()} == {part: of[-1] + 1 for part, of in offsets.items()}
    said = {f"{topic}/{part}/{offset}" for (topic, part), of in offsets.items() for offset in of}
    assert {it["id"] for it in verdicts.got} == said


def test_two_nodes_share_the_calls_and_the_one_that_stays_takes_over(
    tmp_path: Path, wait_until: Callable[..., object]
) -> None:
    with Brokers({CALLS: 4, OUTCOMES: 4, VERDICTS: 2, DEAD: 1}) as brokers:
        one, two = (Screen(tmp_path, name, brokers) for name in ("one", "two"))
        with running(one, two, one.feed, two.feed):
            for process in (one, two, one.feed, two.feed):
                process.start()
            sent = 0

            def both_judge() -> bool:
                nonlocal sent
                put(brokers, range(sent, sent + 70))
                sent += 70
                return all(journalled(it.data)[1] for it in (one, two))

            def all_judged() -> bool:
                return len({call_id for it in (one, two) for call_id in journalled(it.data)[1]}) >= sent

            wait_until(both_judge, PATIENCE)
            # What was judged before both had joined may be told of to the other one, which does not know it.
            first = sent
            put(brokers, range(first, first + 70))
            sent += 70
            wait_until(all_judged, PATIENCE)
            tell(brokers, range(first, sent))
            wait_until(lambda: len(ended(one.data, two.data)) >= 2 * (sent - first), PATIENCE)
            two.feed.kill()
            put(brokers, range(sent, sent + 700))
            sent += 700
            wait_until(all_judged, PATIENCE)
            tell(brokers, range(sent - 700, sent))
            wait_until(lambda: len(ended(one.data, two.data)) >= 2 * (sent - first), PATIENCE)
            # What the killed one had judged and not published comes when it is back.
            two.feed.start()
            verdicts = Reader(brokers, VERDICTS, "test")
            verdicts.until(lambda: len({it["id"] for it in verdicts.got}) >= sent)
            verdicts.close()
        judged = [journalled(it.data)[1] for it in (one, two)]
    wanted = {f"fed-{at}" for at in range(sent)}
    assert {call_id for of in judged for call_id in of} == wanted
    assert all(len(of) == len(set(of)) for of in judged), "no node judges a message twice"
    assert {call_id for call_id, _ in ended(one.data, two.data)} == {f"fed-{at}" for at in range(first, sent)}
    assert all(set(ended(it.data).values()) == {1} for it in (one, two)), "no node notes an outcome twice"


def test_what_is_no_call_goes_to_the_dead_and_the_rest_goes_on(tmp_path: Path) -> None:
    with Brokers({CALLS: 1, OUTCOMES: 1, VERDICTS: 1, DEAD: 1}) as brokers:
        screen = Screen(tmp_path, "one", brokers)
        with running(screen, screen.feed):
            screen.start()
            screen.feed.start()
            put(brokers, [1])
            put(brokers, [2], b"\xff{")
            put(brokers, [3], call(3, trunk="nowhere"))
            put(brokers, [4])
            dead = Reader(brokers, DEAD, "test")
            dead.until(lambda: len(dead.headers) >= 2)
            dead.close()
            verdicts = Reader(brokers, VERDICTS, "test-too")
            verdicts.until(lambda: len(verdicts.got) >= 2)
            verdicts.close()
    assert [it["hutong-id"] for it in dead.headers] == [b"hutong.calls/0/1", b"hutong.calls/0/2"]
    assert b"no call" in dead.headers[0]["hutong-reason"]
    assert b"no trunk" in dead.headers[1]["hutong-reason"]
    assert [it["call_id"] for it in verdicts.got] == ["fed-1", "fed-4"]
    assert [it["id"] for it in verdicts.got] == ["hutong.calls/0/0", "hutong.calls/0/3"]
    assert verdicts.got[0]["caller"] == "8613800000001"
