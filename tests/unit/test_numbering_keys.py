"""The layout of number keys."""

from __future__ import annotations

import numpy as np
import pytest

from hutong.kernel.numbering import (
    NO_KEY,
    digits_of,
    key_count,
    key_kind,
    key_of_digits,
    key_value,
    pack_key,
    text_key,
    trunk_key,
)
from hutong.kernel.numbering.keys import KIND_NUMBER, KIND_ODD, KIND_TEXT, KIND_TRUNK, hash_digits, hash_text


def test_a_key_has_value_count_and_kind_where_the_layout_says() -> None:
    key = key_of_digits("8613800138000")
    assert key & ((1 << 50) - 1) == 8613800138000
    assert key >> 50 & 31 == 13
    assert key >> 55 == KIND_NUMBER
    assert (key_value(key), key_count(key), key_kind(key)) == (8613800138000, 13, KIND_NUMBER)
    assert pack_key(8613800138000, 13, KIND_NUMBER) == key


def test_leading_zeros_make_different_keys() -> None:
    assert len({key_of_digits(digits) for digits in ("1", "01", "001")}) == 3
    assert digits_of(key_of_digits("001")) == "001"


@pytest.mark.parametrize("digits", ["", "1234567890123456"])
def test_digits_that_no_number_can_hold_are_hashed(digits: str) -> None:
    key = key_of_digits(digits)
    assert key_kind(key) == KIND_ODD
    assert key_count(key) == 0
    assert digits_of(key) == ""


@pytest.mark.parametrize("digits", ["12a", "+86", " 1", "１２３"])
def test_what_is_no_row_of_digits_is_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="not a row of digits"):
        key_of_digits(digits)


def test_text_and_trunk_keys_do_not_meet_and_ignore_letter_case() -> None:
    assert text_key("Anonymous") == text_key("anonymous")
    assert trunk_key("Gateway-1") == trunk_key("gateway-1")
    assert text_key("gateway-1") != trunk_key("gateway-1")
    assert key_kind(text_key("x")) == KIND_TEXT
    assert key_kind(trunk_key("x")) == KIND_TRUNK
    assert digits_of(text_key("x")) == ""
    assert digits_of(NO_KEY) == ""


def test_the_hash_is_fnv_1a_folded_to_fifty_bits() -> None:
    # The 64-bit FNV-1a of "foobar" is published with the algorithm: draft-eastlake-fnv, appendix C.
    published = 0x85944171F73967E8
    assert key_value(text_key("foobar")) == (published ^ published >> 50) & ((1 << 50) - 1)


def test_hashes_agree_with_their_python() -> None:
    raw = np.frombuffer(b"(AbC) 12-34+\xff", dtype=np.uint8)
    with np.errstate(over="ignore"):
        assert hash_text.py_func(raw, 0, len(raw)) == hash_text(raw, 0, len(raw))
        assert hash_digits.py_func(raw, 0, len(raw)) == hash_digits(raw, 0, len(raw))


def test_separators_do_not_count_in_the_hash_of_digits() -> None:
    plain, spaced = (np.frombuffer(text, dtype=np.uint8) for text in (b"1234", b" (12) 3-4"))
    assert hash_digits(plain, 0, len(plain)) == hash_digits(spaced, 0, len(spaced))
