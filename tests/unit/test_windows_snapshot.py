"""A copy of the windows is the table as of one batch, whatever happened to it meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import windows_victim as victim
from hypothesis import given, settings
from hypothesis import strategies as st
from test_windows_undo import content

from hutong.kernel.errors import StateError
from hutong.kernel.windows import WindowArrays, WindowFile, begin, commit, committed_seq, recover, touch
from hutong.kernel.windows.snapshot import COPIER_LOCK, PUT_BY, REQUEST, HeldLock, Request, SnapshotKeeper, write_whole
from hutong.kernel.windows.snapshot_copy import Copied, SnapshotCopier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Owner:
    """A table that is changed in batches, with its keeper; `turn` is one turn of the loop that owns it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "windows.bin"
        self.meeting = folder / "snapshot"
        self.file = WindowFile(self.path, victim.MEMORY, boot_id=bytes(16))
        self.file.open()
        self.keeper = SnapshotKeeper(self.meeting)
        self.keeper.open(self.table)
        self.copies: list[tuple[bytes, bytes, tuple[int, ...]]] = []

    @property
    def table(self) -> WindowArrays:
        return self.file.arrays

    def batch(self, *, abandoned: bool = False) -> None:
        if self.keeper.active:
            self.keeper.put_by()
        first = committed_seq(self.table) + 1
        begin(self.table, first)
        victim.apply_range(self.table, np.int64(first), np.int64(first + victim.BATCH - 1))
        if abandoned:
            recover(self.table)
        else:
            commit(self.table, first + victim.BATCH - 1)

    def turn(self, batches: int = 1) -> None:
        was = self.keeper.active
        self.keeper.tick()
        if self.keeper.active and not was:
            self.copies.append(content(self.table))
        for _ in range(batches):
            self.batch()

    def close(self) -> None:
        self.keeper.close()
        self.file.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    it = Owner(tmp_path)
    yield it
    it.close()


def copier(
    owner: Owner, *, pause: Callable[[], object] | None = None, progress: Callable[[], object] | None = None
) -> SnapshotCopier:
    def wait() -> None:
        (pause or owner.turn)()

    def told(_done: int, _whole: int) -> None:
        if progress is not None:
            progress()

    it = SnapshotCopier(owner.path, owner.meeting, wait, told)
    it.open()
    return it


def opened(path: Path, copied: Copied) -> WindowFile:
    """The copy as the window file it is."""
    assert path.stat().st_size == copied.bytes
    os.truncate(path, copied.size)
    file = WindowFile(path, victim.MEMORY, boot_id=bytes(range(16)))
    file.open()
    return file


def test_a_copy_made_while_batches_go_on_is_the_table_as_of_the_batch_at_which_it_was_begun(
    owner: Owner, tmp_path: Path
) -> None:
    owner.turn(50)
    it = copier(owner, pause=lambda: owner.turn(7), progress=lambda: owner.turn(30))
    copied = it.copy(tmp_path / "copy")
    it.close()
    owner.turn(10)
    assert copied is not None
    assert copied.live
    file = opened(tmp_path / "copy", copied)
    assert not file.lost
    assert file.rolled_back == 0
    assert committed_seq(file.arrays) == copied.seq < committed_seq(owner.table)
    assert content(file.arrays) == owner.copies[0]
    file.close()


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(["batch", "abandoned", "tick"]), max_size=25), before=st.integers(0, 60))
def test_whatever_order_batches_and_ticks_come_in(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], before: int
) -> None:
    folder = tmp_path_factory.mktemp("snapshot")
    owner = Owner(folder)
    owner.turn(before)

    def between() -> None:
        for step in steps:
            if step == "tick":
                owner.turn(0)
            else:
                owner.batch(abandoned=step == "abandoned")

    it = copier(owner, pause=lambda: (owner.turn(1), between()), progress=between)
    copied = it.copy(folder / "copy")
    it.close()
    assert copied is not None
    file = opened(folder / "copy", copied)
    assert content(file.arrays) == owner.copies[0]
    file.close()
    owner.close()


def test_a_table_that_nobody_owns_is_copied_as_it_is(owner: Owner, tmp_path: Path) -> None:
    owner.turn(20)
    expected, seq = content(owner.table), committed_seq(owner.table)
    owner.close()
    it = copier(owner)
    copied = it.copy(tmp_path / "copy")
    assert copied is not None
    assert (copied.seq, copied.live) == (seq, False)
    file = opened(tmp_path / "copy", copied)
    assert content(file.arrays) == expected
    file.close()


def test_the_batch_that_a_kill_interrupted_is_not_in_the_copy(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, victim.__file__, str(tmp_path / "windows.bin")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.read(1)
        child.send_signal(signal.SIGKILL)
    child.wait()
    # The child said that the machine was started as `bytes(16)`; a file of another start of the machine is not trusted.
    it = SnapshotCopier(tmp_path / "windows.bin", tmp_path / "snapshot", lambda: None, lambda _done, _whole: None)
    it.open()
    assert it.copy(tmp_path / "copy") is None


def test_no_windows_no_copy(tmp_path: Path) -> None:
    it = SnapshotCopier(tmp_path / "windows.bin", tmp_path / "snapshot", lambda: None, lambda _done, _whole: None)
    it.open()
    assert it.copy(tmp_path / "copy") is None


def test_an_owner_that_goes_and_another_that_comes_while_it_is_copied_are_noticed(owner: Owner, tmp_path: Path) -> None:
    owner.turn(30)
    lives = [owner]

    def replaced() -> None:
        if len(lives) == 1:
            owner.close()
            lives.append(Owner(tmp_path))
        lives[-1].turn(3)

    it = copier(owner, pause=lambda: lives[-1].turn(1), progress=replaced)
    copied = it.copy(tmp_path / "copy")
    it.close()
    assert copied is not None
    assert copied.live
    file = opened(tmp_path / "copy", copied)
    assert content(file.arrays) == lives[-1].copies[-1]
    file.close()
    lives[-1].close()


def test_an_owner_that_comes_while_a_still_table_is_copied_is_noticed(owner: Owner, tmp_path: Path) -> None:
    owner.turn(30)
    owner.close()
    lives: list[Owner] = []

    def come() -> None:
        if not lives:
            lives.append(Owner(tmp_path))
            lives[0].turn(2)

    it = copier(owner, pause=lambda: lives[-1].turn(1), progress=come)
    copied = it.copy(tmp_path / "copy")
    it.close()
    assert copied is not None
    assert copied.live
    file = opened(tmp_path / "copy", copied)
    assert content(file.arrays) == lives[0].copies[-1]
    file.close()
    lives[0].close()


def test_a_copier_that_was_killed_leaves_nothing_under_way(owner: Owner) -> None:
    lock = HeldLock(owner.meeting / COPIER_LOCK)
    assert lock.take()
    write_whole(owner.meeting / REQUEST, Request("a"))
    owner.turn(3)
    assert owner.keeper.active
    lock.give_back()  # what the kernel does for a killed process
    for _ in range(80):
        owner.turn(1)
    assert not owner.keeper.active
    assert not (owner.meeting / PUT_BY).exists()
    assert not (owner.meeting / REQUEST).exists()


def test_what_is_put_by_stays_below_the_size_of_the_table(owner: Owner, tmp_path: Path) -> None:
    owner.turn(200)
    largest = 0

    def long_copy() -> None:
        nonlocal largest
        for _ in range(300):
            owner.turn(1)
        largest = max(largest, (owner.meeting / PUT_BY).stat().st_size)

    it = copier(owner, progress=long_copy)
    assert it.copy(tmp_path / "copy") is not None
    it.close()
    assert 0 < largest < owner.path.stat().st_size


def test_one_copier_at_a_time(owner: Owner) -> None:
    first = copier(owner)
    with pytest.raises(StateError, match="another backup is under way"):
        copier(owner)
    first.close()
    copier(owner).close()


def test_a_full_disk_ends_the_snapshot_and_not_the_owner(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.turn(50)
    full = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(data) > 1000:
            raise OSError(28, "No space left on device")
        return full(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    it = copier(owner, progress=lambda: owner.turn(5))
    with pytest.raises(StateError, match="No space left"):
        it.copy(tmp_path / "copy")
    it.close()
    owner.turn(5)
    assert not owner.keeper.active
    assert touch(owner.table, 5, victim.START) >= 0


def test_an_owner_that_never_answers_is_given_up(owner: Owner, tmp_path: Path) -> None:
    it = copier(owner, pause=lambda: None)
    with pytest.raises(StateError, match="does not answer"):
        it.copy(tmp_path / "copy")
    it.close()
    assert not (owner.meeting / REQUEST).exists()
