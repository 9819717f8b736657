"""What may be wrong with evidence, a manual change or an appeal."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import Refused

Reason = Literal[
    "no-person",
    "no-change",
    "no-appeal",
    "not-from-here",
    "not-allowed",
    "same-person",
    "same-agency",
    "agency",
    "not-yours",
    "own-change",
    "no-reason",
    "field",
    "basis",
    "term",
    "taken",
    "evidence",
    "decided",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class StatusRefused(Refused[Reason]):
    """Something that the rules of colours do not allow; nothing was changed."""
