"""The fast readers of HEP packets and captured messages say what the codecs say, or decline."""

from __future__ import annotations

import ipaddress
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hep_packets
from hep_vectors import RECORDED
from hutong.calls.lane import hep as lane_hep
from hutong.calls.lane import messages as lane_messages
from hutong.calls.mirror.reference import cause_of
from hutong.calls.trunks import address_halves
from hutong.protocols.hep import build_packet, parse_packet
from hutong.protocols.sip import Request, SipError, parse_datagram
from sip_vectors import fill, needs_protos, needs_torture, protos_cases, torture_messages

_MANY = settings(max_examples=400, deadline=None)
_MASK = 2**64 - 1

packets = hep_packets.packets(payload=60, text=9).map(build_packet)


def read_packet(data: bytes) -> dict[str, object] | None:
    """What the lane reads; None where it declines."""
    array = np.frombuffer(bytearray(data or b"\0"), dtype=np.uint8)
    slots = np.zeros(lane_hep.PACKET_SLOTS, dtype=np.int64)
    if not lane_hep.read_packet(array, len(data), slots):
        return None
    spans = {
        name: data[slots[at] : slots[at + 1]] for name, at in (("key", lane_hep.KEY), ("payload", lane_hep.PAYLOAD))
    }
    halves = (int(slots[lane_hep.SOURCE_HIGH]) & _MASK, int(slots[lane_hep.SOURCE_LOW]) & _MASK)
    return {"source": halves, "us": slots[lane_hep.CAPTURED_US], "kind": slots[lane_hep.KIND], **spans}


def same_packet(data: bytes) -> bool:
    """Whether the lane read it; if so, the codec read the same."""
    found = read_packet(data)
    if found is None:
        return False
    packet = parse_packet(data)
    assert found == {
        "source": address_halves(packet.source),
        "us": packet.seconds * 1_000_000 + packet.microseconds,
        "kind": packet.kind,
        "key": packet.key,
        "payload": packet.payload,
    }
    return True


@_MANY
@given(data=packets)
def test_an_ordinary_packet_is_read_alike(data: bytes) -> None:
    assert same_packet(data)


@_MANY
@given(
    data=packets,
    extra=st.lists(st.tuples(st.sampled_from([0, 0, 0, 3]), st.integers(0, 20), st.binary(max_size=17)), max_size=3),
    cuts=st.lists(st.tuples(st.integers(0, 160), st.integers(0, 3), st.binary(max_size=3)), max_size=2),
)
def test_an_odd_packet_is_declined_or_read_alike(
    data: bytes, extra: list[tuple[int, int, bytes]], cuts: list[tuple[int, int, bytes]]
) -> None:
    for vendor, kind, value in extra:
        data += struct.pack(">HHH", vendor, kind, 6 + len(value)) + value
    for at, removed, added in cuts:
        data = data[:at] + added + data[at + removed :]
    if len(data) >= 6:
        data = data[:4] + struct.pack(">H", len(data)) + data[6:]
    same_packet(data)


def test_what_kamailio_sends_is_taken() -> None:
    assert all(same_packet(vector.data) for vector in RECORDED.values())


def test_an_address_of_either_family_is_the_trunks_form() -> None:
    for name, address in (("over IPv4", "127.0.0.1"), ("over IPv6", "::1")):
        found = read_packet(RECORDED[name].data)
        assert found is not None
        assert found["source"] == address_halves(str(ipaddress.ip_address(address)))


@pytest.mark.parametrize(
    ("given_key", "fits"), [(b"secret", True), (b"secreT", False), (b"secre", False), (b"", False)]
)
def test_a_key_fits_wholly_or_not(given_key: bytes, fits: bool) -> None:  # noqa: FBT001
    data = np.frombuffer(bytearray(b"--" + given_key + b"--"), dtype=np.uint8)
    key = np.frombuffer(bytearray(b"secret"), dtype=np.uint8)
    assert lane_hep.same_key(data, 2, 2 + len(given_key), key) == fits


# Captured messages

METHODS = {"INVITE": lane_messages.METHOD_INVITE, "BYE": lane_messages.METHOD_BYE}


def same_message(data: bytes) -> bool:
    """Whether the lane read it; where the codec reads it too, both say the same."""
    array = np.frombuffer(bytearray(data or b"\0"), dtype=np.uint8)
    slots = np.zeros(lane_messages.MESSAGE_SLOTS, dtype=np.int64)
    if not lane_messages.read_message(array, len(data), slots):
        return False
    try:
        message = parse_datagram(data)
    except SipError:
        # A captured message that breaks the grammar elsewhere still says what became of its call.
        return True
    spans = {
        name: data[slots[at] : slots[at + 1]]
        for name, at in (
            ("call_id", lane_messages.CALL_ID),
            ("from", lane_messages.FROM_TAG),
            ("to", lane_messages.TO_TAG),
            ("branch", lane_messages.BRANCH),
            ("sent_by", lane_messages.SENT_BY),
        )
    }
    assert spans == {
        "call_id": message.call_id,
        "from": message.from_.tag.encode(),
        "to": message.to.tag.encode(),
        "branch": message.vias[0].branch.encode(),
        "sent_by": message.vias[0].sent_by,
    }
    status = 0 if isinstance(message, Request) else message.status
    method = message.method if isinstance(message, Request) else message.cseq.method
    assert slots[lane_messages.STATUS] == status
    assert slots[lane_messages.METHOD] == METHODS.get(method, lane_messages.METHOD_OTHER)
    assert slots[lane_messages.CSEQ] == message.cseq.number
    assert slots[lane_messages.CAUSE] == cause_of(message)
    return True


lines = st.sampled_from(
    [
        "INVITE sip:110@h SIP/2.0",
        "BYE sip:a@192.0.2.1:5070;lr SIP/2.0",
        "ACK sip:h SIP/2.0",
        "CANCEL tel:+86-10 SIP/2.0",
        "SIP/2.0 200 OK",
        "SIP/2.0 486 Busy Here",
        "SIP/2.0 183 ",
        "SIP/2.0 200",
        "SIP/2.0 7000 x",
        "bye sip:h SIP/2.0",
        "BYE  sip:h SIP/2.0",
        "BYE sip:h SIP/3.0",
    ]
)
cseqs = st.sampled_from(
    ["1 INVITE", "2 BYE", "3 ACK", "1 CANCEL", "INVITE", "1", "99999999999 INVITE", "7  BYE", "1 bye"]
)
names = st.sampled_from(
    [
        "<sip:1@h>",
        '"A" <sip:1@h>',
        '"A;tag=x" <sip:1@h>',
        '"A \\" B" <sip:1@h>',
        "Bob B <sip:1@h;user=phone>",
        "sip:1@h",
        "<tel:+86-10>",
        "<sip:1@h;tag=inner>",
        "<sip:1@h?x=y>",
        "",
        "<sip:1@h",
    ]
)
tags = st.sampled_from(
    ["", ";tag=a.b", ";TAG=a", ";tag=", ";tag", ";tag=a;tag=b", ";x=y;tag=c", ';x="y;tag=q";tag=c', "; tag=a"]
)
call_ids = st.sampled_from(["a@h", "a", "A-b.c_1%", "a@b@c", "@a", "a b", "<a>", "", "a@"])
vias = st.sampled_from(
    [
        "SIP/2.0/UDP h;branch=z9hG4bK1",
        "SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bKx;received=2001:db8::2",
        "SIP/2.0/UDP 192.0.2.1:5060;rport=5;received=192.0.2.7;branch=z9hG4bKx.y-1, SIP/2.0/UDP i;branch=z9hG4bK2",
        "SIP/2.0/UDP h",
        "SIP/2.0/UDP h;branch=a;branch=b",
        "SIP / 2.0 / UDP h;branch=1",
        "SIP/2.0/UDP h ;branch=1",
        "SIP/2.0/UDP h;branch=z9hG4bK1;rport",
        "SIP/2.0/UDP h;branch",
    ]
)
more = st.lists(
    st.sampled_from(
        [
            'Reason: Q.850;cause=16;text="Normal, call; clearing"',
            'Reason: SIP;cause=200;text="x", q.850;cause=17',
            "Reason: Q.850;text=x;cause=31",
            "Reason: Q.850",
            "Reason: Q.850;cause=x",
            "Reason: Q.850 ; cause=16",
            "Reason: Q.850;cause=200",
            "Content-Length: 0",
            "Contact: <sip:1@h>",
            "Contact: what is this",
            "Subject: a\r\n folded",
            "X-Long : spaced",
            "v: SIP/2.0/UDP j;branch=z9hG4bK3",
            "i: other",
        ]
    ),
    max_size=3,
)


def written(line: str, heads: tuple[str, ...], extra: list[str], *, compact: bool, first: bool) -> bytes:
    keys = ("v", "f", "t", "i", "CSeq") if compact else ("Via", "From", "To", "Call-ID", "CSeq")
    known = [f"{key}: {value}" for key, value in zip(keys, heads, strict=True)]
    lines_of = [*extra, *known] if first else [*known, *extra]
    return "\r\n".join([line, *lines_of, "", ""]).encode()


addresses = st.builds("".join, st.tuples(names, tags))
messages = st.builds(
    written,
    lines,
    st.tuples(vias, addresses, addresses, call_ids, cseqs),
    more,
    compact=st.booleans(),
    first=st.booleans(),
)


@_MANY
@given(data=messages)
def test_any_message_is_declined_or_read_alike(data: bytes) -> None:
    same_message(data)


ORDINARY = (
    "{line}\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK7;rport=5060;received=192.0.2.8\r\n"
    'From: "Zhang" <sip:13800138000@192.0.2.9>;tag=t1\r\nTo: <sip:110@192.0.2.9>;tag=t2\r\nCall-ID: 7@192.0.2.9\r\n'
    'CSeq: 1 {method}\r\nReason: Q.850;cause=16;text="Normal"\r\nDate: today\r\nContent-Length: 0\r\n\r\n'
)


@pytest.mark.parametrize(
    ("line", "method"),
    [
        ("INVITE sip:110@192.0.2.9 SIP/2.0", "INVITE"),
        ("BYE sip:110@192.0.2.9 SIP/2.0", "BYE"),
        ("SIP/2.0 200 OK", "BYE"),
    ],
)
def test_ordinary_messages_are_taken(line: str, method: str) -> None:
    assert same_message(ORDINARY.format(line=line, method=method).encode())


@_MANY
@given(cuts=st.lists(st.tuples(st.integers(0, 330), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3))
def test_a_damaged_message_is_declined_or_read_alike(cuts: list[tuple[int, int, bytes]]) -> None:
    data = ORDINARY.format(line="SIP/2.0 486 Busy", method="INVITE").encode()
    for at, removed, added in cuts:
        data = data[:at] + added + data[at + removed :]
    same_message(data)


@needs_torture
def test_the_torture_messages_are_declined_or_read_alike() -> None:
    for data in torture_messages().values():
        same_message(data)


@needs_protos
def test_the_protos_cases_are_declined_or_read_alike() -> None:
    for case in protos_cases():
        same_message(fill(case.invite, case.case))
