"""Merkle trees as RFC 9162 §2.1 has them (those of RFC 6962): roots, inclusion and consistency proofs. Pure.

A leaf is SHA-256 of 0x00 and its bytes, a node that of 0x01 and its two children. What a proof consists of is said in
spans (half-open ranges of leaves) whose roots it needs, so that it does not matter where hashes are kept.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HASH_BYTES: Final = 32
#: The root of a tree without leaves.
EMPTY: Final = sha256(b"").digest()

Span = tuple[int, int]


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry's bytes."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node by its children's."""
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """A tree that grows to the right and keeps only the roots of its complete subtrees: one for each bit of its size.

    Args:
        told: called with (level, place, hash) of every node that becomes complete; place counts nodes of that level.
    """

    def __init__(self, told: Callable[[int, int, bytes], None] | None = None) -> None:
        self.size = 0
        self._told = told
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, hashed: bytes, level: int = 0) -> None:
        """Add a complete subtree of 2^level leaves; the size so far is a multiple of that."""
        self.size += 1 << level
        peaks = self._peaks
        while peaks and peaks[-1][0] == level:
            hashed = node_hash(peaks.pop()[1], hashed)
            level += 1
            if self._told is not None:
                self._told(level, (self.size >> level) - 1, hashed)
        peaks.append((level, hashed))

    def root(self) -> bytes:
        """The root of all leaves so far (RFC 9162 §2.1.1)."""
        if not self._peaks:
            return EMPTY
        *left, (_, root) = self._peaks
        for _, peak in reversed(left):
            root = node_hash(peak, root)
        return root


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The spans whose roots prove that a leaf is in a tree, from the leaf upwards (RFC 9162 §2.1.3.1).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    first, end = 0, size
    spans: list[Span] = []
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((first, middle))
            first = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """The spans whose roots prove that a tree grew out of another (RFC 9162 §2.1.4.1).

    Raises:
        ValueError: a tree of `new` leaves cannot have grown out of one of `old`, or that one was empty.
    """
    if not 0 < old <= new:
        raise ValueError(f"a tree of {new} leaves has not grown out of one of {old}")
    first, end = 0, new
    spans: list[Span] = []
    while end != old:
        middle = first + _split(end - first)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((first, middle))
            first = middle
    if first:  # where it is 0, the verifier has this root: it is the old tree's
        spans.append((first, end))
    return spans[::-1]


def included_root(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root that a tree of `size` has if the proof holds (RFC 9162 §2.1.3.2); None where it is none."""
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(sibling, root)
            at, last = _up_to_a_right_child(at, last)
        else:
            root = node_hash(root, sibling)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the new tree begins with the old one (RFC 9162 §2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            at, last = _up_to_a_right_child(at, last)
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _up_to_a_right_child(at: int, last: int) -> tuple[int, int]:
    """Pass the levels at which a node without a sibling is its own parent."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _split(size: int) -> int:
    """The largest power of two below a size of at least 2."""
    return 1 << (size - 1).bit_length() - 1
