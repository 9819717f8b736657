"""Reports on records, with shipped case types and rules, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from case_samples import CALENDAR
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.marks import MARKS, Marks
from hutong.kernel.numbering import Numbering
from hutong.reports.opening import Opening
from hutong.reports.pseudonyms import Pseudonyms
from hutong.reports.store import Parts, Reports

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database

FRAUD, OTHER = "17012345678", "17012345679"
VICTIMS = tuple(f"138001380{n:02d}" for n in range(20))


def reports_on(database: Database, data: Path) -> tuple[Reports, Parts]:
    """Reports of a node."""
    cases = Cases(database, load_types(SHIPPED, permissions=PERMISSIONS), CALENDAR, "node1", WHOLE)
    parts = Parts(
        database, cases, Marks(database, data / MARKS), Opening(), Pseudonyms(data / "keys"), Numbering("0755")
    )
    return Reports(parts), parts
