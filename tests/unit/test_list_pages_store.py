"""Lists of one folder opened more than once in a process, read a slice at a time, found by filters and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.calls.console import list_table
from hutong.calls.console.list_table import Census, Wanted, every, expiry_of, find
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from hutong.kernel.lists.entries import Entry, decode_entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering import key_of_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.kernel.lists.store import Order


def entry(digits: str, kind: str = "number") -> Entry:
    return Entry(list="block", kind=kind, key=key_of_digits(digits), role="caller", reason="r", who="w")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ListStore]:
    one = ListStore(tmp_path / "lists")
    one.open()
    yield one
    one.close()


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListStore]:
    one = ListStore(tmp_path_factory.mktemp("thirty"))
    one.open()
    one.add([entry(f"8613800138{at * 7 % 30:03}") for at in range(30)], 1)
    yield one
    one.close()


def test_two_stores_of_one_folder_live_in_one_process(store: ListStore, tmp_path: Path) -> None:
    other = ListStore(tmp_path / "lists" / ".." / "lists")
    other.open()
    other.add([entry("8613800138000")], 1)
    assert store.count() == 1
    other.close()
    other.close()
    assert store.count() == 1
    with pytest.raises(StateError):
        other.count()
    other.open()
    assert [one.id for one in other.entries()] == [1]
    other.close()


@settings(max_examples=60)
@given(
    order=st.sampled_from(["id", "target"]),
    descending=st.booleans(),
    skip=st.integers(0, 40),
    limit=st.integers(1, 40),
)
def test_slices_put_together_are_the_whole_in_order(
    thirty: ListStore, order: Order, *, descending: bool, skip: int, limit: int
) -> None:
    whole = sorted(thirty.entries(), key=lambda one: one.id if order == "id" else one.key, reverse=descending)
    piece = thirty.slice(order, limit, skip=skip, descending=descending)
    found = list(piece.values)
    while piece.place:
        piece = thirty.slice(order, limit, place=piece.place, descending=descending)
        assert piece.values
        found += piece.values
    assert [decode_entry(value).id for value in found] == [one.id for one in whole[skip:]]


def test_a_slice_goes_on_where_its_place_was_removed(store: ListStore) -> None:
    first, second, third, fourth = store.add([entry(f"861380013800{at}") for at in range(4)], 1)
    up = store.slice("id", 1)
    down = store.slice("id", 1, descending=True)
    store.remove(second, 2, who="w", why="w")
    store.remove(third, 2, who="w", why="w")
    assert [decode_entry(one).id for one in store.slice("id", 9, place=up.place).values] == [fourth.id]
    assert [decode_entry(one).id for one in store.slice("id", 9, place=down.place, descending=True).values] == [
        first.id
    ]


def test_an_empty_store_has_an_empty_slice(store: ListStore) -> None:
    assert store.slice("target", 5) == ([], b"")


def test_long_lists_are_counted_aside(
    store: ListStore, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., object]
) -> None:
    clock = ManualClock()
    store.add([entry(f"861380013800{at}") for at in range(3)], 1)
    census = Census(store, clock.monotonic)
    first = census.counts(5)
    assert first is not None
    assert (first.total, first.by["block", "number"], first.at) == (3, 3, 5)
    store.add([entry("8613800139000")], 1)
    second = census.counts(5)
    assert second is not None
    assert second.total == 4
    monkeypatch.setattr(list_table, "_AT_ONCE", 0)
    long = Census(store, clock.monotonic)
    assert long.counts(6) is None
    wait_until(lambda: long.counts(6))
    counted = long.counts(6)
    assert counted is not None
    assert (counted.total, counted.at) == (4, 6)
    store.add([entry("8613800139001")], 1)
    assert long.counts(6) == counted, "the last count, while it is counted again"
    wait_until(lambda: (again := long.counts(6)) is not None and again.total == 5)


def brute(entries: list[Entry], wanted: Wanted, now: int) -> list[int]:
    def fits(one: Entry) -> bool:
        return (
            (not wanted.list or one.list == wanted.list)
            and (not wanted.kind or one.kind == wanted.kind)
            and (not wanted.expiry or expiry_of(one, now) == wanted.expiry)
            and wanted.source.lower() in one.source.lower()
            and wanted.who.lower() in one.who.lower()
            and wanted.text.lower() in f"{one.reason}\n{one.source}\n{one.who}".lower()
        )

    kept = [one for one in entries if fits(one)]
    if wanted.sort == "expires":
        kept.sort(key=lambda one: one.id, reverse=True)
        kept.sort(key=lambda one: (not one.expires, one.expires), reverse=wanted.descending)
    else:
        kept.sort(key=lambda one: one.id if wanted.sort == "id" else one.key, reverse=wanted.descending)
    return [one.id for one in kept]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListStore]:
    one = ListStore(tmp_path_factory.mktemp("mixed"))
    one.open()
    day = 86_400
    one.add(
        [
            Entry(
                list="allow" if at % 3 else "block",
                kind="prefix" if at % 5 == 0 else "number",
                key=key_of_digits(f"86138{at * 7919 % 1000:06}"),
                role="caller",
                reason=f"举报 Ref {at % 4}",
                source=("12321", "Police", "")[at % 3],
                who=("li", "Wang")[at % 2],
                expires=(0, 50, 100 + day, 100 + 30 * day)[at % 4],
            )
            for at in range(200)
        ],
        1,
    )
    yield one
    one.close()


WORDS = st.sampled_from(["", "1232", "police", "LI", "ref 3", "举报", "nowhere"])


@settings(max_examples=150)
@given(
    wanted=st.builds(
        Wanted,
        list=st.sampled_from(["", "block", "allow"]),
        kind=st.sampled_from(["", "number", "prefix", "range"]),
        expiry=st.sampled_from(["", "never", "soon", "later", "over"]),
        source=WORDS,
        who=WORDS,
        text=WORDS,
        sort=st.sampled_from(["id", "expires"]),
        descending=st.booleans(),
    ),
    offset=st.integers(0, 30),
    size=st.integers(1, 30),
)
def test_a_page_is_what_looking_at_everything_gives(mixed: ListStore, wanted: Wanted, offset: int, size: int) -> None:
    expected = brute(list(mixed.entries()), wanted, 100)
    found = find(mixed, wanted, 100, offset=offset, size=size)
    assert [one.id for one in found.entries] == expected[offset : offset + size]
    assert (found.total, found.more) == (len(expected), offset + size < len(expected))
    if wanted.sort == "id":
        assert [one.id for one in every(mixed, wanted, 100)] == expected


def test_a_look_that_ends_early_says_how_far_it_came_and_goes_on(
    mixed: ListStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_table, "MOST_EXAMINED", 50)
    monkeypatch.setattr(list_table, "_SLICE", 25)
    wanted = Wanted(list="block")
    expected = brute(list(mixed.entries()), wanted, 100)
    ids: list[int] = []
    start = 0
    while start < mixed.count():
        found = find(mixed, msgspec.structs.replace(wanted, start=start), 100, offset=0, size=100)
        assert found.total is None
        assert found.looked_to == start + 50
        ids += [one.id for one in found.entries]
        start = found.looked_to
    assert ids == expected
    unsorted = find(mixed, msgspec.structs.replace(wanted, sort="who"), 100, offset=0, size=5)
    assert not unsorted.sorted
    assert [one.id for one in unsorted.entries] == expected[:5]
