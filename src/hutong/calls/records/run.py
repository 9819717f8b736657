"""A replay of files from end to end: read, put in order where they are not, judge, write out in the files' own order.

Files in order of time are judged as they are read. At the first row that is not, everything begins again: all rows are
put down on disk, sorted by time, judged, and what was judged is sorted back. Memory stays bounded both ways.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from hutong.calls.model import ACTIONS
from hutong.calls.records.columns import SCHEMA, call_batch
from hutong.calls.records.dead_letters import DeadLetters
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.order import OutOfOrder, is_counted, ordered, uncounted
from hutong.calls.records.reading import Reading, Source
from hutong.calls.records.results import ROW_SCHEMA, Describing, ResultFile, as_string, count_actions
from hutong.calls.records.results import SCHEMA as RESULT_SCHEMA
from hutong.calls.records.sorting import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hutong.calls.replay.batch import CallBatch, Judged

Phase = Literal["judging", "reading", "sorting", "writing"]
_WORD_BITS: Final = 64


class Judge(Protocol):
    """What judges batches in order: `calls.replay.Replay`."""

    def feed(self, batch: CallBatch) -> Judged:
        """Judge a batch that follows the one before."""


class Progress(NamedTuple):
    """How far a run is: what it does, how much of it is done of how much, rows read by now, bad ones among them."""

    phase: Phase
    done: int
    total: int
    rows: int
    bad: int


class Tally(NamedTuple):
    """What a run did.

    Attributes:
        calls: judged calls. bad: rows that were set aside.
        actions: calls by action. hits: calls on which each rule fired, in the rule set's order.
        sorted: whether the files were out of order.
    """

    calls: int
    bad: int
    actions: dict[str, int]
    hits: list[int]
    sorted: bool


class Run:
    """One replay.

    Args:
        source: what is read.
        rules: ids of the rules, in the rule set's order.
        judge: makes what judges, anew for each attempt.
        out: file for the results; None for standard output.
        errors: file for bad rows.
        progress: told how far it is.
    """

    def __init__(
        self,
        source: Source,
        rules: Sequence[str],
        judge: Callable[[], Judge],
        *,
        out: Path | None,
        errors: Path,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._source, self._rules, self._judge = source, rules, judge
        self._out, self._errors, self._progress = out, errors, progress
        self._actions = np.zeros(len(ACTIONS), dtype=np.int64)
        self._hits = np.zeros(max(len(rules), 1), dtype=np.int64)
        self._describing = Describing(rules)

    def run(self, stdout: IO[bytes] | None = None) -> Tally:
        """Do it; the results appear whole at the end, or not at all.

        Raises:
            CallFileError: see `Reading.batches`; or the results cannot be written.
        """
        self._refuse_overwriting()
        self._size = self._source.size
        dead = DeadLetters(self._errors)
        with ExitStack() as stack:
            stack.callback(dead.close)
            folder = Path(stack.enter_context(self._temporary()))
            in_order = self._straight(dead, folder)
            if not in_order:
                dead.forget()
                self._sorted(dead, folder)
            self._results.finish(stdout or sys.stdout.buffer)
        actions = {name: int(self._actions[code]) for code, name in enumerate(ACTIONS) if name != "observe"}
        hits = self._hits[: len(self._rules)].tolist()
        return Tally(int(self._actions.sum()), dead.count, actions, hits, not in_order)

    def _refuse_overwriting(self) -> None:
        """Neither the input nor each other may be written over."""
        files = {path.resolve() for path in self._source.files}
        for path in (self._out, self._errors):
            if path is None:
                continue
            if path.resolve() in files:
                raise CallFileError("This file is written to and read.", where=str(path), fix="Name another.")
            files.add(path.resolve())

    def _temporary(self) -> tempfile.TemporaryDirectory[str]:
        beside = None if self._out is None else self._out.parent
        try:
            return tempfile.TemporaryDirectory(prefix=".hutong-replay-", dir=beside)
        except OSError as error:
            raise CallFileError(
                f"Nothing can be written here: {error.strerror}.", where=str(beside or tempfile.gettempdir())
            ) from error

    def _begin(self, folder: Path) -> None:
        self._actions[:] = 0
        self._hits[:] = 0
        self._results = ResultFile(self._out, folder / "results")
        self._results.open()

    # Files in order

    def _straight(self, dead: DeadLetters, folder: Path) -> bool:
        """Judge rows as they are read; False where they are out of order."""
        self._begin(folder)
        reading, judge = Reading(self._source, dead), self._judge()
        try:
            for rows in ordered(reading.batches(), counted=None if self._source.counted else False):
                self._results.write(self._result(rows, judge).select(RESULT_SCHEMA.names))
                self._tell("judging", reading.position, self._size, reading.rows, dead)
        except OutOfOrder:
            return False
        return True

    # Files out of order

    def _sorted(self, dead: DeadLetters, folder: Path) -> None:
        reading, calls, counted = Reading(self._source, dead), Spool(folder, "calls"), self._source.counted
        for rows in reading.batches():
            counted = counted and is_counted(rows)
            calls.put(rows)
            self._tell("reading", reading.position, self._size, reading.rows, dead)
        self._begin(folder)
        judge, judged, total, done = self._judge(), Spool(folder, "judged"), reading.rows, 0
        self._tell("sorting", 0, total, total, dead)
        for rows in calls.sorted("seq, row" if counted else "start, row", SCHEMA):
            judged.put(self._result(rows if counted else uncounted(rows), judge))
            done += rows.num_rows
            self._tell("judging", done, total, total, dead)
        done = 0
        for rows in judged.sorted("row", ROW_SCHEMA):
            self._results.write(rows.select(RESULT_SCHEMA.names))
            done += rows.num_rows
            self._tell("writing", done, total, total, dead)

    # Both

    def _result(self, rows: pa.RecordBatch, judge: Judge) -> pa.RecordBatch:
        judged = judge.feed(call_batch(rows))
        self._actions += count_actions(judged.action)
        fired = judged.fired[judged.fired.any(axis=1)]
        for rule in range(len(self._rules)):
            self._hits[rule] += _hits(fired[:, rule // _WORD_BITS], rule % _WORD_BITS)
        columns = {"row": rows.column("row"), "call_id": as_string(rows.column("call_id"))}
        columns |= self._describing.columns(judged)
        return pa.RecordBatch.from_arrays([columns[name] for name in ROW_SCHEMA.names], schema=ROW_SCHEMA)

    def _tell(self, phase: Phase, done: int, total: int, rows: int, dead: DeadLetters) -> None:
        self._progress(Progress(phase, done, total, rows, dead.count))


def _hits(fired: NDArray[np.uint64], bit: int) -> int:
    return int(np.count_nonzero(fired & np.uint64(1 << bit)))
