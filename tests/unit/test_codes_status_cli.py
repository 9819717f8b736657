"""`hutong codes status` as people type it: registered, judged, changed by two agencies, explained, appealed."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.app.codes_status_work import StatusWork
from hutong.app.config import load_config
from hutong.codes.bundles import BundleRow, BundleStore
from hutong.codes.status import metrics
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.access.people import People as Accounts
from hutong.kernel.clock import SystemClock
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from status_samples import NUMBER, OTHER

if TYPE_CHECKING:
    from pathlib import Path

NOW = SystemClock().wall() // 1_000_000
DAY = 86_400_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    lay_out(folder / "records.db")
    database = Database(database_url("", folder))
    database.open()
    for name in ("health", "police"):
        Agencies(database).add(Agency(name, name, name, "other", (name,)), NOW)
    accounts = Accounts(database)
    accounts.first(NOW)
    for name, agency in (("wang", "health"), ("li", "police"), ("zhao", ""), ("chen", "")):
        accounts.add(name, name, "operator", NOW)
        if agency:
            accounts.set_agency(name, agency)
    database.close()
    return folder


class Shell:
    """Types commands and gives what they answer."""

    def __init__(self, data: Path, captured: Any, patch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
        self._data, self._captured, self._patch = data, captured, patch
        self.error = ""

    def __call__(self, *words: str, said: str = "", status: int = 0) -> str:
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.encode()), "utf-8"))
        self._captured.readouterr()
        found = run(["codes", "status", *words, "--data", str(self._data)])
        told = self._captured.readouterr()
        self.error = told.err
        assert found == status, told.err
        return str(told.out)


@pytest.fixture
def shell(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(data, capsys, monkeypatch)


def test_a_person_is_registered_judged_and_told_why(shell: Shell, data: Path) -> None:
    rows = "\n".join(
        json.dumps(it)
        for it in (
            {"number": NUMBER, "name": "王小明", "phone": "13800138000"},
            {"number": OTHER[:-1] + "1", "name": "李四"},
            {"number": OTHER, "name": "李四"},
        )
    )
    people = shell("register", "-", said=rows, status=1).split()
    assert len(people) == 2
    assert "-:2: document: This is not the number of an identity card." in shell.error
    person = people[0]
    assert "绿码 green" in shell("show", person)
    item = {"type": "result", "id": "tube-1", "at_ms": NOW - 3_600_000, "result": "positive"}
    items = "\n".join([json.dumps({"person": person, "evidence": item}), "{}"])
    database = Database(database_url("", data))
    database.open()
    bundles = BundleStore(database)
    bundles.add([BundleRow(kind * 8, person, name, NOW, NOW + DAY) for kind, name in (("aa", "own"), ("bb", "paper"))])
    assert shell("take", "-", said=items, status=1).startswith("1 人 people, 1 变码 changed, 1 有误 wrong")
    revoked = [it.handle.hex() for it in bundles.news(0, NOW)[1]]
    assert revoked == ["aa" * 8], "what shows the old colour is revoked with it"
    database.close()
    shown = shell("show", "-", said=f"{NUMBER}\n")
    assert "codes.positive-result@1" in shown
    told = shell("explain", person, "--purpose", "流调", "--by", "zhao", "--lang", "zh")
    assert told.startswith("红码\n您的检测结果为阳性。")
    assert "检测结果阳性" in told
    shell("explain", person, "--purpose", "流调", "--by", "nobody", status=1)
    appeal = shell("appeal", person, "--words", "检测结果不是我的").split()[0]
    assert "codes.nothing-known@1" in shell(
        "decide", appeal, "corrected", "--reason", "标本登记有误", "--void", "tube-1", "--by", "chen"
    )
    shell("forget", person, "--purpose", "本人申请", "--by", "chen")
    assert "codes.nothing-known@1" in shell("show", person)
    assert "This is no pseudonym" in (shell("show", "13800138000", status=1) or shell.error)


def test_a_change_by_hand_takes_two_accounts_of_two_agencies(shell: Shell, data: Path) -> None:
    person = shell("register", "-", said=json.dumps({"number": NUMBER, "name": "王小明"})).strip()
    wish = ("--reason", "密切接触者", "--basis", "epidemic-act", "--document", "卫2号", "--days", "3")
    change = shell("set", person, "red", *wish, "--by", "wang").strip()
    shell("approve", change, "--by", "wang", status=1)
    assert "Whoever requested" in shell.error
    assert "生效中 in-force" in shell("approve", change, "--by", "li")
    assert f"change:{change}" in shell("show", person)
    listed = json.loads(shell("changes", "--state", "in-force"))
    assert (listed["requested_agency"], listed["decided_agency"]) == ("health", "police")
    assert person not in str(listed)
    work = StatusWork(load_config(None, data=data, environ={}), Reporter("test"))
    figures = work._reporter.metrics  # noqa: SLF001
    assert [job.name for job in work.jobs()] == ["colours", "colour-changes", "colour-figures", "code-people-expiry"]
    work.count(NOW)
    assert figures.value(metrics.CHANGES, state="in-force") == 1
    assert figures.value(metrics.DAY_KEYS) >= 2
    assert work.count(NOW + 15 * DAY) >= 2
    assert figures.value(metrics.DAY_KEYS_OVERDUE) == 1, "what should be gone and is not, is told"
    assert work.expire(NOW + 15 * DAY) == 1
    work.count(NOW + 15 * DAY)
    assert figures.value(metrics.DAY_KEYS_OVERDUE) == 0
    assert work.desk.changes.run(NOW + 15 * DAY) == 1
    assert work.judge(NOW + 15 * DAY) == 0
    work.desk.statuses.database.close()
    assert json.loads(shell("changes", "--state", "expired"))["id"] == change


def test_rules_are_listed_and_linted(shell: Shell, tmp_path: Path) -> None:
    assert shell("rules", "list").splitlines()[0].startswith("codes.isolation-order@1")
    assert "8 条规则 rules" in shell("rules", "lint")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("- {id: a, colour: red}\n", encoding="utf-8")
    assert "wrong.yaml:1:3: error: [a] the field when is missing." in shell("rules", "lint", str(wrong), status=1)
