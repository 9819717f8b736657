"""`hutong orders`: the whole way from the command line, by two accounts, and a pack that is verified offline."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.records import Database, database_url

NUMBER = "13900001111"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    database = Database(database_url("", tmp_path))
    lay_out(Path(database.place))
    database.open()
    for name, role in (("chen", "analyst"), ("li", "operator"), ("zhao", "viewer")):
        People(database).arrive(Identity(name, name, role, f"subject:{name}"), 1_700_000_000_000)
    database.close()
    return tmp_path


def test_the_whole_way(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests of packs set real papers; that costs seconds.
    monkeypatch.setattr("hutong.orders.evidence.paper.pdf_of", str.encode)

    def said(*words: str, status: int = 0) -> str:
        assert run(["orders", *words]) == status, capsys.readouterr()
        out, err = capsys.readouterr()
        return err if status else out

    at = ("--data", str(data))
    asked = (
        "request",
        "block",
        NUMBER,
        "--agency",
        "示例市公安局",
        "--document",
        "示公〔2027〕1号",
        "--basis",
        "fraud-act-11",
    )
    asked += ("--reason", f"涉案 {NUMBER}", "--days", "30", *at)
    assert "orders.request" in said(*asked, "--by", "zhao", status=1)
    assert "There is no account" in said(*asked, "--by", "nobody", status=1)
    of = said(*asked, "--by", "chen", "--key", "k").strip()
    assert said(*asked, "--by", "chen", "--key", "k").strip() == of
    assert "orders.approve" in said("approve", of, "--by", "chen", *at, status=1)
    assert "approved" in said("approve", of, "--by", "li", *at)
    shown = said("show", of, "--json", *at)
    assert NUMBER not in shown
    assert [msgspec.json.decode(line)["action"] for line in shown.splitlines()[1:]] == [
        "request",
        "approve",
        "begin",
        "place",
    ]
    assert of in said("list", "--number", NUMBER, *at)
    assert of not in said("list", "--state", "expired", *at)
    pack = str(data / "p.zip")
    made = ("pack", "--order", of, "--purpose", "配合侦查", "--out", pack, *at)
    assert "evidence.pack" in said(*made, "--by", "chen", status=1)
    assert "p.zip" in said(*made, "--by", "li")
    assert (data / "p.zip").stat().st_mode & 0o077 == 0
    run(["audit", "key", *at])
    key = capsys.readouterr().out.strip().splitlines()[-1]
    assert "agree" in said("verify-pack", pack, "--key", key)
    whole = (data / "p.zip").read_bytes()
    (data / "p.zip").write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    assert said("verify-pack", pack, "--key", key, status=1)
    assert "lifted" in said("lift", of, "--reason", "误封", "--by", "li", *at)
    assert "已解除" in said("list", of, *at)
    assert "withdrawn" in said(
        "withdraw", said(*asked, "--by", "chen").strip(), "--reason", "重复", "--by", "chen", *at
    )
    assert "declined" in said(
        "decline", said(*asked, "--by", "chen").strip(), "--reason", "依据不足", "--by", "li", *at
    )
    assert "Name an order" in said("pack", "--purpose", "配合侦查", "--out", pack, "--by", "li", *at, status=1)
