"""Two processes that work on cases are killed: what they were answered is there once, and nobody's change is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from case_samples import CALENDAR, DUTY, MONDAY, TYPES, number_case
from hutong.kernel.cases.model import Request, fold_all
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases

if TYPE_CHECKING:
    from hutong.kernel.records import Database

WRITER = Path(__file__).with_name("case_writer.py")
ANSWERS = 25


def test_what_was_answered_before_a_kill_is_there_once(database: Database, records_url: str) -> None:
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    shared = cases.find(number_case(), DUTY, MONDAY).case
    environment = os.environ | {"PYTHONPATH": str(WRITER.parents[1])}
    writers = [
        subprocess.Popen(
            [sys.executable, str(WRITER), records_url, shared, who], stdout=subprocess.PIPE, text=True, env=environment
        )
        for who in ("a", "b")
    ]
    answers: dict[str, tuple[str, int]] = {}
    for writer in writers:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(ANSWERS)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
        writer.stdout.close()
        assert writer.wait(30) == -signal.SIGKILL
        for line in told:
            if line.endswith("\n"):
                key, of, version = line.split()
                answers[key] = of, int(version)
    assert len(answers) >= 2 * ANSWERS
    assert len(set(answers.values())) == len(answers), "no two were told that they made the same version"
    for key, (of, version) in answers.items():
        event = cases.events(of)[version - 1]
        assert event.action == key.split(".")[1]
        if event.action == "comment":
            assert event.said["reason"] == key
            again = cases.do(of, Request("comment", key), DUTY, MONDAY, version=version - 1, key=key)
            assert (again.case, again.version) == (of, version), "a request that is repeated has no second effect"
    story = cases.events(shared)
    assert [event.seq for event in story] == list(range(1, len(story) + 1))
    assert fold_all(story) == cases.case(shared)
    reasons = [event.said["reason"] for event in story[1:]]
    assert len(set(reasons)) == len(reasons)
    assert cases.recount() == []
