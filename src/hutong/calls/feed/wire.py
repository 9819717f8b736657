"""What the feed and `screen` say to each other, on top of `asking`, and the journal's record of how far it came.

Pure: bytes ⇄ values. All integers are little-endian; every part is padded to 8 bytes.

    FEED      i64 partition  u16 bytes of topic  6 bytes 0   topic   an i64 offset for each row, ascending
              then the body of an `asking` request with the same rows. Its reply tells how each row fared, without
              records: the verdict is in the journal, and goes from there to whoever wants it.
    PLACES    empty; answered with a PLACES frame of JSON: [[topic, partition, next offset], …]

    record    "HtFeedP1"  i64 partition  i64 next offset  u16 bytes of topic  u16 0  u32 n   topic
              n × i64: offsets of the n verdicts that stand just before it in its batch, in their order
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from hutong.calls.asking import wire as asking
from hutong.kernel.errors import CodecError, JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

FEED, PLACES = 4, 5
#: Kind of the record in the journal.
KIND_FED: Final = 4
#: Found in the bytes of a batch before anything of it is read; a stranger's text may hold it too.
MARK: Final = b"HtFeedP1"
#: Longest name of a topic (Kafka's own limit).
MAX_TOPIC: Final = 249

_HEAD: Final = struct.Struct("<qH6x")
_FED: Final = struct.Struct("<8sqqHHI")
_places = msgspec.json.Decoder(list[tuple[str, int, int]])


class Place(NamedTuple):
    """The next offset of one partition."""

    topic: str
    partition: int
    next: int


class Fed(NamedTuple):
    """Rows of one partition: offsets int64[rows] ascending, and the body of a request with these rows."""

    topic: str
    partition: int
    offsets: NDArray[np.int64]
    body: bytes


class FedRecord(NamedTuple):
    """What a batch judged of one partition: how far it came, and the offsets of its verdicts."""

    topic: str
    partition: int
    next: int
    offsets: tuple[int, ...]


def _padded(text: bytes) -> bytes:
    return text + bytes(-len(text) % 8)


def encode_feed(
    ticket: int, topic: str, partition: int, offsets: Sequence[int], calls: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """The frame that brings 1 to MAX_CALLS encoded calls of one partition.

    Raises:
        CodecError: too many calls or none, or the topic's name is too long.
    """
    name = topic.encode()
    if not 0 < len(calls) <= asking.MAX_CALLS or len(calls) != len(offsets) or len(name) > MAX_TOPIC:
        raise CodecError(f"{len(calls)} calls of topic {topic!r} in one frame.", fix=f"1 to {asking.MAX_CALLS}.")
    head = _HEAD.pack(partition, len(name)) + _padded(name) + np.asarray(offsets, dtype=np.int64).tobytes()
    body = b"".join([row for row, _ in calls] + [texts for _, texts in calls])
    return asking.encode_frame(FEED, len(calls), ticket, head + body)


def decode_feed(frame: asking.Frame) -> Fed:
    """The head of a FEED frame and its rows' body, which is read by `asking.batch`.

    Raises:
        CodecError: it does not hold what it says, or its offsets do not ascend.
    """
    try:
        partition, length = _HEAD.unpack_from(frame.body)
        at = _HEAD.size
        topic = frame.body[at : at + length].decode()
        at += length + -length % 8
        offsets = np.frombuffer(frame.body, dtype=np.int64, count=frame.rows, offset=at)
    except (struct.error, ValueError) as error:
        raise CodecError(f"a feed that cannot be read ({error}).", where="screen.sock") from error
    if not frame.rows or length > MAX_TOPIC or offsets[0] < 0 or (np.diff(offsets) <= 0).any():
        raise CodecError("a feed without rows in the order of their offsets.", where="screen.sock")
    return Fed(topic, partition, offsets, frame.body[at + 8 * frame.rows :])


def encode_places(ticket: int, places: Iterable[Place]) -> bytes:
    """The answer to a PLACES frame."""
    return asking.encode_frame(PLACES, 0, ticket, msgspec.json.encode(list(places)))


def decode_places(body: bytes) -> list[Place]:
    """The places in an answer.

    Raises:
        CodecError: it is none.
    """
    try:
        return [Place(*it) for it in _places.decode(body)]
    except msgspec.DecodeError as error:
        raise CodecError(f"places that cannot be read ({error}).", where="screen.sock") from error


def encode_fed(it: FedRecord) -> bytes:
    """The body of the journal's record; a multiple of 8 bytes."""
    name = it.topic.encode()
    head = _FED.pack(MARK, it.partition, it.next, len(name), 0, len(it.offsets))
    return head + _padded(name) + struct.pack(f"<{len(it.offsets)}q", *it.offsets)


def decode_fed(seq: int, body: memoryview | bytes) -> FedRecord:
    """Read the record `seq`; `body` is without the journal's 8-byte header.

    Raises:
        JournalError: the bytes are no such record.
    """
    try:
        mark, partition, following, length, _, count = _FED.unpack_from(body)
        topic = bytes(body[_FED.size : _FED.size + length]).decode()
        offsets = struct.unpack_from(f"<{count}q", body, _FED.size + length + -length % 8)
        if mark != MARK:
            raise ValueError(mark)  # noqa: TRY301  # the same way out
    except (struct.error, ValueError) as error:
        raise JournalError(
            f"record {seq} does not say how far a feed came ({error}).",
            fix="The journal was written by another version.",
        ) from error
    return FedRecord(topic, partition, following, offsets)
