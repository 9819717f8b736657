"""Takes reports in until it is killed, and says each receipt once it stands: `report_victim.py DATA URL`."""

from __future__ import annotations

import sys
from pathlib import Path

from hutong.kernel.records import Database
from hutong.reports.model import Origin, Told
from report_nodes import reports_on

NOW = 1_772_416_800_000


def main(data: Path, url: str) -> None:
    database = Database(url)
    database.open()
    reports, _ = reports_on(database, data)
    place = 0
    while True:
        told = Told(kind="call", number=f"170000000{place % 7:02d}", reporter=f"138{place:08d}")
        taken = reports.take(told, Origin(source="api", key=f"k{place}"), NOW + place)
        sys.stdout.write(f"{place} {taken.receipt}\n")
        sys.stdout.flush()
        reports.publish(NOW + place)
        place += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
