"""What every codec's error says: what was wrong, where, and what to do.

Protocols import nothing of the kernel, so this tree stands alone beside the kernel's own.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Bytes or text that do not follow their protocol, or values that it cannot carry.

    Args:
        what: what was wrong, in one sentence.
        where: the part of the message; empty where it is the whole message.
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
