"""Number keys: one int64 that stands for a number, a text or a trunk wherever state is kept by number.

Only the layout of the key and its packing belong here. Which digits are canonical is the reader's business.

    bits 0..49   value: the canonical digits as an integer, or a 50-bit hash
    bits 50..54  count of digits (keys of one count sort as their numbers do, and leading zeros stay distinct)
    bits 55..57  kind

A key is below 2**58 and 0 stands for no number at all.
"""

from __future__ import annotations

import numpy as np

from hutong.kernel.compiled import compiled

KIND_NONE = 0
KIND_NUMBER = 1  # E.164 digits with country code; short Chinese numbers are 86 + number
KIND_TEXT = 2  # a user part that is no telephone number
KIND_TRUNK = 3  # a trunk, by name
KIND_ODD = 4  # digits that no plan can hold: none at all, or more than 15

MAX_DIGITS = 15  # ITU-T E.164 clause 6.2.1
NO_KEY = 0

_COUNT_SHIFT = 50
_KIND_SHIFT = 55
_VALUE_MASK = (1 << 50) - 1
_COUNT_MASK = 31
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_FOLD_SHIFT = np.uint64(50)
_FOLD_MASK = np.uint64(_VALUE_MASK)
_DIGIT_0, _DIGIT_9 = 48, 57
_UPPER_A, _UPPER_Z, _TO_LOWER = 65, 90, 32


@compiled
def pack_key(value: int, count: int, kind: int) -> int:
    """The key of `value` (below 2**50), `count` digits (0..31) and `kind` (0..7)."""
    return value | (count << _COUNT_SHIFT) | (kind << _KIND_SHIFT)


@compiled
def key_value(key: int) -> int:
    """The digits as an integer, or the hash."""
    return key & _VALUE_MASK


@compiled
def key_count(key: int) -> int:
    """How many digits the canonical number has; 0 for anything that is no number."""
    return (key >> _COUNT_SHIFT) & _COUNT_MASK


@compiled
def key_kind(key: int) -> int:
    """One of the KIND constants."""
    return key >> _KIND_SHIFT


@compiled
def hash_text(text: np.ndarray, start: int, end: int) -> int:
    """FNV-1a (64 bits, folded to 50) of the ASCII-lower-cased bytes `text[start:end]`, a uint8 array."""
    state = _FNV_OFFSET
    for at in range(start, end):
        byte = np.int64(text[at])
        if _UPPER_A <= byte <= _UPPER_Z:
            byte += _TO_LOWER
        state = (state ^ np.uint64(byte)) * _FNV_PRIME
    return int(np.int64((state ^ (state >> _FOLD_SHIFT)) & _FOLD_MASK))


@compiled
def hash_digits(text: np.ndarray, start: int, end: int) -> int:
    """The same hash over the ASCII digits of `text[start:end]` alone, so that separators do not count."""
    state = _FNV_OFFSET
    for at in range(start, end):
        byte = np.int64(text[at])
        if _DIGIT_0 <= byte <= _DIGIT_9:
            state = (state ^ np.uint64(byte)) * _FNV_PRIME
    return int(np.int64((state ^ (state >> _FOLD_SHIFT)) & _FOLD_MASK))


def _hash(text: str) -> int:
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    return int(hash_text(raw, 0, len(raw)))


def key_of_digits(digits: str) -> int:
    """The key of canonical E.164 digits (no +), such as "8613800138000"; of none or more than 15, an odd key.

    Raises:
        ValueError: `digits` holds something else than the digits 0-9.
    """
    if digits and not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{digits!r} is not a row of digits")
    if not 0 < len(digits) <= MAX_DIGITS:
        return int(pack_key(_hash(digits), 0, KIND_ODD))
    return int(pack_key(int(digits), len(digits), KIND_NUMBER))


def text_key(text: str) -> int:
    """The key of a user part that is no telephone number; letter case does not count."""
    return int(pack_key(_hash(text), 0, KIND_TEXT))


def trunk_key(name: str) -> int:
    """The key of a trunk, by its name; letter case does not count."""
    return int(pack_key(_hash(name), 0, KIND_TRUNK))


def digits_of(key: int) -> str:
    """The canonical digits of a number key, leading zeros included; empty for every other kind."""
    if key >> _KIND_SHIFT != KIND_NUMBER:
        return ""
    return f"{key & _VALUE_MASK:0{key >> _COUNT_SHIFT & _COUNT_MASK}d}"
