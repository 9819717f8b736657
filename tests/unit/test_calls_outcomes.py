from __future__ import annotations

import struct

import numpy as np
import pytest

from hutong.calls import outcomes as out
from hutong.calls import record as rec
from hutong.calls.screening import replay_records
from hutong.kernel import windows
from hutong.kernel.errors import JournalError

CALLER, CALLEE, TRUNK = 1001, 1002, 1003
NOW = 1_772_416_800


def table() -> windows.WindowArrays:
    made = windows.format_buffer(bytearray(windows.size_for(10)), 10, (1, 2))
    for key in (CALLER, CALLEE, TRUNK):
        windows.touch(made, key, NOW)
    return made


def written(
    phase: int, *, answered: int = 1, ring: int = 3000, talk: int = 0, status: int = 0, cause: int = 0
) -> bytes:
    facts = np.array([NOW * 1000 + 7, CALLER, CALLEE, TRUNK, 42, ring, talk, phase, answered, status, cause])
    buffer = rec.new_record_buffer(4096)
    call_id, names = (np.frombuffer(bytearray(text), np.uint8) for text in (b"call-1@gw", b"..home.."))
    end = out.write_outcome(facts, call_id, names, np.array([2, 6]), buffer, 0)
    assert end % 8 == 0
    return buffer.bytes_[:end].tobytes()


def seen(made: windows.WindowArrays, key: int, name: str) -> float:
    values = np.zeros(len(windows.WINDOW_FEATURES))
    windows.read_features(made, windows.find(made, key), NOW, values, 0)
    return float(values[windows.WINDOW_FEATURES.index(name)])


def replay(made: windows.WindowArrays, *records: bytes) -> int:
    words = np.frombuffer(b"".join(records), dtype=np.int64)
    return int(replay_records(made, words, words.view(np.uint16), 0))


def test_an_outcome_is_read_back_as_it_was_written() -> None:
    data = written(out.PHASE_ENDED, talk=61_500, status=200, cause=16)
    assert struct.unpack_from("<IH", data) == (len(data), rec.KIND_OUTCOME)
    assert out.decode_outcome(9, data[8:]) == out.Outcome(
        seq=9,
        time_ms=NOW * 1000 + 7,
        phase="ended",
        caller_key=CALLER,
        callee_key=CALLEE,
        trunk="home",
        call_id="call-1@gw",
        verdict_seq=42,
        ring_ms=3000,
        talk_ms=61_500,
        release=16,
        answered=True,
        status=200,
    )


def test_the_release_is_the_sip_status_where_no_cause_is_named() -> None:
    data = written(out.PHASE_ENDED, answered=0, status=486)
    assert out.decode_outcome(1, data[8:]).release == 486


@pytest.mark.parametrize("body", [b"", b"x" * 30, b"\xff" * 90])
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(JournalError):
        out.decode_outcome(1, body)


def test_an_answered_call_goes_on_and_its_end_counts_for_caller_callee_and_trunk() -> None:
    made = table()
    assert replay(made, written(out.PHASE_ANSWERED)) == 1
    assert [seen(made, key, "active_calls") for key in (CALLER, CALLEE, TRUNK)] == [1, 1, 1]
    assert replay(made, written(out.PHASE_ENDED, talk=61_500)) == 1
    for key in (CALLER, CALLEE, TRUNK):
        assert seen(made, key, "active_calls") == 0
        assert seen(made, key, "ended_1m") == 1
        assert seen(made, key, "answer_share_1m") == 1
        assert seen(made, key, "mean_ring_1m") == 3
        assert seen(made, key, "mean_talk_1m") == 61.5


def test_a_lost_call_goes_on_no_more_and_says_nothing_else() -> None:
    made = table()
    replay(made, written(out.PHASE_ANSWERED), written(out.PHASE_LOST), written(out.PHASE_LOST))
    assert seen(made, CALLER, "active_calls") == 0
    assert seen(made, CALLER, "ended_24h") == 0
    replay(made, written(out.PHASE_ANSWERED), written(out.PHASE_LOST, answered=0))
    assert seen(made, CALLER, "active_calls") == 1


def test_an_outcome_of_forgotten_numbers_changes_nothing() -> None:
    made = windows.format_buffer(bytearray(windows.size_for(10)), 10, (1, 2))
    replay(made, written(out.PHASE_ANSWERED), written(out.PHASE_ENDED, talk=1), written(out.PHASE_LOST))
    assert windows.tracked(made) == 0


def test_when_all_calls_are_lost_from_sight_none_goes_on() -> None:
    made = table()
    replay(made, written(out.PHASE_ANSWERED), out.all_lost(NOW * 1000))
    assert [seen(made, key, "active_calls") for key in (CALLER, CALLEE, TRUNK)] == [0, 0, 0]
    told = out.decode_outcome(3, out.all_lost(NOW * 1000)[8:])
    assert (told.phase, told.caller_key, told.trunk, told.call_id) == ("lost", 0, "", "")
