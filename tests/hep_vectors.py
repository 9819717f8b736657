"""HEP3 packets as Kamailio 5.6.3 (Debian's siptrace module) writes them, and what they say."""

from __future__ import annotations

from typing import NamedTuple

from hutong.protocols.hep import KIND_SIP, Packet

_OVER_IPV4 = (
    b"INVITE sip:1@127.0.0.1:25070 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:33669;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:2@127.0.0.1>;tag=1\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: warmINVITE\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_OVER_IPV6 = _OVER_IPV4.replace(b"127.0.0.1", b"[::1]").replace(b"33669", b"39641")


class Vector(NamedTuple):
    """Bytes and their meaning."""

    data: bytes
    packet: Packet


RECORDED = {
    "over IPv4": Vector(
        bytes.fromhex(
            "484550330149000000010007020000000200071100000003000a7f00000100000004000a7f0000010000000700088385000000"
            "08000861ee00000009000a6b020c9f0000000a000a000c8ff90000000b0007010000000c000a000000070000000e000c676568"
            "65696d0000000f00e0"
        )
        + _OVER_IPV4,
        Packet(
            source="127.0.0.1",
            destination="127.0.0.1",
            source_port=33669,
            destination_port=25070,
            protocol=17,
            seconds=1795296415,
            microseconds=823289,
            kind=KIND_SIP,
            payload=_OVER_IPV4,
            capture_id=7,
            key=b"geheim",
        ),
    ),
    "over IPv6": Vector(
        bytes.fromhex(
            "4845503301510000000100070a000000020007110000000500160000000000000000000000000000000100000006001600000000"
            "0000000000000000000000010000000700089ad900000008000861ee00000009000a6b020c9f0000000a000a000c93da000000"
            "0b0007010000000c000a000000070000000e000c67656865696d0000000f00d0"
        )
        + _OVER_IPV6,
        Packet(
            source="::1",
            destination="::1",
            source_port=39641,
            destination_port=25070,
            protocol=17,
            seconds=1795296415,
            microseconds=824282,
            kind=KIND_SIP,
            payload=_OVER_IPV6,
            capture_id=7,
            key=b"geheim",
        ),
    ),
}
