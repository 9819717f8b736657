"""Reads a user part into key, class, country, operator, area, form and fault: a trie walk, no allocation.

Only the order in which a written number is tried belongs here; which prefixes exist is the plan's data. A number
that carries + or 00 is E.164. One that begins with a single 0 is Chinese. Bare digits are tried as what a handset
would take them for: a Chinese number first, then 86 with a Chinese number, then a local number, a Chinese number
that lacks its 0, or a foreign number that lacks its 00. On an international trunk the foreign reading goes before
the local ones; elsewhere 1 is never the +1 of North America, so that an unallocated mobile block stays so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.compiled import compiled, inlined, signed
from hutong.kernel.numbering.codes import (
    AREA,
    COUNTRY,
    FAULT,
    FAULT_NONE,
    FAULT_NOT_DIGITS,
    FAULT_TOO_LONG,
    FAULT_TOO_SHORT,
    FAULT_UNALLOCATED,
    FORM,
    FORM_BARE,
    FORM_INTERNATIONAL,
    FORM_LOCAL,
    FORM_NATIONAL,
    FORM_NONE,
    FORM_TEXT,
    KEY,
    KLASS,
    KLASS_FIXED,
    KLASS_FOREIGN,
    KLASS_PROVINCIAL_SERVICE,
    KLASS_TEXT,
    KLASS_UNKNOWN,
    OPERATOR,
)
from hutong.kernel.numbering.keys import (
    KIND_NUMBER,
    KIND_ODD,
    KIND_TEXT,
    MAX_DIGITS,
    hash_digits,
    hash_text,
    pack_key,
)
from hutong.kernel.numbering.plan import (
    CARRIER_COUNT,
    CARRIER_DIGITS,
    CARRIERS,
    CHINA_COUNTRY,
    CHINA_NODE,
    FIRST_CHILD,
    HOME_AREA,
    HOME_CODE,
    HOME_DIGITS,
    HOME_LENGTHS,
    ROOT,
    RULE_AREA,
    RULE_COUNTRY,
    RULE_KLASS,
    RULE_LENGTHS,
    RULE_OPERATOR,
)

if TYPE_CHECKING:
    from hutong.kernel.numbering.plan import PlanArrays

_ZERO, _NINE, _PLUS = 48, 57, 43
_SPACE, _OPEN, _CLOSE, _DASH, _DOT = (
    32,
    40,
    41,
    45,
    46,
)  # visual separators: RFC 3966 clause 5.1.1, and the space
_CHINA = 86
_CHINA_DIGITS = 2
_SUBSCRIBER_LOW, _SUBSCRIBER_HIGH = 2, 8  # first digit of a subscriber number
_CARRIER_REST = 7  # what follows a carrier code is at least a subscriber number
_MOBILE_DIGITS, _MOBILE_HEAD = 11, 5
_CHINA_AND_MOBILE = _CHINA * 10**_MOBILE_DIGITS
_U_ZERO, _U_TEN, _U_TAIL = np.uint64(48), np.uint64(10), np.uint64(10 ** (_MOBILE_DIGITS - _MOBILE_HEAD))
_LONGEST_SHORT = 8  # digits of a service number, which may stand after an area code


@compiled
def read_number(plan: PlanArrays, text: np.ndarray, start: int, end: int, abroad: int, out: np.ndarray) -> None:
    """Read the user part `text[start:end]`; never fails, whatever the bytes.

    Args:
        plan: the arrays of `Numbering.arrays`.
        text: uint8; parameters after `;` already cut off.
        start: first byte of the user part.
        end: one past its last byte.
        abroad: 1 for the caller of a call on an international trunk, else 0.
        out: int64, NUMBER_FIELDS slots, all of them written.
    """
    table = plan.table
    if end - start == _MOBILE_DIGITS and _read_mobile(table, text, start, end, out):
        return
    count, plus = _scan(text, start, end)
    if count <= 0:
        _fill_unread(text, start, end, count, out)
        return
    at = start
    if plus == 0 and count >= CARRIER_DIGITS + _CARRIER_REST:
        code, after = _peek(text, at, CARRIER_DIGITS)
        for place in range(CARRIERS, CARRIERS + table[CARRIER_COUNT]):
            if code == table[place]:
                at, count = after, count - CARRIER_DIGITS
    digit, after = _peek(text, at, 1)
    if plus == 0 and digit != 0:
        _read_bare(table, text, at, end, count, abroad, out)
        return
    form = FORM_INTERNATIONAL if plus == 1 else FORM_NATIONAL
    while count >= 2:  # noqa: PLR2004  # 00
        digits, after = _peek(text, at, 2)
        if digits != 0:
            break
        at, count, form = after, count - 2, FORM_INTERNATIONAL
    if form == FORM_NATIONAL:
        digit, at = _peek(text, at, 1)
        _read_china(table, text, at, end, count - 1, form, 0, out)
    else:
        _read_international(table, text, at, end, count, form, out)


@compiled
def _read_mobile(table: np.ndarray, text: np.ndarray, start: int, end: int, out: np.ndarray) -> bool:
    """Read what most calls have, eleven digits, the first not 0, as `_read_bare` begins to; False: go on there.

    Two halves, each a sum of its own: neither waits for the other. What is no digit stays 10 or more under ^, and never
    goes below 0.
    """
    at, head, tail, most = np.uint64(start), np.uint64(0), np.uint64(0), np.uint64(0)
    for i in range(_MOBILE_HEAD):
        digit = np.uint64(text[at + np.uint64(i)]) ^ _U_ZERO
        most = max(most, digit)
        head = head * _U_TEN + digit
    for i in range(_MOBILE_HEAD, _MOBILE_DIGITS):
        digit = np.uint64(text[at + np.uint64(i)]) ^ _U_ZERO
        most = max(most, digit)
        tail = tail * _U_TEN + digit
    if most >= _U_TEN or text[at] == _ZERO:
        return False
    china = int(np.int64(table[CHINA_NODE]))
    best, _, _, _ = _walk(table, china, text, start, end, _MOBILE_DIGITS + _CHINA_DIGITS)
    klass = table[best + RULE_KLASS]
    if klass in (KLASS_UNKNOWN, KLASS_FIXED):
        return False
    value = _CHINA_AND_MOBILE + signed(head * _U_TAIL + tail)
    _fill_rule(table, best, pack_key(value, _MOBILE_DIGITS + _CHINA_DIGITS, KIND_NUMBER), FORM_NATIONAL, out)
    return True


@compiled
def _scan(text: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Count the digits (-1 when something else than a number is there) and tell whether a + leads."""
    count, plus = 0, 0
    for at in range(start, end):
        byte = text[at]
        if _ZERO <= byte <= _NINE:
            count += 1
        elif byte == _PLUS and count == 0 and plus == 0:
            plus = 1
        elif byte not in (_DASH, _DOT, _SPACE, _OPEN, _CLOSE):
            return -1, 0
    return count, plus


@compiled
def _peek(text: np.ndarray, at: int, count: int) -> tuple[int, int]:
    """The next `count` digits as an integer, and where the text goes on after them; they must be there."""
    return _append(0, text, at, count)


@compiled
def _append(value: int, text: np.ndarray, at: int, count: int) -> tuple[int, int]:
    """`value` with the next `count` digits written after it, and where the text goes on after them."""
    while count > 0:
        digit = int(np.int64(text[at])) - _ZERO
        at += 1
        if 0 <= digit <= 9:  # noqa: PLR2004
            value = value * 10 + digit
            count -= 1
    return value, at


@compiled
def _fill(out: np.ndarray, key: int, form: int, fault: int) -> None:
    out[KEY] = key
    out[KLASS] = KLASS_UNKNOWN
    out[COUNTRY] = 0
    out[OPERATOR] = 0
    out[AREA] = 0
    out[FORM] = form
    out[FAULT] = fault


@compiled
def _fill_unread(text: np.ndarray, start: int, end: int, count: int, out: np.ndarray) -> None:
    """No digits at all (count 0), or text (count -1)."""
    if count == 0:
        _fill(out, pack_key(hash_digits(text, start, end), 0, KIND_ODD), FORM_NONE, FAULT_TOO_SHORT)
        return
    _fill(out, pack_key(hash_text(text, start, end), 0, KIND_TEXT), FORM_TEXT, FAULT_NOT_DIGITS)
    out[KLASS] = KLASS_TEXT


@compiled
def _fill_odd(text: np.ndarray, at: int, end: int, count: int, form: int, out: np.ndarray) -> None:
    """Digits that no number can hold: none are left after the prefix, or more than 15."""
    fault = FAULT_TOO_SHORT if count == 0 else FAULT_TOO_LONG
    _fill(out, pack_key(hash_digits(text, at, end), 0, KIND_ODD), form, fault)


@compiled
def _key(head: int, head_digits: int, text: np.ndarray, at: int, count: int) -> int:
    """The key of `head` followed by the next `count` digits; 15 digits at most together."""
    value, _ = _append(head, text, at, count)
    return pack_key(value, head_digits + count, KIND_NUMBER)


@compiled
def _walk(table: np.ndarray, node: int, text: np.ndarray, at: int, end: int, total: int) -> tuple[int, int, int, int]:
    """Follow the digits from `node`; `total` is the canonical count of digits.

    Returns:
        The deepest rule that allows `total` digits; the deepest rule; the rule of the area code that was passed
        (0 for none); and where in the text the digits after the area code begin.
    """
    deepest = int(np.int64(table[node]))
    best = deepest
    bit = 1 << total
    area_rule, area_end = 0, at
    while at < end:
        digit = int(np.int64(text[at])) - _ZERO
        before = at
        at += 1
        if digit < 0 or digit > 9:  # noqa: PLR2004
            continue
        node = int(np.int64(table[node + FIRST_CHILD + digit]))
        if node == 0:
            break
        rule = int(np.int64(table[node]))
        if rule != 0:
            deepest = rule
            if table[rule + RULE_LENGTHS] & bit:
                best = rule
            if area_rule == 0 and table[rule + RULE_AREA] != 0:
                area_rule, area_end = rule, before
    return best, deepest, area_rule, area_end


@compiled
def _fault_of_length(lengths: int, total: int) -> int:
    """Shorter than every possible length, longer than every one, or a gap between (or no such range)."""
    if lengths >> total == 0:
        return FAULT_TOO_LONG
    if lengths & ((2 << total) - 1) == 0:
        return FAULT_TOO_SHORT
    return FAULT_UNALLOCATED


@compiled
def _fill_rule(table: np.ndarray, rule: int, key: int, form: int, out: np.ndarray) -> None:
    out[KEY] = key
    out[KLASS] = table[rule + RULE_KLASS]
    out[COUNTRY] = table[rule + RULE_COUNTRY]
    out[OPERATOR] = table[rule + RULE_OPERATOR]
    out[AREA] = table[rule + RULE_AREA]
    out[FORM] = form
    out[FAULT] = FAULT_NONE


@compiled
def _read_china(
    table: np.ndarray, text: np.ndarray, at: int, end: int, count: int, form: int, lone: int, out: np.ndarray
) -> bool:
    """Read `count` digits as a Chinese national number; fills `out` either way and tells whether one exists.

    `lone` is 1 where neither 0 nor 86 stands before: an area code before a service number is then not believed.
    """
    total = count + _CHINA_DIGITS
    china = int(np.int64(table[CHINA_NODE]))
    if count <= 0 and form != FORM_NATIONAL:
        _fill(out, pack_key(_CHINA, _CHINA_DIGITS, KIND_NUMBER), form, FAULT_TOO_SHORT)
        out[COUNTRY] = table[CHINA_COUNTRY]
        return False
    if count <= 0 or total > MAX_DIGITS:
        _fill_odd(text, at, end, count, form, out)
        return False
    best, deepest, area_rule, area_end = _walk(table, china, text, at, end, total)
    if table[best + RULE_KLASS] != KLASS_UNKNOWN:
        _fill_rule(table, best, _key(_CHINA, _CHINA_DIGITS, text, at, count), form, out)
        return True
    if area_rule != 0 and lone == 0 and _read_service(table, text, at, area_end, end, count, form, out):
        out[AREA] = table[area_rule + RULE_AREA]
        return True
    _fill(
        out,
        _key(_CHINA, _CHINA_DIGITS, text, at, count),
        form,
        _fault_of_length(table[deepest + RULE_LENGTHS], total),
    )
    out[COUNTRY] = table[deepest + RULE_COUNTRY]
    return False


@compiled
def _read_service(
    table: np.ndarray,
    text: np.ndarray,
    at: int,
    area_end: int,
    end: int,
    count: int,
    form: int,
    out: np.ndarray,
) -> bool:
    """Read what follows an area code as a service number (0755-110, 010-12345).

    The key is the number's own, since the line is the same everywhere; only a provincial number keeps its area.
    """
    rest, _ = _scan(text, area_end, end)
    if rest > _LONGEST_SHORT:
        return False
    rule, _, _, _ = _walk(table, int(np.int64(table[CHINA_NODE])), text, area_end, end, rest + _CHINA_DIGITS)
    klass = table[rule + RULE_KLASS]
    if klass == KLASS_UNKNOWN:
        return False
    if klass == KLASS_PROVINCIAL_SERVICE:
        _fill_rule(table, rule, _key(_CHINA, _CHINA_DIGITS, text, at, count), form, out)
    else:
        _fill_rule(table, rule, _key(_CHINA, _CHINA_DIGITS, text, area_end, rest), form, out)
    return True


@compiled
def _read_local(table: np.ndarray, text: np.ndarray, at: int, count: int, out: np.ndarray) -> bool:
    """Read a subscriber number without area code; the home area completes it where there is one."""
    first, _ = _peek(text, at, 1)
    if count > MAX_DIGITS or not _SUBSCRIBER_LOW <= first <= _SUBSCRIBER_HIGH or not table[HOME_LENGTHS] >> count & 1:
        return False
    head, head_digits = np.int64(_CHINA), np.int64(_CHINA_DIGITS)
    for _ in range(table[HOME_DIGITS]):
        head *= 10
    head += table[HOME_CODE]
    head_digits += table[HOME_DIGITS]
    _fill(out, _key(head, head_digits, text, at, count), FORM_LOCAL, FAULT_NONE)
    out[KLASS] = KLASS_FIXED
    out[COUNTRY] = table[CHINA_COUNTRY]
    out[AREA] = table[HOME_AREA]
    return True


@compiled
def _read_foreign(
    table: np.ndarray, text: np.ndarray, at: int, end: int, count: int, form: int, out: np.ndarray
) -> bool:
    """Read `count` digits as E.164 outside China; fills `out` either way and tells whether one may exist."""
    if count <= 0 or count > MAX_DIGITS:
        _fill_odd(text, at, end, count, form, out)
        return False
    best, deepest, _, _ = _walk(table, int(np.int64(table[ROOT])), text, at, end, count)
    key = _key(0, 0, text, at, count)
    if table[best + RULE_KLASS] == KLASS_FOREIGN:
        _fill_rule(table, best, key, form, out)
        return True
    _fill(out, key, form, FAULT_UNALLOCATED)
    if deepest != 0:
        out[KLASS] = KLASS_FOREIGN
        out[COUNTRY] = table[deepest + RULE_COUNTRY]
        out[FAULT] = _fault_of_length(table[deepest + RULE_LENGTHS], count)
    return False


@compiled
def _past_86(text: np.ndarray, at: int, count: int) -> tuple[int, int]:
    """Past 86 and any 0 that was kept after it by mistake (+86 0755 …): where to go on and the digits left.

    -1 digits left: the number does not begin with 86.
    """
    if count < _CHINA_DIGITS:
        return at, -1
    head, after = _peek(text, at, _CHINA_DIGITS)
    if head != _CHINA:
        return at, -1
    count -= _CHINA_DIGITS
    at = after
    while count > 0:
        digit, after = _peek(text, at, 1)
        if digit != 0:
            break
        at, count = after, count - 1
    return at, count


@inlined
def _read_international(
    table: np.ndarray, text: np.ndarray, at: int, end: int, count: int, form: int, out: np.ndarray
) -> None:
    """Read what follows + or 00."""
    after, rest = _past_86(text, at, count)
    if rest >= 0:
        _read_china(table, text, after, end, rest, form, 0, out)
    else:
        _read_foreign(table, text, at, end, count, form, out)


@inlined
def _read_bare(  # noqa: PLR0911  # one reading after the other, and the first that fits ends it
    table: np.ndarray, text: np.ndarray, at: int, end: int, count: int, abroad: int, out: np.ndarray
) -> None:
    """Read digits without +, 00 or 0 before them; the module says in which order."""
    lacks_zero = _read_china(table, text, at, end, count, FORM_NATIONAL, 1, out)
    if lacks_zero and out[KLASS] != KLASS_FIXED:
        return
    home = abroad == 0 and table[HOME_DIGITS] != 0
    if home and _read_local(table, text, at, count, out):
        return
    after, rest = _past_86(text, at, count)
    if rest > 0 and _read_china(table, text, after, end, rest, FORM_BARE, 0, out):
        return
    if abroad != 0 and _read_foreign(table, text, at, end, count, FORM_BARE, out):
        return
    if lacks_zero:
        _read_china(table, text, at, end, count, FORM_NATIONAL, 1, out)
        return
    if _read_local(table, text, at, count, out):
        return
    first, _ = _peek(text, at, 1)
    if abroad == 0 and first != 1 and _read_foreign(table, text, at, end, count, FORM_BARE, out):
        return
    _fill_misfit(table, text, at, end, count, abroad, out)


@compiled
def _fill_misfit(
    table: np.ndarray, text: np.ndarray, at: int, end: int, count: int, abroad: int, out: np.ndarray
) -> None:
    """Bare digits that are no number of any plan: name the fault of the reading that is nearest."""
    after, rest = _past_86(text, at, count)
    # Where a local reading is out of the question, 86 stands for China here as it does after +.
    if rest > _LONGEST_SHORT or (rest >= 0 and (abroad != 0 or count + _CHINA_DIGITS > MAX_DIGITS)):
        _read_china(table, text, after, end, rest, FORM_BARE, 0, out)
        return
    _read_foreign(table, text, at, end, count, FORM_BARE, out)
    foreign = abroad != 0 and out[KLASS] == KLASS_FOREIGN
    if not foreign and count + _CHINA_DIGITS <= MAX_DIGITS:
        _read_china(table, text, at, end, count, FORM_NATIONAL, 1, out)
