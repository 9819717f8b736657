"""A window table as four addresses: what a compiled function takes when it is called from Python many times a second.

Crossing from Python into compiled code costs ten times as much with four records as with one small array. Whoever holds
a handle keeps the table's buffer alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import from_dtype, types
from numba.extending import intrinsic

from hutong.kernel.windows.layout import HEAD, LINK, RAW, ROW, WindowArrays

if TYPE_CHECKING:
    from numpy.typing import NDArray


_RECORDS = tuple(from_dtype(dtype) for dtype in (HEAD, LINK, ROW, RAW))


def _table_at(_typing_context: Any, handle: Any) -> Any:  # noqa: ANN401  # the shape numba asks for
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # as above
        places = context.make_array(handle)(context, builder, arguments[0]).data
        records = []
        for at, record in enumerate(_RECORDS):
            place = builder.load(builder.gep(places, [context.get_constant(types.intp, at)]))
            records.append(builder.inttoptr(place, context.get_value_type(record)))
        return context.make_tuple(builder, signature.return_type, records)

    table: Any = types
    return table.NamedTuple(_RECORDS, WindowArrays)(handle), emit


#: In compiled code: the WindowArrays behind a handle, int64[4]. (A function cannot return records, this can.)
table_at: Any = intrinsic(_table_at)


def handle_of(w: WindowArrays) -> NDArray[np.int64]:
    """int64[4]: where head, links, rows and the rows' words begin."""
    parts: Any = w
    return np.array([part.base.ctypes.data for part in parts], dtype=np.int64)
