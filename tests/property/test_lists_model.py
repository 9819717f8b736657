"""The index and the store against the plainest possible model; export and import against each other."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.lists.csv_file import export_entries, import_file
from hutong.kernel.lists.entries import ROLES, Entry
from hutong.kernel.lists.index import ListIndex, allow_id, block_id, look_up
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import describe, draft
from hutong.kernel.numbering import Numbering
from hutong.kernel.numbering.keys import digits_of, key_of_digits

# Where there is memory behind a folder, commits need not wait for a disk.
FOLDERS = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # random names below it

# Few digits, so that numbers, prefixes and ranges meet.
tails = st.text("01", min_size=4, max_size=4)
numbers = tails.map(lambda tail: f"+4420794{tail}")
prefixes = st.text("01", max_size=4).map(lambda tail: f"+4420794{tail}*")
ranges = st.tuples(tails, tails).map(lambda ends: f"+4420794{min(ends)}-+4420794{max(ends)}")
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
drafts = st.builds(
    draft,
    st.one_of(numbers, prefixes, ranges),
    list=st.sampled_from(["block", "allow"]),
    role=st.sampled_from(ROLES),
    reason=words,
    who=words,
    source=st.text("ab ,\"'\n", max_size=5),
    expires=st.sampled_from([0, 50, 150]),
    respond=st.sampled_from([603, 607, 608]),
)
actions = st.lists(st.tuples(st.sampled_from(["add", "add", "remove"]), drafts), max_size=12)


def identity(entry: Entry) -> tuple[str, str, str]:
    return entry.list, entry.role, describe(entry)


def span(entry: Entry, digits: str) -> int:
    """How many numbers of this length the entry covers; 0 where not this one."""
    key = key_of_digits(digits)
    if entry.kind == "prefix":
        own = digits_of(entry.key)
        return int(10 ** (len(digits) - len(own))) if digits.startswith(own) else 0
    return (entry.last or entry.key) - entry.key + 1 if entry.key <= key <= (entry.last or entry.key) else 0


def check(index: ListIndex, model: dict[tuple[str, str, str], Entry], digits: str, role: int, now: int) -> None:
    packed = look_up(index.arrays, key_of_digits(digits), now, role)
    for name, got in (("block", block_id(packed)), ("allow", allow_id(packed))):
        fits = {
            entry.id: span(entry, digits)
            for entry in model.values()
            if entry.list == name
            and entry.role in {"any", ROLES[role]}
            and (entry.expires == 0 or now < entry.expires)
            and span(entry, digits)
        }
        if fits:
            assert fits[int(got)] == min(fits.values())
        else:
            assert got == 0


@settings(max_examples=30, deadline=None)
@given(actions=actions, asked=st.lists(tails, min_size=1, max_size=6), now=st.sampled_from([10, 100, 200]))
def test_the_index_finds_what_the_model_says(actions: list[tuple[str, Entry]], asked: list[str], now: int) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDERS) as name:
        store = ListStore(Path(name))
        store.open()
        index = ListIndex(store)
        index.load()
        model: dict[tuple[str, str, str], Entry] = {}
        for step, (action, entry) in enumerate(actions):
            if action == "add":
                (model[identity(entry)],) = store.add([entry], 1)
            else:
                gone = store.remove(entry, 1, who="w", why="y")
                before = model.pop(identity(entry), None)
                assert [e.id for e in gone] == ([before.id] if before else [])
            if step % 3 == 0:
                index.refresh()
        while index.refresh():
            pass
        fresh = ListIndex(store)
        fresh.load()
        for one in (index, fresh):
            assert one.entries == len(model) == store.count()
            for tail in asked:
                for role in (1, 2):
                    check(one, model, f"4420794{tail}", role, now)
        for tail in asked:
            matching = store.matching(key_of_digits(f"4420794{tail}"))
            covering = {entry.id for entry in model.values() if span(entry, f"4420794{tail}")}
            assert {entry.id for entry in matching} == covering
        index.close()
        fresh.close()
        store.close()


@settings(max_examples=25, deadline=None)
@given(entries=st.lists(drafts, max_size=8))
def test_what_was_exported_imports_equal(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDERS) as name:
        folder = Path(name)
        texts = []
        for turn in ("first", "second"):
            store = ListStore(folder / turn)
            store.open()
            if turn == "first":
                store.add(entries, 1)
            else:
                file = folder / "lists.csv"
                file.write_text(texts[0], encoding="utf-8", newline="")
                done = import_file(store, file, numbering=Numbering(), now=2, errors=folder / "bad.csv")
                assert (done.bad, done.stopped) == (0, 0)
            out = io.StringIO(newline="")
            export_entries(store.entries(), out)
            texts.append(out.getvalue())
            store.close()
        assert texts[0] == texts[1]
