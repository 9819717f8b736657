"""Receipt numbers: sixteen digits that nobody guesses and that can be read out on the telephone. Pure.

Fourteen digits are by chance, the last two check them (ISO/IEC 7064, MOD 97-10): every wrong digit, every two digits
that changed places and nearly every other mistake is told at once. With a million reports one guess in a hundred
million hits one, and guesses are limited. Digits alone: every telephone has them, and both languages read them out.
"""

from __future__ import annotations

import unicodedata
from typing import Final

DIGITS: Final = 16
#: Bytes of chance that a number is made of.
BYTES: Final = 16
_RANDOM: Final = 10**14
_MODULUS: Final = 97
_GROUP: Final = 4


def new_receipt(randomness: bytes) -> str:
    """A receipt number out of BYTES bytes that nobody can predict."""
    body = int.from_bytes(randomness) % _RANDOM
    return f"{body:014d}{(_MODULUS + 1 - body * 100 % _MODULUS) % _MODULUS:02d}"


def read_receipt(text: str) -> str:
    """The sixteen digits that somebody wrote, in any script's digits, however divided; "" where they are wrong."""
    digits = []
    for letter in text[:200]:
        value = unicodedata.digit(letter, None)
        if value is not None:
            digits.append(str(value))
        elif letter.isalnum():
            return ""
    found = "".join(digits)
    return found if len(found) == DIGITS and int(found) % _MODULUS == 1 else ""


def show_receipt(receipt: str) -> str:
    """Four groups of four."""
    return " ".join(receipt[at : at + _GROUP] for at in range(0, len(receipt), _GROUP))
