"""Backtests that people ask for at the console: `hutong work` starts one at a time, another process runs it.

Judging days of calls takes minutes and the memory of the windows: it must neither hold up jobs or pages nor outlive
`work`. The runner reads a pipe from `work` and ends with it; under memory pressure it is the first to go.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.app.schedule import Job
from hutong.calls.evidence.jobs import BacktestJobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hutong.app.config import Config
    from hutong.kernel.clock import Clock

_LOOK: Final = 1_000_000_000
_MS: Final = 1_000_000
#: A backtest that takes longer is ended.
MOST_S: Final = 6 * 3600
_END_S: Final = 5.0


class BacktestWork:
    """Starts the runner for whatever waits, one at a time; ends it where somebody cancelled, or it takes too long.

    Args:
        config: the node's settings.
        file: where they were read from, for the runner.
        clock: the time.
        command: what is run, before the job's number.
    """

    def __init__(self, config: Config, file: Path | None, clock: Clock, command: Sequence[str] = ()) -> None:
        named = [] if file is None else ["--config", str(file)]
        own = [sys.executable, "-m", "hutong", "rules", "run-backtest", "--data", str(config.data), *named, "--number"]
        self._jobs, self._clock, self._command = BacktestJobs(config.data), clock, list(command or own)
        self._child: subprocess.Popen[bytes] | None = None
        self._number = self._began = 0

    def jobs(self) -> list[Job]:
        """The job that looks for what waits."""
        return [Job("backtests", _LOOK, self.look)]

    def look(self, _now: int) -> int:
        """Begin the next one, or see to the one that runs; gives how many were begun.

        Raises:
            OSError: the runner cannot be started, or its end not noted.
        """
        if self._child is not None:
            self._see_to(self._child)
            return 0
        asked = self._jobs.next()
        if asked is None:
            return 0
        # The pipe is never written to: it ends with this process, however that ends.
        self._child = subprocess.Popen([*self._command, str(asked.number)], stdin=subprocess.PIPE)  # noqa: S603  # our own command
        self._number, self._began = asked.number, self._clock.monotonic()
        return 1

    def _see_to(self, child: subprocess.Popen[bytes]) -> None:
        status = child.poll()
        it = self._jobs.find(self._number)
        late = self._clock.monotonic() - self._began > MOST_S * 1_000_000_000
        if status is None and (it is None or it.cancelled or late):
            self._end(child)
            status = -1
        if status is None:
            return
        self._let_go(child)
        note = self._jobs.note(self._number)
        if it is None or note.state not in {"waiting", "running"}:
            return
        ended = self._clock.wall() // _MS
        if it.cancelled:
            note = msgspec.structs.replace(note, state="cancelled", ended_ms=ended)
        elif late:
            note = msgspec.structs.replace(note, state="failed", ended_ms=ended, what="It took too long and was ended.")
        else:
            what = f"Its process ended with status {status}."
            note = msgspec.structs.replace(note, state="failed", ended_ms=ended, what=what, fix="See the log of work.")
        self._jobs.say(self._number, note)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def stop(self) -> None:
        """End the runner; its job says that it broke off."""
        if self._child is not None:
            self._end(self._child)
            self._let_go(self._child)

    def _let_go(self, child: subprocess.Popen[bytes]) -> None:
        self._child = None
        if child.stdin is not None:
            child.stdin.close()
