"""Parquet tables by day: appended whole or not at all, merged, forgotten, asked while they change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from archive_victim import BASE, LAST, MANY, TABLES, make, rows, work

from hutong.kernel.archive import Archive, ArchiveError, Position
from hutong.kernel.archive.files import files_in, read_position
from hutong.kernel.archive.query import ArchiveQuery
from hutong.kernel.archive.store import first_day_kept

VICTIM = Path(__file__).with_name("archive_victim.py")
DAY_MS = 86_400_000


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(tmp_path / "archive", TABLES)
    made.open()
    return made


def seqs(folder: Path, table: str = "calls") -> list[int]:
    with ArchiveQuery(folder, TABLES).opened() as engine:
        return [seq for (seq,) in engine.table(table).order("seq").project("seq").fetchall()]


def test_rows_go_to_files_of_their_day_named_for_what_they_cover(tmp_path: Path, archive: Archive) -> None:
    archive.append({"calls": rows(1, 6), "ends": rows(3, 3)}, 1, 6, 99)
    assert [(one.day, one.first, one.last) for one in files_in(tmp_path / "archive" / "calls")] == [
        (date(2026, 3, 1), 1, 6),
        (date(2026, 3, 2), 1, 6),
    ]
    assert len(files_in(tmp_path / "archive" / "ends")) == 1
    assert seqs(tmp_path / "archive") == [1, 2, 3, 4, 5, 6]
    assert archive.position == Position(0, 6, 99)


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(ArchiveError, match="Another process writes"):
        Archive(tmp_path / "archive", TABLES).open()
    assert seqs(tmp_path / "archive") == []
    archive.close()
    Archive(tmp_path / "archive", TABLES).open()


def test_what_does_not_follow_is_refused(archive: Archive) -> None:
    archive.append({"calls": rows(1, 6)}, 1, 6, 0)
    with pytest.raises(ArchiveError, match="does not follow 6"):
        archive.append({"calls": rows(6, 7)}, 6, 7, 0)


def test_an_archive_that_forgot_its_position_reads_it_off_its_files(tmp_path: Path, archive: Archive) -> None:
    archive.append({"calls": rows(1, 6)}, 1, 6, 0)
    archive.close()
    (tmp_path / "archive" / "position.json").unlink()
    again = Archive(tmp_path / "archive", TABLES)
    again.open()
    assert again.position.reach == (0, 6)
    assert seqs(tmp_path / "archive") == [1, 2, 3, 4, 5, 6]


def test_a_damaged_position_is_told_and_deletes_nothing(tmp_path: Path, archive: Archive) -> None:
    archive.append({"calls": rows(1, 6)}, 1, 6, 0)
    archive.close()
    (tmp_path / "archive" / "position.json").write_bytes(b"{")
    with pytest.raises(ArchiveError, match="cannot be read"):
        Archive(tmp_path / "archive", TABLES).open()
    assert len(files_in(tmp_path / "archive" / "calls")) == 2


def test_numbers_that_are_given_again_begin_an_era(tmp_path: Path, archive: Archive) -> None:
    archive.append({"calls": rows(1, 6)}, 1, 6, 0)
    archive.begin_era(4)
    archive.append({"calls": rows(5, 8)}, 5, 8, 0)
    archive.close()
    archive.open()
    assert archive.position.reach == (1, 8)
    assert seqs(tmp_path / "archive") == [1, 2, 3, 4, 5, 5, 6, 6, 7, 8]


def test_small_files_are_merged_and_go_one_merge_later(tmp_path: Path) -> None:
    make(tmp_path / "a")
    folder = tmp_path / "a" / "calls"
    before = seqs(tmp_path / "a")
    archive = Archive(tmp_path / "a", TABLES, MANY)
    archive.open()
    asked = ArchiveQuery(tmp_path / "a", TABLES)
    with asked.opened() as engine:
        assert archive.merge() == 0
        # Who asked before the merge still finds what it was going to read.
        assert engine.sql("SELECT count(*) FROM calls").fetchall() == [(BASE,)]
    assert len(asked.files("calls")) == 2
    assert len(files_in(folder)) == BASE + 2
    assert seqs(tmp_path / "a") == before
    assert archive.merge() > 0
    assert len(files_in(folder)) == 2
    assert seqs(tmp_path / "a") == before


def test_days_that_are_over_are_deleted_with_their_folders(tmp_path: Path, archive: Archive) -> None:
    archive.append({"calls": rows(1, 12), "ends": rows(1, 1)}, 1, 12, 0)
    assert archive.forget(date(2026, 3, 3)) == 3
    assert seqs(tmp_path / "archive") == [8, 9, 10, 11, 12]
    assert [path.name for path in sorted((tmp_path / "archive" / "calls").iterdir())] == [
        "day=2026-03-03",
        "day=2026-03-04",
    ]
    assert archive.position.reach == (0, 12)


def test_keeping_no_day_keeps_today() -> None:
    assert first_day_kept(20_000 * DAY_MS, 0) == first_day_kept(20_000 * DAY_MS + DAY_MS - 1, 0)
    assert (first_day_kept(20_000 * DAY_MS, 0) - first_day_kept(20_000 * DAY_MS, 35)).days == 35


def test_a_full_disk_is_told_and_nothing_of_the_append_counts(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.append({"calls": rows(1, 4)}, 1, 4, 0)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hutong.kernel.archive.store.pq.write_table", full)
    with pytest.raises(ArchiveError, match=r"No space left.*keep_days"):
        archive.append({"calls": rows(5, 8)}, 5, 8, 0)
    assert seqs(tmp_path / "archive") == [1, 2, 3, 4]


def test_a_damaged_file_is_told(tmp_path: Path, archive: Archive) -> None:
    archive.append({"calls": rows(1, 4)}, 1, 4, 0)
    for one in files_in(tmp_path / "archive" / "calls"):
        one.path.write_bytes(b"PAR1 no more PAR1")
    with pytest.raises(ArchiveError, match="cannot be asked"):
        seqs(tmp_path / "archive")


def test_whichever_step_a_process_dies_at_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    make(tmp_path / "base")
    before = {table: seqs(tmp_path / "base", table) for table in TABLES}
    shutil.copytree(tmp_path / "base", tmp_path / "done")
    work(tmp_path / "done")
    after = {table: seqs(tmp_path / "done", table) for table in TABLES}
    assert after["calls"] == list(range(5, LAST + 1))
    assert subprocess.run([sys.executable, VICTIM, tmp_path], check=False).returncode == 0
    left = sorted(path for path in tmp_path.iterdir() if path.name.isdecimal())
    assert len(left) > 30
    for folder in left:
        # As it lies there: each table is as before, or as after the append, less days that are over.
        for table in TABLES:
            found = seqs(folder, table)
            assert len(set(found)) == len(found), (folder, table)
            appended = [seq for seq in found if seq > BASE]
            assert appended in ([], [seq for seq in after[table] if seq > BASE]), (folder, table)
            assert [seq for seq in before[table] if seq > 4] == [seq for seq in found if 4 < seq <= BASE]
        # Taken up again: everything is there, once.
        work(folder)
        assert {table: seqs(folder, table) for table in TABLES} == after, folder
        position = read_position(folder)
        assert position is not None
        assert position.seq == LAST
        assert not list(folder.rglob("*.new"))
