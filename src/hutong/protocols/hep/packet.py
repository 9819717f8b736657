"""One HEP3 packet: bytes to a checked `Packet` and back.

All integers are big-endian:

    packet  "HEP3"  u16 length of the whole packet  chunks
    chunk   u16 vendor  u16 type  u16 length, these six bytes included  value

Vendor 0 means the specification's own types. Chunks of other vendors, and types that are not read here (VLAN, node
name, media figures …), are passed over. A type that is read may stand once.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from typing import Literal

import msgspec

from hutong.protocols.hep.errors import HepError

MAGIC = b"HEP3"
#: The length field's limit, bytes.
MAX_PACKET = 0xFFFF
#: Longest payload, bytes, also once it is inflated: what the SIP codec reads at most.
MAX_PAYLOAD = 262_144

#: Values of "IP protocol family": AF_INET and AF_INET6 of the systems that HEP comes from.
FAMILY_IPV4, FAMILY_IPV6 = 2, 10
#: "Protocol type" of captured SIP.
KIND_SIP = 1

_HEADER = struct.Struct(">4sH")
_CHUNK = struct.Struct(">HHH")

# Types of chunks.
T_FAMILY, T_PROTOCOL, T_SOURCE4, T_DESTINATION4, T_SOURCE6, T_DESTINATION6 = 1, 2, 3, 4, 5, 6
T_SOURCE_PORT, T_DESTINATION_PORT, T_SECONDS, T_MICROSECONDS, T_KIND, T_CAPTURE_ID = 7, 8, 9, 10, 11, 12
T_KEY, T_PAYLOAD, T_COMPRESSED, T_CORRELATION = 14, 15, 16, 17
#: Lengths of values that have a fixed one, bytes.
SIZES = {
    T_FAMILY: 1,
    T_PROTOCOL: 1,
    T_SOURCE4: 4,
    T_DESTINATION4: 4,
    T_SOURCE6: 16,
    T_DESTINATION6: 16,
    T_SOURCE_PORT: 2,
    T_DESTINATION_PORT: 2,
    T_SECONDS: 4,
    T_MICROSECONDS: 4,
    T_KIND: 1,
    T_CAPTURE_ID: 4,
}
_NAMES = {
    T_FAMILY: "protocol family",
    T_PROTOCOL: "IP protocol",
    T_SOURCE4: "IPv4 source",
    T_DESTINATION4: "IPv4 destination",
    T_SOURCE6: "IPv6 source",
    T_DESTINATION6: "IPv6 destination",
    T_SOURCE_PORT: "source port",
    T_DESTINATION_PORT: "destination port",
    T_SECONDS: "seconds",
    T_MICROSECONDS: "microseconds",
    T_KIND: "protocol type",
    T_CAPTURE_ID: "capture agent",
    T_KEY: "key",
    T_PAYLOAD: "payload",
    T_COMPRESSED: "compressed payload",
    T_CORRELATION: "correlation",
}
_NEEDED = (T_FAMILY, T_PROTOCOL, T_SOURCE_PORT, T_DESTINATION_PORT, T_SECONDS, T_MICROSECONDS, T_KIND)
_MICROSECONDS = 1_000_000
#: zlib's own window, and a zlib or a gzip header, whichever stands there.
_ANY_HEADER = 32 + zlib.MAX_WBITS
_GZIP_HEADER = 16 + zlib.MAX_WBITS


class Packet(msgspec.Struct, frozen=True):
    """One captured message.

    Attributes:
        source, destination: IP addresses of the captured message, both of one family. source_port, destination_port.
        protocol: IP protocol number (17 UDP, 6 TCP, 132 SCTP).
        seconds, microseconds: when it was captured, since 1970 UTC.
        kind: what the payload is, KIND_SIP or another protocol type of the specification.
        payload: the captured message, inflated.
        capture_id: who captured it. key: the sender's authentication key, empty where it gave none.
        correlation: the sender's own id for what belongs together.
    """

    source: str
    destination: str
    source_port: int
    destination_port: int
    protocol: int
    seconds: int
    microseconds: int
    kind: int
    payload: bytes
    capture_id: int = 0
    key: bytes = b""
    correlation: bytes = b""


def parse_packet(data: bytes | bytearray | memoryview) -> Packet:
    """Read one packet, the whole of `data`.

    Raises:
        HepError: it is no well-formed HEP3 packet, or its payload is longer than MAX_PAYLOAD.
    """
    chunks = _chunks(bytes(data))
    absent = [kind for kind in _NEEDED if kind not in chunks]
    if absent:
        raise HepError("the packet lacks it", where=_NAMES[absent[0]])
    source, destination = _addresses(chunks)
    microseconds = _number(chunks, T_MICROSECONDS)
    if microseconds >= _MICROSECONDS:
        raise HepError(f"{microseconds} is a second or more", where=_NAMES[T_MICROSECONDS])
    return Packet(
        source=source,
        destination=destination,
        source_port=_number(chunks, T_SOURCE_PORT),
        destination_port=_number(chunks, T_DESTINATION_PORT),
        protocol=_number(chunks, T_PROTOCOL),
        seconds=_number(chunks, T_SECONDS),
        microseconds=microseconds,
        kind=_number(chunks, T_KIND),
        payload=_payload(chunks),
        capture_id=_number(chunks, T_CAPTURE_ID),
        key=chunks.get(T_KEY, b""),
        correlation=chunks.get(T_CORRELATION, b""),
    )


def _chunks(data: bytes) -> dict[int, bytes]:
    """The values of the chunks that are read, by type."""
    if len(data) < _HEADER.size or not data.startswith(MAGIC):
        raise HepError("it does not begin with HEP3", fix="Set the sender to HEP version 3.")
    _, length = _HEADER.unpack_from(data)
    if length != len(data):
        raise HepError(f"it is {len(data)} bytes long and says {length}")
    found: dict[int, bytes] = {}
    at = _HEADER.size
    while at < length:
        if length - at < _CHUNK.size:
            raise HepError(f"{length - at} bytes are left, too few for a chunk")
        vendor, kind, size = _CHUNK.unpack_from(data, at)
        if size < _CHUNK.size or size > length - at:
            raise HepError(f"the chunk at byte {at} says that it is {size} bytes long")
        if vendor == 0 and kind in _NAMES:
            value = data[at + _CHUNK.size : at + size]
            if len(value) != SIZES.get(kind, len(value)):
                raise HepError(f"{len(value)} bytes instead of {SIZES[kind]}", where=_NAMES[kind])
            if kind in found:
                raise HepError("it stands twice", where=_NAMES[kind])
            found[kind] = value
        at += size
    return found


def _number(chunks: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(chunks.get(kind, b""), "big")


def _addresses(chunks: dict[int, bytes]) -> tuple[str, str]:
    family = _number(chunks, T_FAMILY)
    ends = {FAMILY_IPV4: (T_SOURCE4, T_DESTINATION4), FAMILY_IPV6: (T_SOURCE6, T_DESTINATION6)}.get(family)
    if ends is None:
        raise HepError(f"{family} is neither IPv4 (2) nor IPv6 (10)", where=_NAMES[T_FAMILY])
    for kind in ends:
        if kind not in chunks:
            raise HepError("the packet lacks it", where=_NAMES[kind])
    source, destination = (str(ipaddress.ip_address(chunks[kind])) for kind in ends)
    return source, destination


def _payload(chunks: dict[int, bytes]) -> bytes:
    plain, compressed = chunks.get(T_PAYLOAD), chunks.get(T_COMPRESSED)
    if (plain is None) == (compressed is None):
        raise HepError("there must be one, plain or compressed", where=_NAMES[T_PAYLOAD])
    return plain if plain is not None else _inflated(compressed or b"")


def _inflated(data: bytes) -> bytes:
    """A gzip or zlib stream (RFC 1952, RFC 1950), inflated; never much more than MAX_PAYLOAD bytes are made of it."""
    reader = zlib.decompressobj(_ANY_HEADER)
    try:
        payload = reader.decompress(data, MAX_PAYLOAD + 1)
    except zlib.error as error:
        raise HepError(f"it cannot be inflated ({error})", where=_NAMES[T_COMPRESSED]) from None
    if len(payload) > MAX_PAYLOAD:
        raise HepError(f"it inflates to more than {MAX_PAYLOAD} bytes", where=_NAMES[T_COMPRESSED])
    if not reader.eof:
        raise HepError("it is cut short", where=_NAMES[T_COMPRESSED])
    if reader.unused_data:
        raise HepError("something follows the compressed stream", where=_NAMES[T_COMPRESSED])
    return payload


def build_packet(packet: Packet, *, compress: Literal["", "gzip", "zlib"] = "") -> bytes:
    """Write a packet; what is empty or zero and may be absent is left out.

    Args:
        packet: what to write.
        compress: how to compress the payload; "" leaves it as it is.

    Raises:
        HepError: a value does not fit its chunk, or the whole is longer than MAX_PACKET.
    """
    source, destination = ipaddress.ip_address(packet.source), ipaddress.ip_address(packet.destination)
    if source.version != destination.version:
        raise HepError("source and destination are of different families")
    old = source.version == 4  # noqa: PLR2004  # the protocol's name, not a magic number
    values: list[tuple[int, int | bytes]] = [
        (T_FAMILY, FAMILY_IPV4 if old else FAMILY_IPV6),
        (T_PROTOCOL, packet.protocol),
        (T_SOURCE4 if old else T_SOURCE6, source.packed),
        (T_DESTINATION4 if old else T_DESTINATION6, destination.packed),
        (T_SOURCE_PORT, packet.source_port),
        (T_DESTINATION_PORT, packet.destination_port),
        (T_SECONDS, packet.seconds),
        (T_MICROSECONDS, packet.microseconds),
        (T_KIND, packet.kind),
        (T_CAPTURE_ID, packet.capture_id),
    ]
    values += [(kind, value) for kind, value in ((T_KEY, packet.key), (T_CORRELATION, packet.correlation)) if value]
    if compress:
        writer = zlib.compressobj(wbits=_GZIP_HEADER if compress == "gzip" else zlib.MAX_WBITS)
        values.append((T_COMPRESSED, writer.compress(packet.payload) + writer.flush()))
    else:
        values.append((T_PAYLOAD, packet.payload))
    body = b"".join(_chunk(kind, value) for kind, value in values)
    if _HEADER.size + len(body) > MAX_PACKET:
        raise HepError(f"the packet would be longer than {MAX_PACKET} bytes")
    return _HEADER.pack(MAGIC, _HEADER.size + len(body)) + body


def _chunk(kind: int, value: int | bytes) -> bytes:
    body = value if isinstance(value, bytes) else _fixed(kind, value)
    if _CHUNK.size + len(body) > MAX_PACKET:
        raise HepError(f"{len(body)} bytes do not fit a chunk", where=_NAMES[kind])
    return _CHUNK.pack(0, kind, _CHUNK.size + len(body)) + body


def _fixed(kind: int, value: int) -> bytes:
    try:
        return value.to_bytes(SIZES[kind], "big")
    except OverflowError:
        raise HepError(f"{value} does not fit {SIZES[kind]} bytes", where=_NAMES[kind]) from None
