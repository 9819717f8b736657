"""Scoring in a running node: `hutong work` starts a run in its slot, a process of its own does it.

Telling of a province's numbers takes minutes and a gigabyte; the other jobs must not wait for it, nor share its memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.schedule import Job
from hutong.calls.evidence.reading import OF_SCORES, reads
from hutong.calls.features import VOCABULARY
from hutong.calls.rule_book import rule_paths
from hutong.kernel.errors import StateError
from hutong.kernel.reporter import Reporter
from hutong.kernel.rules.loader import load_ruleset
from hutong.kernel.scores.past import FOLDER, PastScores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.app.config import Config
    from hutong.kernel.clock import Clock

#: The folder of published scores, in the data folder.
SCORES: Final = "scores"

_MS: Final = 1_000_000
_MINUTE: Final = 60_000_000_000
_DAY: Final = 24 * 60 * _MINUTE
_YIELD: Final = 10  # calls and pages come first


class ScoringWork:
    """Runs of `hutong risk rescore`, one at a time, none of them waited for.

    Args:
        config: the node's settings.
        file: where they were read from, for the process that scores.
        command: what is run.
    """

    def __init__(self, config: Config, file: Path | None, command: Sequence[str] = ()) -> None:
        named = [] if file is None else ["--config", str(file)]
        own = [sys.executable, "-m", "hutong", "risk", "rescore", "--data", str(config.data), *named]
        self._risk, self._command = config.risk, command or own
        self._past = PastScores(config.data / FOLDER)
        self._kept_days = 2 * config.risk.days + config.evidence.days
        self._child: subprocess.Popen[bytes] | None = None

    def jobs(self) -> list[Job]:
        """One that deletes past scores; where a model is installed, another that starts a run in each of its slots."""
        forget = Job("past-scores", 60 * _MINUTE, self.forget)
        if not self._risk.model:
            return [forget]
        return [forget, Job("risk-scores", self._risk.every_minutes * _MINUTE, self.start)]

    def forget(self, now: int) -> int:
        """Delete past scores that no evidence needs at `now` (ns since 1970); returns how many files went.

        A backtest that is good for `evidence.days` needs calls of before, and those the scores that stood then.
        """
        return self._past.forget((now - self._kept_days * _DAY) // _MS)

    def start(self, _now: int) -> int:
        """Begin a run unless one is still at work; returns how many were begun.

        Raises:
            StateError: the run before failed; a new one has begun.
        """
        status = None if self._child is None else self._child.poll()
        if self._child is not None and status is None:
            return 0
        self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603  # our own command
        if status:
            raise StateError(
                f"The scoring run before ended with status {status}.", fix="It said why in the log, as process `risk`."
            )
        return 1

    def stop(self) -> None:
        """End a run that is at work; what it would have published stays as it was."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()


def rescore(config: Config, clock: Clock) -> int:
    """Score active numbers once, and publish; returns how many.

    Raises:
        HutongError: there is no model, it does not fit, or the archive cannot be read.
    """
    from hutong.risk.nearline import NearLine, Place  # noqa: PLC0415  # learning libraries are loaded by who scores
    from hutong.risk.telling import Kind  # noqa: PLC0415  # as above

    os.nice(_YIELD)
    reporter = Reporter("risk", level=config.log.level, form=config.log.format)
    place = Place(Path(config.risk.model), config.data / "archive", config.data / SCORES, config.data / FOLDER)
    own = config.calls
    further = [Path(own.rules_dir)] if own.rules_dir else []
    rules = load_ruleset(rule_paths(config.data, further), VOCABULARY).rules
    by_score = tuple(rule.id for rule in rules if reads(rule, OF_SCORES))
    kind = Kind(own.time_zone, own.night_from, own.night_to, own.home_area, by_score)

    def warn(note: str) -> None:
        reporter.log.warning("scores: take note", note=note)

    numbers = NearLine(place, kind, config.risk.days, reporter.metrics, warn).run(clock.wall())
    reporter.metrics.write(config.data / "run" / "risk.prom")
    reporter.log.info("scores published", numbers=numbers)
    return numbers
