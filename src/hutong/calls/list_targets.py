"""What list entries are about, as people write it, masked, on the trail; and which entry a new one would replace.

Belongs here: what pages and API say alike of an entry's target. Not here: finding entries (`console.list_table`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.lists.targets import describe
from hutong.kernel.numbering import digits_of, mask

if TYPE_CHECKING:
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.numbering import Numbering

_OPEN_DIGITS: Final = 7
"""Digits of a prefix that point to nobody: country, area and exchange."""


def standing(store: ListStore, entry: Entry) -> Entry | None:
    """The entry with the list, role and target of this one, which this one would replace."""
    about = (entry.list, entry.kind, entry.key, entry.last, entry.role)
    found = store.matching(entry.key)
    return next((it for it in found if (it.list, it.kind, it.key, it.last, it.role) == about), None)


def written(entry: Entry, numbering: Numbering) -> str:
    """A target as people write it: 13800138000, +86755*, +8621…-+8621…."""
    return numbering.show(entry.key) if entry.kind == "number" else describe(entry)


def masked(entry: Entry, numbering: Numbering) -> str:
    """The same with a person's digits hidden; a prefix that points to nobody stays whole."""
    if entry.kind == "number":
        return numbering.mask(entry.key)
    if entry.kind == "range":
        ends = (entry.key, entry.last)
        return "-".join(f"+{digits_of(key) if numbering.is_service(key) else _hide(digits_of(key))}" for key in ends)
    return f"+{_hide(digits_of(entry.key))}*"


def named(entry: Entry, refs: Refs) -> str:
    """A target on the trail: the references of its numbers; a prefix that points to nobody as it is written."""
    if entry.kind == "number":
        return refs.ref(entry.key)
    if entry.kind == "range":
        return f"{refs.ref(entry.key)}-{refs.ref(entry.last)}"
    return describe(entry) if len(digits_of(entry.key)) <= _OPEN_DIGITS else f"{refs.ref(entry.key)}*"


def _hide(digits: str) -> str:
    """Like `numbering.mask`; what is shorter than a whole number keeps only its open digits."""
    if len(digits) > _OPEN_DIGITS + 4:
        return mask(digits)
    return digits[:_OPEN_DIGITS] + "*" * (len(digits) - _OPEN_DIGITS)
