"""What can be wrong with bulletins."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError

Reason = Literal[
    "period",
    "not_begun",
    "meanwhile",
    "correct",
    "unchanging",
    "signed",
    "goes_on",
    "anew",
    "large",
    "columns",
    "rows",
    "csv",
    "encoding",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class BulletinError(HutongError):
    """A bulletin cannot be made, found, signed or read.

    Attributes:
        reason: which of `REASONS`, for whoever says it in the reader's language; None where no form leads to it.
    """

    def __init__(self, what: str, *, reason: Reason | None = None, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.reason = reason


class NoBulletinError(BulletinError):
    """There is no bulletin of this id."""


class BulletinRefusedError(BulletinError):
    """It may not be done with this bulletin as it stands."""
