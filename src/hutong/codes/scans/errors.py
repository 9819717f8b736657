"""What may be wrong with a venue, a scan, a look-up or its order."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError, Refused

Reason = Literal[
    "no-venue",
    "venue",
    "not-from-here",
    "not-allowed",
    "changed-meanwhile",
    "busy",
    "device",
    "scan",
    "gaps",
    "no-order",
    "no-agency",
    "agency",
    "same-person",
    "not-yours",
    "no-reason",
    "field",
    "basis",
    "term",
    "scope",
    "too-many",
    "quiet",
    "not-approved",
    "over",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class ScanError(HutongError):
    """A table of rules, a device's store or a file of scans is not as it must be."""


class ScanRefused(ScanError, Refused[Reason]):  # noqa: N818  # says what happened
    """Something that the rules of venues, scans and look-ups do not allow; nothing was changed."""
