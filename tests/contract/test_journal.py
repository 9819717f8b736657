"""What every journal does, run on each adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal, Journal, MemoryJournal, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = 1_000_000_000


@pytest.fixture(params=["file", "small segments", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        made: Journal = MemoryJournal()
    else:
        size = 200 if request.param == "small segments" else 1 << 20
        made = FileJournal(tmp_path / "journal", segment_bytes=size, writable=True)
    made.open()
    yield made
    made.close()


def contents(journal: Journal, from_seq: int = 1) -> list[tuple[int, int, int, bytes]]:
    return [(r.seq, r.kind, r.time_ns, bytes(r.body)) for r in journal.read(from_seq)]


def test_an_empty_journal_has_no_records(journal: Journal) -> None:
    assert journal.last_seq == 0
    assert contents(journal) == []
    assert journal.record(1) is None
    assert list(journal.find_last(b"x")) == []
    assert list(journal.follow(1).read_new()) == []


def test_records_come_back_numbered_in_order(journal: Journal) -> None:
    assert journal.append(7, [b"one", b"two"], 10) == 2
    assert journal.append(9, [b""], 11) == 3
    assert journal.last_seq == 3
    assert contents(journal) == [(1, 7, 10, b"one"), (2, 7, 10, b"two"), (3, 9, 11, b"")]
    assert contents(journal, 3) == [(3, 9, 11, b"")]
    assert contents(journal, 4) == []


def test_framed_batches_are_appended_as_they_are(journal: Journal) -> None:
    payload = encode_record(1, b"a") + encode_record(2, b"bb")
    assert journal.append_records(memoryview(payload), 2, 5) == 2
    assert journal.append_records(payload, 2, 6) == 4
    frames = list(journal.read_frames(2))
    assert [(f.first_seq, f.records, f.wall_ns, bytes(f.payload)) for f in frames] == [
        (1, 2, 5, payload),
        (3, 2, 6, payload),
    ]
    assert [f.first_seq for f in journal.read_frames(3)] == [3]


def test_an_empty_batch_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError):
        journal.append_records(b"", 0, 1)
    assert journal.append(1, [], 1) == 0


def test_a_closed_journal_refuses_appends(journal: Journal) -> None:
    journal.append(1, [b"kept"], 1)
    journal.close()
    journal.close()
    with pytest.raises(JournalError):
        journal.append(1, [b"late"], 2)
    journal.open()
    assert journal.last_seq == 1
    assert journal.append(1, [b"next"], 2) == 2


def test_one_record_is_found_by_its_number(journal: Journal) -> None:
    for batch in range(20):
        journal.append(3, [f"{batch}-{i}".encode() for i in range(3)], batch)
    for seq in range(1, 61):
        found = journal.record(seq)
        assert found is not None
        assert (found.seq, bytes(found.body)) == (seq, f"{(seq - 1) // 3}-{(seq - 1) % 3}".encode())
    assert journal.record(0) is None
    assert journal.record(61) is None


def test_bodies_that_hold_the_needle_come_newest_first(journal: Journal) -> None:
    for batch in range(10):
        journal.append(3, [b"call abc", b"other", b"abc abc"], batch)
    assert [r.seq for r in journal.find_last(b"abc")] == [
        seq for batch in range(9, -1, -1) for seq in (3 * batch + 3, 3 * batch + 1)
    ]
    assert list(journal.find_last(b"nowhere")) == []


def test_a_needle_does_not_match_across_records(journal: Journal) -> None:
    journal.append(0x6161, [b"aa", b"aa"], 1)
    assert list(journal.find_last(b"aaa")) == []
    assert [r.seq for r in journal.find_last(b"aa")] == [2, 1]


def test_a_follower_gets_each_record_once(journal: Journal) -> None:
    journal.append(1, [b"1", b"2"], 1)
    place = journal.follow(2)
    assert [r.seq for r in place.read_new()] == [2]
    assert list(place.read_new()) == []
    for _ in range(30):
        journal.append(1, [b"some more of it"], 2)
    assert [r.seq for r in place.read_new()] == list(range(3, 33))
    assert list(place.read_new()) == []


def test_what_is_too_old_goes_and_numbers_go_on(journal: Journal) -> None:
    for second in range(10):
        journal.append(1, [b"x" * 150], second * SECOND)
    gone = journal.retain(4 * SECOND, 10 * SECOND)
    kept = [r.seq for r in journal.read(1)]
    assert kept == list(range(gone + 1, 11))
    assert all(r.time_ns >= 6 * SECOND for r in journal.read(1)) or gone == 0
    assert journal.record(10) is not None
    assert journal.retain(4 * SECOND, 1000 * SECOND) == 10 - gone
    assert contents(journal) == []
    assert journal.last_seq == 10
    assert journal.append(1, [b"y"], 1000 * SECOND) == 11
    assert [r.seq for r in journal.read(1)] == [11]


def test_sync_and_skipped_are_quiet_on_a_sound_journal(journal: Journal) -> None:
    journal.append(1, [b"x"] * 50, 1)
    journal.sync()
    assert len(list(journal.read(1, skip_corrupt=True))) == 50
    assert journal.skipped == 0
