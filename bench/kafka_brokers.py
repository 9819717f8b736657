"""A Kafka cluster in this process: librdkafka's own mock brokers, reached over loopback by any client."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Self

import confluent_kafka

_CODE_OK = 0
_PRODUCER = 0


def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka brings along."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*.so*"))))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, ()),
        ("rd_kafka_conf_set", number, (pointer, text, text, text, ctypes.c_size_t)),
        ("rd_kafka_new", pointer, (number, pointer, text, ctypes.c_size_t)),
        ("rd_kafka_destroy", None, (pointer,)),
        ("rd_kafka_mock_cluster_new", pointer, (pointer, number)),
        ("rd_kafka_mock_cluster_destroy", None, (pointer,)),
        ("rd_kafka_mock_cluster_bootstraps", text, (pointer,)),
        ("rd_kafka_mock_topic_create", number, (pointer, text, number, number)),
        ("rd_kafka_mock_broker_set_down", number, (pointer, ctypes.c_int32)),
        ("rd_kafka_mock_broker_set_up", number, (pointer, ctypes.c_int32)),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, (pointer, ctypes.c_int32)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Brokers:
    """One broker with some topics, while the context lasts.

    Args:
        topics: partitions by topic.
    """

    def __init__(self, topics: dict[str, int]) -> None:
        self._topics = topics
        self._rdkafka = _library()
        self._client: int | None = None
        self._cluster: int | None = None

    def __enter__(self) -> Self:
        """Start the brokers and make the topics."""
        error = ctypes.create_string_buffer(512)
        conf = self._rdkafka.rd_kafka_conf_new()
        # A client without brokers of its own, which only holds the cluster, has nothing to say.
        self._rdkafka.rd_kafka_conf_set(conf, b"log_level", b"0", error, 512)
        self._client = self._rdkafka.rd_kafka_new(_PRODUCER, conf, error, 512)
        if not self._client:
            raise RuntimeError(error.value.decode())
        self._cluster = self._rdkafka.rd_kafka_mock_cluster_new(self._client, 1)
        self._rdkafka.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 50)
        for topic, parts in self._topics.items():
            if self._rdkafka.rd_kafka_mock_topic_create(self._cluster, topic.encode(), parts, 1) != _CODE_OK:
                raise RuntimeError(topic)
        return self

    def __exit__(self, *_: object) -> None:
        """Take them away."""
        self._rdkafka.rd_kafka_mock_cluster_destroy(self._cluster)
        self._rdkafka.rd_kafka_destroy(self._client)

    @property
    def address(self) -> str:
        """host:port."""
        return str(self._rdkafka.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def set_down(self) -> None:
        """Let the broker refuse and drop connections."""
        self._rdkafka.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def set_up(self) -> None:
        """Let it be reached again."""
        self._rdkafka.rd_kafka_mock_broker_set_up(self._cluster, 1)
