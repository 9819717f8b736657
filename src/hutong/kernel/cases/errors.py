"""What may be wrong with a case, its type, the calendar or a request."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError, Refused

Reason = Literal[
    "no-case",
    "no-register",
    "not-from-here",
    "not-allowed",
    "not-yours",
    "same-person",
    "no-proof",
    "no-reason",
    "no-owner",
    "proof-unknown",
    "retest-failed",
    "field",
    "waiting",
    "not-waiting",
    "parts-open",
    "part-count",
    "into",
    "term",
    "changed-meanwhile",
    "key-used",
    "type-unknown",
    "taken",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class CaseError(HutongError):
    """A case, a register, an attachment, a notice or the calendar is not as it must be."""


class CaseRefused(CaseError, Refused[Reason]):  # noqa: N818  # says what happened
    """A request that the rules of the case do not allow; nothing was changed."""
