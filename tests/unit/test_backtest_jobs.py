"""Backtests asked for at the console: what may be asked, one at a time, what is left when something is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from evidences import BUSY
from hutong.app.backtest_work import BacktestWork
from hutong.app.cli import run
from hutong.app.config import Config, NodeConfig
from hutong.calls.archiving import Archiver
from hutong.calls.evidence.jobs import MOST_KEPT, MOST_WAITING, Asked, BacktestJobs, JobError, Note
from hutong.calls.evidence.store import FOLDER, EvidenceStore
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.clock import SystemClock
from verdict_records import NOON_MS, verdict_body, write_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = "2026-03-02"
FRAUD = "13800138000"


def wish(**changes: object) -> Asked:
    return msgspec.structs.replace(Asked(0, "own.busy", 1, DAY, DAY, "labels.csv", "analyst-1", 1000), **changes)


@pytest.fixture
def jobs(tmp_path: Path) -> BacktestJobs:
    return BacktestJobs(tmp_path)


def states(jobs: BacktestJobs) -> list[str]:
    return [it.note.state for it in jobs.all()]


def test_jobs_wait_in_their_order_and_not_too_many(jobs: BacktestJobs) -> None:
    assert (jobs.all(), jobs.next()) == ([], None)
    assert [jobs.ask(wish()).number for _ in range(MOST_WAITING)] == list(range(1, MOST_WAITING + 1))
    with pytest.raises(JobError) as refused:
        jobs.ask(wish())
    assert refused.value.code == "full"
    first = jobs.next()
    assert first is not None
    assert first.number == 1
    jobs.cancel(1)
    assert states(jobs)[-1] == "cancelled"
    following = jobs.next()
    assert following is not None
    assert following.number == 2
    with pytest.raises(JobError):
        jobs.cancel(1)
    with pytest.raises(JobError):
        jobs.cancel(99)


def test_only_the_last_ones_are_kept(jobs: BacktestJobs) -> None:
    for number in range(1, MOST_KEPT + 11):
        jobs.ask(wish())
        jobs.say(number, Note("done"))
    assert [it.asked.number for it in jobs.all()] == list(range(MOST_KEPT + 10, 10, -1))


def test_a_job_that_says_it_runs_without_a_runner_broke_off(jobs: BacktestJobs) -> None:
    jobs.ask(wish())
    with jobs.running():
        jobs.say(1, Note("running", done=1, total=4))
        assert states(jobs) == ["running"]
        assert jobs.all()[0].share == 0.25
    assert states(jobs) == ["broken"]
    assert jobs.next() is None, "it is not begun again by itself"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A data folder with an archived day, a rule and labels."""
    bodies = [
        verdict_body(time_ms=NOON_MS + at * 10_000, callee=f"135{at:08}", call_id=f"c{at}", trunk="local", kind=3)
        for at in range(30)
    ]
    write_journal(tmp_path, [[(KIND_VERDICT, body)] for body in bodies])
    archiver = Archiver(tmp_path)
    archiver.run((NOON_MS + 86_400_000) * 1_000_000)
    archiver.close()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yaml").write_text(BUSY)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels.csv").write_text(f"number,label\n{FRAUD},1\n")
    return tmp_path


def worker(data: Path) -> BacktestWork:
    return BacktestWork(Config(node=NodeConfig(data=str(data))), None, SystemClock())


def test_what_comes_out_is_what_the_command_keeps(
    node: Path, wait_until: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs, work = BacktestJobs(node), worker(node)
    jobs.ask(wish())
    jobs.ask(wish(labels="none.csv"))
    assert work.look(0) == 1

    def over() -> bool:
        work.look(0)
        return not any(it.unfinished for it in jobs.all())

    try:
        wait_until(over, 240, "both jobs are over")
    finally:
        work.stop()
    failed, done = jobs.all()
    assert (done.note.state, failed.note.state) == ("done", "failed")
    assert "labels cannot be read" in failed.note.what
    kept = EvidenceStore(node / FOLDER).load(done.note.evidence)
    assert (kept.by, kept.over.calls, kept.scores) == ("analyst-1", 30, "none")
    assert kept.over.files == (f"archive.{DAY}.{DAY}",)
    told = ["rules", "backtest", "own.busy", "--over", str(node / "archive"), "--json", "--data", str(node)]
    assert run([*told, "--labels", str(node / "labels" / "labels.csv")]) == 0
    by_command = EvidenceStore(node / FOLDER).load(msgspec.json.decode(capsys.readouterr().out)["id"])
    assert kept.rules == by_command.rules
    assert kept.rules[0].effect.hits.fraud.calls == 11
    assert not list(jobs.folder.glob("tmp-*"))


HOLDER = """
import sys, time
from pathlib import Path
from hutong.app.backtest_work import BacktestWork
from hutong.app.config import Config, NodeConfig
from hutong.kernel.clock import SystemClock
work = BacktestWork(Config(node=NodeConfig(data=sys.argv[1])), None, SystemClock())
work.look(0)
print("began", flush=True)
sys.stdin.read()
"""


def test_a_job_of_a_worker_that_was_killed_says_so_and_is_asked_for_again(
    node: Path, wait_until: Callable[..., object]
) -> None:
    os.mkfifo(node / "labels" / "never.csv")  # whoever reads it waits for ever
    jobs = BacktestJobs(node)
    jobs.ask(wish(labels="never.csv"))
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(node)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        wait_until(lambda: states(jobs) == ["running"], 120, "it runs")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        wait_until(lambda: states(jobs) == ["broken"], 20, "its runner has ended as well")
    finally:
        holder.kill()
        holder.communicate()
    work = worker(node)
    assert work.look(0) == 0, "what broke off is not begun again by itself"
    jobs.ask(wish(labels="never.csv"))
    assert work.look(0) == 1
    try:
        wait_until(lambda: states(jobs)[0] == "running", 120, "the new one runs")
        jobs.cancel(2)
        assert jobs.all()[0].cancelled
        work.look(0)
        assert states(jobs) == ["cancelled", "broken"]
        assert not jobs.is_running()
    finally:
        work.stop()
