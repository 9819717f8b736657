"""Values of a case's fields, checked against its type."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from hutong.kernel.cases.errors import CaseRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.kernel.cases.model import Value
    from hutong.kernel.cases.types import CaseType, FieldSpec

_NUMBER: Final = re.compile(r"\+?[0-9]{2,20}")
_LONGEST: Final = 2000
_LONGEST_TITLE: Final = 200
_LARGEST: Final = 10**15
_LONGEST_KEY: Final = 100


def check_fields(kind: CaseType, fields: Mapping[str, Value], *, part: bool = False) -> dict[str, Value]:
    """The fields as they are kept.

    Args:
        part: only some are given, as where a case is amended.

    Raises:
        CaseRefused: "field": one is unknown, missing or of another kind.
    """
    known = kind.by_name
    for name in fields:
        if name not in known:
            raise CaseRefused("field", f"{kind.id} has no field {name!r}.", fix=f"Fields: {', '.join(known)}.")
    for spec in kind.fields:
        if spec.required and not part and fields.get(spec.name, "") == "":
            raise CaseRefused("field", f"The field {spec.name} is missing.", where=spec.name)
        if spec.required and part and fields.get(spec.name, "given") == "":
            raise CaseRefused("field", f"The field {spec.name} cannot be empty.", where=spec.name)
    return {name: check_value(known[name], value) for name, value in fields.items()}


def check_value(spec: FieldSpec, value: Value) -> Value:
    """A value as it is kept.

    Raises:
        CaseRefused: "field": it is of another kind.
    """
    if value == "":
        return ""
    wrong = _wrong(spec, value)
    if wrong:
        raise CaseRefused("field", f"{spec.name} takes {wrong}.", where=spec.name)
    return value.strip() if isinstance(value, str) else value


def _wrong(spec: FieldSpec, value: Value) -> str:
    """What the field takes instead; empty where the value fits."""
    truth, text = isinstance(value, bool), value.strip() if isinstance(value, str) else None
    match spec.kind:
        case "flag":
            fits, wanted = truth, "true or false"
        case "count":
            fits = isinstance(value, int) and not truth and 0 <= value <= _LARGEST
            wanted = "a whole number from 0"
        case "amount":
            fits = isinstance(value, int | float) and not truth and 0 <= value <= _LARGEST
            wanted = "an amount from 0"
        case "number":
            fits, wanted = text is not None and _NUMBER.fullmatch(text) is not None, "a telephone number, digits alone"
        case "date":
            fits, wanted = text is not None and _is_date(text), "a date like 2026-03-01"
        case "choice":
            fits, wanted = text in spec.choices, f"one of {', '.join(spec.choices)}"
        case "text":
            fits, wanted = text is not None and len(text) <= _LONGEST and is_text(text), "a text of up to 2000 letters"
    return "" if fits else wanted


def read_title(text: str) -> str:
    """The title of a case or a register, without blanks around it.

    Raises:
        CaseRefused: "field": it is empty, too long, or holds control letters.
    """
    title = text.strip()
    if not title or len(title) > _LONGEST_TITLE or not is_text(title):
        raise CaseRefused("field", "The title is empty, too long, or holds control letters.", where="title")
    return title


def is_text(text: str) -> bool:
    """Whether a text can be kept and shown: no control letters but line ends and tabs, no halves of letters."""
    return all(letter.isprintable() or letter in "\n\t\u3000\u00a0" for letter in text)


def read_value(spec: FieldSpec, text: str) -> Value:
    """A value out of a text, as files and forms give it.

    Raises:
        CaseRefused: "field": it does not read.
    """
    text = text.strip()
    if not text:
        return ""
    value: Value = text
    try:
        if spec.kind == "count":
            value = int(text)
        elif spec.kind == "amount":
            value = float(text.replace(",", ""))
    except ValueError:
        value = text  # refused below, in the field's own words
    if spec.kind == "flag":
        value = {"是": True, "yes": True, "true": True, "1": True}.get(text.lower(), value)
        value = {"否": False, "no": False, "false": False, "0": False}.get(text.lower(), value)
    return check_value(spec, value)


def keys_of(kind: CaseType, fields: Mapping[str, Value]) -> frozenset[str]:
    """What a case is found by: values of its searched fields, as `key_of` makes them."""
    values = (fields.get(spec.name, "") for spec in kind.fields if spec.search)
    return frozenset(key for key in (key_of(str(value)) for value in values) if key)


def key_of(text: str) -> str:
    """A value in the form in which it is looked for: lower case, blanks out, country code of China out."""
    key = "".join(text.lower().split())
    return key.removeprefix("+86")[:_LONGEST_KEY]


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == len("2026-03-01")
