"""Whoever takes reports in is killed: what had a receipt is there, once, and the rules come to know of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from report_victim import NOW

from hutong.kernel.marks import MARKS, MarkFile, find_row
from hutong.kernel.marks.table import reporters_24h
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records import Database
from hutong.kernel.records.report_tables import report_matters
from hutong.reports.model import Origin, Told
from report_nodes import reports_on

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).resolve().parents[1]


def told_before_death(data: Path, url: str, reports: int) -> Iterator[tuple[int, str]]:
    """Receipts that were said until SIGKILL came, somewhere within a report, its mark or the table of marks."""
    path = os.pathsep.join([str(TESTS), str(TESTS / "contract")])
    command = [sys.executable, str(TESTS / "contract" / "report_victim.py"), str(data), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as victim:
        assert victim.stdout is not None
        for number, line in enumerate(victim.stdout):
            place, receipt = line.split()
            yield int(place), receipt
            if number == reports:
                victim.kill()


def test_what_had_a_receipt_outlives_a_kill(records_url: str, tmp_path: Path) -> None:
    said = dict(told_before_death(tmp_path, records_url, 23))
    assert len(said) >= 23
    database = Database(records_url)
    database.open()
    reports, parts = reports_on(database, tmp_path)
    for place, receipt in said.items():
        told = Told(kind="call", number=f"170000000{place % 7:02d}", reporter=f"138{place:08d}")
        again = reports.take(told, Origin(source="api", key=f"k{place}"), NOW + place)
        assert (again.again, again.receipt) == (True, receipt)
    reports.publish(NOW + 1000)
    file = MarkFile(tmp_path / MARKS)
    file.refresh()
    with database.read() as connection:
        matters = connection.execute(sa.select(report_matters)).all()
        assert len(said) <= sum(matter.reports for matter in matters) <= len(said) + 1
        for matter in matters:
            row = find_row(file.rows, key_of_digits(matter.subject))
            known = parts.marks.known(connection, matter.key, NOW + 1000)
            assert reporters_24h(file.rows, row) == known.reporters[0] == matter.reporters
    assert parts.cases.recount() == []
    database.close()
