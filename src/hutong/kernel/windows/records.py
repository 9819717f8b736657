"""Records by pointer, in compiled code and in Python alike. Knows no table.

Numba counts an array in and out of every function with locked instructions, and a record not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numba import from_dtype, types
from numba.extending import intrinsic, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

R = TypeVar("R")


def nth(first: R, n: int) -> R:
    """The record that lies n places after `first`, sharing its memory. No bounds are checked in compiled code.

    `first` must be element 0 of a one-dimensional record array.
    """
    array: Any = first.base  # type: ignore[attr-defined]  # a NumPy record knows the array it is an element of
    record: R = array[n]
    return record


def _step(_typing_context: Any, first: Any, n: Any) -> Any:  # noqa: ANN401  # the shape numba asks for
    if not isinstance(first, types.Record) or not isinstance(n, types.Integer):
        return None

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # as above
        pointer, count = arguments
        count = context.cast(builder, count, n, types.int64)
        offset = builder.mul(count, context.get_constant(types.int64, first.size))
        address = builder.add(builder.ptrtoint(pointer, offset.type), offset)
        return builder.inttoptr(address, pointer.type)

    return first(first, n), emit


_stepped: Any = intrinsic(_step)


@overload(nth)
def _nth(first: Any, n: Any) -> Any:  # noqa: ANN401  # types, not values
    if not isinstance(first, types.Record) or not isinstance(n, types.Integer):
        return None

    def step(first: Any, n: Any) -> Any:  # noqa: ANN401  # as above
        return _stepped(first, n)

    return step


def overlay(dtype: np.dtype[Any]) -> Callable[[NDArray[np.float64], int], Any]:
    """A function (values, at) that gives values[at:] as one record of `dtype`, sharing memory.

    No bounds are checked in compiled code.
    """
    record = from_dtype(dtype)

    def over(values: NDArray[np.float64], at: int) -> Any:  # noqa: ANN401  # a record of `dtype`
        return values[at : at + dtype.itemsize // values.itemsize].view(dtype).view(np.recarray)[0]

    def point(_typing_context: Any, values: Any, at: Any) -> Any:  # noqa: ANN401  # the shape numba asks for
        def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # as above
            array = context.make_array(values)(context, builder, arguments[0])
            place = builder.gep(array.data, [context.cast(builder, arguments[1], at, types.int64)])
            return builder.bitcast(place, context.get_value_type(record))

        return record(values, at), emit

    pointed = intrinsic(point)

    @overload(over)
    def _over(values: Any, at: Any) -> Any:  # noqa: ANN401, ARG001  # types, not values; matched by name
        def impl(values: Any, at: Any) -> Any:  # noqa: ANN401  # as above
            return pointed(values, at)  # type: ignore[call-arg]  # the typing context is numba's to pass

        return impl

    return over
