"""`hutong cases` from end to end, and what `work` does for cases."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hutong.app import cli
from hutong.app.cases_config import CaseContactConfig, CasesConfig
from hutong.app.cases_work import CaseWork, open_cases, ports_of
from hutong.app.checks import is_mail
from hutong.app.config import Config, NodeConfig, check_config
from hutong.kernel.cases.errors import CaseError
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.clock import ManualClock
from hutong.kernel.metrics import CASES_OPEN
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from pathlib import Path

DAY_NS = 86_400_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    database = Database(database_url("", tmp_path))
    database.open()
    database.close()
    return tmp_path


class Told:
    """What a command said."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


def run(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str) -> Told:
    status = cli.run(["cases", *arguments, "--data", str(data)])
    said = capsys.readouterr()
    return Told(status, said.out, said.err)


def test_a_case_from_the_command_line(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    of = run(
        capsys, data, "find", "fraud-number", "核查 13800138000", "--fields", '{"number": "13800138000"}'
    ).out.strip()
    assert run(capsys, data, "do", of, "assign", "--unit", "移动", "--key", "k").out == f"{of} 已派发 assigned, v2\n"
    assert run(capsys, data, "do", of, "assign", "--unit", "移动", "--key", "k").out == f"{of} 已派发 assigned, v2\n"
    proof = data / "report.txt"
    proof.write_text("重测说明", encoding="utf-8")
    run(capsys, data, "do", of, "accept")
    assert run(capsys, data, "do", of, "attach", "--attach", str(proof)).status == 0
    assert run(capsys, data, "do", of, "act", "--proof", "reference", "order:1").status == 0
    refused = run(capsys, data, "do", of, "verify", "--proof", "retest", "dial:1")
    assert (refused.status, "Who acted cannot judge it" in refused.err) == (1, True)
    listed = run(capsys, data, "list", "1380013").out
    assert of in listed
    assert "138****8000" in listed
    assert "13800138000" not in listed
    shown = run(capsys, data, "show", of).out
    assert "签收 accept" in shown
    assert "13800138000" not in shown
    lines = run(capsys, data, "show", of, "--json").out.splitlines()
    assert [json.loads(line)["action"] for line in lines[1:]] == ["find", "assign", "accept", "attach", "act"]
    assert json.loads(run(capsys, data, "list", "--late", "--json").out or "null") is None
    assert run(capsys, data, "recount").status == 0


def test_a_register_from_the_command_line(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    sheet = data / "sheet.csv"
    sheet.write_text("标题,整治对象,问题,地市\n一,甲,转租,上海\n二,,转租,上海\n三,丙,转租,苏州\n", encoding="gb18030")
    done = run(capsys, data, "import", str(sheet), "--title", "整治", "--assign", "city=上海:移动", "--assign", "电信")
    assert done.status == 1
    assert "sheet.csv:3 subject: The field subject is missing." in done.err
    of = done.out.split(":")[0]
    assert "0/2" in run(capsys, data, "registers").out
    units = [
        json.loads(line)["unit"] for line in run(capsys, data, "list", "--register", of, "--json").out.splitlines()
    ]
    assert sorted(units) == ["电信", "移动"]
    assert run(capsys, data, "export", of).out.count("\n") == 3
    assert run(capsys, data, "import", str(sheet)).status == 1
    assert run(capsys, data, "import", str(data / "none"), "--title", "x").status == 1


def test_types_and_records_that_are_wrong_are_told(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    shipped = len(list(SHIPPED.glob("*.yaml")))
    assert f"{shipped} 种类型" in run(capsys, data, "lint").out
    (data / "case-types").mkdir()
    good = (SHIPPED / "fraud-number.yaml").read_text(encoding="utf-8")
    (data / "case-types" / "own.yaml").write_text(good.replace("id: fraud-number", "id: own"), encoding="utf-8")
    assert f"{shipped + 1} 种类型" in run(capsys, data, "lint").out
    (data / "case-types" / "bad.yaml").write_text(good, encoding="utf-8")
    told = run(capsys, data, "lint")
    assert (told.status, "this id is taken at" in told.err) == (1, True)
    assert run(capsys, data, "list").status == 1
    assert run(capsys, data / "nowhere", "list").status == 1
    with pytest.raises(CaseError):
        open_cases(Config(node=NodeConfig(data=str(data))), Database(database_url("", data)))


def test_work_watches_tells_and_forgets(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    of = run(capsys, data, "find", "fraud-number", "x", "--fields", '{"number": "13800138000"}').out.strip()
    told = data / "notices.jsonl"
    config = Config(node=NodeConfig(data=str(data)), cases=CasesConfig(file=str(told)))
    reporter = Reporter("work")
    work = CaseWork(config, ManualClock(), reporter)
    watching, telling, forgetting = work.jobs()
    found = json.loads(run(capsys, data, "show", of, "--json").out.splitlines()[0])["found_ms"] * 1_000_000
    late = found + 60 * DAY_NS
    assert [watching.run(late) for _ in range(5)] == [1, 1, 1, 1, 0]
    assert telling.run(late + DAY_NS) == 4
    notices = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    assert {notice["case"] for notice in notices} == {of}
    assert len({notice["id"] for notice in notices}) == 4
    assert told.stat().st_mode & 0o077 == 0
    assert reporter.metrics.value(CASES_OPEN, state="found") == 1
    assert forgetting.run(late + 30 * DAY_NS) == 4
    told.unlink()
    told.mkdir()
    assert telling.run(late) == 0


def test_the_settings_name_the_ports() -> None:
    hook = {"webhook_url": "http://127.0.0.1:9/x", "webhook_secret": "s"}
    cases = CasesConfig(**hook, smtp_server="127.0.0.1:25", smtp_sender="a@b")
    contact = CaseContactConfig("unit:移动", ("duty@example.cn",))
    config = Config(cases=cases, case_contacts=(contact,))
    assert [port.name for port in ports_of(config, ManualClock())] == ["webhook", "mail"]
    assert ports_of(Config(), ManualClock()) == []
    assert list(check_config(config)) == []
    half = Config(cases=CasesConfig(webhook_url="http://127.0.0.1:9/x", smtp_server="127.0.0.1:25"))
    assert [problem.place for problem in check_config(half)] == [("cases", "webhook_secret"), ("cases", "smtp_sender")]
    login = {"smtp_user": "hutong", "smtp_password": "letmein"}
    assert list(check_config(Config(cases=CasesConfig(**login)))) == []
    bare = list(check_config(Config(cases=CasesConfig(**login, smtp_tls=False))))
    assert [problem.place for problem in bare] == [("cases", "smtp_user"), ("cases", "smtp_password")]
    assert "letmein" not in str(bare)
    assert is_mail("li.wei+duty@mail.example.cn")
    assert not any(is_mail(text) for text in ('"a@b', "x(y@z.cn", "a@[b", "010-12345678", "a@b@c", "a@b,c@d"))


def test_a_case_is_split_and_its_risk_accepted_for_a_term(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    of = run(capsys, data, "find", "fraud-number", "三个号码", "--fields", '{"number": "13800138000"}').out.strip()
    said = run(capsys, data, "do", of, "split", "--reason", "分开核查", "--part", "甲|移动", "--part", "乙").out.split(
        "\n"
    )
    assert said[0] == f"{of} 已发现 found, v2"
    shown = json.loads(run(capsys, data, "show", said[1], "--json").out.split("\n")[0])
    assert (shown["title"], shown["unit"], shown["parent"]) == ("甲", "移动", of)
    for step in (("assign", "--unit", "移动"), ("accept",)):
        assert run(capsys, data, "do", said[2], *step).status == 0
    refused = run(capsys, data, "do", said[2], "accept-risk", "--reason", "整改中", "--until", "2020-01-01")
    assert (refused.status, "The term is over already" in refused.err) == (1, True)
    until = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%d")
    assert run(capsys, data, "do", said[2], "accept-risk", "--reason", "整改中", "--until", until).status == 0
    waits = json.loads(run(capsys, data, "show", said[2], "--json").out.split("\n")[0])
    assert waits["pending"]["request"]["until_ms"] > 0
