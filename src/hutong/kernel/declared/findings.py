"""What checking declarations found: severity, place, what was wrong, what to do; the error that carries it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from hutong.kernel.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Sequence

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong (error: what was declared is refused) or suspicious (warning: it is taken).

    Attributes:
        severity: "error" or "warning".
        where: file:line:column.
        what: what was wrong.
        fix: what to do.
        rule: id of the rule, empty where there is none yet.
    """

    severity: Severity
    where: str
    what: str
    fix: str = ""
    rule: str = ""

    def __str__(self) -> str:
        """One line: `file:line:column: error: [rule] what fix`."""
        rule = f"[{self.rule}] " if self.rule else ""
        fix = f" {self.fix}" if self.fix else ""
        return f"{self.where}: {self.severity}: {rule}{self.what}{fix}"


class RulesetError(RuleError):
    """Rules are refused as a whole; `findings` lists every error and warning, the message every error."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        errors = [f for f in findings if f.severity == "error"]
        super().__init__(f"{len(errors)} errors in the rules", where=errors[0].where if errors else "")

    def __str__(self) -> str:
        """All errors, one per line."""
        return "\n".join(str(f) for f in self.findings if f.severity == "error")
