"""What holds for every number: one key however it is written, and an answer whatever the bytes."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

import numpy as np
import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hutong.kernel.numbering import (
    AREAS,
    COUNTRIES,
    FAULTS,
    FORMS,
    KLASSES,
    NUMBER_FIELDS,
    OPERATORS,
    Numbering,
    digits_of,
    key_count,
    key_kind,
    key_of_digits,
    key_value,
    pack_key,
    reader,
)
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.numbering.keys import KIND_NUMBER, KIND_ODD, KIND_TEXT
from hutong.kernel.numbering.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERINGS = [Numbering(), Numbering("021"), Numbering("0592")]
TABLES = (KLASSES, COUNTRIES, OPERATORS, AREAS, FORMS, FAULTS)

digit_rows = st.text("0123456789", min_size=1, max_size=15)
numberings = st.sampled_from(NUMBERINGS)
written = st.text("0123456789+-.() ", max_size=26) | st.text(max_size=12)
_SUBSCRIBER = st.integers(20_000_000, 89_999_999).map(str)


PLAN = Plan()


@st.composite
def _fixed(draw: st.DrawFn) -> str:
    area = draw(st.sampled_from(PLAN.areas))
    return area.code + draw(_SUBSCRIBER)[: draw(st.sampled_from(area.lengths))]


mobile = st.tuples(st.sampled_from(["138", "1349", "170", "199", "162"]), st.integers(0, 99_999_999)).map(
    lambda pair: (pair[0] + f"{pair[1]:08d}")[:11]
)
service = st.sampled_from(["110", "12110", "12345", "10086", "95588", "4008123123", "8008108888", "116114"])


def _pure() -> Callable[..., None]:
    """The reader as plain Python, through and through."""
    space = dict(vars(reader))
    for name, value in vars(reader).items():
        if getattr(value, "__module__", "") == reader.__name__ and hasattr(value, "py_func"):
            space[name] = FunctionType(value.py_func.__code__, space, name)
    return space["read_number"]


PURE = _pure()


def _sprinkle(draw: st.DataObject, text: str) -> str:
    """Put separators between the characters."""
    gaps = draw.draw(st.lists(st.sampled_from(["", "", "-", " ", ".", "(", ")"]), min_size=len(text)))
    return "".join(char + gap for char, gap in zip(text, gaps, strict=False))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), national=mobile | service | _fixed(), abroad=st.booleans())
def test_every_written_form_of_a_chinese_number_has_one_key(
    data: st.DataObject, national: str, *, abroad: bool
) -> None:
    numbering = NUMBERINGS[0]
    key = key_of_digits(f"86{national}")
    for text in (f"0{national}", f"+86{national}", f"0086{national}", f"86{national}", f"+860{national}"):
        number = numbering.read(_sprinkle(data, text), abroad=abroad)
        assert (number.key, number.fault, number.country) == (key, "none", "CN")


@settings(max_examples=100, deadline=None)
@given(national=mobile | service, carrier=st.sampled_from(["17951", "17909", "12593", "10193"]))
def test_bare_and_carrier_prefixed_forms_have_that_key_too(national: str, carrier: str) -> None:
    key = key_of_digits(f"86{national}")
    assert NUMBERINGS[0].read(national).key == key
    if len(national) > 7:
        assert NUMBERINGS[0].read(carrier + national).key == key


@settings(max_examples=300, deadline=None)
@given(numbering=numberings, text=written, abroad=st.booleans())
@example(numbering=NUMBERINGS[0], text="860", abroad=True)
@example(numbering=NUMBERINGS[1], text="8601", abroad=True)
@example(numbering=NUMBERINGS[0], text="860000000000000", abroad=False)
@example(numbering=NUMBERINGS[0], text="10110", abroad=False)
def test_a_shown_number_reads_back_to_its_key(numbering: Numbering, text: str, *, abroad: bool) -> None:
    number = numbering.read(text, abroad=abroad)
    if number.digits:
        assert numbering.read(numbering.show(number.key)).key == number.key
        assert len(numbering.mask(number.key)) == len(numbering.show(number.key))


@settings(max_examples=400, deadline=None)
@given(numbering=numberings, text=st.binary(max_size=40) | written.map(str.encode), abroad=st.integers(0, 1))
def test_any_bytes_are_read_and_plain_python_reads_the_same(numbering: Numbering, text: bytes, abroad: int) -> None:
    raw = np.frombuffer(text, dtype=np.uint8)
    out, again = np.full(NUMBER_FIELDS, -1, np.int64), np.full(NUMBER_FIELDS, -2, np.int64)
    reader.read_number(numbering.arrays, raw, 0, len(raw), abroad, out)
    PURE(numbering.arrays, raw, 0, len(raw), abroad, again)
    assert out.tolist() == again.tolist()
    key, *codes = out.tolist()
    assert 0 < key < 1 << 62
    assert key_kind(key) in {KIND_NUMBER, KIND_TEXT, KIND_ODD}
    for code, table in zip(codes, TABLES, strict=True):
        assert 0 <= code < len(table)
    klass, fault = KLASSES[codes[0]], FAULTS[codes[5]]
    assert (klass in {"unknown", "text"}) <= (fault != "none")


@settings(max_examples=100, deadline=None)
@given(text=st.text("0123456789+- ", max_size=20), before=st.binary(max_size=8), after=st.binary(max_size=8))
def test_only_the_given_slice_is_read(text: str, before: bytes, after: bytes) -> None:
    raw = np.frombuffer(before + text.encode() + after, dtype=np.uint8)
    out = np.zeros(NUMBER_FIELDS, np.int64)
    reader.read_number(NUMBERINGS[0].arrays, raw, len(before), len(before) + len(text), 0, out)
    assert out[KEY] == NUMBERINGS[0].read(text).key


def _examples() -> list[tuple[str, str]]:
    """Every example number of every region and kind, with the region that the library gives it."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in range(11):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None and number.country_code != 86:
                text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
                found.append((text, phonenumbers.region_code_for_number(number)))
    return found


def test_foreign_examples_have_the_region_that_phonenumbers_gives_them() -> None:
    examples = _examples()
    assert len(examples) > 1000
    wrong = [
        (text, region, number)
        for text, region in examples
        for number in [NUMBERINGS[0].read(text)]
        if (number.country, number.klass, number.fault, number.digits)
        != (region, "foreign", "none", text.removeprefix("+"))
    ]
    assert wrong == []


@settings(max_examples=300, deadline=None)
@given(code=st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)), tail=digit_rows)
def test_valid_random_foreign_numbers_have_the_region_that_phonenumbers_gives_them(code: int, tail: str) -> None:
    digits = f"{code}{tail}"
    number = phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(tail),
        italian_leading_zero=tail.startswith("0") or None,
        number_of_leading_zeros=len(tail) - len(tail.lstrip("0")) or None,
    )
    if code == 86 or len(digits) > 15 or not tail.strip("0") or not phonenumbers.is_valid_number(number):
        return
    read = NUMBERINGS[0].read(f"+{digits}")
    assert (read.country, read.fault) == (phonenumbers.region_code_for_number(number), "none")


@given(digits=digit_rows)
def test_keys_round_trip(digits: str) -> None:
    key = key_of_digits(digits)
    assert digits_of(key) == digits
    assert pack_key(key_value(key), key_count(key), key_kind(key)) == key
    assert 0 < key < 1 << 62


@given(one=digit_rows, other=digit_rows)
def test_keys_of_one_length_sort_as_their_numbers(one: str, other: str) -> None:
    size = min(len(one), len(other))
    one, other = one[:size], other[:size]
    assert (key_of_digits(one) < key_of_digits(other)) == (one < other)


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_the_table_is_one_contiguous_array_of_small_integers(numbering: Numbering) -> None:
    table = numbering.arrays.table
    assert table.dtype == np.int32
    assert table.flags.c_contiguous
    assert table.nbytes < 1 << 20
