"""How numbers are shown, masked and named."""

from __future__ import annotations

import pytest

from hutong.kernel.numbering import (
    AREAS,
    COUNTRIES,
    FAULTS,
    FORMS,
    KLASSES,
    NO_KEY,
    OPERATORS,
    Numbering,
    label,
    mask,
    text_key,
    trunk_key,
)
from hutong.kernel.numbering.plan import Plan

NUMBERING = Numbering()
TABLES = {
    "class": KLASSES,
    "country": COUNTRIES,
    "operator": OPERATORS,
    "area": AREAS,
    "form": FORMS,
    "fault": FAULTS,
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+8613800138000", "13800138000"),
        ("+862162345678", "021-62345678"),
        ("+8675526543210", "0755-26543210"),
        ("010110", "110"),
        ("01096156", "010-96156"),
        ("0014155550123", "+14155550123"),
        ("62345678", "62345678"),
        ("10110", "10110"),
    ],
)
def test_numbers_show_as_people_write_them(text: str, shown: str) -> None:
    assert NUMBERING.show(NUMBERING.read(text).key) == shown


def test_a_local_number_of_nowhere_shows_in_full_to_a_node_with_a_home() -> None:
    key = NUMBERING.read("62345678").key
    assert Numbering("021").show(key) == "+8662345678"


def test_keys_that_are_no_number_show_their_kind() -> None:
    assert NUMBERING.show(text_key("alice")).startswith("text:")
    assert NUMBERING.show(trunk_key("alice")).startswith("trunk:")
    assert NUMBERING.show(NUMBERING.read("1" * 20).key).startswith("digits:")
    assert NUMBERING.show(NO_KEY) == ""


@pytest.mark.parametrize(
    ("shown", "masked"),
    [
        ("13800138000", "138****8000"),
        ("021-62345678", "021-****5678"),
        ("+14155550123", "+141****0123"),
        ("12345", "12345"),
        ("alice", "a****"),
        ("", ""),
    ],
)
def test_masking(shown: str, masked: str) -> None:
    assert mask(shown) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [("13800138000", "138****8000"), ("4008123123", "4008123123"), ("95013000", "95013000"), ("+86", "+86")],
)
def test_service_lines_stay_readable(text: str, masked: str) -> None:
    assert NUMBERING.mask(NUMBERING.read(text).key) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+86110", "110"),
        ("+8696110", "96110"),
        ("008695588", "95588"),
        ("+86 400 812 3456", "4008123456"),
        ("8613800138000", "138****8000"),
        ("+44 20 7946 0958", "+4420****0958"),
        ("alice", "a****"),
        ("12345678901234567890", "123456789012****7890"),
        ("", ""),
    ],
)
def test_however_a_number_is_written_it_is_masked_alike(text: str, masked: str) -> None:
    assert NUMBERING.mask_written(text) == masked
    assert NUMBERING.mask(NUMBERING.read(text).key, text) == masked or not text


def test_every_value_has_a_name_in_both_languages() -> None:
    for kind, table in TABLES.items():
        for code, name in enumerate(table):
            for lang in ("zh", "en"):
                assert label(kind, code, lang)
                assert label(kind, code, lang) == label(kind, name, lang)
            assert label(kind, code, "zh") != label(kind, code, "en")


def test_tables_begin_with_nothing_and_repeat_nothing() -> None:
    for kind, table in TABLES.items():
        assert table[0] == ("unknown" if kind == "class" else "none")
        assert len(set(table)) == len(table)


def test_labels() -> None:
    assert label("area", "0755", "zh") == "广东深圳市"
    assert label("area", "010", "en") == "Beijing"
    assert label("country", "TW", "zh") == "中国台湾"
    assert label("operator", "virtual-mobile", "zh") == "虚拟运营商（中国移动转售）"
    assert label("line", "12395", "zh") == "水上遇险求救"
    assert label("line", "12306", "en") == "railways"
    assert label("line", "10", "en") == "10"


def test_the_data_names_every_area_once_and_only_numbers_that_exist() -> None:
    plan = Plan()
    assert len(AREAS) - 1 == len(plan.areas) > 300
    for area in plan.areas:
        for length in area.lengths:
            number = NUMBERING.read(f"0{area.code}{'2' * length}")
            assert (number.klass, number.area) == ("fixed", f"0{area.code}")
    for kind, name in plan.labels:
        if kind == "line":
            assert NUMBERING.read(name).klass in {"emergency", "public"}
