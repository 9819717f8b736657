"""Reports taken in a second: kept, joined, marked and, where a rule says so, a case opened; one transaction each.

    python -m bench.reports [--reports 2000] [--numbers 400] [--url postgresql://…] [--folder DIR]

Reports come one after the other, as the public page takes them in; the table of marks is brought up after each, as by
`serve`, and once more at the end. The last figure is how long a single report took to be in the rules' table.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from bench.tables import table
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.marks import MARKS, Marks
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url
from hutong.reports.model import Origin, Told
from hutong.reports.opening import Opening
from hutong.reports.pseudonyms import Pseudonyms
from hutong.reports.store import Parts, Reports

REPORTS, NUMBERS = 2_000, 400
NOW = 1_772_416_800_000  # 2026-03-02T10:00:00+08:00


def measure(database: Database, data: Path, count: int, numbers: int) -> list[tuple[str, str]]:
    """Take so many reports of so many numbers in."""
    cases = Cases(database, load_types(SHIPPED, permissions=PERMISSIONS), load_calendar(), "node1", WHOLE)
    parts = (Marks(database, data / MARKS), Opening(), Pseudonyms(data / "keys"), Numbering())
    reports = Reports(Parts(database, cases, *parts))
    chance, took, shown = random.Random(7), [], []
    for place in range(count):
        told = Told(
            kind="call",
            number=f"170{chance.randrange(numbers):08d}",
            reporter=f"138{chance.randrange(10**8):08d}",
            text="自称客服,要求转账",
        )
        origin = Origin(source="page", address=f"198.51.100.{chance.randrange(250)}", key=f"bench:{place}")
        begun = time.perf_counter()
        reports.take(told, origin, NOW + place)
        took.append(time.perf_counter() - begun)
        reports.publish(NOW + place)
        shown.append(time.perf_counter() - begun)
    return [
        ("reports/s taken in", f"{count / sum(took):,.0f}"),
        ("one report, p50 / p99", _of(took)),
        ("until rules read it, p50 / p99", _of(shown)),
        ("reports/s with marks published after each", f"{count / sum(shown):,.0f}"),
    ]


def _of(seconds: list[float]) -> str:
    parts = statistics.quantiles(seconds, n=100)
    return f"{parts[49] * 1000:.1f} / {parts[98] * 1000:.1f} ms"


def reports_table(folder: Path, url: str = "", count: int = REPORTS, numbers: int = NUMBERS) -> str:
    """The table of `python -m bench reports`, on SQLite unless `url` names another."""
    data = folder / "reports"
    data.mkdir()
    database = Database(database_url(url, data))
    database.open()
    try:
        return table(("reports", "measured"), measure(database, data, count, numbers))
    finally:
        database.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=REPORTS)
    parser.add_argument("--numbers", type=int, default=NUMBERS)
    parser.add_argument("--url", default="")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        print(reports_table(Path(folder), asked.url, asked.reports, asked.numbers))


if __name__ == "__main__":
    main()
