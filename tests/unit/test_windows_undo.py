"""A batch happens wholly or not at all."""

from __future__ import annotations

import mmap
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import windows_victim as victim

from hutong.kernel.windows import (
    WindowArrays,
    WindowFile,
    begin,
    commit,
    committed_seq,
    format_buffer,
    note_attempt,
    recover,
    size_for,
    touch,
    tracked,
    undo_room,
    views,
)
from hutong.kernel.windows.layout import UNDO_LINKS_PER_TOUCH, UNDO_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SALTS = (0x9C4F_1D2B_77A1_E305, 0xD1B5_4A32_D192_ED03)


def table(capacity: int) -> tuple[bytearray, WindowArrays]:
    buffer = bytearray(size_for(capacity))
    return buffer, format_buffer(buffer, capacity, SALTS)


def content(w: WindowArrays) -> tuple[bytes, bytes, tuple[int, ...]]:
    """All that matters: rows without their undo marks, links, counts."""
    rows = np.array(w.rows.base)  # type: ignore[attr-defined]
    rows["mark"] = 0
    head = w.head
    counts = (head.used, head.newest, head.oldest, head.evicted, head.committed)
    return rows.tobytes(), w.links.base.tobytes(), tuple(int(n) for n in counts)  # type: ignore[attr-defined]


STEPS: list[Callable[[WindowArrays, int], Any]] = [
    lambda w, seq: touch(w, 1 + seq * 7919 % 43, victim.START + seq),
    lambda w, seq: touch(w, 9000 + seq, victim.START + seq),
    lambda w, seq: note_attempt(w, seq % tracked(w), 77 + seq, seq % 5, victim.START + 4000 * seq, 1),
    victim.apply,
]


@pytest.mark.parametrize("before", [0, 5, 200])
def test_a_kill_between_any_two_steps_leaves_the_table_as_before_the_batch(before: int) -> None:
    buffer, w = table(37)
    victim.apply_range(w, 1, before)
    begin(w, before + 1)
    commit(w, before)
    expected = content(w)
    begin(w, before + 1)
    snapshots = []
    for seq in range(before + 1, before + 41):
        STEPS[seq % len(STEPS)](w, seq)
        snapshots.append(bytes(buffer))
    for snapshot in snapshots:
        killed = views(bytearray(snapshot))
        assert recover(killed) > 0
        assert content(killed) == expected
        assert recover(killed) == 0
        victim.apply_range(killed, before + 1, before + 200)  # and it works on


def test_recovery_that_is_itself_killed_can_be_repeated() -> None:
    buffer, w = table(37)
    victim.apply_range(w, 1, 100)
    expected = content(w)
    begin(w, 101)
    victim.apply_range(w, 101, 140)
    killed = bytearray(buffer)
    half = views(killed)
    assert recover(half) > 0
    half.head.batch = 1  # the last store of recover() never happened
    assert recover(half) > 0
    assert content(half) == expected


def test_a_committed_batch_stands() -> None:
    _, w = table(37)
    begin(w, 1)
    victim.apply_range(w, 1, 20)
    commit(w, 20)
    done = content(w)
    assert recover(w) == 0
    assert content(w) == done
    assert committed_seq(w) == 20


def test_batches_and_no_batches_give_the_same_table() -> None:
    _, w = table(37)
    victim.apply_batches(w, 1, 40)
    _, plain = table(37)
    victim.apply_range(plain, 1, 40 * victim.BATCH)
    plain.head.committed = w.head.committed
    assert content(w) == content(plain)


def test_a_batch_that_outgrows_the_undo_area_is_refused_and_can_be_undone() -> None:
    _, w = table(3 * UNDO_ROWS)
    expected = content(w)
    begin(w, 1)
    assert undo_room(w) == UNDO_ROWS
    for key in range(1, UNDO_ROWS + 1):
        assert undo_room(w) > 0
        touch(w, key, victim.START)
    assert undo_room(w) == 0
    with pytest.raises(RuntimeError, match="undo_room"):
        touch(w, UNDO_ROWS + 1, victim.START)
    assert recover(w) == UNDO_ROWS
    assert content(w) == expected


def test_room_lasts_for_as_many_touches_as_it_says_whatever_they_are() -> None:
    _, w = table(UNDO_ROWS // 2)
    victim.apply_range(w, 1, 2000)
    begin(w, 2001)
    seq = 2001
    while room := undo_room(w):
        for step in range(room):
            touch(w, 10**9 + seq + step, victim.START)
        seq += room
    assert seq - 2001 >= UNDO_ROWS // UNDO_LINKS_PER_TOUCH


def test_a_second_begin_and_a_commit_without_begin_are_programming_errors() -> None:
    _, w = table(5)
    with pytest.raises(RuntimeError, match="no window batch"):
        commit(w, 1)
    begin(w, 1)
    with pytest.raises(RuntimeError, match="open already"):
        begin(w, 1)


def test_kill_minus_nine_at_any_moment_loses_no_committed_batch(tmp_path: Path) -> None:
    path = tmp_path / "windows.bin"
    rng = np.random.default_rng(5)
    rolled_back = 0
    reached = 0
    for _ in range(5):
        child = subprocess.Popen([sys.executable, victim.__file__, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child.stdout:
            child.stdout.read(1)
            with path.open("rb") as shared, mmap.mmap(shared.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                watched = views(memory)
                target = committed_seq(watched) + int(rng.integers(1, 30_000))
                while committed_seq(watched) < target:
                    pass
                child.kill()
                del watched
        child.wait()
        file = WindowFile(path, victim.MEMORY, boot_id=bytes(16))
        file.open()
        rolled_back += file.rolled_back
        assert not file.lost
        w = file.arrays
        committed = committed_seq(w)
        assert committed > reached
        reached = committed
        salts = (int(w.head.salt_index) % 2**64, int(w.head.salt_bins) % 2**64)
        replayed = format_buffer(bytearray(victim.MEMORY), victim.CAPACITY, salts)
        victim.apply_range(replayed, 1, committed)
        replayed.head.committed = committed
        assert content(w) == content(replayed)
        del w
        file.close()
    assert rolled_back > 0
