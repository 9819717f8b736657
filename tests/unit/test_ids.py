"""Identifiers sort by time; events carry their kind."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.events import Event
from hutong.kernel.ids import time_ordered_id

TIMES = st.integers(0, (1 << 62) - 1)
RANDOM = st.binary(min_size=8, max_size=8)


@given(TIMES, RANDOM)
def test_an_id_is_a_version_7_uuid_that_tells_its_time(wall: int, randomness: bytes) -> None:
    made = uuid.UUID(time_ordered_id(wall, randomness))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == wall // 1_000_000


@given(TIMES, st.integers(250, 10**12), RANDOM, RANDOM)
def test_later_ids_sort_later(wall: int, passed: int, one: bytes, other: bytes) -> None:
    assert time_ordered_id(wall, one) < time_ordered_id(wall + passed, other)


@given(TIMES, RANDOM, RANDOM)
def test_randomness_tells_ids_of_one_moment_apart(wall: int, one: bytes, other: bytes) -> None:
    used = int.from_bytes(one) ^ int.from_bytes(other)
    assert (time_ordered_id(wall, one) == time_ordered_id(wall, other)) == (used & ((1 << 62) - 1) == 0)


def test_what_makes_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="no id"):
        time_ordered_id(0, b"short")
    with pytest.raises(ValueError, match="no id"):
        time_ordered_id(-1, bytes(8))


class Rang(Event, frozen=True, tag="rang"):
    bell: str


def test_events_carry_their_kind() -> None:
    event = Rang(id="1", time_ns=2, bell="door")
    written = msgspec.json.encode(event)
    assert msgspec.json.decode(written) == {"kind": "rang", "id": "1", "time_ns": 2, "bell": "door"}
    assert msgspec.json.decode(written, type=Rang) == event
