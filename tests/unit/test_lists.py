"""The lists' store and index: what is listed, who wins, how changes reach an index elsewhere."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hutong.kernel.errors import StateError
from hutong.kernel.lists import index as index_module
from hutong.kernel.lists import store as store_module
from hutong.kernel.lists.index import ROLE_CALLEE, ROLE_CALLER, ListIndex, allow_id, block_id, look_up
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft, read_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.kernel.lists.entries import Entry

NOW = 1_700_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ListStore]:
    made = ListStore(tmp_path / "lists", map_bytes=1 << 20)
    made.open()
    yield made
    made.close()


@pytest.fixture
def index(store: ListStore) -> Iterator[ListIndex]:
    made = ListIndex(store)
    made.load()
    yield made
    made.close()


def key(number: str) -> int:
    return read_target(number).key


def entry(target: str, **fields: str | int) -> Entry:
    return draft(target, reason="reported", who="duty officer", **fields)  # type: ignore[arg-type]  # checked there


def test_threads_that_open_a_store_at_the_same_time_share_it_and_leave_nothing_open(tmp_path: Path) -> None:
    troubles: list[Exception] = []

    def ask(store: ListStore, together: threading.Barrier) -> None:
        together.wait(20)
        try:
            store.open()
            assert store.count() == 0
        except Exception as error:  # noqa: BLE001  # whatever it is, another thread tells it
            troubles.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for turn in range(20):
            store, together = ListStore(tmp_path / f"{turn}", map_bytes=1 << 20), threading.Barrier(8)
            threads = [threading.Thread(target=ask, args=(store, together)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            store.close()
    finally:
        sys.setswitchinterval(before)
    assert troubles == []
    files = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert not [file for file in files if tmp_path in file.parents]


def found(index: ListIndex, number: str, now: int = NOW, role: int = ROLE_CALLER) -> tuple[int, int]:
    packed = look_up(index.arrays, key(number), now, role)
    return int(block_id(packed)), int(allow_id(packed))


def test_an_entry_takes_effect_and_goes(store: ListStore, index: ListIndex) -> None:
    assert not index.refresh()
    (added,) = store.add([entry("13800138000")], NOW)
    assert (added.id, added.created) == (1, NOW)
    assert found(index, "13800138000") == (0, 0)
    assert index.refresh()
    assert not index.refresh()
    assert found(index, "+8613800138000") == (1, 0)
    assert found(index, "13800138000", role=ROLE_CALLEE) == (0, 0)
    assert found(index, "13800138001") == (0, 0)
    (gone,) = store.remove(added, NOW + 5, who="analyst", why="appeal upheld")
    assert (gone.removed, gone.removed_by, gone.removed_why) == (NOW + 5, "analyst", "appeal upheld")
    assert index.refresh()
    assert found(index, "13800138000") == (0, 0)
    assert store.entry(1) == gone
    assert store.remove(added, NOW, who="analyst", why="again") == []
    assert (store.count(), index.entries) == (0, 0)


def test_adding_the_same_again_changes_nothing(store: ListStore) -> None:
    (first,) = store.add([entry("13800138000")], NOW)
    version = store.changes(0, 10)
    assert store.add([entry("+86 138 0013 8000")], NOW + 9) == [first]
    after = store.changes(0, 10)
    assert version is not None
    assert after is not None
    assert after.last == version.last


def test_adding_otherwise_replaces_and_keeps_the_old_on_record(store: ListStore, index: ListIndex) -> None:
    store.add([entry("13800138000")], NOW)
    index.refresh()
    (second,) = store.add([entry("13800138000", respond=603, expires=NOW + 100)], NOW + 1)
    index.refresh()
    assert found(index, "13800138000") == (second.id, 0) == (2, 0)
    assert found(index, "13800138000", now=NOW + 100) == (0, 0)
    assert store.count() == 1
    old = store.entry(1)
    assert old is not None
    assert (old.removed_why, old.respond) == ("replaced", 608)


def test_expiry_is_judged_at_the_time_of_the_call(store: ListStore, index: ListIndex) -> None:
    store.add([entry("13800138000", expires=NOW + 10)], NOW)
    index.refresh()
    assert found(index, "13800138000", NOW + 9) == (1, 0)
    assert found(index, "13800138000", NOW + 10) == (0, 0)


def test_the_nearest_fit_wins_within_each_list(store: ListStore, index: ListIndex) -> None:
    targets = ["+86138*", "+8613800*", "13800100000-13800199999", "13800138000-13800138999", "13800138000"]
    ids = {written: stored.id for written, stored in zip(targets, store.add(map_entries(targets), NOW), strict=True)}
    (allowed,) = store.add([entry("1380013*", list="allow")], NOW)
    index.refresh()
    assert found(index, "13800138000") == (ids["13800138000"], allowed.id)
    assert found(index, "13800138001") == (ids["13800138000-13800138999"], allowed.id)
    assert found(index, "13800139000") == (ids["13800100000-13800199999"], allowed.id)
    assert found(index, "13809000000") == (ids["+86138*"], 0)
    assert found(index, "13900000000") == (0, 0)
    assert found(index, "+13800138000") == (0, 0)
    assert [e.id for e in store.matching(key("13800138001")) if e.list == "block"] == [4, 3, 2, 1]


def map_entries(targets: list[str]) -> list[Entry]:
    return [entry(target) for target in targets]


def test_the_asked_role_goes_before_any_role(store: ListStore, index: ListIndex) -> None:
    store.add([entry("13800138000", role=role) for role in ("callee", "any", "caller")], NOW)
    index.refresh()
    assert found(index, "13800138000", role=ROLE_CALLER) == (3, 0)
    assert found(index, "13800138000", role=ROLE_CALLEE) == (1, 0)
    gone = store.remove(entry("13800138000"), NOW, who="w", why="y", any_role=True)
    assert [e.id for e in gone] == [2, 3, 1]
    index.refresh()
    assert found(index, "13800138000") == (0, 0)


def test_beijing_is_not_taken_for_numbers_that_begin_with_10(store: ListStore, index: ListIndex) -> None:
    store.add([entry("1064*"), entry("010*", list="allow")], NOW)
    index.refresh()
    assert found(index, "1064812345678") == (1, 0)
    assert found(index, "010-64812345") == (0, 2)
    assert found(index, "10086") == (0, 0)


def test_prefixes_stop_being_asked_when_none_is_left(store: ListStore, index: ListIndex) -> None:
    added = store.add([entry("+44*"), entry("02161230000-02161239999")], NOW)
    index.refresh()
    assert index.arrays.lengths[0] == 0b101
    for one in added:
        store.remove(one, NOW, who="w", why="y")
    index.refresh()
    assert index.arrays.lengths[0] == 0
    assert found(index, "02161230000") == (0, 0)


def test_many_changes_come_in_batches_and_the_table_grows(
    store: ListStore, index: ListIndex, wait_until: Callable[..., object]
) -> None:
    store.add([entry(f"138{n:08d}") for n in range(9000)], NOW)
    wait_until(index.refresh)
    assert 0 < index.entries < 9000
    wait_until(lambda: settled(index, 9000))
    assert all(found(index, f"138{n:08d}")[0] for n in range(0, 9000, 97))
    fresh = ListIndex(store)
    fresh.load()
    assert fresh.entries == index.entries
    fresh.close()


def test_an_index_that_is_far_behind_reads_everything_again(
    store: ListStore, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., object]
) -> None:
    monkeypatch.setattr(store_module, "KEPT_CHANGES", 50)
    index = ListIndex(store)
    index.load()
    store.add([entry(f"138{n:08d}") for n in range(100)], NOW)
    assert store.changes(0, 10) is None
    wait_until(lambda: settled(index, 100))
    assert found(index, "13800000099")[0] == 100
    monkeypatch.setattr(index_module, "_FAR_BEHIND", 10)
    monkeypatch.setattr(index_module, "_BATCH", 10)
    store.add([entry(f"139{n:08d}") for n in range(40)], NOW)
    wait_until(lambda: settled(index, 140))
    assert found(index, "13900000039")[0] == 140
    index.close()


def test_random_ranges_agree_with_a_plain_search(store: ListStore, index: ListIndex) -> None:
    rng = np.random.default_rng(7)
    spans = []
    for _ in range(120):
        first = int(rng.integers(0, 5000))
        last = first + int(rng.integers(0, 10 ** int(rng.integers(1, 4))))
        spans.append((first, min(last, 9999)))
    stored = store.add([entry(f"0216123{a:04d}-0216123{b:04d}") for a, b in spans], NOW)
    ids = {(a, b): e.id for (a, b), e in zip(spans, stored, strict=True)}
    index.refresh()
    for number in range(0, 10_000, 7):
        covering = [(b - a, ids[a, b]) for a, b in spans if a <= number <= b]
        width = min(covering)[0] if covering else None
        got = found(index, f"0216123{number:04d}")[0]
        assert (got == 0) if width is None else any(got == i for w, i in covering if w == width)


def test_what_was_removed_long_ago_is_forgotten(store: ListStore) -> None:
    added = store.add(map_entries(["13800138000", "13800138001"]), NOW)
    store.remove(added[0], NOW + 10, who="w", why="y")
    assert store.forget(NOW + 10) == 0
    assert store.forget(NOW + 11) == 1
    assert store.entry(1) is None
    assert store.entry(2) == added[1]


def test_entries_are_listed_in_order_past_a_page(store: ListStore) -> None:
    store.add([entry(f"138{n:08d}") for n in range(1234)], NOW)
    assert [e.id for e in store.entries()] == list(range(1, 1235))


def test_another_format_is_refused(store: ListStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.close()
    monkeypatch.setattr(store_module, "_VERSION", b"2")
    with pytest.raises(StateError, match="have format 1"):
        ListStore(tmp_path / "lists").open()


def test_a_closed_store_says_so(store: ListStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StateError, match="not open"):
        store.count()


def settled(index: ListIndex, entries: int) -> bool:
    return not index.refresh() and index.entries == entries


def run_cli(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("hutong"), *arguments], check=True, stdout=subprocess.DEVNULL)


def test_a_change_made_by_another_process_takes_effect(tmp_path: Path, wait_until: Callable[..., object]) -> None:
    store = ListStore(tmp_path / "lists")
    store.open()
    index = ListIndex(store)
    index.load()
    data = ("--data", str(tmp_path))
    run_cli("lists", "add", "13800138000", "--reason", "reported", "--who", "duty", *data)
    wait_until(lambda: index.refresh() and found(index, "13800138000") == (1, 0), 1, "an entry's effect")
    run_cli("lists", "remove", "13800138000", "--who", "duty", "--why", "mistake", *data)
    wait_until(lambda: index.refresh() and found(index, "13800138000") == (0, 0), 1, "a removal's effect")
    index.close()
    store.close()
