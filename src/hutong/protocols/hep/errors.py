"""What can be wrong with HEP bytes. One exception; its message says what, where and what to do, like all of ours."""

from __future__ import annotations


class HepError(Exception):
    """Bytes that are no acceptable HEP packet, or a packet that cannot be written.

    Args:
        what: what was wrong, in one sentence.
        where: the chunk; empty where it is the whole packet.
        fix: what the sender should do; empty where the first sentence already says it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """The place, what was wrong, and what to do, in one line."""
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.fix}" if self.fix else ""
        return f"{place}{self.what}{remedy}"
