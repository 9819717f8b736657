"""The journal's bytes: segment header, frame header, records. Nothing here touches a file.

All integers are little-endian.

    segment   "HtJs" u16 version u16 0  u64 first sequence number  i64 created (wall ns)  u32 salt
              u32 CRC-32 of the bytes before it
    frame     "HtJf" u16 version u16 0  u32 records  u32 payload bytes  u64 first sequence number  i64 wall ns
              u32 CRC-32 of the payload  u32 CRC-32 of this header, started from the segment's salt
    payload   records, back to back
    record    u32 length of the whole record, these four bytes included  u16 kind  u16 0  body

A record's body may hold bytes that a stranger sent. The salt is drawn for each segment and nobody outside
knows it, so none can write a body that passes for a frame when a reader looks for one after damage.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
SEGMENT_MAGIC = b"HtJs"
FRAME_MAGIC = b"HtJf"
SEGMENT_HEADER = struct.Struct("<4sHHQqII")
FRAME_HEADER = struct.Struct("<4sHHIIQqII")
RECORD_HEADER = struct.Struct("<IHH")
MAX_PAYLOAD = 1 << 30  # far above any batch; keeps every length clear of the 32-bit field's edge

_CRC = struct.Struct("<I")
_FRAME_CHECKED = FRAME_HEADER.size - _CRC.size
_SEGMENT_CHECKED = SEGMENT_HEADER.size - _CRC.size
_MAX_KIND = 0xFFFF


class Record(NamedTuple):
    """One record: sequence number (from 1), kind, its frame's wall time in ns, body without record header."""

    seq: int
    kind: int
    time_ns: int
    body: memoryview


class Frame(NamedTuple):
    """One acknowledged batch: `records` of them back to back in `payload`, numbered from `first_seq`."""

    first_seq: int
    records: int
    wall_ns: int
    payload: memoryview

    @property
    def next_seq(self) -> int:
        """The number of the first record after this frame."""
        return self.first_seq + self.records


class SegmentInfo(NamedTuple):
    """What a segment's header says."""

    first_seq: int
    created_ns: int
    salt: int


class FrameInfo(NamedTuple):
    """What a frame's header says. `size` is the payload's length in bytes."""

    records: int
    size: int
    first_seq: int
    wall_ns: int
    crc: int

    @property
    def next_seq(self) -> int:
        """The number of the first record after this frame."""
        return self.first_seq + self.records


def encode_record(kind: int, body: bytes) -> bytes:
    """`body` with its record header.

    Raises:
        ValueError: `kind` does not fit 16 bits.
    """
    if not 0 <= kind <= _MAX_KIND:
        raise ValueError(f"record kind {kind} does not fit 16 bits")
    return RECORD_HEADER.pack(RECORD_HEADER.size + len(body), kind, 0) + body


def encode_segment_header(info: SegmentInfo) -> bytes:
    """The first bytes of a segment file."""
    checked = SEGMENT_HEADER.pack(SEGMENT_MAGIC, VERSION, 0, info.first_seq, info.created_ns, info.salt, 0)
    return checked[:_SEGMENT_CHECKED] + _CRC.pack(crc32(checked[:_SEGMENT_CHECKED]))


def decode_segment_header(data: bytes | memoryview) -> SegmentInfo | None:
    """What the header says; None where these bytes are no segment header of this version."""
    if len(data) < SEGMENT_HEADER.size:
        return None
    magic, version, _, first_seq, created_ns, salt, crc = SEGMENT_HEADER.unpack_from(data)
    if magic != SEGMENT_MAGIC or version != VERSION or crc != crc32(data[:_SEGMENT_CHECKED]):
        return None
    return SegmentInfo(first_seq, created_ns, salt)


def encode_frame_header(info: FrameInfo, salt: int) -> bytes:
    """The header that goes before a payload in a segment of this salt."""
    checked = FRAME_HEADER.pack(
        FRAME_MAGIC, VERSION, 0, info.records, info.size, info.first_seq, info.wall_ns, info.crc, 0
    )[:_FRAME_CHECKED]
    return checked + _CRC.pack(crc32(checked, salt))


def decode_frame_header(data: bytes | memoryview, salt: int) -> FrameInfo | None:
    """What the header says; None where these bytes are no frame header of a segment of this salt."""
    if len(data) < FRAME_HEADER.size:
        return None
    magic, version, _, count, size, first_seq, wall_ns, crc, own = FRAME_HEADER.unpack_from(data)
    if magic != FRAME_MAGIC or version != VERSION or own != crc32(data[:_FRAME_CHECKED], salt):
        return None
    return FrameInfo(count, size, first_seq, wall_ns, crc)


def records_of(frame: Frame) -> Iterator[Record]:
    """The frame's records in order.

    Raises:
        ValueError: the payload does not hold exactly the records that the frame announces.
    """
    at = 0
    payload = frame.payload
    end = len(payload)
    for seq in range(frame.first_seq, frame.next_seq):
        if end - at < RECORD_HEADER.size:
            raise ValueError(f"record {seq} is missing from its frame")
        length, kind, _ = RECORD_HEADER.unpack_from(payload, at)
        if not RECORD_HEADER.size <= length <= end - at:
            raise ValueError(f"record {seq} has the impossible length {length}")
        yield Record(seq, kind, frame.wall_ns, payload[at + RECORD_HEADER.size : at + length])
        at += length
    if at != end:
        raise ValueError(f"{end - at} bytes follow the last record of the frame")
