from __future__ import annotations

import gzip
import struct
import zlib

import msgspec
import pytest

from hep_vectors import RECORDED
from hutong.protocols.hep import KIND_SIP, MAX_PAYLOAD, HepError, Packet, StreamReader, build_packet, parse_packet

PLAIN = Packet(
    source="192.0.2.1",
    destination="192.0.2.2",
    source_port=5060,
    destination_port=5070,
    protocol=17,
    seconds=1_700_000_000,
    microseconds=999_999,
    kind=KIND_SIP,
    payload=b"OPTIONS",
)


def chunk(kind: int, value: bytes, *, vendor: int = 0) -> bytes:
    return struct.pack(">HHH", vendor, kind, 6 + len(value)) + value


def with_chunks(*more: bytes, without: int = 0, base: Packet = PLAIN) -> bytes:
    """A packet with further chunks, and without those of one type."""
    data, chunks, at = build_packet(base), b"", 6
    while at < len(data):
        _, kind, size = struct.unpack_from(">HHH", data, at)
        chunks += b"" if kind == without else data[at : at + size]
        at += size
    chunks += b"".join(more)
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


@pytest.mark.parametrize("name", RECORDED)
def test_what_kamailio_sends_is_read(name: str) -> None:
    vector = RECORDED[name]
    assert parse_packet(vector.data) == vector.packet


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_built_is_what_kamailio_sends(name: str) -> None:
    vector = RECORDED[name]
    assert build_packet(vector.packet) == vector.data


def test_chunks_of_vendors_and_unknown_types_are_passed_over() -> None:
    assert parse_packet(with_chunks(chunk(1, b"??", vendor=3), chunk(0x13, b"node-7"), chunk(0x20, b""))) == PLAIN


def test_the_correlation_is_read() -> None:
    assert parse_packet(with_chunks(chunk(17, b"abc"))).correlation == b"abc"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_compressed_payload_is_inflated(pack: object) -> None:
    data = with_chunks(chunk(16, pack(b"INVITE" * 50)), without=15)  # type: ignore[operator]
    assert parse_packet(data).payload == b"INVITE" * 50


@pytest.mark.parametrize("form", ["gzip", "zlib"])
def test_what_is_built_compressed_is_read(form: str) -> None:
    assert parse_packet(build_packet(PLAIN, compress=form)) == PLAIN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "HEP3"),
        (b"HEP2\x00\x06", "HEP version 3"),
        (b"HEP3\x00\x07", "says 7"),
        (build_packet(PLAIN)[:-1], "says"),
        (build_packet(PLAIN) + b"\0", "says"),
        (with_chunks(b"\0\0\0"), "too few for a chunk"),
        (with_chunks(struct.pack(">HHH", 0, 17, 5)), "says that it is 5 bytes"),
        (with_chunks(struct.pack(">HHH", 0, 17, 60)), "says that it is 60 bytes"),
        (with_chunks(chunk(1, b"\x02")), "protocol family: it stands twice"),
        (with_chunks(without=11), "protocol type: the packet lacks it"),
        (with_chunks(without=3), "IPv4 source: the packet lacks it"),
        (with_chunks(chunk(11, b"\0\1"), without=11), "protocol type: 2 bytes instead of 1"),
        (with_chunks(chunk(1, b"\x03"), without=1), "3 is neither IPv4"),
        (with_chunks(chunk(1, b"\x0a"), without=1), "IPv6 source: the packet lacks it"),
        (with_chunks(chunk(10, struct.pack(">I", 1_000_000)), without=10), "1000000 is a second or more"),
        (with_chunks(without=15), "plain or compressed"),
        (with_chunks(chunk(16, zlib.compress(b"x"))), "plain or compressed"),
        (with_chunks(chunk(16, b"\x1f\x8bjunk"), without=15), "cannot be inflated"),
        (with_chunks(chunk(16, gzip.compress(b"x" * 99)[:-4]), without=15), "cut short"),
        (with_chunks(chunk(16, gzip.compress(b"x") + b"y"), without=15), "something follows"),
        (with_chunks(chunk(16, zlib.compress(b"\0" * (MAX_PAYLOAD + 1), 9)), without=15), "more than 262144"),
    ],
)
def test_a_broken_packet_is_refused_with_its_fault(data: bytes, said: str) -> None:
    with pytest.raises(HepError) as refused:
        parse_packet(data)
    assert said in str(refused.value)


def test_a_payload_may_inflate_to_the_limit() -> None:
    data = with_chunks(chunk(16, zlib.compress(b"\0" * MAX_PAYLOAD, 9)), without=15)
    assert len(parse_packet(data).payload) == MAX_PAYLOAD


@pytest.mark.parametrize(
    "changes",
    [{"source_port": 65536}, {"seconds": -1}, {"destination": "::1"}, {"payload": bytes(65536)}, {"key": bytes(65530)}],
)
def test_what_does_not_fit_is_not_written(changes: dict[str, object]) -> None:
    with pytest.raises(HepError):
        build_packet(msgspec.structs.replace(PLAIN, **changes))


def test_a_stream_gives_its_packets_however_it_is_cut() -> None:
    one, two = (RECORDED[name].data for name in RECORDED)
    for step in (1, 5, 7, 1000):
        reader, data = StreamReader(), one + two + one
        found = [frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])]
        assert found == [one, two, one]
        assert not reader.broken


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"HEP2..", b"X", b"HEP3\x00\x05", b"HEX", b"\0" * 99])
def test_a_stream_that_loses_its_way_is_broken_and_gives_nothing_more(junk: bytes) -> None:
    whole = RECORDED["over IPv4"].data
    reader = StreamReader()
    assert reader.feed(whole + junk) == [whole]
    assert reader.broken
    assert reader.feed(whole) == []
