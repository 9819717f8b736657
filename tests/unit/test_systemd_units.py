"""The units in deploy/systemd: what systemd itself says of them, and that what they run is there."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hutong.app.cli import COMMANDS
from hutong.kernel.readiness import NOTIFY_MESSAGE, NOTIFY_VARIABLE, READY_VARIABLE

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
PROGRAM = "/opt/hutong/.venv/bin/hutong"
#: Of 100; what is left is that a node talks to a network and compiles.
EXPOSURE = 15
ANNOUNCE = "from hutong.kernel.readiness import announce_ready; announce_ready()"

pytestmark = pytest.mark.peer("systemd-analyze")


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    """The units with the program where it is on this machine."""
    here = Path(sys.prefix) / "bin" / "hutong"
    if not here.exists():
        pytest.skip("hutong is not installed into this environment")
    copies = []
    for unit in (*SERVICES, *UNITS.glob("*.timer")):
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, str(here)), encoding="utf-8")
        copies.append(str(copy))
    return copies


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong_with_them(installed: list[str]) -> None:
    done = analyzed("verify", "--man=no", "--generators=no", *installed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", [unit.name for unit in SERVICES])
def test_a_service_may_do_little(installed: list[str], name: str) -> None:
    unit = next(path for path in installed if path.endswith(f"/{name}"))
    done = analyzed("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)
    assert done.returncode == 0, done.stdout + done.stderr


def test_backups_run_at_night_and_only_there(installed: list[str]) -> None:
    calendar = re.search(r"^OnCalendar=(.*)$", (UNITS / "hutong-backup.timer").read_text(), re.MULTILINE)
    assert calendar is not None
    done = analyzed("calendar", calendar[1])
    assert done.returncode == 0
    assert installed


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_a_unit_runs_is_a_command_of_hutong(unit: Path) -> None:
    run = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    words = [word for part in shlex.split(run.partition("=")[2]) for word in part.split()]
    assert words[words.index(PROGRAM) + 1] in {name for name, _, _ in COMMANDS}


def test_the_backup_service_is_held_as_tightly_as_the_node() -> None:
    node, backup = (_limits(unit) for unit in (UNITS / "hutong.service", UNITS / "hutong-backup.service"))
    assert backup == node


def _limits(unit: Path) -> list[str]:
    """What a service may not do, from the word that opens that part of the file."""
    text = unit.read_text(encoding="utf-8")
    lines = text[text.index("\nNoNewPrivileges=") :].splitlines()
    return [line for line in lines if "=" in line and not line.startswith("WantedBy")]


def test_memory_that_is_written_may_be_run_because_judgement_is_compiled() -> None:
    for unit in SERVICES:
        read = configparser.ConfigParser(strict=False, interpolation=None)
        read.optionxform = str  # type: ignore[assignment,method-assign]  # the library's own way
        read.read(unit)
        assert "MemoryDenyWriteExecute" not in read["Service"]
        assert read["Service"].get("ProcSubset", "all") == "all"


# sd_notify(3)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_readiness_arrives_on_the_socket_that_systemd_names(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@hutong-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name[1:]}" if kind == "abstract" else name)
        end.settimeout(20)
        subprocess.run([sys.executable, "-c", ANNOUNCE], env={**os.environ, NOTIFY_VARIABLE: name}, check=True)
        assert end.recv(100) == NOTIFY_MESSAGE


def test_a_process_of_hutong_up_speaks_to_its_pipe_alone(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    reader, writer = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end, os.fdopen(reader, "rb") as pipe:
        end.bind(name)
        subprocess.run(
            [sys.executable, "-c", ANNOUNCE],
            env={**os.environ, NOTIFY_VARIABLE: name, READY_VARIABLE: str(writer)},
            pass_fds=(writer,),
            check=True,
        )
        os.close(writer)
        assert pipe.read() == b"READY\n"
        end.settimeout(0)
        with pytest.raises(BlockingIOError):
            end.recv(100)
