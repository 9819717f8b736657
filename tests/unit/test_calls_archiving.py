"""From the journal to the archive: every field, each record once, and back as call records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hutong.calls.archiving import FOLDER, TABLES, Archiver, calls_query, empty_tables, order_of, stop_holding
from hutong.calls.outcomes import all_lost
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT
from hutong.calls.records.faults import CallFileError
from hutong.calls.replay.batch import NEVER, UNKNOWN
from hutong.kernel.archive.query import ArchiveQuery
from hutong.kernel.journal import FileJournal
from hutong.kernel.journal.holds import read_to
from hutong.kernel.numbering import trunk_key
from record_files import TRUNKS, read
from verdict_records import NOON_MS, SECOND, outcome_body, traffic, verdict_body, write_journal

if TYPE_CHECKING:
    from pathlib import Path

LATER = NOON_MS * 1_000_000 + 10_000 * SECOND
HEADER = 8


def archived(data: Path, now: int = LATER, **options: int) -> int:
    archiver = Archiver(data, **options)
    try:
        return archiver.run(now)
    finally:
        archiver.close()


def rows(data: Path, table: str) -> list[dict[str, Any]]:
    with ArchiveQuery(data / FOLDER, TABLES).opened(empty_tables()) as engine:
        return engine.table(table).order("era, seq").to_arrow_table().to_pylist()


def calls(data: Path) -> list[dict[str, Any]]:
    with ArchiveQuery(data / FOLDER, TABLES).opened(empty_tables()) as engine:
        return engine.sql(calls_query({0: 0})).to_arrow_table().to_pylist()


def outcome(seq: int, phase: str, after_ms: int, **further: Any) -> tuple[int, bytes]:  # noqa: ANN401  # fields of a record
    body = outcome_body(time_ms=NOON_MS + after_ms, caller_key=1, callee_key=2, phase=phase, verdict_seq=seq, **further)
    return KIND_OUTCOME, body


def verdict(**further: Any) -> tuple[int, bytes]:  # noqa: ANN401  # fields of a record
    return KIND_VERDICT, verdict_body(**further)


def test_every_verdict_and_outcome_is_archived_once(tmp_path: Path) -> None:
    traffic(tmp_path, 60)
    assert archived(tmp_path) == 70
    assert archived(tmp_path) == 0
    verdicts, outcomes = rows(tmp_path, "verdicts"), rows(tmp_path, "outcomes")
    assert (len(verdicts), len(outcomes)) == (60, 10)
    blocked = verdicts[0]
    assert (blocked["action"], blocked["trunk"], blocked["caller"]) == ("block", "one", "13800138000")
    assert blocked["rule"].startswith("calls.")
    assert blocked["fired"] == [{"rule": blocked["rule"], "values": blocked["fired"][0]["values"]}]
    assert verdicts[1]["rule"] is None
    assert verdicts[7]["flags"] == ["mirrored"]
    assert verdicts[0]["time"].timestamp() * 1000 == NOON_MS


def test_stretches_of_any_length_give_the_same(tmp_path: Path) -> None:
    traffic(tmp_path, 60)
    assert archived(tmp_path, rows_at_once=7, turns=3) == 21
    assert archived(tmp_path, rows_at_once=1, turns=1000) == 49
    assert [row["seq"] for row in rows(tmp_path, "verdicts")] == sorted(
        row["seq"] for row in rows(tmp_path, "verdicts")
    )
    assert len(rows(tmp_path, "verdicts")) == 60


def test_records_of_the_last_seconds_wait(tmp_path: Path) -> None:
    last = write_journal(tmp_path, [[verdict()], [verdict()]])
    now = NOON_MS * 1_000_000 + 5 * SECOND
    assert archived(tmp_path, now) == 1
    archiver = Archiver(tmp_path)
    archiver.run(now)
    assert archiver.lag() == 1
    assert archiver.run(now + SECOND) == 1
    assert archiver.lag() == 0
    assert archiver.size() > 0
    archiver.close()
    assert last == 2


def test_a_journal_that_lost_its_end_begins_an_era(tmp_path: Path) -> None:
    write_journal(tmp_path, [[verdict(call_id=f"old-{n}")] for n in range(10)], segment_bytes=900)
    archived(tmp_path)
    newest = max((tmp_path / "journal").glob("*.seg"))
    newest.unlink()
    kept = FileJournal(tmp_path / "journal").last_seq
    assert 0 < kept < 10
    journal = FileJournal(tmp_path / "journal", writable=True)
    journal.open()
    journal.append(*[KIND_VERDICT, [verdict_body(call_id="new")]], NOON_MS * 1_000_000 + 100 * SECOND)
    journal.close()
    assert archived(tmp_path) == 1
    found = [(row["era"], row["seq"], row["call_id"]) for row in rows(tmp_path, "verdicts")]
    assert found == [*((0, n + 1, f"old-{n}") for n in range(10)), (1, kept + 1, "new")]
    assert order_of([(0, 10), (1, kept + 1)]) == {0: 0, 1: 10}
    ordered = read(tmp_path, tmp_path / FOLDER, trunks=("unlisted", "neighbour")).rows
    assert [row["call_id"] for row in ordered][-1] == b"new"
    assert [row["seq"] for row in ordered] == sorted(row["seq"] for row in ordered)


def test_damaged_records_are_passed_over(tmp_path: Path) -> None:
    write_journal(tmp_path, [[verdict(), (KIND_VERDICT, b"short"), (99, b"other")], [verdict()]])
    assert archived(tmp_path) == 4
    assert len(rows(tmp_path, "verdicts")) == 2


def test_the_journal_waits_until_it_is_archived_but_not_for_ever(tmp_path: Path) -> None:
    hour = 3600 * SECOND
    write_journal(tmp_path, [[verdict()] for _ in range(20)], segment_bytes=1000)
    archived(tmp_path, NOON_MS * 1_000_000 + 12 * SECOND)
    assert read_to(tmp_path / "journal") == 8
    now = LATER + 80 * hour
    journal = FileJournal(tmp_path / "journal")
    journal.retain(hour, now)
    oldest = next(iter(journal.read(1))).seq
    assert 1 < oldest <= 9
    assert archived(tmp_path) == 12
    assert journal.retain(hour, now) > 0
    assert len(rows(tmp_path, "verdicts")) == 20


def test_a_hold_ends_after_a_week_or_when_nothing_is_archived_any_more(tmp_path: Path) -> None:
    hour = 3600 * SECOND
    for data in (tmp_path / "a", tmp_path / "b"):
        write_journal(data, [[verdict()] for _ in range(20)], segment_bytes=1000)
        archived(data, 0)
        assert read_to(data / "journal") == 0
        journal = FileJournal(data / "journal")
        assert journal.retain(hour, LATER + 80 * hour) == 0
        if data.name == "a":
            assert journal.retain(hour, LATER + 8 * 24 * hour) > 0
        else:
            stop_holding(data)
            assert journal.retain(hour, LATER + 80 * hour) > 0


def test_upkeep_forgets_days(tmp_path: Path) -> None:
    write_journal(tmp_path, [[verdict()], [verdict(time_ms=NOON_MS + 86_400_000)]])
    archiver = Archiver(tmp_path)
    archiver.run(LATER)
    assert archiver.upkeep((NOON_MS + 86_400_000) * 1_000_000, 1) == 0
    assert archiver.upkeep((NOON_MS + 86_400_000) * 1_000_000, 0) == 1
    archiver.close()
    assert len(rows(tmp_path, "verdicts")) == 1


# As call records


def test_calls_have_what_became_of_them(tmp_path: Path) -> None:
    frames = [
        [verdict(call_id="a", flags=64 | 1)],  # 1: answered, ended
        [verdict(call_id="b", from_="1", diverter="2")],  # 2: not answered
        [outcome(1, "answered", 3000, ring_ms=2900, answered=True)],
        [outcome(2, "ended", 9000, ring_ms=9000, status=487)],
        [outcome(1, "ended", 63_000, ring_ms=2900, talk_ms=60_000, answered=True, cause=16)],
        [verdict(call_id="c")],  # 6: nobody knows
        [verdict(call_id="d"), outcome(7, "answered", 1, answered=True)],
        [outcome(7, "lost", 99_000, answered=True)],
    ]
    write_journal(tmp_path, frames)
    archived(tmp_path)
    a, b, c, d = calls(tmp_path)
    assert (a["answered"], a["ring_ms"], a["talk_ms"], a["release"]) == (1, 2900, 60_000, 16)
    assert (a["seq"], a["answered_seq"], a["ended_seq"], a["lost"]) == (1, 3, 5, 0)
    assert (a["flags"], a["anonymous"], a["roaming"]) == ("fail-open", 1, "not-asked")
    assert (b["answered"], b["release"], b["from"], b["diverter"], b["answered_at"]) == (0, 487, "1", "2", None)
    assert (c["answered"], c["ended_at"], c["ended_seq"], c["lost"]) == (None, None, None, 0)
    assert (d["lost"], d["ended_seq"], d["answered_seq"]) == (1, 9, 8)
    a, b, c, d = read(tmp_path, tmp_path / FOLDER, trunks=("unlisted", "neighbour")).rows
    assert (a["seq"], a["answered_seq"], a["ended_seq"], a["answered_at"]) == (1, 3, 5, NOON_MS + 3000)
    assert (b["answered"], b["answered_at"], b["ended_at"]) == (0, NEVER, NOON_MS + 9000)
    assert (c["answered"], c["caller"], c["trunk"]) == (UNKNOWN, b"13800138000", 1)
    assert (d["lost"], d["flags"], d["ended_at"]) == (1, 0, NOON_MS + 99_000)


def test_calls_under_way_when_all_were_lost_from_sight_end_there(tmp_path: Path) -> None:
    lost = (KIND_OUTCOME, all_lost(NOON_MS + 50_000)[HEADER:])
    frames = [
        [verdict(call_id="talking"), verdict(call_id="ringing"), verdict(call_id="over")],
        [outcome(1, "answered", 1000, answered=True), outcome(3, "answered", 1000, answered=True)],
        [outcome(3, "ended", 2000, answered=True)],
        [lost],
        [verdict(call_id="after")],
        [outcome(8, "answered", 60_000, answered=True)],
    ]
    write_journal(tmp_path, frames)
    archived(tmp_path)
    talking, ringing, over, after = calls(tmp_path)
    assert (talking["lost"], talking["ended_seq"]) == (1, 7)
    assert talking["ended_at"].timestamp() * 1000 == NOON_MS + 50_000
    assert [(one["lost"], one["ended_seq"]) for one in (ringing, over, after)] == [(0, None), (0, 6), (0, None)]


def test_calls_from_nowhere_are_known_in_our_own_archive(tmp_path: Path) -> None:
    write_journal(tmp_path, [[verdict(trunk="unlisted", kind=0)], [verdict(trunk="gone")]])
    archived(tmp_path)
    found = read(tmp_path, tmp_path / FOLDER)
    assert [row["trunk"] for row in found.rows] == [0]
    assert [(bad["row"], bad["column"]) for bad in found.bad] == [("2", "trunk")]
    assert trunk_key("unlisted")


def test_folders_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match="no archive"):
        read(tmp_path, tmp_path)
    archived(tmp_path)
    with pytest.raises(CallFileError, match="still empty"):
        read(tmp_path, tmp_path / FOLDER, trunks=TRUNKS)
