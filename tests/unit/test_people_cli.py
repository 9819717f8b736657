"""`hutong people` as whoever administers the machine sees it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from hutong.app.people_cli import app
from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Trail
from hutong.kernel.errors import HutongError
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = 1_650_000_000_000


@pytest.fixture
def people(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        app([*arguments, "--data", str(tmp_path)], exit_on_error=False, result_action="return_value")
        return capsys.readouterr().out

    return call


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Database]:
    database = Database(database_url("", tmp_path))
    database.open()
    People(database).first(NOW)
    yield database
    database.close()


def one_time(said: str) -> str:
    found = re.search(r"one-time password: (\S+)\n", said)
    assert found is not None
    return found[1]


def test_an_account_comes_changes_and_goes_and_the_trail_says_so(people: Callable[..., str], records: Database) -> None:
    password = one_time(people("add", "Wang", "--title", "王芳", "--role", "operator"))
    accounts = People(records)
    assert accounts.sign_in("wang", password, "::1", NOW).must_change
    again = one_time(people("reset-password", "wang"))
    assert again != password
    assert accounts.sign_in("wang", again, "::1", NOW).must_change
    assert people("set-role", "wang", "analyst") == "wang: 值班员 operator → 分析员 analyst\n"
    assert people("disable", "wang") == "wang: 已停用 / disabled\n"
    assert accounts.account("wang").disabled
    entries = list(Trail(records).entries())[::-1]
    assert [(entry.deed, entry.target, entry.before, entry.after) for entry in entries] == [
        ("people.add", "wang", None, {"title": "王芳", "role": "operator"}),
        ("people.reset", "wang", None, None),
        ("people.role", "wang", "operator", "analyst"),
        ("people.disable", "wang", False, True),
    ]
    assert {entry.address for entry in entries} == {"local"}
    assert all(entry.who.startswith("local:") for entry in entries)
    assert password not in str(entries)


def test_the_list_says_who_there_is(people: Callable[..., str], records: Database) -> None:
    People(records).add("wang", "王芳", "viewer", NOW)
    lines = people("list").splitlines()
    assert len(lines) == 3
    assert lines[2].split()[:4] == ["wang", "王芳", "观察员", "viewer"]
    assert "one-time password" in lines[2]
    rows = [json.loads(line) for line in people("list", "--json").splitlines()]
    assert [(row["name"], row["role"], row["disabled"]) for row in rows] == [
        ("admin", "administrator", False),
        ("wang", "viewer", False),
    ]
    assert "argon2" not in str(rows)


def test_what_is_refused_leaves_no_trace(people: Callable[..., str], records: Database) -> None:
    for arguments, why in (
        (("set-role", "admin", "viewer"), "last administrator"),
        (("disable", "admin"), "last administrator"),
        (("disable", "nobody"), "no such account"),
        (("reset-password", "nobody"), "no such account"),
        (("add", "admin", "--title", "x", "--role", "viewer"), "already"),
        (("add", "王", "--title", "x", "--role", "viewer"), "not a name"),
    ):
        with pytest.raises(HutongError, match=why):
            people(*arguments)
    assert Trail(records).count() == 0


def test_a_folder_without_records_is_named_and_left_empty(people: Callable[..., str], tmp_path: Path) -> None:
    for arguments in (("list",), ("disable", "x"), ("reset-password", "x"), ("set-role", "x", "viewer")):
        with pytest.raises(HutongError, match="no accounts yet"):
            people(*arguments)
    assert list(tmp_path.iterdir()) == []
    one_time(people("add", "wang", "--title", "王芳", "--role", "administrator"))
