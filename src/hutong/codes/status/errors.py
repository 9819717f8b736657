"""What may be wrong with evidence, a manual change or an appeal."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError

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


class StatusRefused(HutongError):  # noqa: N818  # says what happened
    """Something that the rules of colours do not allow; nothing was changed.

    Attributes:
        reason: which of `REASONS`, for whoever says it in the reader's language.
    """

    def __init__(self, reason: Reason, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.reason = reason
