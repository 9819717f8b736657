"""`hutong codes family` as people type it: linked with documents from standard input, listed for a purpose, ended."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Trail
from hutong.kernel.records import Database, database_url
from status_samples import NUMBER, OTHER

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_links_are_made_listed_and_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path / "records.db")
    database = Database(database_url("", tmp_path))
    database.open()
    accounts = People(database)
    accounts.first(1)
    for name in ("operator", "analyst"):
        accounts.add(name, name, name, 1)  # type: ignore[arg-type]  # names of roles

    def typed(*words: str, said: str = "", by: str = "operator", status: int = 0) -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        assert run(["codes", "family", *words, "--by", by, "--data", str(tmp_path)]) == status
        return capsys.readouterr().out

    both = f"{NUMBER}\n{OTHER}\n"
    typed("link", "elder", "-", "-", "--proof", "paper", said=both, by="analyst", status=1)
    typed("link", "child", "-", "-", "--proof", "paper", said=both, status=1)  # who is grown up
    link = typed("link", "elder", "-", "-", "--proof", "paper", "--days", "30", said=both).strip()
    (told,) = map(json.loads, typed("list", "-", "--purpose", "窗口", said=f"{OTHER}\n").splitlines())
    assert (told["id"], told["side"], told["kind"]) == (link, "ward", "elder")
    typed("list", "-", "--purpose", " ", said=f"{OTHER}\n", status=1)
    typed("unlink", link, "ward")
    assert typed("list", "-", "--purpose", "窗口", said=f"{OTHER}\n") == ""
    deeds = [(it.who, it.deed, it.target) for it in Trail(database).page()]
    assert deeds[::-1] == [
        ("operator", "codes.link", link),
        ("operator", "codes.family", ""),
        ("operator", "codes.unlink", link),
        ("operator", "codes.family", ""),
    ]
    database.close()
