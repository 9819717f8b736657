"""What `serve` and `screen` say to each other about calls that come in over HTTP: bytes ⇄ values, no socket, no clock.

All integers are little-endian; every part is a multiple of 8 bytes but the texts at the end of a request.

    frame     "HtAk"  u16 version  u16 kind  u32 bytes of body  u32 rows  u64 ticket   then the body
    request   a row for each call: i64 taken in at (ms since 1970), u64 source address (high, low),
              u16 lengths of six texts, u16 marks (1 withheld number, 2 has a source), u16 0;
              then the texts of all rows: call id, caller, callee, from, diverter, trunk name
    reply     a row for each answered call: i64 index in the request, status, sequence number, where its record begins
              and how long it is; then the verdict records exactly as the journal has them, back to back.
              A request may get several replies: a call that waits for a roaming look-up is answered later.
    refusal   one text: why the connection is closed

A request holds at most MAX_CALLS calls, so that it is one batch of the screening loop and one write to the journal.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.kernel.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC: Final = b"HtAk"
VERSION: Final = 1
REQUEST, REPLY, REFUSAL = 1, 2, 3

#: Calls in one request: with three window rows each they fit the undo area of one batch.
MAX_CALLS: Final = 256
#: Longest text of a call, bytes.
MAX_FIELD: Final = 512
#: Largest body: a request of the most and longest calls is smaller, and so is its reply unless hundreds of rules fire.
MAX_BODY: Final = 4 * 1024 * 1024

# How a call fared.
JUDGED: Final = 0  # its record is in the reply
REPEATED: Final = 1  # it was judged before: the sequence number of that verdict
NO_TRUNK: Final = 2  # no trunk has this name
UNAVAILABLE: Final = 3  # the journal or the table of waiting calls takes nothing now
WAITING: Final = 4  # a roaming look-up is under way; never in a reply
STATUSES: Final = 4

WITHHELD, HAS_SOURCE = 1, 2
TEXTS: Final = 6

HEADER: Final = struct.Struct("<4sHHIIQ")
CALL_ROW: Final = struct.Struct("<qQQ8H")
ANSWER_ROW: Final = struct.Struct("<5q")


class Attempt(msgspec.Struct, frozen=True):
    """A call attempt as somebody describes it.

    Attributes:
        call_id: names the attempt; together with everything else here it tells a repetition from another call.
        caller, callee: numbers as signalled; `from_` is From's where another one is asserted.
        diverter: who diverted the call here, empty when nobody did.
        trunk: name of the trunk, empty where `source` tells it.
        source: address the call came from, two unsigned halves (`trunks.address_halves`); None = not said.
        anonymous: the caller withholds its number.
        received_ms: when it was taken in, ms since 1970 UTC: its time budget runs from then.
    """

    call_id: bytes
    caller: bytes
    callee: bytes
    received_ms: int
    from_: bytes = b""
    diverter: bytes = b""
    trunk: bytes = b""
    source: tuple[int, int] | None = None
    anonymous: bool = False


class Answer(NamedTuple):
    """What became of the call at place `at` of a request.

    status: JUDGED, REPEATED, NO_TRUNK or UNAVAILABLE.
    record: as the journal has it, with its header; empty unless JUDGED.
    """

    at: int
    status: int
    seq: int
    record: bytes


class Frame(NamedTuple):
    """One frame: `rows` is how many calls or answers its body has."""

    kind: int
    rows: int
    ticket: int
    body: bytes


def encode_frame(kind: int, rows: int, ticket: int, body: bytes) -> bytes:
    """A frame's bytes."""
    return HEADER.pack(MAGIC, VERSION, kind, len(body), rows, ticket) + body


def encode_call(attempt: Attempt) -> tuple[bytes, bytes]:
    """A call's row and its texts.

    Raises:
        CodecError: a text is longer than MAX_FIELD bytes.
    """
    parts = (attempt.call_id, attempt.caller, attempt.callee, attempt.from_, attempt.diverter, attempt.trunk)
    lengths = tuple(map(len, parts))
    if max(lengths) > MAX_FIELD:
        raise CodecError(f"A text of {max(lengths)} bytes.", where="call", fix=f"At most {MAX_FIELD}.")
    high, low = attempt.source or (0, 0)
    marks = (WITHHELD if attempt.anonymous else 0) | (HAS_SOURCE if attempt.source is not None else 0)
    return CALL_ROW.pack(attempt.received_ms, high, low, *lengths, marks, 0), b"".join(parts)


def join_request(ticket: int, calls: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The frame that asks about 1 to MAX_CALLS encoded calls.

    Raises:
        CodecError: too many calls, or none.
    """
    if not 0 < len(calls) <= MAX_CALLS:
        raise CodecError(f"{len(calls)} calls in one request.", fix=f"1 to {MAX_CALLS}.")
    body = b"".join([row for row, _ in calls] + [texts for _, texts in calls])
    return encode_frame(REQUEST, len(calls), ticket, body)


def encode_request(ticket: int, attempts: Sequence[Attempt]) -> bytes:
    """The frame that asks about some calls; errors as above."""
    return join_request(ticket, [encode_call(it) for it in attempts])


def decode_request(frame: Frame) -> list[Attempt]:
    """The calls of a request; the screening process reads them with compiled code instead (`asking.batch`).

    Raises:
        CodecError: the body does not hold what it says.
    """
    at = frame.rows * CALL_ROW.size
    if not 0 < frame.rows <= MAX_CALLS or at > len(frame.body):
        raise CodecError(f"{frame.rows} rows in {len(frame.body)} bytes.", where="request")
    attempts = []
    for received, high, low, *cells in CALL_ROW.iter_unpack(frame.body[:at]):
        *lengths, marks, _ = cells
        parts = []
        for length in lengths:
            parts.append(frame.body[at : at + length])
            at += length
        call_id, caller, callee, from_, diverter, trunk = parts
        source = (high, low) if marks & HAS_SOURCE else None
        attempts.append(
            Attempt(call_id, caller, callee, received, from_, diverter, trunk, source, bool(marks & WITHHELD))
        )
    if at != len(frame.body):
        raise CodecError(f"texts of {len(frame.body)} bytes end at {at}.", where="request")
    return attempts


def encode_reply(ticket: int, answers: Sequence[Answer]) -> bytes:
    """The frame that answers some calls of a request."""
    rows, at = [], 0
    for it in answers:
        rows.append(ANSWER_ROW.pack(it.at, it.status, it.seq, at, len(it.record)))
        at += len(it.record)
    return encode_frame(REPLY, len(answers), ticket, b"".join(rows) + b"".join(it.record for it in answers))


def decode_reply(frame: Frame) -> list[Answer]:
    """The answers in a reply.

    Raises:
        CodecError: the body does not hold what it says.
    """
    body, end = frame.body, frame.rows * ANSWER_ROW.size
    if end > len(body):
        raise CodecError(f"{frame.rows} rows in {len(body)} bytes.", where="reply")
    answers = []
    for place, status, seq, start, length in ANSWER_ROW.iter_unpack(body[:end]):
        first = end + start
        if not (0 <= place < MAX_CALLS and 0 <= status < STATUSES and start >= 0 <= length) or first + length > len(
            body
        ):
            raise CodecError(f"an answer (place {place}, status {status}) that cannot be.", where="reply")
        answers.append(Answer(place, status, seq, body[first : first + length]))
    return answers


class FrameReader:
    """Cuts a stream into frames; keeps at most one unfinished frame."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._size = HEADER.size

    @property
    def wanted(self) -> int:
        """Bytes still missing from the frame that is being read; its header first."""
        return self._size - len(self._kept)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes.

        Raises:
            CodecError: no frame of this version, or one of more than MAX_BODY; nothing more can be read.
        """
        self._kept += data
        while len(self._kept) >= HEADER.size:
            magic, version, kind, size, rows, ticket = HEADER.unpack_from(self._kept)
            if magic != MAGIC:
                raise CodecError("these bytes are no frame.", where="screen.sock")
            if version != VERSION:
                raise CodecError(
                    f"the other side speaks version {version}, this one {VERSION}.",
                    where="screen.sock",
                    fix="Restart both processes from the same installation.",
                )
            if size > MAX_BODY:
                raise CodecError(f"a frame of {size} bytes.", where="screen.sock", fix=f"At most {MAX_BODY}.")
            self._size = HEADER.size + size
            if len(self._kept) < self._size:
                return
            body = bytes(self._kept[HEADER.size : self._size])
            del self._kept[: self._size]
            self._size = HEADER.size
            yield Frame(kind, rows, ticket, body)
