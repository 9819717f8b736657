"""Counting calls by minute while somebody kills who counts."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from hutong.calls.history import KINDS, History
from hutong.calls.index import VerdictIndex
from hutong.kernel.records import Database, database_url
from verdict_records import NOON_MS, traffic

VICTIM = Path(__file__).with_name("index_victim.py")


def test_a_counter_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    traffic(tmp_path, 300)
    moments = random.Random(11)
    for _ in range(6):
        with subprocess.Popen([sys.executable, VICTIM, tmp_path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(moments.randrange(1, 40))
            process.send_signal(signal.SIGKILL)
    database = Database(database_url("", tmp_path))
    database.open()
    index = VerdictIndex(tmp_path)
    killed, whole = History(database, "n"), History(database, "w")
    killed.fold(index)
    whole.fold(index)
    end = NOON_MS + 3_600_000
    assert [killed.totals(kind, 0, end) for kind in KINDS] == [whole.totals(kind, 0, end) for kind in KINDS]
    database.close()
