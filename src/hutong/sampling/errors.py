"""What may be wrong with a tube, a sample, a batch, a result or a station's store."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError

Reason = Literal[
    "field",
    "identity",
    "size",
    "no-tube",
    "full",
    "size-differs",
    "person-twice",
    "person-elsewhere",
    "not-from-here",
    "at-another-station",
    "no-result",
    "not-mixed",
    "date",
    "id-twice",
    "not-yours",
    "too-old",
    "busy",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class SamplingError(HutongError):
    """A tube, a file of results, a station's store or a table of rules is not as it must be."""


class SamplingRefused(SamplingError):  # noqa: N818  # says what happened
    """What cannot be done with a tube as it is; nothing was changed.

    Attributes:
        reason: which of `REASONS`, for whoever says it in the reader's language.
    """

    def __init__(self, reason: Reason, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.reason = reason
