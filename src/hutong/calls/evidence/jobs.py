"""Backtests that people ask for at the console: what is asked, how far it is, what came of it. All in files.

`serve` writes what is asked and what is cancelled, whoever runs the job writes its state; each file is replaced whole.
A job runs while its runner holds the lock: one that says so without a holder broke off, whatever killed its runner.

    NUMBER.asked    what is asked, written once
    NUMBER.state    how far it is; missing while the job waits
    NUMBER.cancel   somebody cancelled it
    runner.lock     held by the runner: one at a time
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: In the data folder.
FOLDER: Final = "backtests"
#: Jobs that may wait at one time, and finished ones that are kept.
MOST_WAITING: Final = 8
MOST_KEPT: Final = 50
#: Days of the archive that one job may take.
MOST_DAYS: Final = 31
_LOCK: Final = "runner.lock"
_ASKING: Final = "asking.lock"

State = Literal["waiting", "running", "done", "failed", "cancelled", "broken"]
UNFINISHED: Final = ("waiting", "running")


class JobError(HutongError):
    """A backtest cannot be asked for or cancelled.

    Args:
        code: a word for pages: which text says the same.
    """

    def __init__(self, code: str, what: str, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.code = code


class Asked(msgspec.Struct, frozen=True):
    """What somebody asked for.

    Attributes:
        number: the job's. rule, version: what is tested.
        since, until: first and last UTC day of the archive, YYYY-MM-DD. labels: name of a file in DATA/labels.
        by: who asks. asked_ms: when.
    """

    number: int
    rule: str
    version: int
    since: str
    until: str
    labels: str
    by: str
    asked_ms: int


class Note(msgspec.Struct, frozen=True):
    """What the runner says.

    Attributes:
        state: running or how it ended. phase: reading, sorting, judging. done, total: of the phase, in its own units.
        rows: call records read by now. began_ms, ended_ms: 0 where not yet.
        evidence: id of the result. what, fix: why it failed, and what to do.
    """

    state: State
    phase: str = ""
    done: int = 0
    total: int = 0
    rows: int = 0
    began_ms: int = 0
    ended_ms: int = 0
    evidence: str = ""
    what: str = ""
    fix: str = ""


_File = TypeVar("_File", Asked, Note)


class Backtesting(msgspec.Struct, frozen=True):
    """A job as it stands. cancelled: somebody said so; it may still be running for a moment."""

    asked: Asked
    note: Note
    cancelled: bool

    @property
    def share(self) -> float:
        """How far the phase is, 0 … 1."""
        return min(self.note.done / self.note.total, 1.0) if self.note.total else 0.0

    @property
    def unfinished(self) -> bool:
        """Whether more is to come."""
        return self.note.state in UNFINISHED


class BacktestJobs:
    """The jobs of a data folder. Safe for many threads and processes.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self.folder = data / FOLDER

    # Asking

    def ask(self, asked: Asked) -> Asked:
        """Put a job behind those that wait; gives it with its number.

        Raises:
            JobError: too many wait, or it cannot be kept.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            with self._only_one():
                known = self.all()
                if sum(it.unfinished for it in known) >= MOST_WAITING:
                    raise JobError("full", "Too many backtests wait already.", "Wait for one to end, or cancel one.")
                asked = msgspec.structs.replace(asked, number=max((it.asked.number for it in known), default=0) + 1)
                self._write(f"{asked.number}.asked", msgspec.json.encode(asked))
                self._forget([it for it in known if not it.unfinished][MOST_KEPT - 1 :])
        except OSError as error:
            raise JobError("disk", f"The backtest cannot be kept: {error.strerror}.") from error
        return asked

    def cancel(self, number: int) -> None:
        """Say that a job is not wanted any more; whoever runs it ends it within seconds.

        Raises:
            JobError: there is none such that waits or runs.
        """
        it = self.find(number)
        if it is None or not it.unfinished:
            raise JobError("over", "This backtest neither waits nor runs.")
        try:
            self._write(f"{number}.cancel", b"")
        except OSError as error:
            raise JobError("disk", f"It cannot be cancelled: {error.strerror}.") from error

    # Reading

    def all(self) -> list[Backtesting]:
        """Every job, newest first."""
        numbers = sorted((int(it.stem) for it in self.folder.glob("*.asked") if it.stem.isdigit()), reverse=True)
        return [it for number in numbers if (it := self.find(number)) is not None]

    def find(self, number: int) -> Backtesting | None:
        """One job; None where there is none of this number."""
        asked = self._read(f"{number}.asked", Asked)
        if asked is None:
            return None
        note = self.note(number)
        cancelled = (self.folder / f"{number}.cancel").exists()
        if note.state == "waiting" and cancelled:
            note = Note("cancelled")
        elif note.state == "running" and not self.is_running():
            # It may have ended between the two looks.
            note = self.note(number)
            if note.state == "running":
                note = msgspec.structs.replace(note, state="broken")
        return Backtesting(asked, note, cancelled)

    def note(self, number: int) -> Note:
        """What the runner said last."""
        return self._read(f"{number}.state", Note) or Note("waiting")

    def next(self) -> Asked | None:
        """The job that has waited longest."""
        waiting = [it for it in self.all() if it.note.state == "waiting"]
        return waiting[-1].asked if waiting else None

    # Running

    def say(self, number: int, note: Note) -> None:
        """Keep what the runner says.

        Raises:
            OSError: it cannot be written.
        """
        self._write(f"{number}.state", msgspec.json.encode(note))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the lock of the runner; waits for whoever has it."""
        with (self.folder / _LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def is_running(self) -> bool:
        """Whether somebody holds the lock of the runner."""
        try:
            with (self.folder / _LOCK).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    # Files

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        with (self.folder / _ASKING).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, name: str, content: bytes) -> None:
        fresh = self.folder / f".{name}.{os.getpid()}.new"
        fresh.write_bytes(content)
        fresh.replace(self.folder / name)

    def _read(self, name: str, type_: type[_File]) -> _File | None:
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=type_)
        except (OSError, *UNREADABLE):
            return None

    def _forget(self, old: list[Backtesting]) -> None:
        for it in old:
            # What was asked goes first: without its state, a job would wait again.
            for kind in ("asked", "state", "cancel"):
                (self.folder / f"{it.asked.number}.{kind}").unlink(missing_ok=True)
