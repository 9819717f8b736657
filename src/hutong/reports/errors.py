"""What is wrong with a report."""

from __future__ import annotations

from hutong.kernel.errors import HutongError


class ReportError(HutongError):
    """A report cannot be taken; `where` is the field.

    Args:
        code: names the words for people, `reports.error.CODE`.
    """

    def __init__(self, code: str, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.code = code
