"""The table on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hutong.kernel.errors import StateError
from hutong.kernel.windows import (
    WINDOW_FEATURES,
    WindowFile,
    begin,
    capacity_for,
    capacity_of,
    commit,
    committed_seq,
    evicted,
    find,
    note_attempt,
    read_features,
    size_for,
    touch,
    tracked,
)
from hutong.kernel.windows.layout import NO_SLOT
from hutong.kernel.windows.records import nth

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000
BOOT = bytes(range(16))
OTHER_BOOT = bytes(16)
MEMORY = size_for(500)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "windows.bin"


def opened(path: Path, memory: int = MEMORY, boot: bytes = BOOT) -> WindowFile:
    file = WindowFile(path, memory, boot_id=boot)
    file.open()
    return file


def work(file: WindowFile, numbers: int) -> None:
    w = file.arrays
    begin(w, 1)
    for key in range(1, numbers + 1):
        note_attempt(w, touch(w, key, NOW + key), 5000 + key, 1, NOW + key, 0)
    commit(w, numbers)


def values(file: WindowFile, key: int) -> list[float]:
    out = np.zeros(len(WINDOW_FEATURES))
    read_features(file.arrays, find(file.arrays, key), NOW + 1000, out, 0)
    return out.tolist()


def newest_first(file: WindowFile) -> list[int]:
    w, keys = file.arrays, []
    slot = int(w.head.newest)
    while slot != NO_SLOT:
        keys.append(int(nth(w.rows, slot).key))
        slot = int(nth(w.links, 2 * slot + 1).cell)
    return keys


def test_a_new_file_has_its_place_on_the_disk_and_is_private_and_empty(path: Path) -> None:
    file = opened(path, 64 << 20)
    assert path.stat().st_size == size_for(capacity_for(64 << 20)) <= 64 << 20
    assert path.stat().st_blocks * 512 >= path.stat().st_size  # a full disk must not kill who stores into it
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tracked(file.arrays), file.rolled_back, file.lost, file.dropped) == (0, 0, False, 0)
    file.close()


def test_all_is_there_after_a_restart(path: Path) -> None:
    file = opened(path)
    work(file, 700)
    before = values(file, 650)
    order = newest_first(file)
    file.flush()
    file.close()
    again = opened(path)
    assert values(again, 650) == before
    assert newest_first(again) == order
    assert (committed_seq(again.arrays), evicted(again.arrays)) == (700, 200)
    again.close()


def test_a_batch_cut_off_by_a_kill_is_rolled_back_on_opening(path: Path) -> None:
    file = opened(path)
    work(file, 10)
    begin(file.arrays, 11)
    touch(file.arrays, 99, NOW)
    killed = path.with_name("killed.bin")
    file.flush()
    killed.write_bytes(path.read_bytes())
    file.close()
    again = opened(killed)
    assert again.rolled_back == 1
    assert find(again.arrays, 99) == -1
    assert committed_seq(again.arrays) == 10
    again.close()


def test_after_a_crash_of_the_machine_the_table_starts_empty(path: Path) -> None:
    file = opened(path)
    work(file, 10)
    file.flush()
    crashed = path.with_name("crashed.bin")
    crashed.write_bytes(path.read_bytes())
    file.close()
    again = opened(crashed, boot=OTHER_BOOT)
    assert again.lost
    assert (tracked(again.arrays), committed_seq(again.arrays)) == (0, 0)
    again.close()


def test_after_a_clean_end_a_restart_of_the_machine_loses_nothing(path: Path) -> None:
    file = opened(path)
    work(file, 10)
    file.close()
    again = opened(path, boot=OTHER_BOOT)
    assert not again.lost
    assert tracked(again.arrays) == 10
    again.close()


@pytest.mark.parametrize("capacity", [100, 400, 499, 501, 9000])
def test_another_memory_setting_keeps_the_newest_numbers_as_they_were(path: Path, capacity: int) -> None:
    file = opened(path)
    work(file, 400)
    before = {key: values(file, key) for key in (301, 350, 400)}
    order = newest_first(file)
    file.close()
    again = opened(path, size_for(capacity))
    kept = capacity_of(again.arrays)
    assert newest_first(again) == order[:kept]
    assert again.dropped == evicted(again.arrays) == max(400 - kept, 0)
    assert committed_seq(again.arrays) == 400
    assert {key: values(again, key) for key in before} == before
    touch(again.arrays, 12345, NOW + 2000)
    assert newest_first(again)[0] == 12345
    again.close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_two_processes_cannot_have_it_open(path: Path) -> None:
    file = opened(path)
    with pytest.raises(StateError, match="Another process"):
        opened(path)
    file.close()
    opened(path).close()


@pytest.mark.parametrize("content", [b"", b"x", b"not windows" * 100_000])
def test_what_is_no_window_file_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"windows\.bin"):
        opened(path)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_and_too_little_memory_are_told_with_the_path(path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened"):
        opened(path / "no" / "such")
    with pytest.raises(StateError, match="too few"):
        opened(path, 1000)
    with pytest.raises(StateError, match="not open"):
        _ = WindowFile(path, MEMORY).arrays


def test_closing_twice_is_harmless_and_this_machine_has_a_boot_id(path: Path) -> None:
    file = WindowFile(path, MEMORY)
    file.open()
    work(file, 3)
    file.close()
    file.close()
    file.flush()
    file.open()
    assert tracked(file.arrays) == 3
    file.close()
