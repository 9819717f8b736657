"""The log in the records: numbers, leaf hashes and nodes as they are added and read. Every function takes a connection.

Of nodes only every eighth level is kept, which is one hash for 256 leaves, so the root of any span takes a few hundred
rows to find instead of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from hutong.kernel.audit.entry import COLUMNS, Entry
from hutong.kernel.audit.merkle import HASH_BYTES, Frontier
from hutong.kernel.errors import HutongError
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hutong.kernel.audit.merkle import Span
    from hutong.kernel.records import Connection

#: Whoever adds to the log holds this name (`Database.hold`) to the end of the transaction: numbers have no gaps.
HOLD: Final = "trail"
#: Hashes are kept of every eighth level: of 256 entries, 65,536, …
STEP: Final = 8
_LEVELS: Final = (4 * STEP, 3 * STEP, 2 * STEP, STEP)
_BATCH: Final = 4096
_LEAF, _NODE = tables.audit_leaves.c, tables.audit_nodes.c
#: What an entry is made of, to be selected or returned.
ENTRY: Final[tuple[sa.Column[Any], ...]] = tuple(tables.trail.c[name] for name in COLUMNS)
_ID: Final = COLUMNS.index("id")
_LAST: Final = sa.func.coalesce(sa.func.max(_LEAF.number), 0)
_NEXT: Final = sa.select(
    _LAST + 1, sa.bindparam("entry_id", type_=sa.BigInteger), sa.bindparam("leaf_hash", type_=sa.LargeBinary)
)
_ADD_LEAF: Final = (
    sa.insert(tables.audit_leaves).from_select(["number", "entry", "hash"], _NEXT).returning(_LEAF.number)
)


class AuditError(HutongError):
    """The log cannot be signed or proven as it stands."""


def add_leaf(connection: Connection, row: Sequence[Any]) -> int:
    """Number a new row of the trail (values of ENTRY); returns its number. The caller holds HOLD."""
    leaf = {"entry_id": row[_ID], "leaf_hash": Entry.of(row).leaf()}
    number = int(connection.execute(_ADD_LEAF, leaf).scalar_one())
    _add_nodes(connection, number)
    return number


def number_rest(connection: Connection) -> int:
    """Number every row of the trail behind the last that has a number, in order; returns how many.

    For tables that an earlier version filled: a row without a number is otherwise what verifying is there to find.
    """
    size, last = size_of(connection), connection.execute(sa.select(sa.func.max(_LEAF.entry))).scalar() or 0
    first = size
    rows = sa.select(*ENTRY).order_by(tables.trail.c.id).limit(_BATCH)
    while found := connection.execute(rows.where(tables.trail.c.id > last)).all():
        leaves = [
            {"number": size + at, "entry": row[_ID], "hash": Entry.of(row).leaf()} for at, row in enumerate(found, 1)
        ]
        connection.execute(sa.insert(tables.audit_leaves), leaves)
        for number in range(size + 1, size + len(found) + 1):
            _add_nodes(connection, number)
        size, last = size + len(found), found[-1][_ID]
    return size - first


def _add_nodes(connection: Connection, size: int) -> None:
    """Keep the nodes that the last leaf made complete."""
    for level in reversed(_LEVELS):
        if size % (1 << level):
            return
        hashed = span_root(connection, (size - (1 << level), size), below=level)
        values = {"level": level, "place": (size >> level) - 1, "hash": hashed}
        connection.execute(sa.insert(tables.audit_nodes).values(values))


def size_of(connection: Connection) -> int:
    """How many entries there are."""
    return int(connection.execute(sa.select(_LAST)).scalar_one())


def span_root(connection: Connection, span: Span, below: int = 64) -> bytes:
    """The root of a span as proofs name them: its start is a multiple of every power of two that is not longer.

    Args:
        below: nodes of lower levels only are looked at.

    Raises:
        AuditError: a number or a node is missing.
    """
    at, end = span
    frontier = Frontier()
    while at < end:
        level = next((it for it in _LEVELS if it < below and at % (1 << it) == 0 and at + (1 << it) <= end), 0)
        above = level + STEP
        upto = end >> level << level
        if above < below:  # there the next level may begin
            upto = min(upto, ((at >> above) + 1) << above)
        hashes = _hashes(connection, level, at >> level, upto >> level)
        if len(hashes) != (upto - at) >> level or any(len(it) != HASH_BYTES for it in hashes):
            raise AuditError(
                f"The log has lost hashes between entries {at + 1} and {upto}.", fix="`hutong audit verify` says more."
            )
        for hashed in hashes:
            frontier.append(hashed, level)
        at = upto
    return frontier.root()


def span_roots(connection: Connection, spans: Iterable[Span]) -> list[bytes]:
    """The root of each span: a proof."""
    return [span_root(connection, span) for span in spans]


def _hashes(connection: Connection, level: int, first: int, end: int) -> Sequence[bytes]:
    if level:
        chosen = sa.select(_NODE.hash).where(_NODE.level == level, _NODE.place >= first, _NODE.place < end)
        return connection.execute(chosen.order_by(_NODE.place)).scalars().all()
    chosen = sa.select(_LEAF.hash).where(_LEAF.number > first, _LEAF.number <= end).order_by(_LEAF.number)
    return connection.execute(chosen).scalars().all()


def nodes_of(connection: Connection, size: int, upto: int) -> dict[tuple[int, int], bytes]:
    """The nodes, by level and place, that entries behind the first `size` and up to `upto` complete."""
    spans = [sa.and_(_NODE.level == it, _NODE.place >= size >> it, _NODE.place < upto >> it) for it in _LEVELS]
    chosen = sa.select(tables.audit_nodes).where(sa.or_(*spans))
    return {(level, place): hashed for level, place, hashed in connection.execute(chosen)}


def rows_after(connection: Connection, entry: int, limit: int) -> list[Entry]:
    """Rows of the trail with higher ids, in order."""
    chosen = sa.select(*ENTRY).where(tables.trail.c.id > entry).order_by(tables.trail.c.id).limit(limit)
    return [Entry.of(row) for row in connection.execute(chosen)]


def leaves_after(connection: Connection, number: int, limit: int) -> list[tuple[int, int, bytes]]:
    """(number, id of the row, leaf hash) with higher numbers, in order."""
    chosen = sa.select(tables.audit_leaves).where(_LEAF.number > number).order_by(_LEAF.number).limit(limit)
    return [tuple(row) for row in connection.execute(chosen)]


def number_of(connection: Connection, entry: int) -> int | None:
    """The number of a row of the trail; None where it has none."""
    return connection.execute(sa.select(_LEAF.number).where(_LEAF.entry == entry)).scalar()


def entry_at(connection: Connection, number: int) -> Entry | None:
    """The row of the trail that has this number."""
    at = sa.select(_LEAF.entry).where(_LEAF.number == number).scalar_subquery()
    row = connection.execute(sa.select(*ENTRY).where(tables.trail.c.id == at)).one_or_none()
    return None if row is None else Entry.of(row)


def numbers_of(connection: Connection, entries: Sequence[int]) -> dict[int, int]:
    """The numbers of rows of the trail, by their ids."""
    chosen = sa.select(_LEAF.entry, _LEAF.number).where(_LEAF.entry.in_(entries))
    return {row.entry: row.number for row in connection.execute(chosen)}
