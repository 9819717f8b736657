"""A replay in K shards is K replays side by side: each caller's calls, however it is written, go to one of them."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.calls.replay.batch import new_batch, texts_of
from hutong.calls.replay.shards import Shards, picked, shard_of, shards_of, unpacked
from hutong.kernel.errors import StateError
from province_records import case, province_batch

if TYPE_CHECKING:
    from hutong.calls.replay.batch import CallBatch


def batch_of(*calls: tuple[str, bytes]) -> CallBatch:
    """Calls on a trunk by a caller."""
    trunks, n = case().consulted.trunks.names, len(calls)
    callers, callees = texts_of([caller for _, caller in calls]), texts_of([b"02112345678"] * n)
    trunk = np.array([trunks.index(trunk) for trunk, _ in calls], dtype=np.int32)
    return new_batch(np.arange(n, dtype=np.int64) + 1_772_459_880_000, trunk, callers, callees)


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=20), st.integers(1, 4096))
def test_every_key_has_one_shard(keys: list[int], shards: int) -> None:
    found = shard_of(np.array(keys, dtype=np.int64), shards)
    assert ((found >= 0) & (found < shards)).all()
    assert found.tolist() == [int(shard_of(np.array([key], dtype=np.int64), shards)[0]) for key in keys]


def test_a_shard_is_the_same_on_every_machine() -> None:
    assert shard_of(np.array([0, 1, 8613800138000, -1], dtype=np.int64), 1000).tolist() == [0, 789, 409, 67]


def test_shards_are_of_about_one_size() -> None:
    sizes = np.bincount(shard_of(np.arange(8613800000000, 8613800000000 + 100_000, dtype=np.int64), 7), minlength=7)
    assert sizes.min() > 0.95 * sizes.max()


def test_spellings_of_a_number_go_together() -> None:
    spelled = (
        *(("local", b"13800138000"), ("local", b"+8613800138000"), ("local", b"008613800138000")),
        *(("inter-network", b"8613800138000"), ("international", b"+8613800138000")),
    )
    assert len(set(shards_of(batch_of(*spelled), case().consulted, 4096).tolist())) == 1


def test_a_case_goes_through_bytes() -> None:
    again = unpacked(case().packed()).replay().feed(province_batch())
    for here, there in zip(case().replay().feed(province_batch()), again, strict=True):
        assert np.array_equal(here, there)


@pytest.mark.parametrize(("shards", "processes"), [(3, 2), (5, 1)])
def test_each_shard_is_judged_as_if_it_were_alone(shards: int, processes: int) -> None:
    batch = province_batch()
    judge = Shards(case(), shards, processes)
    half = batch.n // 2
    parts = [picked(batch, np.arange(half)), picked(batch, np.arange(half, batch.n))]
    try:
        found = [judge.feed(part) for part in parts]
    finally:
        judge.close()
    whole = [np.concatenate(columns) for columns in zip(*found, strict=True)]
    shard = shards_of(batch, case().consulted, shards)
    for one in range(shards):
        places = np.flatnonzero(shard == one)
        alone = case().replay().feed(picked(batch, places))
        for column, expected in zip(whole, alone, strict=True):
            assert np.array_equal(column[places], expected)
    assert len(np.unique(shard)) == shards
    assert (whole[0] > 0).any()
    assert not multiprocessing.active_children()


def test_a_killed_process_is_told() -> None:
    judge = Shards(case(), 2, 1)
    try:
        judge.feed(batch_of(("local", b"13800138000")))
        (child,) = multiprocessing.active_children()
        child.kill()
        child.join()
        with pytest.raises(StateError, match="has ended"):
            judge.feed(batch_of(("local", b"13800138000")))
    finally:
        judge.close()
