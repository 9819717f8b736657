"""The wire between `serve` and `screen`: what is encoded comes back, however it is cut; anything else is refused."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.calls.asking import batch as ask_batch
from hutong.calls.asking import wire as asking
from hutong.kernel.errors import CodecError

texts = st.one_of(st.binary(max_size=12), st.binary(max_size=asking.MAX_FIELD))
halves = st.integers(0, 2**64 - 1)
attempts = st.builds(
    asking.Attempt,
    call_id=texts,
    caller=texts,
    callee=texts,
    from_=texts,
    diverter=texts,
    trunk=texts,
    received_ms=st.integers(-(2**63), 2**63 - 1),
    source=st.none() | st.tuples(halves, halves),
    anonymous=st.booleans(),
)
records = st.binary(max_size=300)
places = st.integers(0, asking.MAX_CALLS - 1)
seqs = st.integers(0, 2**63 - 1)
answers = st.one_of(
    st.builds(asking.Answer, places, st.just(asking.JUDGED), seqs, records),
    st.builds(asking.Answer, places, st.sampled_from([1, 2, 3]), seqs, st.just(b"")),
)
tickets = st.integers(0, 2**64 - 1)


def cut(data: bytes, sizes: list[int]) -> list[asking.Frame]:
    """The frames in `data`, fed in pieces of these sizes, over and over."""
    reader, frames, at, turn = asking.FrameReader(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        frames += reader.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return frames


@given(
    asked=st.lists(st.tuples(tickets, st.lists(attempts, min_size=1, max_size=5)), min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 5000), min_size=1),
)
def test_requests_come_back_as_they_went(asked: list[tuple[int, list[asking.Attempt]]], sizes: list[int]) -> None:
    stream = b"".join(asking.encode_request(ticket, calls) for ticket, calls in asked)
    found = cut(stream, sizes)
    assert [(frame.ticket, asking.decode_request(frame)) for frame in found] == asked
    assert {frame.kind for frame in found} == {asking.REQUEST}


@given(ticket=tickets, told=st.lists(answers, max_size=8), sizes=st.lists(st.integers(1, 500), min_size=1))
def test_replies_come_back_as_they_went(ticket: int, told: list[asking.Answer], sizes: list[int]) -> None:
    (frame,) = cut(asking.encode_reply(ticket, told), sizes)
    assert (frame.kind, frame.ticket) == (asking.REPLY, ticket)
    assert asking.decode_reply(frame) == told


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_any_body_is_read_or_refused(body: bytes, rows: int) -> None:
    for kind, decode in ((asking.REQUEST, asking.decode_request), (asking.REPLY, asking.decode_reply)):
        with contextlib.suppress(CodecError):
            decode(asking.Frame(kind, rows, 1, body))


@given(st.binary(max_size=300))
def test_any_stream_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        list(asking.FrameReader().feed(data))


@given(calls=st.lists(attempts, min_size=1, max_size=4), cut_at=st.integers(0, 400), rows=st.integers(0, 300))
def test_compiled_code_takes_what_the_codec_takes(calls: list[asking.Attempt], cut_at: int, rows: int) -> None:
    body = asking.encode_request(1, calls)[asking.HEADER.size :]
    room = ask_batch.new_request()
    for some, count in ((body, len(calls)), (body[:cut_at], len(calls)), (body, rows), (body + b"\0" * cut_at, rows)):
        room.bytes_[: len(some)] = np.frombuffer(some, dtype=np.uint8)
        try:
            asking.decode_request(asking.Frame(asking.REQUEST, count, 1, some))
        except CodecError:
            assert not ask_batch.is_whole(room, count, len(some))
        else:
            assert ask_batch.is_whole(room, count, len(some))


def test_limits_are_kept_on_both_sides() -> None:
    call = asking.Attempt(b"c", b"1", b"2", 0)
    with pytest.raises(CodecError):
        asking.encode_request(1, [])
    with pytest.raises(CodecError):
        asking.encode_request(1, [call] * (asking.MAX_CALLS + 1))
    with pytest.raises(CodecError):
        asking.encode_request(1, [asking.Attempt(b"c" * (asking.MAX_FIELD + 1), b"1", b"2", 0)])
    longest = asking.Attempt(*[b"x" * asking.MAX_FIELD] * 3, 0, *[b"x" * asking.MAX_FIELD] * 3, source=(1, 2))
    full = asking.encode_request(1, [longest] * asking.MAX_CALLS)
    assert len(full) < asking.MAX_BODY
    assert list(asking.FrameReader().feed(full))
    too_long = asking.HEADER.pack(asking.MAGIC, asking.VERSION, asking.REQUEST, asking.MAX_BODY + 1, 1, 1)
    with pytest.raises(CodecError):
        list(asking.FrameReader().feed(too_long))


def test_another_version_is_told_apart() -> None:
    other = asking.HEADER.pack(asking.MAGIC, asking.VERSION + 1, asking.REQUEST, 0, 0, 1)
    with pytest.raises(CodecError, match="speaks version"):
        list(asking.FrameReader().feed(other))


def test_never_more_is_wanted_than_the_frame_lacks() -> None:
    frame = asking.encode_request(7, [asking.Attempt(b"call", b"1", b"2", 5)])
    reader, at = asking.FrameReader(), 0
    found: list[asking.Frame] = []
    while not found:
        size = reader.wanted
        found += reader.feed(frame[at : at + size])
        at += size
    assert at == len(frame)
