"""What each written number is read as: vectors for every class, form and fault."""

from __future__ import annotations

import random

import pytest

from hutong.kernel.errors import ConfigError
from hutong.kernel.numbering import Number, Numbering, key_of_digits, text_key

NOWHERE = Numbering()
SHANGHAI = Numbering("021")
SHENZHEN = Numbering("0755")


def _read(text: str, *, abroad: bool = False) -> Number:
    return NOWHERE.read(text, abroad=abroad)


@pytest.mark.parametrize(
    ("text", "klass", "operator"),
    [
        ("13300000000", "mobile", "telecom"),
        ("14900000000", "mobile", "telecom"),
        ("19300000000", "mobile", "telecom"),
        ("13480000000", "mobile", "mobile"),
        ("13800138000", "mobile", "mobile"),
        ("17200000000", "mobile", "mobile"),
        ("19800000000", "mobile", "mobile"),
        ("13000000000", "mobile", "unicom"),
        ("16600000000", "mobile", "unicom"),
        ("19600000000", "mobile", "unicom"),
        ("19200000000", "mobile", "broadnet"),
        ("16100000000", "mobile", "none"),
        ("16200000000", "virtual", "virtual-telecom"),
        ("17020000000", "virtual", "virtual-telecom"),
        ("16500000000", "virtual", "virtual-mobile"),
        ("17060000000", "virtual", "virtual-mobile"),
        ("16700000000", "virtual", "virtual-unicom"),
        ("17040000000", "virtual", "virtual-unicom"),
        ("17100000000", "virtual", "virtual-unicom"),
        ("13490000000", "satellite", "telecom"),
        ("17405000000", "satellite", "telecom"),
        ("17406000000", "satellite", "emergency-satellite"),
        ("17490000000", "satellite", "maritime-satellite"),
        ("16190000000", "satellite", "none"),
        ("1400000000000", "iot", "unicom"),
        ("1410000000000", "iot", "telecom"),
        ("1440000000000", "iot", "mobile"),
        ("1460000000000", "iot", "unicom"),
        ("14600000000", "mobile", "unicom"),
        ("1480000000000", "iot", "mobile"),
        ("14800000000", "mobile", "mobile"),
        ("1064800000000", "iot", "mobile"),
        ("1064900000000", "iot", "telecom"),
        ("95588", "national-service", "none"),
        ("95013000", "national-service", "none"),
        ("95013123456", "national-service", "none"),
        ("10108888", "national-service", "none"),
        ("96156", "provincial-service", "none"),
        ("8008108888", "freephone", "none"),
        ("4008123123", "shared-cost", "none"),
        ("10000", "operator-service", "telecom"),
        ("10010", "operator-service", "unicom"),
        ("10086", "operator-service", "mobile"),
        ("1008611", "operator-service", "mobile"),
        ("10099", "operator-service", "broadnet"),
        ("10024", "operator-service", "none"),
        ("12580", "operator-service", "mobile"),
        ("17951", "operator-service", "none"),
        ("110", "emergency", "none"),
        ("119", "emergency", "none"),
        ("120", "emergency", "none"),
        ("122", "emergency", "none"),
        ("112", "emergency", "none"),
        ("999", "emergency", "none"),
        ("12110", "emergency", "none"),
        ("12110755", "emergency", "none"),
        ("12119", "emergency", "none"),
        ("12122", "emergency", "none"),
        ("12395", "emergency", "none"),
        ("95110", "emergency", "none"),
        ("12345", "public", "none"),
        ("12321", "public", "none"),
        ("12381", "public", "none"),
        ("12306", "public", "none"),
        ("96110", "public", "none"),
        ("114", "public", "none"),
        ("116114", "public", "unicom"),
        ("118114", "public", "telecom"),
    ],
)
def test_chinese_numbers_without_an_area(text: str, klass: str, operator: str) -> None:
    digits = f"86{text}"
    number = Number(
        key=key_of_digits(digits),
        digits=digits,
        klass=klass,
        country="CN",
        operator=operator,
        area="none",
        form="national",
        fault="none",
    )
    assert _read(text) == number
    assert _read(text, abroad=True) == number


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("010 6234 5678", "010"),
        ("021-62345678", "021"),
        ("0311-81234567", "0311"),
        ("0335-3123456", "0335"),
        ("0451-81234567", "0451"),
        ("0512-61234567", "0512"),
        ("0592-2123456", "0592"),
        ("0755-26543210", "0755"),
        ("0851-5123456", "0851"),
        ("0851-85123456", "0851"),
        ("0891-6312345", "0891"),
        ("0898-65312345", "0898"),
        ("0991-2812345", "0991"),
        ("0999-8012345", "0999"),
    ],
)
def test_fixed_numbers_have_their_area(text: str, area: str) -> None:
    number = _read(text)
    assert (number.klass, number.area, number.country, number.fault) == ("fixed", area, "CN", "none")


@pytest.mark.parametrize(
    ("text", "area"),
    [("010-2345678", "too-short"), ("0592-21234567", "too-long"), ("0755-12345678", "unallocated")],
)
def test_a_subscriber_number_of_the_wrong_length_or_first_digit_is_a_fault(text: str, area: str) -> None:
    number = _read(text)
    assert (number.klass, number.area, number.fault) == ("unknown", "none", area)


@pytest.mark.parametrize(
    ("text", "klass", "digits", "area"),
    [
        ("0755110", "emergency", "86110", "0755"),
        ("+86 755 110", "emergency", "86110", "0755"),
        ("010-12345", "public", "8612345", "010"),
        ("021 95588", "national-service", "8695588", "021"),
        ("0999 120", "emergency", "86120", "0999"),
        ("028-96110", "public", "8696110", "028"),
        ("028-96156", "provincial-service", "862896156", "028"),
    ],
)
def test_a_service_number_after_an_area_code_is_the_same_line(text: str, klass: str, digits: str, area: str) -> None:
    number = _read(text)
    assert (number.klass, number.digits, number.area, number.fault) == (klass, digits, area, "none")


@pytest.mark.parametrize("text", ["+86110", "0086110", "+86 12110", "0110", "+8612395"])
def test_emergency_numbers_are_known_with_any_prefix(text: str) -> None:
    assert _read(text).klass == "emergency"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("13800138000", "national"),
        ("013800138000", "national"),
        ("+8613800138000", "international"),
        ("008613800138000", "international"),
        ("+008613800138000", "international"),
        ("8613800138000", "bare"),
        ("86 138-0013.8000", "bare"),
        ("(+86) 138 0013 8000", "international"),
        ("+86 0138 0013 8000", "international"),
        ("17951 13800138000", "national"),
        ("12593013800138000", "national"),
        ("17909008613800138000", "international"),
    ],
)
def test_one_mobile_number_written_in_many_ways(text: str, form: str) -> None:
    number = _read(text)
    assert (number.key, number.form) == (key_of_digits("8613800138000"), form)


@pytest.mark.parametrize(
    "text", ["+86 (0)755 2654 3210", "+86075526543210", "0086 755 26543210", "86075526543210", "75526543210"]
)
def test_an_area_code_with_and_without_its_zero(text: str) -> None:
    number = _read(text)
    assert (number.digits, number.area, number.fault) == ("8675526543210", "0755", "none")


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+14155550123", "US"),
        ("+14165550123", "CA"),
        ("+18765550123", "JM"),
        ("+442079460958", "GB"),
        ("+441534960123", "JE"),
        ("+79123456789", "RU"),
        ("+77012345678", "KZ"),
        ("0085291234567", "HK"),
        ("+85362123456", "MO"),
        ("+886912345678", "TW"),
        ("+80012345678", "001"),
        ("+881612345678", "001"),
    ],
)
def test_foreign_numbers_have_their_region(text: str, country: str) -> None:
    number = _read(text)
    assert (number.klass, number.country, number.form, number.fault) == (
        "foreign",
        country,
        "international",
        "none",
    )


@pytest.mark.parametrize(
    ("text", "klass", "fault"),
    [
        ("", "unknown", "too-short"),
        ("+", "unknown", "too-short"),
        ("0", "unknown", "too-short"),
        ("00", "unknown", "too-short"),
        ("+86", "unknown", "too-short"),
        ("1380013800", "unknown", "too-short"),
        ("138001380001", "unknown", "too-long"),
        ("15400000000", "unknown", "unallocated"),
        ("14212345678", "unknown", "unallocated"),
        ("+8615400000000", "unknown", "unallocated"),
        ("+999123456", "unknown", "unallocated"),
        ("+0755 26543210", "unknown", "unallocated"),
        ("+1415555012", "foreign", "too-short"),
        ("+141555501234", "foreign", "too-long"),
        ("+1234567890123456", "unknown", "too-long"),
        ("12345678901234567", "unknown", "too-long"),
        ("1101", "unknown", "too-long"),
        ("alice", "text", "not-digits"),
        ("+86138x", "text", "not-digits"),
        ("1+2", "text", "not-digits"),
        ("護通", "text", "not-digits"),
    ],
)
def test_faults(text: str, klass: str, fault: str) -> None:
    number = _read(text)
    assert (number.klass, number.fault) == (klass, fault)


@pytest.mark.parametrize("abroad", [False, True])
def test_eleven_digits_are_the_same_number_with_a_dash_among_them(abroad: bool) -> None:  # noqa: FBT001
    some = random.Random(11)
    for digits in (some.randrange(10**11) for _ in range(3000)):
        # Every first digit, and mobile numbers above all.
        text = f"{digits:011d}" if digits % 2 else f"1{digits % 10**10:010d}"
        assert SHANGHAI.read(text, abroad=abroad) == SHANGHAI.read(f"{text[:4]}-{text[4:]}", abroad=abroad), text


def test_text_is_kept_under_its_hash() -> None:
    number = _read("Anonymous")
    assert (number.key, number.digits, number.form) == (text_key("anonymous"), "", "text")


def test_a_local_number_is_completed_by_the_home_area() -> None:
    number = SHANGHAI.read("62345678")
    assert (number.digits, number.area, number.form) == ("862162345678", "021", "local")
    assert SHENZHEN.read("26543210").digits == "8675526543210"


def test_a_local_number_without_home_area_stays_incomplete() -> None:
    number = _read("62345678")
    assert (number.klass, number.digits, number.area, number.form) == ("fixed", "8662345678", "none", "local")


def test_a_length_that_the_home_area_does_not_have_is_not_local() -> None:
    assert SHANGHAI.read("6234567").fault == "unallocated"


def test_86_before_a_service_number_gives_way_to_a_local_number_only_at_home() -> None:
    assert _read("8695588").klass == "national-service"
    assert SHANGHAI.read("86955881").area == "021"
    assert SHANGHAI.read("86955881", abroad=True).klass == "national-service"


def test_on_an_international_trunk_bare_digits_are_foreign_before_they_are_local() -> None:
    assert _read("85291234567", abroad=True).country == "HK"
    assert _read("2162345678").area == "021"
    assert _read("37167123456").area == "0371"
    assert _read("37167123456", abroad=True).country == "LV"


def test_at_home_a_bare_1_is_never_north_america() -> None:
    assert _read("15412345678").fault == "unallocated"
    abroad = _read("15412345678", abroad=True)
    assert (abroad.country, abroad.form, abroad.fault) == ("US", "bare", "none")


@pytest.mark.parametrize("text", ["86", "860", "8601", "8612", "86000000001", "860000000000000"])
def test_on_an_international_trunk_bare_86_is_china_as_after_a_plus(text: str) -> None:
    bare, plus = _read(text, abroad=True), _read(f"+{text}")
    assert (bare.key, bare.klass, bare.country, bare.fault) == (plus.key, plus.klass, plus.country, plus.fault)
    assert (bare.klass, bare.country, bare.form) == ("unknown", "CN", "bare")


def test_what_a_handset_shows_as_chinese_is_chinese_on_an_international_trunk_too() -> None:
    number = _read("13052345678", abroad=True)
    assert (number.country, number.klass, number.form) == ("CN", "mobile", "national")


def test_an_unknown_home_area_is_refused() -> None:
    with pytest.raises(ConfigError, match="no area code"):
        Numbering("0000")
