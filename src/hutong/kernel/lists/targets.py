"""What a written target means, and which entries nobody may make.

A target is written as people write numbers:

    13800138000   021-6234 5678   +44 20 7946 0958     one number, in any form
    +44*   0044*   0755*   95*   170*                  a prefix: `*` at the end
    02161230000-02161239999                            a range: both ends written in full, equally long

A prefix is read like the start of a number: + or 00 is a country code, one 0 a Chinese area code, anything else the
start of a Chinese number without 0 (bare 86 is the country code). It then means every number whose canonical digits
begin so. Canonical digits cannot tell Beijing (010, canonical 8610…) from numbers that begin with 10, so `010…*` means
Beijing's numbers of eight digits, `106…*` the thirteen-digit ones, and `10*` is refused.
"""

from __future__ import annotations

import re

import msgspec

from hutong.kernel.errors import ListError
from hutong.kernel.lists.entries import LAST_SECOND, LISTS, RESPONSES, ROLES, Entry
from hutong.kernel.numbering import Numbering
from hutong.kernel.numbering.keys import KIND_NUMBER, MAX_DIGITS, digits_of, key_count, key_kind, key_of_digits

DEFAULT_ROLES = {"block": "caller", "allow": "any"}
_SYNTAX = "Write a number, a prefix such as 0755* or +44*, or a range such as 02161230000-02161239999."
_SEPARATORS = str.maketrans("", "", "-.() \u2010\u2011\u2012\u2013")
_RANGE = re.compile(r"\s*(\+?\d{5,17})\s*[-~\u2013\u2014]\s*(\+?\d{5,17})\s*", re.ASCII)
_CHINA = "86"
_BEIJING, _BEIJING_DIGITS = "8610", 12
_LONG_10_DIGITS = 15  # 86 and the thirteen digits of 106…
_PROTECTED = ("emergency", "public")
_PLAIN = Numbering()


class Target(msgspec.Struct, frozen=True):
    """What an entry is about: one of KINDS, with its keys as in `Entry`."""

    kind: str
    key: int
    last: int = 0


def read_target(text: str, numbering: Numbering | None = None) -> Target:
    """The target that `text` means; without `numbering`, local numbers without area code mean none.

    Raises:
        ListError: it means none; `where` is "target".
    """
    numbering = numbering or _PLAIN
    written = text.strip()
    if written.endswith("*"):
        return _read_prefix(written)
    ends = _RANGE.fullmatch(written)
    if ends and len(ends[1]) == len(ends[2]):
        first, last = (_number_key(end, numbering) for end in ends.groups())
        if key_count(first) != key_count(last) or first > last:
            raise _wrong(f"{written!r} is no range: it must go upwards, between numbers of equal length.")
        return Target("range", first, last)
    return Target("number", _number_key(written, numbering))


def _number_key(text: str, numbering: Numbering) -> int:
    key = numbering.read(text).key
    if key_kind(key) != KIND_NUMBER:
        raise _wrong(f"{text!r} is not a telephone number of 1 to {MAX_DIGITS} digits.")
    return key


def _read_prefix(written: str) -> Target:
    text = written[:-1].translate(_SEPARATORS)
    bare = text.removeprefix("+")
    if not (bare.isascii() and bare.isdigit()):
        raise _wrong(f"{written!r} is no prefix: it needs digits before the *.")
    area_code = False
    if text.startswith("+"):
        digits = bare
    elif text.startswith("00"):
        digits = text[2:]
    elif text.startswith("0"):
        digits, area_code = _CHINA + text[1:], True
    else:
        digits = text if text.startswith(_CHINA) else _CHINA + text
    if not digits or digits.startswith("0") or len(digits) > MAX_DIGITS:
        raise _wrong(f"{written!r} is no prefix of a number of at most {MAX_DIGITS} digits.")
    if area_code and digits == _CHINA:
        raise _wrong(f"{written!r} names no area code.")
    if digits.startswith(_BEIJING):
        return _read_prefix_of_10(written, digits, area_code=area_code)
    return Target("prefix", key_of_digits(digits))


def _read_prefix_of_10(written: str, digits: str, *, area_code: bool) -> Target:
    after = digits[len(_BEIJING) :]
    if area_code:
        length = _BEIJING_DIGITS
    elif not after:
        raise ListError(
            f"{written!r} would cover Beijing's numbers and service numbers alike.",
            where="target",
            fix="Write 010* for Beijing, or 100*, 101*, 106* for the others.",
        )
    elif after[0] in "01":
        return Target("prefix", key_of_digits(digits))  # no Beijing number begins with 0 or 1
    else:
        length = _LONG_10_DIGITS
    if len(digits) > length:
        raise _wrong(f"{written!r} is longer than the numbers it would cover.")
    return Target("range", key_of_digits(digits.ljust(length, "0")), key_of_digits(digits.ljust(length, "9")))


def describe(target: Target | Entry) -> str:
    """The target in canonical digits, as `read_target` reads it: "+8613800138000", "+86755*", "+8621…-+8621…"."""
    first = f"+{digits_of(target.key)}"
    if target.kind == "prefix":
        return f"{first}*"
    return first if target.kind == "number" else f"{first}-+{digits_of(target.last)}"


def draft(  # noqa: PLR0913  # an entry's own fields, each by name
    target: str,
    *,
    numbering: Numbering | None = None,
    list: str = "block",  # noqa: A002  # the field's name everywhere people meet it
    role: str = "",
    reason: str,
    who: str,
    source: str = "",
    expires: int = 0,
    respond: int = 608,
) -> Entry:
    """An entry ready for `ListStore.add`, every field checked. An empty role means the list's own (DEFAULT_ROLES).

    Raises:
        ListError: a field is wrong; `where` is its name. Blocking an emergency or public line as callee is wrong.
    """
    if list not in LISTS:
        raise ListError(f"There is no list {list!r}.", where="list", fix="Write block or allow.")
    chosen = role or DEFAULT_ROLES[list]
    if chosen not in ROLES:
        raise ListError(f"There is no role {role!r}.", where="role", fix="Write caller, callee or any.")
    if respond not in RESPONSES:
        raise ListError(f"{respond} is no answer to a blocked call.", where="respond", fix="603, 607 or 608.")
    if not reason.strip():
        raise ListError("An entry needs its reason.", where="reason", fix="Say why: the person concerned may ask.")
    if not who.strip():
        raise ListError("An entry needs who made it.", where="who", fix="Name the person or the system.")
    if not 0 <= expires <= LAST_SECOND:
        raise ListError("This time of expiry is out of range.", where="expires", fix="Leave it out for never.")
    meant = read_target(target, numbering)
    if list == "block" and chosen != "caller":
        _protect(meant)
    return Entry(
        list=list,
        kind=meant.kind,
        key=meant.key,
        last=meant.last,
        role=chosen,
        reason=reason.strip(),
        source=source.strip(),
        who=who.strip(),
        expires=expires,
        respond=respond,
    )


def _protect(target: Target) -> None:
    """Refuse to block calls to lines that must always be reached."""
    if target.kind == "number":
        candidates = [digits_of(target.key)]
    else:
        candidates = [f"{_CHINA}{number}" for number in (*range(110, 130), 12110)]
    for digits in candidates:
        if covers(target, digits) and _PLAIN.read(f"+{digits}").klass in _PROTECTED:
            raise ListError(
                f"{describe(target)} covers {digits.removeprefix(_CHINA)}, which must always be reached.",
                where="target",
                fix="Emergency and public lines cannot be blocked as callee; --role caller blocks forged calls.",
            )


def covers(target: Target, digits: str) -> bool:
    """Whether a scope covers canonical digits."""
    if target.kind == "prefix":
        return digits.startswith(digits_of(target.key))
    return target.key <= key_of_digits(digits) <= (target.last or target.key)


def _wrong(what: str) -> ListError:
    return ListError(what, where="target", fix=_SYNTAX)
