"""What may be wrong with a person's document, record, key or family link."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import Refused, StateError

Reason = Literal[
    "document",
    "name",
    "phone",
    "no-person",
    "family",
    "no-link",
    "term",
    "too-many",
    "consent",
    "code",
    "device",
    "operator",
    "operator-away",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


class PersonRefused(Refused[Reason]):
    """Something that cannot be done with a person's record or links; nothing was changed."""


class KeyGoneError(StateError):
    """The key that something was sealed with is not here.

    Attributes:
        destroyed: its time is over, so nobody has it any more; otherwise the folder of keys is not the right one.
    """

    def __init__(self, what: str, *, destroyed: bool, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.destroyed = destroyed
