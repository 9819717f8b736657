"""A station is killed while it registers: whoever was answered is in its store once, and once at the centre."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from hutong.app.cli import run
from hutong.kernel.identity_cards import check_character
from hutong.sampling.model import Register
from hutong.sampling.station.store import StationStore

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_KILLS = 2
_ANSWERS = 7


def _cards(start: int, count: int) -> list[str]:
    heads = [f"11010519491231{n:03}" for n in range(start, start + count)]
    return [f"{head}{check_character(head)}" for head in heads]


def test_every_acknowledged_registration_is_there_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, folder = str(tmp_path / "data"), tmp_path / "station"
    assert (
        run(["sampling", "station", "prepare", "s1", "--store", str(folder), "--district", "610100", "--data", data])
        == 0
    )
    answered: list[str] = []
    for n in range(_KILLS):
        command = [sys.executable, "-m", "hutong", "sampling", "station", "register", f"XA00000{n}"]
        with subprocess.Popen(
            [*command, "--store", str(folder), "--size", "20"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ) as station:
            assert station.stdin is not None
            assert station.stdout is not None
            station.stdin.write("".join(f"{card}\n" for card in _cards(100 * n, 20)))
            station.stdin.flush()
            told = [station.stdout.readline() for _ in range(_ANSWERS)]
            station.send_signal(signal.SIGKILL)
            told += station.stdout.readlines()
        assert all(line.startswith("ok ") for line in told), told
        answered += [line.split()[1] for line in told if line.endswith("\n")]
    assert len(answered) >= _KILLS * _ANSWERS
    store = StationStore(folder)
    store.open()
    kept = store.events(10_000)
    store.close()
    ids = [it.id for it in kept]
    assert len(set(ids)) == len(ids)
    assert set(answered) <= set(ids)
    people = [(it.deed.tube, it.deed.person) for it in kept if isinstance(it.deed, Register)]
    assert len(set(people)) == len(people), "who scans again after a kill finds the person registered"
    again = ["sampling", "station", "register", "XA000000", *_cards(0, 1), "--store", str(folder), "--size", "20"]
    assert run(again) == 1
    for _ in range(2):
        assert run(["sampling", "station", "merge", str(folder), "--data", data, "--everything"]) == 0
    capsys.readouterr()
    for n in range(_KILLS):
        assert run(["sampling", "show", f"XA00000{n}", "--data", data]) == 0
    shown = capsys.readouterr().out
    assert shown.count("register s1") == len(ids)
