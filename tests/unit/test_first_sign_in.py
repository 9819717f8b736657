"""The first administrator's password: made once, said once, to a person or to a file that only its owner reads."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest

from hutong.app.first_sign_in import NOTE, announce_first, forget_first
from hutong.kernel.access.people import People
from hutong.kernel.records.database import Database, database_url
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    database = Database(database_url("", tmp_path))
    database.open()
    yield People(database)
    database.close()


def _announce(people: People, folder: Path, out: io.StringIO) -> str:
    log = io.StringIO()
    announce_first(people, folder, out, Reporter("serve", stream=log), 1_000)
    return log.getvalue()


def test_a_person_at_the_terminal_reads_it_once(people: People, tmp_path: Path) -> None:
    terminal = Terminal()
    log = _announce(people, tmp_path, terminal)
    password = re.search(r"one-time password (\S+)", terminal.getvalue())
    assert password is not None
    assert people.sign_in("admin", password[1], "127.0.0.1", 2_000).must_change
    assert log == ""
    assert not (tmp_path / NOTE).exists()
    again = Terminal()
    _announce(people, tmp_path, again)
    assert again.getvalue() == ""


def test_where_nobody_watches_it_goes_to_a_file_and_no_log(people: People, tmp_path: Path) -> None:
    err = io.StringIO()
    log = _announce(people, tmp_path, err)
    file = tmp_path / NOTE
    password = re.search(r"one-time password (\S+)", file.read_text(encoding="utf-8"))
    assert password is not None
    assert file.stat().st_mode & 0o777 == 0o600
    assert people.sign_in("admin", password[1], "127.0.0.1", 2_000).must_change
    assert err.getvalue() == ""
    assert password[1] not in log
    assert NOTE in log


def test_where_the_file_cannot_be_written_the_log_says_how_to_go_on(people: People, tmp_path: Path) -> None:
    log = _announce(people, tmp_path / "missing", io.StringIO())
    assert "hutong people reset-password admin" in log
    assert "one-time password" not in log
    assert people.account("admin").must_change


def test_the_file_goes_once_its_password_is_replaced(people: People, tmp_path: Path) -> None:
    assert forget_first(people, tmp_path) == 0
    _announce(people, tmp_path, io.StringIO())
    file = tmp_path / NOTE
    password = file.read_text(encoding="utf-8").split("one-time password ")[1].split()[0]
    people.sign_in("admin", password, "127.0.0.1", 2_000)
    assert (forget_first(people, tmp_path), file.exists()) == (0, True)
    people.set_password("admin", password, "umbrella-tide-97-lantern", 3_000)
    assert (forget_first(people, tmp_path), file.exists()) == (1, False)
