from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.calls.mirror import table
from hutong.calls.mirror.file import CallFile

if TYPE_CHECKING:
    from pathlib import Path

BOOT, OTHER_BOOT = b"a" * 16, b"b" * 16
CAPACITY = 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mirror.bin"


def opened(path: Path, *, boot: bytes = BOOT, capacity: int = CAPACITY, last_seq: int = 0) -> CallFile:
    file = CallFile(path, capacity, boot)
    file.open(last_seq)
    return file


def followed(file: CallFile) -> int:
    return CAPACITY - int(table.free_rows(file.words))


def insert(file: CallFile, key: int) -> None:
    assert table.insert(file.words, key, 0, table.JUDGED, 1) != table.NONE


def test_calls_are_still_known_after_a_kill(path: Path) -> None:
    first = opened(path)
    assert first.fresh
    insert(first, 7)
    again = opened(path)  # the first one was never closed
    assert not again.fresh
    assert table.find(again.words, 7, 0, 0) != table.NONE


def test_an_open_batch_is_undone_unless_the_journal_has_it(path: Path) -> None:
    file = opened(path)
    table.begin(file.words, 10)
    insert(file, 7)
    copy = path.read_bytes()
    assert followed(opened(path, last_seq=9)) == 0
    path.write_bytes(copy)
    assert followed(opened(path, last_seq=10)) == 1


def test_after_another_start_of_the_machine_only_a_closed_table_is_trusted(path: Path) -> None:
    file = opened(path)
    insert(file, 7)
    assert opened(path, boot=OTHER_BOOT).fresh
    file = opened(path, boot=OTHER_BOOT)
    insert(file, 8)
    file.close()
    file.close()
    again = opened(path)
    assert not again.fresh
    assert followed(again) == 1


def test_another_capacity_or_version_begins_anew(path: Path) -> None:
    file = opened(path)
    insert(file, 7)
    other = CallFile(path, 2 * CAPACITY, BOOT)
    other.open(0)
    assert other.fresh
    assert table.free_rows(other.words) == 2 * CAPACITY
    other.close()
    path.write_bytes(b"\0" * path.stat().st_size)
    again = CallFile(path, 2 * CAPACITY, BOOT)
    again.open(0)
    assert again.fresh


def test_the_file_has_its_place_on_the_disk_from_the_start(path: Path) -> None:
    opened(path)
    stat = path.stat()
    assert stat.st_blocks * 512 >= stat.st_size
    assert not path.with_suffix(".new").exists()
