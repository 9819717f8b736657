"""The supervisor with real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hutong.app.process_states import read_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Children: one that behaves well, one deaf to SIGTERM, one that refuses its arguments, one that starts
# a process of its own.
READY = "import os; os.write(int(os.environ['HUTONG_READY_FD']), b'READY\\n')\n"
GOOD = f"import signal\n{READY}signal.pause()"
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}\nwhile True: signal.pause()"
REFUSING = "raise SystemExit(2)"
PARENT = f"""import pathlib, signal, subprocess, sys
own = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
pathlib.Path(sys.argv[1]).write_text(str(own.pid))
{READY}signal.pause()"""

UP = """
import pathlib, sys
from hutong.app.supervision import Limits
from hutong.app.supervisor import Program, Supervisor
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import Reporter
folder = pathlib.Path(sys.argv[1])
programs = [
    Program(name, (sys.executable, "-c", script, str(folder / (name + ".own"))))
    for name, script in zip(sys.argv[2::2], sys.argv[3::2])
]
limits = Limits(grace=int(GRACE * 1e9))
sys.exit(Supervisor(programs, Reporter("up", form="json"), SystemClock(), folder, limits).run())
"""


class Up:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, wait: Callable[..., Any]) -> None:
        self.folder = folder
        self._wait = wait
        self.process: subprocess.Popen[str] | None = None

    def start(self, grace: float = 5, **children: str) -> None:
        arguments = [part for pair in children.items() for part in pair]
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP.replace("GRACE", str(grace)), str(self.folder), *arguments],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(write_end,),
            env={**os.environ, "HUTONG_READY_FD": str(write_end)},
        )
        os.close(write_end)
        self.ready_fd = read_end

    def until_ready(self) -> None:
        """Blocks until the supervisor says that all are ready (or has gone)."""
        assert os.read(self.ready_fd, 64) == b"READY\n"

    def pid(self, name: str) -> int:
        def read() -> int:
            file = self.folder / f"{name}.pid"
            return int(file.read_text() or 0) if file.exists() else 0

        return self._wait(read, what=f"{name}.pid")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        assert self.process is not None
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture
def up(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Up]:
    one = Up(tmp_path, wait_until)
    yield one
    os.close(one.ready_fd)
    if one.process is not None:
        one.process.kill()
        one.process.communicate()


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  # not a file of ours
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_restarts_alone(up: Up, wait_until: Callable[..., Any]) -> None:
    up.start(one=GOOD, two=GOOD)
    up.until_ready()
    one, two = up.pid("one"), up.pid("two")
    os.kill(one, signal.SIGKILL)
    again = wait_until(lambda: (fresh := up.pid("one")) != one and fresh, what="a new process")
    assert is_running(again)
    assert up.pid("two") == two
    assert is_running(two)
    status, said = up.end(signal.SIGTERM)
    assert status == 0
    assert '"restart_in_s":0.1' in said
    assert not is_running(again)
    assert not is_running(two)
    assert not list(up.folder.glob("*.pid"))


def test_the_note_says_how_every_process_stands(up: Up, wait_until: Callable[..., Any]) -> None:
    assert read_note(up.folder) is None
    up.start(one=GOOD, bad=REFUSING)

    def states() -> dict[str, str]:
        note = read_note(up.folder)
        return {it.name: it.state for it in note.processes} if note is not None else {}

    wait_until(lambda: states() == {"one": "ready", "bad": "failed"}, what="both states")
    note = read_note(up.folder)
    assert note is not None
    assert up.process is not None
    assert (note.alive, note.pid) == (True, up.process.pid)
    one, bad = note.processes
    assert (one.pid, one.restarts, bad.pid) == (up.pid("one"), 0, 0)
    assert 0 < one.started_ms <= one.since_ms <= note.time_ms
    os.kill(one.pid, signal.SIGKILL)
    again = wait_until(
        lambda: (now := read_note(up.folder)) is not None and now.processes[0].restarts == 1 and now.processes[0].pid
    )
    assert again != one.pid
    up.end(signal.SIGTERM)
    assert states() == {"one": "stopped", "bad": "failed"}
    ended = read_note(up.folder)
    assert ended is not None
    assert not ended.alive


def test_children_end_with_a_killed_supervisor(up: Up, wait_until: Callable[..., Any]) -> None:
    up.start(one=DEAF, two=GOOD)
    up.until_ready()
    children = [up.pid("one"), up.pid("two")]
    up.end(signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, children)), what="the end of the children")


def test_ctrl_c_stops_cleanly(up: Up) -> None:
    up.start(one=GOOD)
    up.until_ready()
    status, said = up.end(signal.SIGINT)
    assert status == 0
    assert '"event":"stopped"' in said


def test_a_deaf_child_is_killed_after_the_grace(up: Up) -> None:
    up.start(grace=0.2, one=DEAF, two=GOOD)
    up.until_ready()
    one = up.pid("one")
    status, said = up.end(signal.SIGTERM)
    assert status == 1
    assert '"event":"killing"' in said
    assert not is_running(one)


def test_a_second_signal_does_not_wait(up: Up, wait_until: Callable[..., Any]) -> None:
    up.start(grace=600, one=DEAF, two=GOOD)
    up.until_ready()
    assert up.process is not None
    up.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not (up.folder / "two.pid").exists(), what="two to stop")
    status, _ = up.end(signal.SIGTERM)
    assert status == 1


def test_a_child_that_refuses_its_arguments_is_left_alone_and_remembered(
    up: Up, wait_until: Callable[..., Any]
) -> None:
    up.start(bad=REFUSING, good=GOOD)
    good = up.pid("good")
    wait_until(lambda: not (up.folder / "bad.pid").exists(), what="bad to end")
    assert is_running(good)
    status, said = up.end(signal.SIGTERM)
    assert status == 1
    assert '"event":"failed"' in said


def test_a_run_folder_that_went_away_ends_nothing(up: Up, wait_until: Callable[..., Any]) -> None:
    up.start(one=GOOD)
    up.until_ready()
    one = up.pid("one")
    moved = up.folder.rename(up.folder.with_name("moved"))
    os.kill(one, signal.SIGKILL)
    wait_until(lambda: not is_running(one))
    status, said = up.end(signal.SIGTERM)
    assert status == 0
    assert moved.is_dir()
    assert '"event":"backing-off"' in said


def test_processes_that_a_dead_child_left_are_ended(up: Up, wait_until: Callable[..., Any]) -> None:
    up.start(one=PARENT)
    up.until_ready()
    own = int((up.folder / "one.own").read_text())
    os.kill(up.pid("one"), signal.SIGKILL)
    wait_until(lambda: not is_running(own), what="the end of what it left")
