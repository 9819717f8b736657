"""Numbers of Chinese identity cards (GB 11643-1999): their form, their check character, the birthday in them. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
_FORM: Final = re.compile(r"[1-9][0-9]{16}[0-9X]")


def has_form(number: str) -> bool:
    """Whether it has 18 digits, the last of which may be X."""
    return _FORM.fullmatch(number) is not None


def check_character(number: str) -> str:
    """The last character that the first 17 digits ask for: ISO 7064 MOD 11-2."""
    return _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True)) % len(_CHECKS)]


def birthday(number: str) -> date | None:
    """The day of birth in a number that has the form; None where it is no day."""
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
