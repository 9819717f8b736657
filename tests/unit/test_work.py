"""Scheduled jobs: when they run, and that one's fault stays its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hutong.app.config import Config, JournalConfig
from hutong.app.retention import forget_removed_entries, remove_expired_entries
from hutong.app.schedule import Job, due, next_slot
from hutong.app.work import Worker, jobs_of
from hutong.kernel.clock import ManualClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.metrics import JOB_FAILURES, JOB_RUNS
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * 1_000_000_000
MARCH = 1_646_121_600_000_000_000


def job(name: str, every: int) -> Job:
    return Job(name, every, lambda _now: 0)


@given(st.integers(0, 10**18), st.lists(st.integers(1, 10**15), min_size=1, max_size=5))
def test_waiting_for_the_next_slot_makes_something_due_and_no_earlier(now: int, lengths: list[int]) -> None:
    jobs = [job(str(at), every) for at, every in enumerate(lengths)]
    last = {one.name: now for one in jobs}
    then = next_slot(jobs, now)
    assert then > now
    assert not due(jobs, last, then - 1)
    assert due(jobs, last, then)


def test_a_job_that_never_ran_is_due_and_so_is_one_when_the_clock_was_set_back() -> None:
    hourly = job("hourly", HOUR)
    assert due([hourly], {}, MARCH) == [hourly]
    assert due([hourly], {"hourly": MARCH}, MARCH + 1) == []
    assert due([hourly], {"hourly": MARCH}, MARCH - HOUR) == [hourly]


def test_a_failing_job_is_counted_logged_and_tried_in_its_next_slot(tmp_path: Path) -> None:
    ran: list[str] = []

    def fail(_now: int) -> int:
        ran.append("bad")
        raise OSError("disk")

    def succeed(_now: int) -> int:
        ran.append("good")
        return 3

    clock, out = ManualClock(MARCH), io.StringIO()
    reporter = Reporter("work", form="json", stream=out, clock=clock)
    worker = Worker([Job("bad", HOUR, fail), Job("good", 2 * HOUR, succeed)], reporter, clock, tmp_path)
    worker.run_due()
    worker.run_due()
    assert ran == ["bad", "good"]
    clock.advance(HOUR)
    worker.run_due()
    assert ran == ["bad", "good", "bad"]
    assert reporter.metrics.value(JOB_FAILURES, job="bad") == 2
    assert reporter.metrics.value(JOB_RUNS, job="good") == 1
    assert "OSError: disk" in out.getvalue()
    assert b'hutong_job_failures_total{job="bad"} 2.0' in (tmp_path / "work.prom").read_bytes()


def test_records_are_deleted_when_their_time_is_over(data_folder: Path) -> None:
    config = msgspec.structs.replace(Config(), journal=JournalConfig(keep_hours=2))
    config = msgspec.structs.replace(config, node=msgspec.structs.replace(config.node, data=str(data_folder)))
    journal = FileJournal(data_folder / "journal", writable=True)
    journal.open()
    try:
        for hour in range(6):
            journal.append(1, [b"call %d" % hour], MARCH + hour * (HOUR + 1))
        [retention] = [one for one in jobs_of(config) if one.name == "journal-retention"]
        retention.run(MARCH + 6 * HOUR)
        kept = [record.body for record in journal.read(1)]
    finally:
        journal.close()
    assert bytes(kept[-1]) == b"call 5"
    assert b"call 0" not in [bytes(body) for body in kept]


def test_expired_list_entries_are_removed_and_say_why(data_folder: Path) -> None:
    seconds = MARCH // 10**9
    store = ListStore(data_folder / "lists")
    store.open()
    times = {"13800138000": 0, "13800138001": seconds - 1, "13800138002": seconds, "13800138003": seconds + 1}
    for number, expires in times.items():
        key = key_of_digits("86" + number)
        entry = Entry(list="block", kind="number", key=key, role="caller", reason="fraud", who="me", expires=expires)
        store.add([entry], seconds - 100)
    assert remove_expired_entries(store, MARCH) == 2
    assert remove_expired_entries(store, MARCH) == 0
    assert sorted(entry.expires for entry in store.entries()) == [0, seconds + 1]
    buried = store.entry(2)
    assert buried is not None
    assert (buried.removed, buried.removed_by, buried.removed_why) == (seconds, "hutong work", "expired")
    store.close()


def test_removed_entries_are_forgotten_when_no_verdict_can_name_them(data_folder: Path) -> None:
    seconds = MARCH // 10**9
    store = ListStore(data_folder / "lists")
    store.open()
    key = key_of_digits("8613800138000")
    [entry] = store.add([Entry(list="block", kind="number", key=key, role="caller", reason="x", who="me")], seconds)
    store.remove(entry, seconds + 60, who="me", why="mistake")
    assert forget_removed_entries(store, MARCH + 60 * 10**9) == 0
    assert store.entry(entry.id) is not None
    assert forget_removed_entries(store, MARCH + 61 * 10**9) == 1
    assert store.entry(entry.id) is None
    store.close()


def test_the_process_says_that_it_is_ready_works_and_stops_cleanly(data_folder: Path) -> None:
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "hutong", "work", "--data", str(data_folder)],
        pass_fds=(write_end,),
        env={**os.environ, "HUTONG_READY_FD": str(write_end)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(write_end)
        assert os.read(read_end, 64) == b"READY\n"
        os.close(read_end)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "stopped" in said
