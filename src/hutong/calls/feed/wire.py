"""What the feed and `screen` say to each other, on top of `asking`, and the journal's record of how far it came.

Pure: bytes ⇄ values. All integers are little-endian; every part is padded to 8 bytes.

    FEED      i64 partition  u16 bytes of topic  6 bytes 0   topic   an i64 offset for each row, ascending
              then the body of an `asking` request with the same rows. Its reply tells how each row fared, without
              records: the verdict is in the journal, and goes from there to whoever wants it.
    OUTCOMES  a head as FEED has it, with an offset for each row; then a row for each outcome: i64 ring ms, i64 talk ms,
              u16 phase, 1 when answered, SIP status, Q.850 cause, bytes of the Call-ID, 6 bytes 0; then the Call-IDs.
              Answered with an OUTCOMES frame of a byte for each row: how it fared (NOTED …).
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

FEED, PLACES, OUTCOMES = 4, 5, 6
KINDS: Final = frozenset({FEED, PLACES, OUTCOMES})

# How an outcome fared: it changed what is known of its call; all that it says was known; no call is known that it could
# be of; the journal takes nothing now.
NOTED, KNOWN, UNKNOWN, REFUSED = 0, 1, 2, 3

#: Kind of the record in the journal.
KIND_FED: Final = 4
#: Found in the bytes of a batch before anything of it is read; a stranger's text may hold it too.
MARK: Final = b"HtFeedP1"
#: Longest name of a topic (Kafka's own limit).
MAX_TOPIC: Final = 249

#: A row of OUTCOMES.
OUTCOME_ROW: Final = struct.Struct("<qqHHHHH6x")
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


class Told(NamedTuple):
    """What somebody says became of a call; names as in `calls.outcomes.Outcome`.

    call_id: the call's. phase: PHASE_ANSWERED or PHASE_ENDED. ring_ms, talk_ms: never negative.
    status, cause: how it was released; an unanswered call that ended has a status.
    """

    call_id: bytes
    phase: int
    answered: bool
    ring_ms: int
    talk_ms: int
    status: int
    cause: int


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
    return _encode(FEED, ticket, topic, partition, offsets, calls)


def encode_outcomes(ticket: int, topic: str, partition: int, offsets: Sequence[int], told: Sequence[Told]) -> bytes:
    """The frame that brings 1 to MAX_CALLS outcomes of one partition; errors as above."""
    rows = [
        (
            OUTCOME_ROW.pack(it.ring_ms, it.talk_ms, it.phase, it.answered, it.status, it.cause, len(it.call_id)),
            it.call_id,
        )
        for it in told
    ]
    return _encode(OUTCOMES, ticket, topic, partition, offsets, rows)


def _encode(
    kind: int, ticket: int, topic: str, partition: int, offsets: Sequence[int], rows: Sequence[tuple[bytes, bytes]]
) -> bytes:
    name = topic.encode()
    if not 0 < len(rows) <= asking.MAX_CALLS or len(rows) != len(offsets) or len(name) > MAX_TOPIC:
        raise CodecError(f"{len(rows)} rows of topic {topic!r} in one frame.", fix=f"1 to {asking.MAX_CALLS}.")
    head = _HEAD.pack(partition, len(name)) + _padded(name) + np.asarray(offsets, dtype=np.int64).tobytes()
    body = b"".join([row for row, _ in rows] + [texts for _, texts in rows])
    return asking.encode_frame(kind, len(rows), ticket, head + body)


def decode_feed(frame: asking.Frame) -> Fed:
    """The head of a FEED or OUTCOMES frame and its rows' body, which compiled code reads.

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


def encode_fates(ticket: int, fates: bytes) -> bytes:
    """The answer to an OUTCOMES frame: a byte for each row."""
    return asking.encode_frame(OUTCOMES, len(fates), ticket, fates)


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
