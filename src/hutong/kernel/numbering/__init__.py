"""E.164 and the Chinese numbering plan: what a written number is, whose it is, and the key it is kept under.

`Numbering` is for people and Python; `read_number` with `Numbering(...).arrays` is the same for compiled code.
The operator is the one that the block is assigned to; a ported number may be served by another.
"""

from __future__ import annotations

from hutong.kernel.numbering.codes import FAULTS, FORMS, KLASSES, NUMBER_FIELDS
from hutong.kernel.numbering.keys import (
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
from hutong.kernel.numbering.numbers import (
    AREAS,
    COUNTRIES,
    OPERATORS,
    Number,
    Numbering,
    label,
    mask,
)
from hutong.kernel.numbering.plan import PlanArrays
from hutong.kernel.numbering.reader import read_number

__all__ = [
    "AREAS",
    "COUNTRIES",
    "FAULTS",
    "FORMS",
    "KLASSES",
    "NO_KEY",
    "NUMBER_FIELDS",
    "OPERATORS",
    "Number",
    "Numbering",
    "PlanArrays",
    "digits_of",
    "key_count",
    "key_kind",
    "key_of_digits",
    "key_value",
    "label",
    "mask",
    "pack_key",
    "read_number",
    "text_key",
    "trunk_key",
]
