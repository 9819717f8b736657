"""Lists of one folder opened more than once in a process, and read a slice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.errors import StateError
from hutong.kernel.lists import Entry, ListStore
from hutong.kernel.lists.entries import decode_entry
from hutong.kernel.numbering import key_of_digits

if TYPE_CHECKING:
    from collections.abc import Iterator
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
