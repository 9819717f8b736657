"""`hutong lists` and `hutong roaming` as their users see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hutong.app.cli import run
from hutong.app.lists_cli import read_expiry
from hutong.kernel.errors import ListError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def hutong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        status = run([*arguments, "--data", str(tmp_path / "data")])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


WHY = ("--reason", "reported", "--who", "duty")


def test_an_entry_comes_is_shown_and_goes(hutong: Callable[..., tuple[int, str, str]]) -> None:
    assert hutong("lists", "add", "138 0013 8000", *WHY, "--expires", "30d")[:2] == (
        0,
        "#1 block +8613800138000 (caller)\n",
    )
    assert hutong("lists", "add", "+86138*", *WHY, "--list", "allow", "--respond", "603")[0] == 0
    status, out, _ = hutong("lists", "show", "13800138000")
    assert status == 0
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [
        ["1", "block", "13800138000", "caller"],
        ["2", "allow", "+86138*", "any"],
    ]
    rows = [json.loads(line) for line in hutong("lists", "show", "--all", "--json")[1].splitlines()]
    assert [(row["id"], row["target"], row["reason"]) for row in rows] == [
        (1, "+8613800138000", "reported"),
        (2, "+86138*", "reported"),
    ]
    assert hutong("lists", "remove", "13800138000", "--who", "duty", "--why", "mistake")[0] == 0
    assert hutong("lists", "show", "+86138*", "--json")[1].count("\n") == 1
    status, _, err = hutong("lists", "remove", "13800138000", "--who", "duty", "--why", "mistake")
    assert status == 1
    assert "is not on the block list" in err
    assert "no entries" in hutong("lists", "show", "13900139000")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "nobody", *WHY), "not a telephone number"),
        (("add", "110", *WHY, "--role", "callee"), "must always be reached"),
        (("add", "13800138000", *WHY, "--expires", "2001-01-01T00:00:00Z"), "already over"),
        (("add", "13800138000", *WHY, "--expires", "soon"), "no time"),
        (("show",), "Name one number"),
        (("show", "--all"), "no lists yet"),
        (("export", "-"), "no lists yet"),
        (("import", "/nonexistent.csv"), "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    hutong: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], says: str
) -> None:
    status, out, err = hutong("lists", *arguments)
    assert (status, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


def test_files_come_and_go(hutong: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("target,reason,who\n13800138000,r,w\nnobody,r,w\n95*,r,w\n")
    status, out, _ = hutong("lists", "import", str(file), "--stop-at", "0.5")
    assert (status, "2 rows applied, 1 bad" in out, (tmp_path / "in.errors.csv").exists()) == (0, True, True)
    assert hutong("lists", "export", "-")[1].count("\n") == 3
    assert hutong("lists", "export", str(tmp_path / "out.csv"))[0] == 0
    assert (tmp_path / "out.csv").read_text().count("\n") == 3
    assert hutong("lists", "export", str(tmp_path / "none" / "out.csv"))[0] == 1
    file.write_text("target,reason,who\n" + "nobody,r,w\n" * 30)
    status, _, err = hutong("lists", "import", str(file))
    assert status == 1
    assert "Stopped at line 31" in err


def test_roamers_are_noted_and_shown(hutong: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert hutong("roaming", "add", "13800138000", "--until", "2100-01-01T00:00:00Z")[0] == 0
    assert hutong("roaming", "show", "13800138000")[1] == "13800138000,2100-01-01T00:00:00Z\n"
    file = tmp_path / "roamers.csv"
    file.write_text("number,until\n13900139000,30d\nx,30d\n13900139001,\n0755*,30d\n13900139002,2001-01-01T00:00:00Z\n")
    status, out, err = hutong("roaming", "import", str(file))
    assert (status, "1 rows applied, 4 bad" in out) == (1, True)
    assert err.count("\n") == 4
    assert hutong("roaming", "show")[1].count("\n") == 2
    file.write_text("who\nx\n")
    assert hutong("roaming", "import", str(file))[0] == 1
    assert hutong("roaming", "add", "13800138000", "--until", "yesterday")[0] == 1


def test_expiry_is_a_span_or_a_time() -> None:
    assert read_expiry("", 5) == 0
    assert [read_expiry(text, 5) for text in ("1m", "2h", "30d")] == [65, 7205, 2_592_005]
    assert read_expiry("1970-01-01T00:00:10Z", 5) == 10
    with pytest.raises(ListError):
        read_expiry("0d", 5)
