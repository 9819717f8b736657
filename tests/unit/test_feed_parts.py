"""What a feed is made of: frames and records, places, messages, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import NOON_NS
from feed_nodes import TRUNK_NAMES, FedNode, call, outcome, outcomes_in
from hutong.app.config import Config, KafkaConfig, check_config
from hutong.app.feed import link_of
from hutong.app.up import processes_of
from hutong.calls import board
from hutong.calls.alerts.record import KIND_ALERT
from hutong.calls.asking import wire as asking
from hutong.calls.feed import outcomes, wire
from hutong.calls.feed.events import read_call, read_outcome
from hutong.calls.feed.places import NOTE, PlaceBook
from hutong.calls.feed.port import start_of
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.outcomes import PHASE_ANSWERED, PHASE_ENDED
from hutong.kernel.errors import CodecError, ConfigError, JournalError
from hutong.kernel.journal import FileJournal, MemoryJournal

if TYPE_CHECKING:
    from pathlib import Path

TRUNKS = frozenset({"neighbour"})
ATTEMPT = asking.Attempt(b"1", b"13800138000", b"02161230000", 7, trunk=b"neighbour")
TOPICS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=249)
OFFSETS = st.lists(st.integers(0, 1 << 60), min_size=1, max_size=256, unique=True).map(sorted)


def frame_of(data: bytes) -> asking.Frame:
    (frame,) = asking.FrameReader().feed(data)
    return frame


@given(TOPICS, st.integers(0, 1 << 31), OFFSETS)
def test_a_feed_frame_comes_back_as_it_was(topic: str, partition: int, offsets: list[int]) -> None:
    calls = [asking.encode_call(ATTEMPT)] * len(offsets)
    frame = frame_of(wire.encode_feed(3, topic, partition, offsets, calls))
    fed = wire.decode_feed(frame)
    assert (fed.topic, fed.partition, fed.offsets.tolist()) == (topic, partition, offsets)
    assert asking.decode_request(frame._replace(body=fed.body)) == [ATTEMPT] * len(offsets)


TOLD = st.builds(
    wire.Told,
    call_id=st.binary(min_size=1, max_size=asking.MAX_FIELD),
    phase=st.sampled_from([PHASE_ANSWERED, PHASE_ENDED]),
    answered=st.booleans(),
    ring_ms=st.integers(0, 1 << 40),
    talk_ms=st.integers(0, 1 << 40),
    status=st.integers(0, 699),
    cause=st.integers(0, 127),
)


@settings(deadline=None)  # the first one compiles
@given(st.lists(TOLD, min_size=1, max_size=asking.MAX_CALLS))
def test_outcomes_arrive_as_they_were_told(told: list[wire.Told]) -> None:
    frame = frame_of(wire.encode_outcomes(3, "outcomes", 5, list(range(len(told))), told))
    fed, room = wire.decode_feed(frame), outcomes.new_telling()
    assert (frame.kind, fed.topic, fed.partition, frame.rows) == (wire.OUTCOMES, "outcomes", 5, len(told))
    room.bytes_[: len(fed.body)] = np.frombuffer(fed.body, dtype=np.uint8)
    assert outcomes.is_whole(room, frame.rows, len(fed.body))
    assert not outcomes.is_whole(room, frame.rows, len(fed.body) - 1)
    at = len(told) * wire.OUTCOME_ROW.size
    for row, it in zip(wire.OUTCOME_ROW.iter_unpack(fed.body[:at]), told, strict=True):
        assert wire.Told(fed.body[at : at + row[-1]], row[2], bool(row[3]), row[0], row[1], row[4], row[5]) == it
        at += row[-1]


@given(TOPICS, st.integers(0, 1 << 31), st.integers(0, 1 << 60), OFFSETS)
def test_a_record_of_a_place_comes_back_as_it_was(topic: str, partition: int, place: int, offsets: list[int]) -> None:
    it = wire.FedRecord(topic, partition, place, tuple(offsets))
    body = wire.encode_fed(it)
    assert len(body) % 8 == 0
    assert wire.decode_fed(1, body) == it
    with pytest.raises(JournalError):
        wire.decode_fed(1, body[: len(body) - 8])


@given(st.binary(max_size=200), st.integers(0, 20))
def test_any_bytes_are_a_feed_or_an_error(body: bytes, rows: int) -> None:
    try:
        fed = wire.decode_feed(asking.Frame(wire.FEED, rows, 1, body))
    except CodecError:
        return
    assert len(fed.offsets) == rows > 0


def test_offsets_that_do_not_ascend_are_refused() -> None:
    frame = frame_of(wire.encode_feed(1, "calls", 0, [5, 5], [asking.encode_call(ATTEMPT)] * 2))
    with pytest.raises(CodecError, match="order"):
        wire.decode_feed(frame)


def test_places_are_read_from_the_journal_and_from_a_note_that_outlives_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = MemoryJournal()
    journal.open()
    journal.append(wire.KIND_FED, [wire.encode_fed(wire.FedRecord("calls", 2, 10, (8, 9)))], 1)
    book = PlaceBook(tmp_path, journal)
    book.open()
    assert book.all() == [wire.Place("calls", 2, 10)]
    book.note()
    begun_anew = MemoryJournal()
    begun_anew.open()
    begun_anew.append(wire.KIND_FED, [wire.encode_fed(wire.FedRecord("calls", 3, 4, ()))], 1)
    again = PlaceBook(tmp_path, begun_anew)
    again.open()
    assert again.get("calls", 2) == 10
    (tmp_path / NOTE).write_text("{torn")
    torn = PlaceBook(tmp_path, begun_anew)
    torn.open()
    assert torn.all() == [wire.Place("calls", 3, 4)]


@pytest.mark.parametrize(
    ("own", "committed", "ours", "start"),
    [(None, 7, False, 7), (5, 7, True, 5), (5, 7, False, 7), (9, 7, True, 9), (9, 7, False, 9)],
)
def test_a_partition_begins_where_nothing_is_missed_and_nothing_of_ours_is_fetched_twice(
    *, own: int | None, committed: int, ours: bool, start: int
) -> None:
    assert start_of(own, committed, ours=ours) == start


def test_a_message_is_a_call_with_members_as_over_http_and_others_beside() -> None:
    event = {"call_id": "1", "caller": "13800138000", "callee": "02161230000", "trunk": "neighbour", "start": 5}
    assert msgspec.structs.replace(read_call(msgspec.json.encode(event), TRUNKS), received_ms=7) == ATTEMPT


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"", "no call"),
        (b"\xff", "no call"),
        (b'{"call_id": 5, "callee": "1"}', "no call"),
        (b'{"call_id": "", "callee": "1", "trunk": "neighbour"}', "empty"),
        (b'{"call_id": "1", "callee": "2", "trunk": "nobody"}', "no trunk"),
        (b'{"call_id": "1", "callee": "2", "source": "nowhere"}', "no IP address"),
        (b'{"call_id": "1", "callee": "2"}', "neither source nor trunk"),
        (b'{"call_id": "1\\u0000", "callee": "2", "trunk": "neighbour"}', "control"),
        (b'{"call_id": "' + 600 * b"1" + b'", "callee": "2", "trunk": "neighbour"}', "longer"),
    ],
)
def test_what_is_no_call_is_told_why(value: bytes | None, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        read_call(value, TRUNKS)


@pytest.mark.parametrize(
    ("members", "status", "cause"),
    [
        ({"release": 17}, 486, 17),
        ({"release": 503}, 503, 0),
        ({"release": 88}, 503, 88),
        ({}, 487, 0),
        ({"answered": True, "talk_ms": 5, "release": 16}, 0, 16),
    ],
)
def test_the_end_of_a_call_says_how_it_was_released(members: dict[str, object], status: int, cause: int) -> None:
    told = read_outcome(msgspec.json.encode({"call_id": "1", "event": "ended", "ring_ms": 7, "more": 1} | members))
    assert (told.call_id, told.phase, told.ring_ms, told.status, told.cause) == (b"1", PHASE_ENDED, 7, status, cause)
    assert (told.answered, told.talk_ms) == (bool(members.get("answered")), members.get("talk_ms", 0))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"{", "no outcome"),
        (b'{"call_id": "1", "event": "rang"}', "no outcome"),
        (b'{"call_id": "1", "event": "ended", "talk_ms": -1}', "no outcome"),
        (b'{"call_id": "", "event": "ended"}', "call_id is empty"),
        (b'{"call_id": "1\\u0000", "event": "ended"}', "control"),
        (b'{"call_id": "1", "event": "ended", "release": 200}', "neither"),
    ],
)
def test_what_is_no_outcome_is_told_why(value: bytes | None, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        read_outcome(value)


def test_an_outcome_finds_its_call_counts_once_and_without_a_call_is_only_counted(tmp_path: Path) -> None:
    node = FedNode(tmp_path)

    def ask(frame: bytes) -> asking.Frame:
        return frame_of(node.desk.take(frame_of(frame)))

    def told(first: int, *events: bytes) -> list[int]:
        some = [read_outcome(it) for it in events]
        return list(ask(wire.encode_outcomes(1, "outcomes", 0, range(first, first + len(some)), some)).body)

    row = asking.encode_call(read_call(call(1), TRUNK_NAMES))
    ask(wire.encode_feed(1, "calls", 0, [0], [row]))
    orphans = int(node.engine.cells[board.MIRROR_ORPHANS])
    assert told(0, outcome(1, "answered"), outcome(2), outcome(1, "answered")) == [wire.NOTED, wire.UNKNOWN, wire.KNOWN]
    assert node.counts("active_calls") == {"13800000001": 1}
    ended = outcome(1, answered=True, talk_ms=61_000)
    assert told(1, outcome(2), ended, ended) == [wire.KNOWN, wire.KNOWN, wire.NOTED], "offsets 1 and 2 were taken in"
    assert told(4, outcome(1)) == [wire.KNOWN]
    assert node.counts("active_calls") == {}
    assert (node.counts("ended_1h"), node.counts("mean_talk_1h")) == ({"13800000001": 1}, {"13800000001": 61})
    assert node.engine.cells[board.MIRROR_ORPHANS] - orphans == 1
    node.node.close()
    answered, over = outcomes_in(tmp_path)
    assert (answered.phase, answered.ring_ms, answered.call_id) == ("answered", 4001, "fed-1")
    assert (over.phase, over.ring_ms, over.talk_ms, over.release) == ("ended", 4001, 61_000, 16)
    assert over.verdict_seq == answered.verdict_seq == 1


def test_a_call_that_is_told_of_is_looked_at_for_alerts(tmp_path: Path) -> None:
    node = FedNode(tmp_path)
    node.desk.take(
        frame_of(wire.encode_feed(1, "calls", 0, [0], [asking.encode_call(read_call(call(1), TRUNK_NAMES))]))
    )
    answered = wire.encode_outcomes(1, "outcomes", 0, [0], [read_outcome(outcome(1, "answered"))])
    node.desk.take(frame_of(answered))

    def alerts() -> int:
        return sum(it.kind == KIND_ALERT for it in FileJournal(tmp_path / "journal").read(1))

    node.desk.tick(node.clock.wall())
    assert alerts() == 0
    node.clock.advance(4 * 3600 * 10**9)
    node.desk.tick(node.clock.wall())
    assert alerts() == 1, "one that lasts for hours"
    node.node.close()


def test_calls_of_which_nothing_is_said_make_room(tmp_path: Path) -> None:
    node = FedNode(tmp_path)
    for at in range(20):
        rows = [asking.encode_call(read_call(call(at * 200 + it), TRUNK_NAMES)) for it in range(200)]
        node.desk.take(frame_of(wire.encode_feed(1, "calls", 0, range(at * 200, at * 200 + 200), rows)))
    calls = node.engine.tables.calls
    assert calls[mirror_calls.ROWS] == 4000
    node.desk.tick(NOON_NS)
    assert calls[mirror_calls.ROWS] == calls[mirror_calls.CAPACITY] * 15 // 16
    node.clock.advance(25 * 3600 * 10**9)
    for _ in range(4):
        node.desk.tick(node.clock.wall())
    assert calls[mirror_calls.ROWS] == 0
    node.node.close()


def test_the_process_runs_only_where_brokers_are_named() -> None:
    assert "feed" not in processes_of(Config())
    assert "feed" in processes_of(Config(kafka=KafkaConfig(bootstrap_servers=("kafka:9092",))))


def test_calls_and_outcomes_have_topics_of_their_own() -> None:
    it = KafkaConfig(calls_topic="calls", outcomes_topic="calls")
    assert [problem.place for problem in check_config(Config(kafka=it))] == [("kafka", "outcomes_topic")]
    assert not list(check_config(Config(kafka=msgspec.structs.replace(it, outcomes_topic="outcomes"))))


def test_the_password_comes_from_its_file_and_sasl_needs_a_user(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    it = KafkaConfig(bootstrap_servers=("a:1", "b:2"), security_protocol="sasl_ssl", password_file=str(file))
    options = link_of(it).options()
    assert options["sasl.password"] == "secret"
    assert options["bootstrap.servers"] == "a:1,b:2"
    assert [problem.place for problem in check_config(Config(kafka=it))] == [("kafka", "sasl_mechanism")]
    with pytest.raises(ConfigError, match="password"):
        link_of(msgspec.structs.replace(it, password_file=str(tmp_path / "gone")))
