"""Numbers as the text that signalling shows, written in bulk into the buffers of Arrow arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled
from hutong.simulation.rows import PREFIXES, WITHHELD

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANONYMOUS = "anonymous"  # the user part that RFC 3323, 4.1.1.3 gives to those who withhold their number

_LONGEST = max(len(prefix) for prefix in PREFIXES)
_PREFIX_BYTES = np.array([list(prefix.encode().ljust(_LONGEST)) for prefix in PREFIXES], dtype=np.uint8)
_PREFIX_LENGTHS = np.array([len(prefix) for prefix in PREFIXES], dtype=np.int64)
_ANONYMOUS = np.frombuffer(ANONYMOUS.encode(), dtype=np.uint8)
_MOST_DIGITS = 19
_WITHHELD = WITHHELD


def write_texts(values: NDArray[np.int64], forms: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Texts of numbers.

    Args:
        values: digits; 0 gives an empty text.
        forms: how each is written, places in PREFIXES.

    Returns:
        The bytes of all texts, and n + 1 offsets into them.
    """
    data = np.empty(len(values) * (_MOST_DIGITS + _LONGEST), np.uint8)
    offsets = np.zeros(len(values) + 1, np.int32)
    length = _write(values, forms, _PREFIX_BYTES, _PREFIX_LENGTHS, _ANONYMOUS, data, offsets)
    return data[:length], offsets


def text_of(value: int, form: int) -> str:
    """One number's text."""
    if form == WITHHELD:
        return ANONYMOUS
    return f"{PREFIXES[form]}{value}" if value else ""


@compiled
def _write(
    values: NDArray[np.int64],
    forms: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    prefix_lengths: NDArray[np.int64],
    anonymous: NDArray[np.uint8],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int32],
) -> int:
    at = 0
    for row in range(values.shape[0]):
        form = np.int64(forms[row])
        value = values[row]
        if form == _WITHHELD:
            for place in range(anonymous.shape[0]):
                data[at + place] = anonymous[place]
            at += anonymous.shape[0]
        elif value > 0:
            for place in range(prefix_lengths[form]):
                data[at + place] = prefixes[form, place]
            at += prefix_lengths[form]
            digits, rest = 0, value
            while rest > 0:
                rest //= 10
                digits += 1
            rest = value
            for place in range(digits):
                data[at + digits - 1 - place] = 48 + rest % 10
                rest //= 10
            at += digits
        offsets[row + 1] = at
    return at
