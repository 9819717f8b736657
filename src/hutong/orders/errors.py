"""What may be wrong with an order or an evidence pack."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError, Refused

Reason = Literal[
    "no-order",
    "not-from-here",
    "not-allowed",
    "same-person",
    "not-yours",
    "no-reason",
    "field",
    "basis",
    "term",
    "begins",
    "limit",
    "protected",
    "confirm",
    "allowed",
    "taken",
    "changed-meanwhile",
    "key-used",
    "busy",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class OrderError(HutongError):
    """An order, the table of legal bases or an evidence pack is not as it must be."""


class OrderRefused(OrderError, Refused[Reason]):  # noqa: N818  # says what happened
    """A request that the rules of orders do not allow; nothing was changed."""
