"""The fast lane for HEP packets: reads the ordinary one in one pass, and declines everything else.

As with `lane`: what is declined costs time only, because the codec (`hutong.protocols.hep`) reads it instead. Where the
lane reads, both say the same; tests/property/test_lane_hep.py holds it to that. A compressed payload is the codec's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.protocols.hep.packet import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    MAGIC,
    SIZES,
    T_CAPTURE_ID,
    T_COMPRESSED,
    T_CORRELATION,
    T_DESTINATION4,
    T_DESTINATION6,
    T_DESTINATION_PORT,
    T_FAMILY,
    T_KEY,
    T_KIND,
    T_MICROSECONDS,
    T_PAYLOAD,
    T_PROTOCOL,
    T_SECONDS,
    T_SOURCE4,
    T_SOURCE6,
    T_SOURCE_PORT,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Slots of a packet (int64). A span is two slots, first byte and one past the last, of the packet's own bytes.
SOURCE_HIGH, SOURCE_LOW = 0, 1  # halves of the captured message's source, IPv4 mapped, as `trunks.address_halves`
CAPTURED_US = 2  # microseconds since 1970 UTC
KIND = 3  # protocol type
KEY = 4
PAYLOAD = 6
PACKET_SLOTS = 8

_HEADER, _CHUNK = 6, 6
_MAGIC = np.frombuffer(MAGIC, dtype=np.uint8)
_BYTE = np.uint64(8)
_MAPPED = 0xFFFF << 32


def _sizes() -> NDArray[np.int64]:
    """int64[18]: the length of each type's value; -1 any, -2 a type that is not read here."""
    table = np.full(T_CORRELATION + 1, -2, dtype=np.int64)
    table[[T_CAPTURE_ID, T_KEY, T_PAYLOAD, T_COMPRESSED, T_CORRELATION]] = -1
    for kind, size in SIZES.items():
        table[kind] = size
    return table


_SIZES = _sizes()


def _bits(*kinds: int) -> int:
    return sum(1 << kind for kind in kinds)


_NEEDED = _bits(T_FAMILY, T_PROTOCOL, T_SOURCE_PORT, T_DESTINATION_PORT, T_SECONDS, T_MICROSECONDS, T_KIND, T_PAYLOAD)
_ENDS4, _ENDS6 = _bits(T_SOURCE4, T_DESTINATION4), _bits(T_SOURCE6, T_DESTINATION6)
_INFLATED = _bits(T_COMPRESSED)


@compiled
def big_endian(data: NDArray[np.uint8], at: int, size: int) -> int:
    """The big-endian number of at most eight bytes at `at`, as signed."""
    value = np.uint64(0)
    first = np.uint64(at)
    for i in range(np.uint64(size)):
        value = (value << _BYTE) | np.uint64(data[first + i])
    return signed(value)


@compiled
def packet_length(data: NDArray[np.uint8], at: int, end: int) -> int:
    """The length that the packet at `at` states; -1 where no HEP packet begins."""
    if end - at < _HEADER:
        return -1
    for i in range(_MAGIC.size):
        if data[at + i] != _MAGIC[i]:
            return -1
    return big_endian(data, at + 4, 2)


@compiled
def read_packet(data: NDArray[np.uint8], end: int, packet: NDArray[np.int64]) -> bool:
    """Read one packet.

    Args:
        data: uint8, at least `end` bytes, the packet's first byte first.
        end: its length.
        packet: int64[PACKET_SLOTS], written.

    Returns:
        False when the codec must look at it.
    """
    packet[:] = 0
    if packet_length(data, 0, end) != end:
        return False
    seen, family, seconds, microseconds = 0, 0, 0, 0
    at = _HEADER
    while at < end:
        if end - at < _CHUNK:
            return False
        vendor, kind, size = big_endian(data, at, 2), big_endian(data, at + 2, 2), big_endian(data, at + 4, 2)
        if size < _CHUNK or size > end - at:
            return False
        value, after = at + _CHUNK, at + size
        at = after
        if vendor != 0 or kind >= _SIZES.size or _SIZES[kind] == -2:
            continue
        if (_SIZES[kind] >= 0 and _SIZES[kind] != after - value) or (seen >> kind) & 1:
            return False
        seen |= 1 << kind
        if kind == T_FAMILY:
            family = signed(data[value])
        elif kind == T_SOURCE4:
            packet[SOURCE_LOW] = _MAPPED | big_endian(data, value, 4)
        elif kind == T_SOURCE6:
            packet[SOURCE_HIGH], packet[SOURCE_LOW] = big_endian(data, value, 8), big_endian(data, value + 8, 8)
        elif kind == T_SECONDS:
            seconds = big_endian(data, value, 4)
        elif kind == T_MICROSECONDS:
            microseconds = big_endian(data, value, 4)
        elif kind == T_KIND:
            packet[KIND] = data[value]
        elif kind == T_KEY:
            packet[KEY], packet[KEY + 1] = value, after
        elif kind == T_PAYLOAD:
            packet[PAYLOAD], packet[PAYLOAD + 1] = value, after
    packet[CAPTURED_US] = seconds * 1_000_000 + microseconds
    ends = _ENDS4 if family == FAMILY_IPV4 else _ENDS6
    if family not in (FAMILY_IPV4, FAMILY_IPV6) or microseconds >= 1_000_000:
        return False
    # Addresses of the other family beside the right ones: the codec says which count.
    return (seen & _NEEDED) == _NEEDED and (seen & (_ENDS4 | _ENDS6)) == ends and (seen & _INFLATED) == 0


@compiled
def same_key(data: NDArray[np.uint8], start: int, end: int, key: NDArray[np.uint8]) -> bool:
    """Whether data[start:end] is the key; takes the same time wherever they first differ."""
    if end - start != key.size:
        return False
    different = 0
    for i in range(key.size):
        different |= signed(data[start + i] ^ key[i])
    return different == 0
