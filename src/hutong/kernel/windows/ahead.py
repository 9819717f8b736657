"""Telling memory early which numbers a batch will touch. Only hints: results never depend on them.

With millions of numbers every touch waits for memory. A loop that first names the keys of its whole batch lets those
waits overlap: `prefetch_index` for all keys, then `prefetch_row` for all keys, then the work. Keys may be unknown to
the table. Worth it from a few calls a batch on; see docs/windows.md for what it saves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.windows.layout import BINS_AT, NO_SLOT, ROW_BYTES
from hutong.kernel.windows.records import nth
from hutong.kernel.windows.table import home_of, likely_slot

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays

_LINE: Final = 64


def prefetch(_record: object, _offset: int) -> None:
    """Begin to fetch the cache line some bytes into a record, to be written soon. Python has nothing to fetch."""


def _prefetch(_typing_context: Any, record: Any, _offset: Any) -> Any:  # noqa: ANN401  # the shape numba asks for
    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # as above
        byte = ir.IntType(8).as_pointer()
        place = builder.gep(builder.bitcast(arguments[0], byte), [arguments[1]])
        flag = ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        )
        write, keep, data = (ir.Constant(flag, n) for n in (1, 3, 1))
        builder.call(prefetch, [place, write, keep, data])
        return context.get_dummy_value()

    return types.void(record, types.int64), emit


_prefetched: Any = intrinsic(_prefetch)


@overload(prefetch)
def _compiled_fetch(_record: Any, _offset: Any) -> Any:  # noqa: ANN401  # types, not values
    def fetch(_record: Any, _offset: Any) -> None:  # noqa: ANN401  # as above
        _prefetched(_record, _offset)

    return fetch


@compiled
def prefetch_index(w: WindowArrays, key: int) -> None:
    """Begin to fetch the index cell of `key`. Changes nothing."""
    prefetch(nth(w.links, 2 * w.head.capacity + home_of(w, key)), 0)


@compiled
def prefetch_row(w: WindowArrays, key: int) -> int:
    """Begin to fetch the row that `key` most likely has, and give it (-1 where there is none); after prefetch_index."""
    slot = likely_slot(w, key)
    if slot >= 0:
        row = nth(w.rows, slot)
        for offset in range(0, ROW_BYTES, _LINE):
            prefetch(row, offset)
        prefetch(row, ROW_BYTES - 1)  # rows begin anywhere in a line
    return slot


@compiled
def prefetch_counts(w: WindowArrays, key: int) -> int:
    """As prefetch_row, for a number that is called or whose call is answered or ends: its bins are not touched."""
    slot = likely_slot(w, key)
    if slot >= 0:
        row = nth(w.rows, slot)
        for offset in range(0, BINS_AT, _LINE):
            prefetch(row, offset)
        prefetch(row, BINS_AT - 1)
    return slot


@compiled
def prefetch_link(w: WindowArrays, slot: int) -> None:
    """Begin to fetch the place in order of a row that will be touched; -1 is let pass."""
    if slot >= 0:
        prefetch(nth(w.links, 2 * slot), 0)


@compiled
def prefetch_order(w: WindowArrays, slot: int) -> None:
    """Begin to fetch the neighbours in order of a row that will be touched, after prefetch_link; -1 is let pass."""
    if slot >= 0:
        newer, older = signed(nth(w.links, 2 * slot).cell), signed(nth(w.links, 2 * slot + 1).cell)
        if newer != NO_SLOT:
            prefetch(nth(w.links, 2 * newer), 0)
        if older != NO_SLOT:
            prefetch(nth(w.links, 2 * older), 0)
