"""Alerts: what watching calls costs the screening process, per tick and per screened call.

In one process, without sockets: an engine with a call table, as `hutong calls screen` has it.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from bench.tables import table
from hutong.calls import board
from hutong.calls.alerts import marks as alert_marks
from hutong.calls.alerts.conditions import NO_CONDITIONS, ConditionWatcher
from hutong.calls.engine import Engine, Policy, Tables
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.mirror import due as mirror_due
from hutong.calls.mirror import settle as mirror_settle
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.batch import new_reader
from hutong.calls.trunks import TrunkTable
from hutong.kernel import windows
from hutong.kernel.lists.index import ListIndex
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering import Numbering, key_of_digits
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hutong.calls.mirror.batch import Reader

CALLS = 262_144
"""Rows of the call table, as shipped; nine tenths of them are in use."""
TICK_MS = 25
_NOW = 1_772_416_800_000
_SECOND = 1_000_000_000
_POLICY = Policy(
    next_hop="192.0.2.1:5060",
    redress_url="",
    budget_ms=50,
    time_zone="Asia/Shanghai",
    night_from=22,
    night_to=8,
    use_roaming_table=False,
    look_up_roaming=False,
)


def alerts_table() -> str:
    """The figures as a table."""
    with TemporaryDirectory(prefix="hutong-bench-") as name:
        rows = list(_measure(Path(name)))
    return table(("what", "µs", "of a tick of 25 ms"), [(what, f"{us:,.1f}", f"{us / 250:.2f}%") for what, us in rows])


def _measure(folder: Path) -> list[tuple[str, float]]:
    reader, engine = _reader(folder)
    it = reader.it
    t, calls = it.judge.calls, int(CALLS * 0.9)
    for number in range(calls):
        row = mirror_calls.insert(t, number + 1, 0, mirror_calls.JUDGED, _NOW)
        _fill(t, row, number)
    found = [("no conditions", _tick(it, _NOW, 200))]
    it = it._replace(watch=engine.watch)
    found.append(("a tick that is due nothing, and its part of the round", _tick(it, _NOW + 400_000, 2000)))
    found.append(("a round over all calls, in ticks of their own", _tick(it, _NOW + 500_000, 64) * 64))
    found.append(("a tick in which 256 calls reach an age (most that one takes)", _tick(it, _NOW + 15_000_000, 200)))
    found.append(("noting a flagged call at set-up", _note(t)))
    return found


def _reader(folder: Path) -> tuple[Reader, Engine]:
    """A reader without conditions, and its engine, which has the shipped ones and keeps alive what both work on."""
    numbering = Numbering("021")
    lists = ListStore(folder / "lists")
    lists.open()
    index = ListIndex(lists)
    index.load()
    words = np.zeros(mirror_calls.words_for(CALLS), dtype=np.int64)
    mirror_calls.format_table(words, CALLS, 4711)
    kept = windows.format_buffer(bytearray(windows.size_for(100_000)), 100_000, (1, 2))
    tables = Tables(numbering, TrunkTable((), (), numbering), kept, index.arrays, index.arrays, words)
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    engine = Engine(_POLICY, tables, ruleset, np.zeros(board.CELLS, np.int64), 7)
    engine.use_alerts(NO_CONDITIONS)
    reader = new_reader(engine, b"", 500, 1024)
    conditions = ConditionWatcher(folder).poll(0)
    assert conditions is not None  # noqa: S101  # the shipped ones
    engine.use_alerts(conditions)
    return reader, engine


def _fill(t: NDArray[np.int64], row: int, number: int) -> None:
    mirror_calls.put_row(t, row, mirror_calls.CALLER, key_of_digits(f"86138{number % 100_000_000:08d}"))
    mirror_calls.put_row(t, row, mirror_calls.CALLEE, key_of_digits(f"86139{number % 100_000_000:08d}"))
    mirror_calls.set_state(t, row, mirror_calls.TALKING)
    mirror_calls.move(t, row, mirror_calls.TALK, _NOW)


def _tick(it: mirror_settle.Follower, now: int, times: int) -> float:
    """Microseconds of one tick, batch included."""
    t = it.judge.calls

    def once() -> None:
        it.done[:] = 0, 0, 1
        mirror_calls.begin(t, 1)
        mirror_due.watch_calls(it, now)
        mirror_calls.commit(t)

    return _microseconds(once, times)


def _note(t: NDArray[np.int64]) -> float:
    keys = iter(range(1, 10_000_000))

    def once() -> None:
        key = next(keys)
        mirror_calls.begin(t, 1)
        alert_marks.note_flagged(t, key, key + 1, 0, _NOW)
        mirror_calls.commit(t)

    return _microseconds(once, 50_000)


def _microseconds(work: Callable[[], None], times: int) -> float:
    work()
    began = time.perf_counter_ns()
    for _ in range(times):
        work()
    return (time.perf_counter_ns() - began) / times / 1000
