"""The one error tree. A message says what was wrong, where, and what to do; nothing else belongs here."""

from __future__ import annotations

from typing import Generic, TypeVar

#: The closed list of words of a system's refusals.
ReasonT = TypeVar("ReasonT", bound=str)


class HutongError(Exception):
    """Something a person can put right.

    Args:
        what: what was wrong, in one sentence.
        where: file:line, packet, row, setting; empty where there is no place.
        fix: what to do about it; empty where the first sentence already says it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """Place, what was wrong, what to do."""
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.fix}" if self.fix else ""
        return f"{place}{self.what}{remedy}"


class Refused(HutongError, Generic[ReasonT]):  # noqa: N818  # says what happened
    """What the rules of a system do not allow; nothing was changed.

    Attributes:
        reason: a word of the system's own closed list, for whoever says it in the reader's language.
    """

    def __init__(self, reason: ReasonT, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.reason = reason


class ConfigError(HutongError):
    """A setting is unknown, missing or wrong."""


class RuleError(HutongError):
    """A rule file cannot be read, compiled or trusted."""


class ListError(HutongError):
    """A list entry or a list file is wrong."""


class JournalError(HutongError):
    """The journal cannot be opened, read or written."""


class StateError(HutongError):
    """A data folder or a state file does not fit this version or these settings."""


class CodecError(HutongError):
    """Bytes that do not follow their protocol's grammar."""
