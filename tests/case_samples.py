"""Cases for tests: the shipped types, the calendar, people with every permission, and moments in working time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.model import Actor, Finding, Proof
from hutong.kernel.cases.types import SHIPPED

if TYPE_CHECKING:
    from hutong.kernel.cases.model import Value

#: 2026-03-02T10:00:00+08:00, a Monday.
MONDAY = 1_772_416_800_000
HOUR = 3_600_000
DAY = 24 * HOUR
EVERYTHING = frozenset(PERMISSIONS)
CALENDAR = load_calendar()
TYPES = load_types(SHIPPED, permissions=PERMISSIONS)
DUTY, WORKER, CHECKER, CHIEF = (Actor(name, EVERYTHING) for name in ("duty", "worker", "checker", "chief"))
ORDER = Proof("reference", "order:1")
RETEST = Proof("retest", "dial:1")


def number_case(number: str = "13800138000", **given: Any) -> Finding:  # noqa: ANN401
    """A finding about a number."""
    fields: dict[str, Value] = {"number": number}
    return Finding("fraud-number", f"核查 {number[-4:]}", fields, **given)
