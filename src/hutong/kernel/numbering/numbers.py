"""Numbers as Python and people see them: read, shown, masked and named. The compiled reader decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hutong.kernel.numbering import codes
from hutong.kernel.numbering.keys import KIND_TEXT, KIND_TRUNK, NO_KEY, digits_of, key_kind
from hutong.kernel.numbering.plan import CHINA, Plan
from hutong.kernel.numbering.reader import read_number

if TYPE_CHECKING:
    from hutong.kernel.numbering.plan import PlanArrays

_PLAN = Plan()
_ARRAYS = _PLAN.arrays()

COUNTRIES = _PLAN.country_names
OPERATORS = _PLAN.operator_names
AREAS = _PLAN.area_names

_TABLES = {
    "class": codes.KLASSES,
    "form": codes.FORMS,
    "fault": codes.FAULTS,
    "country": COUNTRIES,
    "operator": OPERATORS,
    "area": AREAS,
}
_TAIL = 4  # digits that a masked number still shows at its end
_HIDDEN = 4  # digits hidden before them
_SERVICES = frozenset(codes.KLASSES[codes.KLASS_NATIONAL_SERVICE : codes.KLASS_PUBLIC + 1])
_PUBLIC_DIGITS = 6  # a number as short as this is a service line and belongs to no person


class Number(msgspec.Struct, frozen=True):
    """A number as read.

    Attributes:
        key: the int64 key it is kept under.
        digits: canonical E.164 without +; empty for text and for digits that no number can hold.
        klass, country, operator, area, form, fault: values of the enumerations of this package.
    """

    key: int
    digits: str
    klass: str
    country: str
    operator: str
    area: str
    form: str
    fault: str

    @property
    def place(self) -> tuple[str, str]:
        """Area and operator; "" for what it has none of."""
        return ("" if self.area == "none" else self.area), ("" if self.operator == "none" else self.operator)


class Numbering:
    """Reads, shows and masks numbers for a node.

    Args:
        home_area: the area whose code local numbers lack, such as "0755"; empty where there is none.

    Raises:
        ConfigError: `home_area` is no area code of mainland China.
    """

    def __init__(self, home_area: str = "") -> None:
        self.arrays: PlanArrays = _PLAN.at_home(_ARRAYS, home_area)

    def read(self, text: str, *, abroad: bool = False) -> Number:
        """The number that `text` writes; never fails.

        `abroad` is for the caller of a call on an international trunk.
        """
        raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
        out = np.zeros(codes.NUMBER_FIELDS, dtype=np.int64)
        read_number(self.arrays, raw, 0, len(raw), int(abroad), out)
        key, klass, country, operator, area, form, fault = (int(value) for value in out)
        return Number(
            key=key,
            digits=digits_of(key),
            klass=codes.KLASSES[klass],
            country=COUNTRIES[country],
            operator=OPERATORS[operator],
            area=AREAS[area],
            form=codes.FORMS[form],
            fault=codes.FAULTS[fault],
        )

    def show(self, key: int) -> str:
        """The number of `key` as people write it; reads back to the same key.

        138…, 021-62345678 and 110 for Chinese numbers, + and E.164 for all others. What is kept only as a hash
        shows as its kind and the hash, and no key at all as nothing.
        """
        digits = digits_of(key)
        if not digits:
            return _show_hash(key)
        if not digits.startswith(CHINA):
            return f"+{digits}"
        national = digits.removeprefix(CHINA)
        number = self.read(f"+{digits}")
        forms = [national]
        if number.area != "none":
            code = number.area.removeprefix("0")
            forms.insert(0, f"0{code}-{national.removeprefix(code)}")
        # A number that cannot be dialled so (no such range, or a neighbour's local number) shows in full; one whose
        # first digits are an area's and the rest a service's (10110) is that service after 0 and +86, so it stays bare.
        return next((shown for shown in forms if self.read(shown).key == key), f"+{digits}")

    def is_service(self, key: int) -> bool:
        """Whether the number is a service's (110, 12345, 10086, 95…, 96…, 400…, 800…), which points to no person."""
        digits = digits_of(key)
        return bool(digits) and self.read(f"+{digits}").klass in _SERVICES

    def mask(self, key: int, text: str = "") -> str:
        """A number for who has stated no purpose; the one rule of every page, export and answer.

        The number as shown, with four digits hidden (138****8000) unless it is a service's. `text`: what was written,
        masked in its place where the key is that of no number (a name, too many digits).
        """
        shown = self.show(key)
        if self.is_service(key):
            return shown
        return mask(shown if digits_of(key) else text or shown)

    def mask_written(self, text: str) -> str:
        """The same for a number of which only the writing is known."""
        return self.mask(self.read(text).key, text) if text else ""


def _show_hash(key: int) -> str:
    if key == NO_KEY:
        return ""
    kind = {KIND_TEXT: "text", KIND_TRUNK: "trunk"}.get(int(key_kind(key)), "digits")
    return f"{kind}:{key & ((1 << 50) - 1):013x}"


def mask(shown: str) -> str:
    """Hide the four digits before the last four; short lines stay readable, text keeps its first letter.

    021-62345678 becomes 021-****5678, and alice becomes a****.
    """
    places = [at for at, char in enumerate(shown) if char.isdigit()]
    if any(char.isalpha() for char in shown) or not places:
        return shown[:1] + "*" * len(shown[1:])
    if len(places) <= _PUBLIC_DIGITS:
        return shown
    hidden = places[-_TAIL - _HIDDEN : -_TAIL]
    return "".join("*" if at in hidden else char for at, char in enumerate(shown))


def label(kind: str, code: int | str, lang: str) -> str:
    """What people call a value.

    Args:
        kind: class, country, operator, area, form, fault; or line, for the name of one such as "12345".
        code: the value or its index; for a line its digits.
        lang: zh or en.

    Returns:
        The words, or the value itself where there are none.
    """
    name = _TABLES[kind][code] if isinstance(code, int) else code
    return _PLAN.labels.get((kind, name), {}).get(lang, name)
