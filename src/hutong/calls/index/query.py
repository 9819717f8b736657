"""What is asked of parts: filters, counts, groups. Pure: columns in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np

from hutong.calls.model import ACTIONS
from hutong.calls.record import KIND_VERDICT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hutong.calls.index.part import Part, Rows

    Marks: TypeAlias = NDArray[np.bool_]
    Found: TypeAlias = Rows | Marks

Role = Literal["any", "caller", "callee"]
SortKey = Literal["time", "action", "code", "rule", "trunk", "area"]
SORT_KEYS: tuple[SortKey, ...] = ("time", "action", "code", "rule", "trunk", "area")

LAST_MS = (1 << 63) - 1
_SIDES: tuple[Literal["caller", "callee"], ...] = ("caller", "callee")


class Filters(msgspec.Struct, frozen=True):
    """Which verdicts are wanted; what is not set allows all.

    Attributes:
        since_ms, until_ms: ms since 1970 UTC; from the first, before the second.
        action: one of ACTIONS.
        rule: id of a rule that fired, whatever came of it. decided: id of the rule that decided.
        trunk: a trunk's name. areas: indices of the callee's area, any of which will do.
        flags: bits of FLAG_NAMES, all of which must be there.
        number: a number key, and `role` whose it is.
    """

    since_ms: int = 0
    until_ms: int = LAST_MS
    action: str = ""
    rule: str = ""
    decided: str = ""
    trunk: str = ""
    areas: tuple[int, ...] = ()
    flags: int = 0
    number: int = 0
    role: Role = "any"


class Page(NamedTuple):
    """Sequence numbers of one page; `total` is None where counting all would take too long."""

    seqs: list[int]
    total: int | None
    more: bool


def overlaps(part: Part, filters: Filters) -> bool:
    """Whether the part may hold something from the time that is asked for."""
    head = part.head
    return head.verdicts > 0 and head.newest_ms >= filters.since_ms and head.oldest_ms < filters.until_ms


def of_number(part: Part, number: int, role: Role) -> Rows:
    """Rows, ascending, with this number in this role, outcomes among them."""
    sides = [part.equal(side, number) for side in _SIDES if role in {"any", side}]
    return sides[0] if len(sides) == 1 else np.union1d(*sides)


def matching(part: Part, filters: Filters, ids: Sequence[str]) -> Found:
    """Verdicts that fit: a mark for each row of the part, or, where an index narrows them down, rows ascending.

    `ids` are those of the part's rules, in the order of its head.
    """
    narrowed = _narrowed(part, filters, ids)
    if narrowed is not None and narrowed.size == 0:
        return narrowed
    marks: Marks | None = None
    for one in _conditions(part, filters, ids, narrowed):
        marks = one if marks is None else marks & one
    if narrowed is not None:
        return narrowed if marks is None else narrowed[marks]
    return np.ones(part.head.rows, dtype=np.bool_) if marks is None else marks


def count_of(found: Found) -> int:
    """How many there are."""
    return int(np.count_nonzero(found)) if found.dtype == np.bool_ else found.size


def rows_of(found: Found) -> Rows:
    """The rows, ascending."""
    return np.flatnonzero(found) if found.dtype == np.bool_ else found.astype(np.intp)


def _narrowed(part: Part, filters: Filters, ids: Sequence[str]) -> Rows | None:
    rows = of_number(part, filters.number, filters.role) if filters.number else None
    if not filters.rule:
        return rows
    fired = [part.fired(place) for place, rule in enumerate(ids) if rule == filters.rule]
    hit = np.unique(np.concatenate(fired)) if fired else np.zeros(0, dtype=np.intp)
    return hit if rows is None else np.intersect1d(rows, hit, assume_unique=True)


def _conditions(part: Part, filters: Filters, ids: Sequence[str], rows: Rows | None) -> Iterator[Marks]:
    """A mark for each row (of `rows`) by each filter that says something about this part."""

    def values(name: str) -> NDArray[Any]:
        column = part.column(name)
        return column if rows is None else column[rows]

    for name, wanted in _wanted(part, filters, ids):
        column = values(name)
        yield column == column.dtype.type(wanted[0]) if len(wanted) == 1 else _is_any(column, wanted)
    if part.head.oldest_ms < filters.since_ms:
        yield values("time") >= np.int64(filters.since_ms)
    if part.head.newest_ms >= filters.until_ms:
        yield values("time") < np.int64(filters.until_ms)
    if filters.flags:
        bits = np.uint16(filters.flags)
        yield values("flags") & bits == bits


def _wanted(part: Part, filters: Filters, ids: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Columns that must hold one of some values."""
    if filters.action:
        yield "action", [ACTIONS.index(filters.action)]
    elif part.head.outcomes:
        yield "kind", [KIND_VERDICT]
    if filters.decided:
        yield "rule", [at for at, rule in enumerate(ids) if rule == filters.decided]
    if filters.trunk:
        yield "trunk", [at for at, name in enumerate(part.head.trunks) if name == filters.trunk]
    if filters.areas:
        yield "area", list(filters.areas)


def groups(part: Part, key: SortKey, found: Found) -> dict[int, int]:
    """How many of the verdicts found have each value of a column."""
    counts = np.bincount(part.column(key)[found])
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def labels(part: Part, key: SortKey, ids: Sequence[str]) -> Sequence[str] | None:
    """What the values of a column are called; None for values that mean the same in every part."""
    return {"trunk": part.head.trunks, "rule": ids}.get(key)


def labelled(part: Part, filters: Filters, ids: Sequence[str], key: SortKey, label: int | str) -> Rows:
    """Verdicts that fit and bear one label, rows ascending."""
    found, names = matching(part, filters, ids), labels(part, key, ids)
    codes = [int(label)] if names is None else [code for code, name in enumerate(names) if name == label]
    if found.dtype == np.bool_:
        return np.flatnonzero(found & _is_any(part.column(key), codes))
    return rows_of(found)[_is_any(part.column(key)[found], codes)]


def _is_any(column: NDArray[Any], wanted: Sequence[int]) -> Marks:
    """Which values of a column of at most 16 bits are among some."""
    table = np.zeros(np.iinfo(column.dtype).max + 1, dtype=np.bool_)
    table[list(wanted)] = True
    marks: Marks = table[column]
    return marks
