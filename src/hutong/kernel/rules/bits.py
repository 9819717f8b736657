"""One instruction that Python has no name for: which is the lowest bit set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import types
from numba.extending import intrinsic, overload

if TYPE_CHECKING:
    import numpy as np


def lowest_bit(word: np.uint64) -> int:
    """The place of the lowest bit set, 0 to 63; the word must not be 0."""
    value = int(word)
    return (value & -value).bit_length() - 1


def _count(_typing_context: Any, _word: Any) -> Any:  # noqa: ANN401  # the shape that numba's extension point asks for
    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401  # as above
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 1))

    return types.int64(types.uint64), emit


_counted: Any = intrinsic(_count)


@overload(lowest_bit)
def _lowest_bit(_word: Any) -> Any:  # noqa: ANN401  # types, not values
    def lowest(_word: Any) -> Any:  # noqa: ANN401  # as above
        return _counted(_word)

    return lowest
