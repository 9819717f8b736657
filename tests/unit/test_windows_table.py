"""Numbers, rows and room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest

from hutong.kernel.errors import StateError
from hutong.kernel.windows import (
    WINDOW_FEATURES,
    WindowArrays,
    capacity_for,
    capacity_of,
    defer_order,
    evicted,
    find,
    format_buffer,
    prefetch_index,
    prefetch_row,
    read_features,
    settle_order,
    size_for,
    touch,
    tracked,
    views,
)
from hutong.kernel.windows.layout import MAX_CAPACITY, NO_SLOT
from hutong.kernel.windows.records import nth

SALTS = (0x9C4F_1D2B_77A1_E305, 0xD1B5_4A32_D192_ED03)
NOW = 1_700_000_000


def table(capacity: int, salts: tuple[int, int] = SALTS) -> WindowArrays:
    return format_buffer(bytearray(size_for(capacity)), capacity, salts)


def order(w: WindowArrays) -> list[int]:
    keys = []
    slot = int(w.head.newest)
    while slot != NO_SLOT:
        keys.append(int(nth(w.rows, slot).key))
        slot = int(nth(w.links, 2 * slot + 1).cell)
    return keys


def test_at_most_384_bytes_a_number_with_everything_included() -> None:
    assert size_for(5_000_000) <= 384 * 5_000_000


@pytest.mark.parametrize("memory", [size_for(1), 1 << 20, 256 << 20, 2 << 30])
def test_the_memory_setting_is_used_to_the_last_row_and_never_exceeded(memory: int) -> None:
    capacity = capacity_for(memory)
    assert size_for(capacity) <= memory
    assert size_for(capacity + 12) > memory  # rows come by the page


def test_too_little_memory_is_refused_with_the_least_that_serves() -> None:
    with pytest.raises(StateError, match=str(size_for(1))):
        capacity_for(4096)


@pytest.mark.parametrize("capacity", [0, -1, MAX_CAPACITY + 1, 10**4])
def test_a_capacity_that_does_not_fit_the_buffer_is_refused(capacity: int) -> None:
    with pytest.raises(StateError):
        format_buffer(bytearray(size_for(10)), capacity, SALTS)


def test_foreign_short_and_truncated_buffers_are_refused() -> None:
    with pytest.raises(StateError, match="shorter"):
        views(bytearray(100))
    with pytest.raises(StateError, match="version"):
        views(bytearray(size_for(10)))
    buffer = bytearray(size_for(5000))
    format_buffer(buffer, 5000, SALTS)
    assert capacity_of(views(buffer)) == 5000
    with pytest.raises(StateError, match="cut short"):
        views(buffer[: size_for(4000)])


@pytest.mark.parametrize("capacity", [1, 2, 7, 64])
def test_order_and_eviction_are_those_of_an_ordered_dictionary(capacity: int) -> None:
    w = table(capacity)
    model: OrderedDict[int, None] = OrderedDict()
    out = 0
    rng = np.random.default_rng(capacity)
    for step, key in enumerate(rng.integers(1, 3 * capacity + 2, 1500)):
        key = int(key)  # noqa: PLW2901  # NumPy's own integers are no keys
        if key not in model and len(model) == capacity:
            model.popitem(last=False)
            out += 1
        model[key] = None
        model.move_to_end(key)
        slot = touch(w, key, NOW + step)
        assert find(w, key) == slot
        if step % 50 == 0:
            assert order(w) == list(reversed(model))
            assert all((find(w, k) >= 0) == (k in model) for k in range(1, 3 * capacity + 2))
    assert (tracked(w), evicted(w)) == (len(model), out)


@pytest.mark.parametrize("before", [0, 1, 40, 400])
def test_order_that_was_deferred_is_what_it_would_have_been(before: int) -> None:
    kept, deferred = table(64), table(64)
    defer_order(deferred)
    rng = np.random.default_rng(before)
    few, many = rng.integers(1, 65, before), rng.integers(1, 200, 400)
    for step, key in enumerate(few):
        assert touch(kept, int(key), NOW + step) == touch(deferred, int(key), NOW + step)
    settle_order(deferred)
    assert order(deferred) == order(kept)
    for step, key in enumerate(many):
        assert touch(kept, int(key), NOW + step) == touch(deferred, int(key), NOW + step)
    assert order(deferred) == order(kept)
    assert evicted(deferred) == evicted(kept) > 0


def test_a_flood_of_spoofed_callers_takes_no_memory_and_is_counted() -> None:
    w = table(1000)
    for key in range(1, 20_001):
        touch(w, key, NOW + key // 1000)
    assert tracked(w) == capacity_of(w) == 1000
    assert evicted(w) == 19_000
    assert order(w) == list(range(20_000, 19_000, -1))


def test_a_number_that_keeps_calling_survives_the_flood() -> None:
    w = table(100)
    slot = touch(w, 7, NOW)
    for key in range(1000, 5000):
        touch(w, key, NOW)
        if key % 90 == 0:
            assert touch(w, 7, NOW) == slot


def test_an_evicted_number_comes_back_as_a_stranger() -> None:
    w = table(1)
    touch(w, 7, NOW)
    touch(w, 8, NOW + 50)
    out = np.ones(len(WINDOW_FEATURES))
    read_features(w, touch(w, 7, NOW + 60), NOW + 60, out, 0)
    assert not out.any()


def test_chains_do_not_grow_for_numbers_in_a_row() -> None:
    w = table(4000)
    for key in range(1, 4001):
        touch(w, (1 << 55) | (11 << 50) | (8613800000000 + key), NOW)
    cells = w.links.base["cell"][2 * 4000 :] != 0  # type: ignore[attr-defined]
    longest = max(len(run) for run in "".join("x" if full else " " for full in cells).split())
    assert cells.sum() == 4000
    assert longest < 100


def test_prefetching_changes_nothing_whatever_the_key() -> None:
    w = table(50)
    prefetch_index(w, 5)
    prefetch_row(w, 5)
    for key in range(1, 80):
        touch(w, key, NOW)
    before = w.rows.base.tobytes(), w.links.base.tobytes()  # type: ignore[attr-defined]
    for key in range(1, 200):
        prefetch_index(w, key)
        prefetch_row(w, key)
    assert (w.rows.base.tobytes(), w.links.base.tobytes()) == before  # type: ignore[attr-defined]


DIGEST = """
import hashlib, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import numpy as np
import windows_victim as victim
from hutong.kernel.windows import *
buffer = bytearray(size_for(37))
w = format_buffer(buffer, 37, (0x9C4F_1D2B_77A1_E305, 0xD1B5_4A32_D192_ED03))
out = np.zeros(3 * len(WINDOW_FEATURES))
digest = hashlib.sha256()
victim.apply_batches(w, 1, 5)
begin(w, 81)
victim.apply_range(w, 81, 90)
recover(w)
for step in range(60):
    now = victim.START + 700 * step
    slot = touch(w, 1 + step % 50, now)
    note_attempt(w, slot, 500 + step // 3, step, now, step % 2)
    note_ended(w, slot, now, step % 2, 100 * step, 900 * step)
    prefetch_index(w, step)
    prefetch_row(w, step)
    read_features(w, slot, now + 31 * (step % 4), out, 49 * (step % 3))
    digest.update(out.tobytes())
digest.update(buffer)
print(digest.hexdigest())
"""


def test_compiled_and_plain_python_agree_to_the_last_bit() -> None:
    here = os.path.dirname(__file__)  # noqa: PTH120  # goes to a child as text
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST, here],
            env={**os.environ, "NUMBA_DISABLE_JIT": plain},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for plain in ("0", "1")
    }
    assert len(digests) == 1
