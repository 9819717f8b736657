"""A replay in K shards: a number, however written, has one of them, and rules read there what they read in one."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.calls.replay import partition
from hutong.calls.replay.batch import new_batch, texts_of
from hutong.calls.replay.shards import Shards, for_shard, homes_of, picked, shard_of, unpacked
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
    assert len(set(homes_of(batch_of(*spelled), case().consulted, 4096).caller.tolist())) == 1


def test_a_number_is_at_home_where_it_calls_and_where_it_is_called() -> None:
    batch = batch_of(("local", b"02112345678"), ("international", b"+862112345678"))
    homes = homes_of(batch, case().consulted, 4096)
    assert len({*homes.caller.tolist(), *homes.callee.tolist()}) == 1


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
    homes = homes_of(batch, case().consulted, shards)
    for one in range(shards):
        some, places = for_shard(batch, homes, one)
        assert some.n > len(places)
        for column, expected in zip(whole, case().shard().feed(some), strict=True):
            assert np.array_equal(column[places], expected)
    assert len(np.unique(homes.caller)) == shards
    assert (whole[0] > 0).any()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_what_is_declared_whole_is_judged_as_in_one_replay(shards: int) -> None:
    """All shipped rules at their stages: none that reads windows blocks, so no shard lacks what became of a call."""
    terms = msgspec.structs.replace(case().terms, as_if_promoted=False, capacity=100_000)
    it, batch = case()._replace(terms=terms), province_batch()
    one, homes = it.replay().feed(batch), homes_of(batch, it.consulted, shards)
    found = np.zeros_like(one.fired)
    for shard in range(shards):
        some, places = for_shard(batch, homes, shard)
        found[places] = it.shard().feed(some).fired
    partial = partition.partial_reads(it.ruleset, partition.OF_CALLER)
    compared, seen = 0, set()
    for place, rule in enumerate(it.ruleset.rules):
        mine, theirs = (column[:, place // 64] >> np.uint64(place % 64) & np.uint64(1) for column in (found, one.fired))
        if rule.id not in partial:
            assert np.array_equal(mine, theirs), rule.id
            compared += int(theirs.sum())
            seen |= {rule.id} if theirs.any() else set()
    assert compared > 100
    alone = partition.partial_reads(it.ruleset, partition.WHOLE_BY_CALLER)
    assert seen & alone.keys() - partial.keys(), "rules that need the calls received are among them"


def test_the_page_says_of_every_rule_what_it_reads_in_part() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operate" / "scale.md").read_text("utf-8")
    assert partition.table(case().ruleset) in page, "put `partition.table` of the shipped rules there"


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
