"""What is written is read back; whatever else comes is read or refused, never more."""

from __future__ import annotations

import contextlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

import hep_packets
from hutong.protocols.hep import HepError, Packet, StreamReader, build_packet, parse_packet

packets = hep_packets.packets(payload=2000, text=40)


@given(packet=packets, compress=st.sampled_from(["", "gzip", "zlib"]))
def test_what_is_written_is_read_back(packet: Packet, compress: str) -> None:
    assert parse_packet(build_packet(packet, compress=compress)) == packet  # type: ignore[arg-type]


@given(
    packet=packets,
    compress=st.sampled_from(["", "gzip"]),
    cuts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)), max_size=3),
)
def test_damage_is_read_or_refused(packet: Packet, compress: str, cuts: list[tuple[int, int, bytes]]) -> None:
    data = build_packet(packet, compress=compress)  # type: ignore[arg-type]
    for at, removed, added in cuts:
        data = data[:at] + added + data[at + removed :]
    with contextlib.suppress(HepError):
        parse_packet(data)


@given(
    sent=st.lists(packets.map(build_packet), max_size=5),
    tail=st.binary(max_size=20),
    cuts=st.lists(st.integers(0, 12_000), max_size=8),
)
def test_a_stream_reads_the_same_however_it_is_cut(sent: list[bytes], tail: bytes, cuts: list[int]) -> None:
    data = b"".join(sent) + tail
    places = [0, *sorted(cuts), len(data)]
    whole, pieces = StreamReader(), StreamReader()
    apart = [frame for at, end in itertools.pairwise(places) for frame in pieces.feed(data[at:end])]
    assert whole.feed(data) == apart
    assert whole.broken == pieces.broken
    assert apart[: len(sent)] == sent
