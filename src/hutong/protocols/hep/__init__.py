"""HEP version 3 (see docs/mirror.md): captured signalling, packet by packet. No socket, no clock, no state but framing.

`parse_packet` reads, `build_packet` writes, `StreamReader` cuts a byte stream into packets. What is in the payload is
another codec's business. HEP is sipcapture's "HEP3 Network Protocol Specification"; versions 1 and 2 are refused.
"""

from hutong.protocols.hep.errors import HepError
from hutong.protocols.hep.packet import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    KIND_SIP,
    MAX_PACKET,
    MAX_PAYLOAD,
    Packet,
    build_packet,
    parse_packet,
)
from hutong.protocols.hep.stream import StreamReader

__all__ = [
    "FAMILY_IPV4",
    "FAMILY_IPV6",
    "KIND_SIP",
    "MAX_PACKET",
    "MAX_PAYLOAD",
    "HepError",
    "Packet",
    "StreamReader",
    "build_packet",
    "parse_packet",
]
