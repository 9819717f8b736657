"""A batch happens wholly or not at all, even under kill -9. No window arithmetic here.

Before a row or a link changes for the first time in a batch, its former content goes to the undo area and the count
of saved things goes up; only then is it changed. A killed process leaves its stores in the page cache in program
order, so whenever it dies, everything changed is saved. `recover` puts the saved content back in reverse order; it
may itself be killed and repeated. Power loss is another matter: pages reach the disk in any order (see `file`).

Outside a batch nothing is saved: a bulk load of history has no need for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.layout import (
    ROW_WORDS,
    UNDO_LINKS,
    UNDO_LINKS_PER_TOUCH,
    UNDO_LINKS_SLACK,
    UNDO_ROWS,
)
from hutong.kernel.windows.records import nth

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays


def stores_in_order() -> None:
    """Every store before this call is made before every store after it. Python keeps that order by itself."""


def _order_stores(_typing_context: Any) -> Any:  # noqa: ANN401  # the shape that numba's extension point asks for
    """Keep the optimiser from moving stores across this point; costs no instruction.

    A `fence` of single-thread scope is LLVM's compiler barrier: what signal handlers rely on, and a kill is no
    finer than a signal.
    """

    def emit(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:  # noqa: ANN401  # as above
        builder.fence("seq_cst", targetscope="singlethread")
        return context.get_dummy_value()

    return types.void(), emit


_barrier: Any = intrinsic(_order_stores)


@overload(stores_in_order)
def _stores_in_order() -> Any:  # noqa: ANN401  # as above
    def barrier() -> None:
        _barrier()

    return barrier


@compiled
def begin(w: WindowArrays, first_seq: int) -> None:
    """Open a batch whose first journal record will have the sequence number `first_seq`.

    Raises:
        RuntimeError: a batch is open already.
    """
    head = w.head
    if head.batch != 0:
        raise RuntimeError("a window batch is open already: commit or recover it first")
    head.saved[0] = head.used
    head.saved[1] = head.newest
    head.saved[2] = head.oldest
    head.saved[3] = head.evicted
    head.saved[4] = head.committed
    head.undo_rows = 0
    head.undo_links = 0
    head.first_seq = first_seq
    stores_in_order()
    head.batch = 1
    stores_in_order()


@compiled
def commit(w: WindowArrays, last_seq: int) -> None:
    """Close the batch: its effects stand, and they are those of the journal up to `last_seq`.

    Raises:
        RuntimeError: no batch is open.
    """
    head = w.head
    if head.batch == 0:
        raise RuntimeError("no window batch is open")
    head.committed = last_seq
    stores_in_order()
    head.batch = 0
    stores_in_order()


@compiled
def recover(w: WindowArrays) -> int:
    """Undo the batch that is open, if any: the table is as it was at `begin`.

    Returns:
        The number of rows put back; 0 where no batch was open or it had changed nothing.
    """
    head = w.head
    if head.batch == 0:
        return 0
    for i in range(head.undo_links - 1, -1, -1):
        saved = head.links[i]
        nth(w.links, signed(saved >> np.uint64(32))).cell = signed(saved & np.uint64(0xFFFFFFFF))
    for i in range(head.undo_rows - 1, -1, -1):
        raw = nth(w.raw, signed(head.row_slots[i]))
        for j in range(ROW_WORDS):
            raw.words[j] = head.rows[i * ROW_WORDS + j]
    head.used = signed(head.saved[0])
    head.newest = signed(head.saved[1])
    head.oldest = signed(head.saved[2])
    head.evicted = signed(head.saved[3])
    head.committed = signed(head.saved[4])
    stores_in_order()
    head.batch = 0
    stores_in_order()
    return head.undo_rows


@compiled
def undo_room(w: WindowArrays) -> int:
    """How many more touches the open batch can take for sure; commit when a call might need more."""
    head = w.head
    links = UNDO_LINKS - UNDO_LINKS_SLACK - head.undo_links
    return max(min(UNDO_ROWS - head.undo_rows, links // UNDO_LINKS_PER_TOUCH), 0)


@compiled
def save_row(w: WindowArrays, slot: int) -> None:
    """Must precede every change of a row; does something the first time in a batch only.

    A row remembers where its copy would be; that place knows whether it is this row's: no clearing between batches.

    Raises:
        RuntimeError: the undo area is full (see `undo_room`).
    """
    head = w.head
    if head.batch == 0:
        return
    row = nth(w.rows, slot)
    count = head.undo_rows
    mark = signed(row.mark)
    if mark < count and signed(head.row_slots[mark]) == slot:
        return
    if count >= UNDO_ROWS:
        raise RuntimeError("the window undo area is full: commit while undo_room lasts")
    raw = nth(w.raw, slot)
    for i in range(ROW_WORDS):
        head.rows[count * ROW_WORDS + i] = raw.words[i]
    head.row_slots[count] = slot
    stores_in_order()
    head.undo_rows = count + 1
    stores_in_order()
    row.mark = count


@compiled
def set_link(w: WindowArrays, position: int, value: int) -> None:
    """Change one link or index cell, saving its former value while a batch is open.

    Raises:
        RuntimeError: the undo area is full (see `undo_room`).
    """
    head = w.head
    if head.batch != 0:
        count = head.undo_links
        if count >= UNDO_LINKS:
            raise RuntimeError("the window undo area is full: commit while undo_room lasts")
        head.links[count] = (np.uint64(position) << np.uint64(32)) | np.uint64(nth(w.links, position).cell)
        stores_in_order()
        head.undo_links = count + 1
        stores_in_order()
    nth(w.links, position).cell = value
