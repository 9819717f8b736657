"""One backtest that somebody asked for at the console, in a process of its own: the same result as the command's.

It reads a pipe from `work` and ends with it; under memory pressure it is the first to go. See `backtest_work`.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.app.backtest import Options, result_of
from hutong.calls.archiving import FOLDER as ARCHIVE
from hutong.calls.archiving import TABLES
from hutong.calls.evidence.jobs import BacktestJobs, Note
from hutong.calls.evidence.live import LABELS
from hutong.calls.evidence.store import FOLDER, EvidenceStore
from hutong.kernel.archive.files import POSITION
from hutong.kernel.archive.query import ArchiveQuery
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.config import Config
    from hutong.calls.evidence.jobs import Asked
    from hutong.calls.records.run import Progress
    from hutong.kernel.clock import Clock

_MS: Final = 1_000_000
#: How often the runner says how far it is, ns.
_SAY_NS: Final = 500_000_000
_YIELD: Final = 10  # calls and pages come first
_GONE: Final = 4


def run_job(config: Config, file: Path | None, number: int) -> int:
    """Run one job in this process; its state and its evidence are kept in the data folder. Returns the exit status.

    Raises:
        OSError: the state cannot be kept.
    """
    clock, jobs = SystemClock(), BacktestJobs(config.data)
    os.nice(_YIELD)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    with jobs.running():
        it = jobs.find(number)
        if it is None or it.note.state != "waiting":
            return 0
        note = Note("running", began_ms=clock.wall() // _MS)
        jobs.say(number, note)
        teller = _Teller(jobs, number, note, clock)
        folder = jobs.folder / f"tmp-{number}"
        try:
            evidence = _tested(config, file, it.asked, folder, teller.tell)
            last = msgspec.structs.replace(teller.note, state="done", evidence=evidence)
        except HutongError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            last = msgspec.structs.replace(teller.note, state="failed", what=what, fix=error.fix)
        except OSError as error:
            last = msgspec.structs.replace(teller.note, state="failed", what=f"It could not be done: {error}.")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        jobs.say(number, msgspec.structs.replace(last, ended_ms=clock.wall() // _MS))
    return 0


def _end_with_parent() -> None:
    """Wait for the end of the pipe from `work`, then end at once: the kernel lets go of the lock."""
    while os.read(0, 4096):
        pass
    os._exit(_GONE)


class _Teller:
    """Keeps how far a job is, twice a second at most."""

    def __init__(self, jobs: BacktestJobs, number: int, note: Note, clock: Clock) -> None:
        self._jobs, self._number, self.note, self._clock = jobs, number, note, clock
        self._next = 0

    def tell(self, step: Progress) -> None:
        self.note = msgspec.structs.replace(
            self.note, phase=step.phase, done=step.done, total=step.total, rows=step.rows
        )
        now = self._clock.monotonic()
        if now >= self._next:
            self._next = now + _SAY_NS
            self._jobs.say(self._number, self.note)


def _tested(config: Config, file: Path | None, asked: Asked, folder: Path, tell: Callable[[Progress], None]) -> str:
    """Test, and keep the result as the command does; gives the evidence's id."""
    for left in folder.parent.glob("tmp-*"):
        shutil.rmtree(left, ignore_errors=True)
    days = some_days(config.data / ARCHIVE, folder, date.fromisoformat(asked.since), date.fromisoformat(asked.until))
    options = Options(
        rules=(asked.rule,),
        over=(days,),
        labels=config.data / LABELS / asked.labels,
        out=folder,
        data=config.data,
        config=file,
        by=asked.by,
    )
    return EvidenceStore(config.data / FOLDER).keep(result_of(options, tell))


def some_days(archive: Path, folder: Path, since: date, until: date) -> Path:
    """An archive of its own with the files of some days, which stay while the whole one merges and forgets.

    What became of the last day's calls stands in the next day's files, so these outcomes are in it.

    Raises:
        ArchiveError: the archive cannot be read. OSError: the files cannot be linked.
    """
    made = folder / f"archive.{since}.{until}"
    query = ArchiveQuery(archive, TABLES)
    for table in TABLES:
        last = until + timedelta(days=1) if table == "outcomes" else until
        (made / table).mkdir(parents=True, exist_ok=True)
        for one in query.files(table):
            if since <= one.day <= last:
                target = made / table / one.path.parent.name / one.path.name
                target.parent.mkdir(exist_ok=True)
                _link(one.path, target)
    # Taken last: it must not say less than the files.
    shutil.copyfile(archive / POSITION, made / POSITION)
    return made


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        target.symlink_to(source.resolve())  # the archive lies on another disk
