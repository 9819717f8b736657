"""Which scopes an order must not have, or only when both persons say that they know it. Pure.

Calls *to* emergency and public lines are never blocked: the lists themselves refuse that. What remains, blocking calls
that show such a number, is right where it is forged, and a mistake with wide consequences otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import ListError
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.targets import Target, covers, draft
from hutong.kernel.numbering import Numbering, digits_of
from hutong.kernel.numbering.keys import MAX_DIGITS, key_of_digits
from hutong.orders.errors import OrderRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.orders.errors import Reason
    from hutong.orders.model import Kind, Order, Role

#: Why a scope needs explicit confirmation: a service's line, a number that the settings name, or many numbers.
GUARDS: Final = ("service", "named", "wide")
_CHINA: Final = "86"
_SHORT: Final = tuple(f"{_CHINA}{number}" for number in (*range(110, 130), 12110, 12315, 12345, 12348, 96110))
#: Digits of the longest ordinary number in E.164: what a prefix may cover is counted up to there.
_ORDINARY_DIGITS: Final = 13
_PLAIN: Final = Numbering()


def scope_of(kind: Kind, target: str, role: Role, numbering: Numbering) -> Target:
    """The scope that a wish means.

    Raises:
        OrderRefused: "field": it means none; "protected": it would keep people from lines that must always be reached.
    """
    try:
        entry = draft(
            target,
            numbering=numbering,
            list="allow" if kind == "unblock" else "block",
            role=role,
            reason="order",
            who="order",
        )
    except ListError as error:
        reason: Reason = "protected" if "must always be reached" in error.what else "field"
        raise OrderRefused(reason, error.what, where=error.where, fix=error.fix) from error
    scope = Target(entry.kind, entry.key, entry.last)
    if kind != "unblock" and role != "caller" and _covers_a_service(scope):
        raise OrderRefused("protected", f"{target} covers a public line, which must be reached.", where="target")
    return scope


def guard_of(scope: Target, protected: Sequence[Target], wide: int) -> str:
    """Why a scope needs explicit confirmation, one of `GUARDS`; empty where it does not.

    Args:
        protected: numbers, prefixes and ranges that the settings name, e.g. of hospitals.
        wide: more numbers than so are many.
    """
    if (scope.kind == "number" and _PLAIN.is_service(scope.key)) or _covers_a_service(scope):
        return "service"
    if any(_meet(scope, other) for other in protected):
        return "named"
    return "wide" if size_of(scope) > wide else ""


def size_of(scope: Target) -> int:
    """How many numbers a scope has; a prefix those of 13 digits, as mobile numbers of China with their country code."""
    if scope.kind == "number":
        return 1
    if scope.kind == "range":
        return scope.last - scope.key + 1
    return int(10 ** max(_ORDINARY_DIGITS - len(digits_of(scope.key)), 0))


def entry_of(order: Order, who: str, reason: str) -> Entry:
    """The list entry of an order in force."""
    return Entry(
        list=order.list,
        kind=order.target,
        key=order.key,
        last=order.last,
        role=order.role,
        reason=reason,
        source=order.source,
        who=who,
        expires=order.ends_ms // 1000,
    )


def _covers_a_service(scope: Target) -> bool:
    return any(covers(scope, digits) for digits in _SHORT)


def _meet(one: Target, other: Target) -> bool:
    """Whether two scopes have a number in common."""
    spans = [_spans(it) for it in (one, other)]
    return any(a <= d and c <= b for a, b in spans[0] for c, d in spans[1])


def _spans(scope: Target) -> list[tuple[int, int]]:
    """First and last key of the numbers of a scope, for each length that they may have."""
    if scope.kind != "prefix":
        return [(scope.key, scope.last or scope.key)]
    digits = digits_of(scope.key)
    return [
        (key_of_digits(digits.ljust(length, "0")), key_of_digits(digits.ljust(length, "9")))
        for length in range(len(digits), MAX_DIGITS + 1)
    ]
