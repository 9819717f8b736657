"""Merkle trees: whatever their size, proofs hold for what is so and for nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.audit.merkle import (
    EMPTY,
    Frontier,
    consistency_spans,
    included_root,
    inclusion_spans,
    is_consistent,
    leaf_hash,
    node_hash,
)

SIZE = 70
LEAVES = [leaf_hash(bytes([at])) for at in range(SIZE)]


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1 word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(plain_root(leaves[:half]), plain_root(leaves[half:]))


def proof(spans: list[tuple[int, int]]) -> list[bytes]:
    return [plain_root(LEAVES[first:end]) for first, end in spans]


ROOTS = [plain_root(LEAVES[:size]) for size in range(SIZE + 1)]


@st.composite
def two(draw: st.DrawFn, least: int) -> tuple[int, int]:
    size = draw(st.integers(1, SIZE))
    return draw(st.integers(least, size - 1 + least)), size


def spoil(path: list[bytes], data: st.DataObject) -> list[bytes]:
    """A proof with one thing wrong with it."""
    at = data.draw(st.integers(0, len(path)))
    if at < len(path) and data.draw(st.booleans()):
        return path[:at] + path[at + 1 :]
    if at < len(path) and data.draw(st.booleans()):
        return [*path[:at], leaf_hash(path[at]), *path[at + 1 :]]
    return [*path[:at], leaf_hash(b"more"), *path[at:]]


@given(st.integers(0, SIZE), st.integers(0, 5))
def test_a_frontier_has_the_root_of_its_leaves_however_they_come(size: int, level: int) -> None:
    told: dict[tuple[int, int], bytes] = {}
    tree = Frontier(lambda level, place, hashed: told.update({(level, place): hashed}))
    at = 0
    while at < size:
        step = 1 << level if at + (1 << level) <= size else 1
        tree.append(plain_root(LEAVES[at : at + step]), level if step > 1 else 0)
        at += step
    assert (tree.size, tree.root()) == (size, ROOTS[size])
    for (high, place), hashed in told.items():
        assert hashed == plain_root(LEAVES[place << high : place + 1 << high])


@given(two(0), st.data())
def test_an_inclusion_proof_holds_for_its_leaf_only(pair: tuple[int, int], data: st.DataObject) -> None:
    index, size = pair
    path = proof(inclusion_spans(index, size))
    assert included_root(index, size, LEAVES[index], path) == ROOTS[size]
    assert included_root(index, size, leaf_hash(b"another"), path) != ROOTS[size]
    assert included_root(index, size, LEAVES[index], spoil(path, data)) != ROOTS[size]
    other = data.draw(st.integers(-1, size))
    if other != index:
        assert included_root(other, size, LEAVES[index], path) != ROOTS[size]


@given(two(1), st.data())
def test_any_two_sizes_of_a_tree_are_consistent_and_nothing_else_is(pair: tuple[int, int], data: st.DataObject) -> None:
    old, new = pair
    path = proof(consistency_spans(old, new))
    assert is_consistent(old, new, ROOTS[old], ROOTS[new], path)
    assert not is_consistent(old, new, ROOTS[old], ROOTS[new], spoil(path, data))
    assert not is_consistent(old, new, leaf_hash(b"x"), ROOTS[new], path)
    assert not is_consistent(old, new, ROOTS[old], leaf_hash(b"x"), path)
    other = data.draw(st.integers(0, SIZE))
    if other != old:
        assert not is_consistent(other, new, ROOTS[other], ROOTS[new], path)
