"""Whatever one thing is done to a trail that was signed, verifying finds it and names the first wrong entry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hutong.kernel.audit.entry import COLUMNS, Entry, read_entry
from hutong.kernel.audit.merkle import Frontier
from hutong.kernel.audit.verify import Mark, Verifier

if TYPE_CHECKING:
    from hutong.kernel.audit.verify import Fault

Leaf = tuple[int, int, bytes]


def entry(number: int, at: int) -> Entry:
    return Entry.of(("192.0.2.1", None, '{"a":1}', "lists.add", number, "", f"no {at}", at, "wang"))


class Log:
    """Rows, leaves and nodes as the records would hold them."""

    def __init__(self, rows: list[Entry]) -> None:
        self.rows = rows
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.roots: list[bytes] = []
        self.leaves: list[Leaf] = []
        tree = Frontier(lambda level, place, hashed: self.nodes.update({(level, place): hashed}))
        for number, row in enumerate(rows, 1):
            tree.append(row.leaf())
            self.roots.append(tree.root())
            self.leaves.append((number, row.id, row.leaf()))

    def number_of(self, row: int) -> int | None:
        return next((number for number, id_, _ in self.leaves if id_ == row), None)

    def verified(self, sizes: set[int], roots: list[bytes], step: int) -> Fault | None:
        verifier = Verifier([Mark(size, roots[size - 1]) for size in sizes], self.number_of)
        while True:
            rows = [row for row in sorted(self.rows, key=lambda it: it.id) if row.id > verifier.last_id][:step]
            leaves = [leaf for leaf in sorted(self.leaves) if leaf[0] > verifier.size][:step]
            fault = verifier.take(rows, leaves, self.nodes)
            if fault is not None:
                return fault
            if len(rows) < step:
                return verifier.finish()


@st.composite
def logs(draw: st.DrawFn) -> Log:
    ids = sorted(draw(st.sets(st.integers(1, 400), min_size=1, max_size=40)))
    return Log([entry(number, at) for at, number in enumerate(ids)])


@st.composite
def signed(draw: st.DrawFn) -> tuple[Log, set[int], int]:
    log = draw(logs())
    return log, draw(st.sets(st.integers(1, len(log.rows)), max_size=4)), draw(st.integers(1, 50))


def another(row: Entry, data: st.DataObject) -> Entry:
    """The same row but for one column that is not its id."""
    name = data.draw(st.sampled_from([it for it in COLUMNS if it != "id"]))
    old = getattr(row, name)
    value: Any = st.integers(0, 1 << 41) if name == "time_ms" else st.text(max_size=8)
    if name in {"before", "after"}:
        value = st.none() | value
    return replace(row, **{name: data.draw(value.filter(lambda it: it != old))})


def two_of(log: Log, data: st.DataObject) -> tuple[int, int]:
    first, second = sorted(data.draw(st.lists(st.integers(0, len(log.rows) - 1), min_size=2, max_size=2, unique=True)))
    return first, second


def tampered(log: Log, data: st.DataObject) -> int:
    """Do one thing to rows or leaves; returns the number of the first entry that is wrong then."""
    at = data.draw(st.integers(0, len(log.rows) - 1))
    rows, leaves = log.rows, log.leaves
    tricks = ["change", "drop row", "drop leaf", "drop both", "insert", "hash"] + ["swap rows", "swap leaves"] * (
        len(rows) > 1
    )
    match data.draw(st.sampled_from(tricks)):
        case "change":
            rows[at] = another(rows[at], data)
        case "drop row":
            del rows[at]
        case "drop leaf":
            del leaves[at]
        case "drop both":
            del rows[at], leaves[at]
            if at == len(rows):
                return 0  # the end: that is for checkpoints to tell
        case "hash":
            leaves[at] = (*leaves[at][:2], bytes(32))
        case "insert":
            taken = {row.id for row in rows}
            new = data.draw(st.integers(-3, 410).filter(lambda it: it not in taken))
            rows.append(entry(new, 999))
            return sum(it < new for it in taken) + 1
        case "swap rows":
            at, other = two_of(log, data)
            one, two = rows[at], rows[other]
            rows[at], rows[other] = replace(two, id=one.id), replace(one, id=two.id)
        case "swap leaves":
            at, other = two_of(log, data)
            one_leaf, two_leaf = leaves[at], leaves[other]
            leaves[at], leaves[other] = (at + 1, *two_leaf[1:]), (other + 1, *one_leaf[1:])
    return at + 1


@given(signed())
def test_a_log_that_nobody_touched_holds(it: tuple[Log, set[int], int]) -> None:
    log, sizes, step = it
    assert log.verified(sizes, log.roots, step) is None


@given(signed(), st.data())
def test_one_thing_done_to_it_is_found_by_number(it: tuple[Log, set[int], int], data: st.DataObject) -> None:
    log, sizes, step = it
    whole, roots = len(log.rows), log.roots
    expected = tampered(log, data)
    fault = log.verified(sizes, roots, step)
    if expected:
        assert fault is not None
        assert (fault.first, fault.last) == (expected, expected)
    elif whole in sizes:
        assert fault is not None
        assert fault.first <= whole == fault.last
    else:
        assert fault is None


@given(signed(), st.data())
def test_hashes_that_are_made_to_fit_do_not_fit_the_next_checkpoint(
    it: tuple[Log, set[int], int], data: st.DataObject
) -> None:
    log, sizes, step = it
    rows = list(log.rows)
    at = data.draw(st.integers(0, len(rows) - 1))
    match data.draw(st.sampled_from(["change", "drop", "insert"])):
        case "change":
            rows[at] = another(rows[at], data)
        case "drop":
            del rows[at]
        case "insert":
            rows = [replace(row, id=row.id * 2) for row in rows]
            rows.insert(at, entry(rows[at].id - 1, 999))
            at = 0  # the others have other ids now
    fault = Log(rows).verified(sizes, log.roots, step)
    later = [size for size in sorted(sizes) if size > at]
    if not later:
        assert fault is None, "nobody signed it"
        return
    assert fault is not None
    before = max((size for size in sizes if size <= at), default=0)
    assert (fault.first, fault.last) == (before + 1, later[0] if fault.kind == "rewritten" else max(later))
    assert fault.first <= at + 1 <= fault.last


@given(
    st.builds(
        Entry,
        address=st.text(),
        after=st.none() | st.text(),
        before=st.none() | st.text(),
        deed=st.text(),
        format=st.just("hutong-trail-1"),
        id=st.integers(1, 1 << 53),
        purpose=st.text(),
        target=st.text(),
        time_ms=st.integers(0, 1 << 53),
        who=st.text(),
    )
)
def test_the_bytes_of_an_entry_are_canonical_and_stand_for_it_alone(it: Entry) -> None:
    # Another's idea of RFC 8785: keys in order, no spaces, nothing escaped without need.
    fields = {name: getattr(it, name) for name in it.__struct_fields__}
    plain = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert it.canonical() == plain.encode()
    assert read_entry(it.canonical()) == it
    for wrong in (
        plain + " ",
        plain.replace("hutong-trail-1", "hutong-trail-2"),
        plain[:-1],
        "[]",
        plain.replace("{", "{ ", 1),
    ):
        assert read_entry(wrong.encode()) is None
