"""What became of each call, against what the gateway knows about it. No socket, no clock."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from hutong.app.demo.people import Attempt

BLOCK_CODES = (603, 607, 608)
_KEPT = 20  # examples of what went wrong; enough to see a pattern


class Mishap(Struct, frozen=True):
    """A call that came out as it must not."""

    attempt: Attempt
    call_id: str
    why: str


class Ledger:
    """Counts of the gateway's own calls.

    Attributes:
        attempts, passed, warned, blocked, failed, unscreened: calls; warned and unscreened ones are among the passed.
        by_rule: blocked calls by the rule that the refusal's Reason names.
        by_source: (source, outcome) → calls.
        fraud_blocked: blocked calls that were fraud.
        wrong_blocks, missed, failures: blocked honest calls, passed certain frauds, honest calls that came to
            nothing; counts, with examples in `mishaps`.
    """

    def __init__(self) -> None:
        self.attempts = self.passed = self.warned = self.blocked = self.failed = 0
        self.unscreened = 0
        self.fraud_blocked = self.wrong_blocks = self.missed = self.failures = 0
        self.by_rule: Counter[str] = Counter()
        self.by_source: Counter[tuple[str, str]] = Counter()
        self.mishaps: list[Mishap] = []

    def placed(self) -> None:
        """A call was begun."""
        self.attempts += 1

    def passed_on(self, attempt: Attempt, call_id: str, *, warned: bool, unscreened: bool) -> None:
        """The call reached its callee; unscreened if the proxy had no verdict in time."""
        self.unscreened += unscreened
        self.passed += 1
        self.warned += warned
        self.by_source[attempt.source, "warned" if warned else "passed"] += 1
        if attempt.certain:
            self.missed += 1
            self._keep(attempt, call_id, "passed unscreened" if unscreened else "certain fraud passed")

    def refused(self, attempt: Attempt, call_id: str, code: int, rule: str) -> None:
        """The call ended with a final answer that is no success."""
        if code not in BLOCK_CODES:
            self.came_to_nothing(attempt, call_id, f"answer {code}")
            return
        self.blocked += 1
        self.by_rule[rule] += 1
        self.by_source[attempt.source, "blocked"] += 1
        if attempt.fraud:
            self.fraud_blocked += 1
        else:
            self.wrong_blocks += 1
            self._keep(attempt, call_id, f"blocked by {rule}")

    def came_to_nothing(self, attempt: Attempt, call_id: str, why: str) -> None:
        """Nobody answered, or the answer was an error."""
        self.failed += 1
        self.by_source[attempt.source, "failed"] += 1
        if not attempt.fraud:
            self.failures += 1
        self._keep(attempt, call_id, why)

    def _keep(self, attempt: Attempt, call_id: str, why: str) -> None:
        if len(self.mishaps) < _KEPT:
            self.mishaps.append(Mishap(attempt, call_id, why))

    @property
    def good(self) -> bool:
        """Fraud was blocked, and no honest call was blocked or failed."""
        return self.fraud_blocked > 0 and not self.wrong_blocks and not self.failures
