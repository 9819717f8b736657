"""What a written target means, and which entries are refused."""

from __future__ import annotations

import pytest

from hutong.kernel.errors import ListError
from hutong.kernel.lists.targets import describe, draft, read_target
from hutong.kernel.numbering import Numbering


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("13800138000", "+8613800138000"),
        ("+86 138-0013-8000", "+8613800138000"),
        ("008613800138000", "+8613800138000"),
        ("021-62345678", "+862162345678"),
        ("95588", "+8695588"),
        ("+442079460958", "+442079460958"),
        ("+44*", "+44*"),
        ("0044*", "+44*"),
        ("0755*", "+86755*"),
        ("95*", "+8695*"),
        ("170*", "+86170*"),
        ("86170*", "+86170*"),
        ("100*", "+86100*"),
        ("010*", "+861000000000-+861099999999"),
        ("010-62*", "+861062000000-+861062999999"),
        ("1064*", "+861064000000000-+861064999999999"),
        ("02161230000-02161239999", "+862161230000-+862161239999"),
        ("13800000000 ~ 13800009999", "+8613800000000-+8613800009999"),
    ],
)
def test_targets_read_to_one_canonical_form(written: str, canonical: str) -> None:
    target = read_target(written)
    assert describe(target) == canonical
    assert read_target(canonical) == target


def test_a_local_number_is_completed_by_the_home_area() -> None:
    assert describe(read_target("62345678", Numbering("021"))) == "+862162345678"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "*",
        "+*",
        "00*",
        "0*",
        "10*",
        "alice",
        "12a*",
        "+1234567890123456",
        "+1234567890123456*",
        "010123456789*",
        "13800009999-13800000000",
        "１３８*",
    ],
)
def test_what_means_no_numbers_is_refused(written: str) -> None:
    with pytest.raises(ListError) as caught:
        read_target(written)
    assert caught.value.where == "target"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("target", "role"),
    [
        ("110", "callee"),
        ("+86110", "any"),
        ("021-110", "callee"),
        ("12110", "callee"),
        ("12345", "callee"),
        ("11*", "callee"),
        ("+86*", "any"),
        ("12*", "callee"),
    ],
)
def test_lines_that_must_be_reached_cannot_be_blocked_as_callee(target: str, role: str) -> None:
    with pytest.raises(ListError, match="must always be reached"):
        draft(target, reason="r", who="w", role=role)


@pytest.mark.parametrize(("target", "list_", "role"), [("110", "block", "caller"), ("110", "allow", "any")])
def test_forged_emergency_callers_can_be_blocked(target: str, list_: str, role: str) -> None:
    assert draft(target, list=list_, reason="r", who="w").role == role


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("list", "grey"),
        ("role", "both"),
        ("respond", 404),
        ("reason", "  "),
        ("who", ""),
        ("expires", -1),
        ("expires", 1 << 32),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str | int) -> None:
    fields: dict[str, str | int] = {"reason": "r", "who": "w", field: value}
    with pytest.raises(ListError) as caught:
        draft("13800138000", **fields)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.where == field
