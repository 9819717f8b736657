"""Kafka behind the port: consumer and producer of librdkafka (extra `kafka`). Nothing here knows what messages mean."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.calls.feed.port import FeedError, Message, start_of
from hutong.kernel.errors import ConfigError

try:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
except ImportError as error:  # the extra is not installed
    raise ConfigError(
        "Kafka's client is not installed.", where="[kafka]", fix='Install Hutong with the extra "kafka".'
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from hutong.calls.feed.port import Letter, Part
    from hutong.calls.feed.wire import Place

#: How long a broker may take to answer, seconds.
PATIENCE_S: Final = 10.0
#: Codes of a commit that came too late: the partition is somebody else's now, who has it from the last commit on.
_LATE: Final = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001  # the client's own names begin so
    KafkaError._STATE,  # noqa: SLF001
    KafkaError._NO_OFFSET,  # noqa: SLF001
)
_FIX: Final = "Is the broker up and reachable, and are [kafka]'s names and files right?"


class KafkaLink(msgspec.Struct, frozen=True):
    """How to reach the brokers; names as in the settings' section `kafka`. Files are paths, "" = none."""

    bootstrap_servers: str
    security_protocol: str = "plaintext"
    sasl_mechanism: str = ""
    username: str = ""
    password: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def options(self) -> dict[str, Any]:
        """The same in the words of librdkafka."""
        named = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.certificate_file,
            "ssl.key.location": self.key_file,
        }
        return {name: value for name, value in named.items() if value}


class KafkaFeed:
    """`Feed` on a consumer group. Used by one thread.

    Args:
        link: the brokers. topics, group: what is read, and with whom. node: this node's name.
        options: further settings of librdkafka.
    """

    def __init__(
        self, link: KafkaLink, topics: Sequence[str], group: str, node: str, **options: str | int | bool
    ) -> None:
        self._topics, self._node = list(topics), node
        self._options = {
            **link.options(),
            "group.id": group,
            "client.id": f"hutong-{node}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # So long the partitions of a reader that was killed wait for another one, or for its own next start.
            "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 1_000,
            # What is fetched ahead is held in memory.
            "queued.max.messages.kbytes": 16_384,
            **options,
        }
        self._consumer: Consumer | None = None
        self._own: Callable[[], Sequence[Place]] = tuple
        self._parts: set[Part] = set()
        self._starts: dict[Part, int] = {}
        self._on_hold: AbstractSet[Part] = set()
        self._late: dict[Part, Place] = {}
        self._trouble: Exception | None = None

    def open(self, own_places: Callable[[], Sequence[Place]]) -> None:
        """See `Feed.open`."""
        self._own = own_places
        try:
            self._consumer = Consumer(self._options, logger=None)
            self._consumer.subscribe(
                self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )
        except (KafkaException, ValueError) as error:
            raise FeedError(f"Kafka refuses the settings: {error}.", where="[kafka]", fix=_FIX) from error

    def _assigned(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        try:
            own = {(it.topic, it.partition): it.next for it in self._own()}
            for it in consumer.committed(parts, timeout=PATIENCE_S):
                found = next(one for one in parts if (one.topic, one.partition) == (it.topic, it.partition))
                place = own.get((it.topic, it.partition))
                if it.offset >= 0:
                    found.offset = start_of(place, it.offset, ours=it.metadata == self._node)
                else:
                    found.offset = OFFSET_BEGINNING if place is None else place
            consumer.assign(parts)
            self._starts = {(it.topic, it.partition): it.offset for it in parts}
            self._parts = set(self._starts)
            self._on_hold = set()
        except Exception as error:  # noqa: BLE001  # a callback has nobody to tell; `poll` tells
            consumer.unassign()
            self._parts, self._trouble = set(), error

    def _revoked(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        going = {(it.topic, it.partition) for it in parts}
        # The last moment at which a place still counts that came while the group was being shared out anew.
        late = [self._told(it) for part, it in self._late.items() if part in going]
        self._late = {}
        self._parts -= going
        if late:
            with contextlib.suppress(KafkaException):
                consumer.commit(offsets=late, asynchronous=False)

    def _told(self, it: Place) -> TopicPartition:
        return TopicPartition(it.topic, it.partition, it.next, self._node)

    def poll(self, most: int, wait_s: float) -> list[Message]:
        """See `Feed.poll`."""
        found = []
        for it in self._consume(most, wait_s):
            error = it.error()
            if error is None:
                found.append(Message(it.topic(), it.partition(), it.offset(), it.key(), it.value()))
            elif error.fatal() or not error.retriable():
                self._trouble = KafkaException(error)
        if self._trouble is not None and not found:
            trouble, self._trouble = self._trouble, None
            raise FeedError(f"Kafka cannot be read: {trouble}.", where="[kafka]", fix=_FIX)
        return found

    def _consume(self, most: int, wait_s: float) -> list[Any]:
        if self._consumer is None:
            return []
        try:
            return list(self._consumer.consume(most, wait_s))
        except (KafkaException, RuntimeError) as error:
            raise FeedError(f"Kafka cannot be read: {error}.", where="[kafka]", fix=_FIX) from error

    def parts(self) -> set[Part]:
        """See `Feed.parts`."""
        return set(self._parts)

    def hold(self, parts: AbstractSet[Part]) -> None:
        """See `Feed.hold`."""
        wanted = parts & self._parts
        if self._consumer is None or wanted == self._on_hold:
            return
        self._consumer.pause([TopicPartition(*it) for it in wanted - self._on_hold])
        self._consumer.resume([TopicPartition(*it) for it in (self._on_hold - wanted) & self._parts])
        self._on_hold = wanted

    def keep_alive(self, wait_s: float) -> None:
        """See `Feed.keep_alive`."""
        if self._consumer is None:
            return
        held = self._consumer.assignment()
        self._consumer.pause(held)
        try:
            # Paused partitions give nothing; what comes by is an error, which `poll` will meet again.
            self._consume(1, wait_s)
        finally:
            held = [it for it in self._consumer.assignment() if (it.topic, it.partition) not in self._on_hold]
            self._consumer.resume(held)

    def commit(self, places: Sequence[Place]) -> None:
        """See `Feed.commit`."""
        mine = [it for it in places if (it.topic, it.partition) in self._parts]
        told = [self._told(it) for it in mine]
        if not told or self._consumer is None:
            return
        here = {(it.topic, it.partition): it for it in mine}
        self._late = {part: it for part, it in self._late.items() if part not in here}
        try:
            self._consumer.commit(offsets=told, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _LATE:
                raise FeedError(f"Kafka does not take the place: {error}.", where="[kafka]", fix=_FIX) from error
            self._late |= here

    def lag(self) -> Mapping[Part, int]:
        """See `Feed.lag`; from what the last fetch said."""
        if self._consumer is None or not self._parts:
            return {}
        found = {}
        for it in self._consumer.position([TopicPartition(topic, part) for topic, part in sorted(self._parts)]):
            low, high = self._consumer.get_watermark_offsets(it, cached=True)
            if high >= 0:
                # Of a partition of which nothing was polled yet there is no position.
                at = it.offset if it.offset >= 0 else max(self._starts[it.topic, it.partition], low, 0)
                found[it.topic, it.partition] = max(high - at, 0)
        return found

    def close(self) -> None:
        """See `Feed.close`."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        self._parts = set()


class KafkaOutlet:
    """`Outlet` on a producer. Used by one thread.

    Args:
        link: the brokers. node: this node's name. patience_s: how long all of what is sent at once may take.
        options: further settings of librdkafka.
    """

    def __init__(
        self, link: KafkaLink, node: str, *, patience_s: float = 3 * PATIENCE_S, **options: str | int | bool
    ) -> None:
        self._options = {
            **link.options(),
            "client.id": f"hutong-{node}",
            "enable.idempotence": True,
            "linger.ms": 5,
            # The same partition for a key as the Java client chooses.
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(patience_s * 1000),
            **options,
        }
        self._patience = patience_s
        self._producer: Producer | None = None
        self._refused: list[str] = []

    def send(self, letters: Sequence[Letter]) -> None:
        """See `Outlet.send`."""
        try:
            if self._producer is None:
                self._producer = Producer(self._options, logger=None)
            self._refused.clear()
            for it in letters:
                self._produce(self._producer, it)
            left = self._producer.flush(self._patience)
        except (KafkaException, ValueError) as error:
            self._forget()
            raise FeedError(f"Kafka takes nothing: {error}.", where="[kafka]", fix=_FIX) from error
        if left or self._refused:
            why = self._refused[0] if self._refused else "no answer in time"
            self._forget()
            raise FeedError(f"Kafka does not keep what is sent: {why}.", where="[kafka]", fix=_FIX)

    def _produce(self, producer: Producer, it: Letter) -> None:
        while True:
            try:
                producer.produce(it.topic, it.value, it.key, headers=list(it.headers), on_delivery=self._delivered)
            except BufferError:
                producer.poll(0.1)
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._refused.append(str(error))

    def _forget(self) -> None:
        """Begin anew after a failure: what was under way must not come after what is sent again."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def close(self) -> None:
        """See `Outlet.close`."""
        self._forget()
