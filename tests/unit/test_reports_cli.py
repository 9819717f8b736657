"""`hutong report` from end to end, and what `work` does for reports and marks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from hutong.app import cli
from hutong.app.config import Config, NodeConfig
from hutong.app.reports_work import ReportWork, open_reports
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.marks import MARKS, MarkFile, find_row
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from hutong.reports.metrics import WAITING
from hutong.reports.model import Origin, Told
from report_nodes import FRAUD, VICTIMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_MS = 86_400_000
RECEIPT = re.compile(r"\d{4} \d{4} \d{4} \d{4}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    made.open()
    yield made
    made.close()


def test_reports_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, database: Database) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.run(["report", *arguments, "--data", str(tmp_path)])
        said = capsys.readouterr()
        return status, said.out, said.err

    added = ("add", "call", "--number", FRAUD, "--lost", "3,000", "--reporter", VICTIMS[0], "--key", "k")
    _, out, _ = run(*added)
    receipt = RECEIPT.findall(out)[0]
    assert "case: " in out
    assert RECEIPT.findall(run(*added)[1]) == [receipt]
    assert run("add", "call", "--number", "nobody")[0] == 1
    told = json.loads(run("show", receipt, "--json")[1])
    assert (told["stands"], told["subject"], told["reporters"]) == ("examined", "170****5678", 1)
    assert run("show", "1234 5678 9012 3456")[0] == 1
    file = tmp_path / "reports.csv"
    file.write_text(f"kind,number,name,text\n电话,{FRAUD},,再次来电\n网址,,com.cn,\n", encoding="gb18030")
    status, out, err = run("import", str(file))
    assert (status, out.split()[0]) == (1, "1")
    assert "reports.csv:3: name:" in err
    rows = json.loads(run("list", FRAUD, "--json")[1])
    assert [row["source"] for row in rows] == ["csv", "cli"]
    assert FRAUD not in run("list")[1]
    deeds = [entry.deed for entry in Trail(database).entries()]
    assert deeds == ["reports.import", "cases.comment", "reports.take", "cases.find"]


def test_work_brings_marks_that_nobody_published_follows_cases_and_forgets(tmp_path: Path, database: Database) -> None:
    config = Config(node=NodeConfig(data=str(tmp_path)))
    now_ms = SystemClock().wall() // 1_000_000
    reports = open_reports(config, database)
    old = reports.take(Told(kind="web", name="bank.example"), Origin(source="cli"), now_ms - 200 * DAY_MS)
    reports.take(Told(kind="call", number=FRAUD), Origin(source="page", address="192.0.2.1"), now_ms)
    reporter = Reporter("test")
    jobs = {job.name: job for job in ReportWork(config, reporter).jobs()}
    assert jobs["marks"].every == 10**9
    jobs["marks"].run(now_ms * 1_000_000)
    file = MarkFile(tmp_path / MARKS)
    file.refresh()
    assert find_row(file.rows, key_of_digits(f"86{FRAUD}")) >= 0
    assert jobs["report-forgetting"].run(now_ms * 1_000_000) == 1
    assert reports.report(old.id)[0].forgotten
    assert jobs["report-cases"].run(now_ms * 1_000_000) == 0
    jobs["report-figures"].run(now_ms * 1_000_000)
    assert f"{WAITING.name} 1.0" in reporter.metrics.expose().decode()
    assert jobs["marks-forgetting"].run((now_ms + 40 * DAY_MS) * 1_000_000) == 1
