"""CSV files that people bring to the lists: looked through first, then taken in by whoever confirms it.

A file lies in a folder of its own until it is taken in, given up or an hour old. Reading one takes seconds to minutes,
so it is done in a thread, and whoever asks is told how far it is. Not here: what a row means (`kernel.lists.csv_file`).
"""

from __future__ import annotations

import csv
import hashlib
import secrets
import threading
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from hutong.kernel.errors import HutongError, StateError
from hutong.kernel.lists.csv_file import Imported, import_file
from hutong.kernel.reporter import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hutong.kernel.clock import Clock
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.numbering import Numbering

LARGEST: Final = 20 * 1024 * 1024
"""Bytes of a file; larger ones go through `hutong lists import`."""
MOST_REFUSED: Final = LARGEST
"""Bytes of rows with what is wrong in each: two letters that are no row grow to a hundred, on the journal's disk."""
KEPT_S: Final = 3600
MOST_KEPT: Final = 8
SHOWN_REFUSED: Final = 200

_NS = 1_000_000_000
_ALL = 1.0  # share of bad rows at which to stop: people see them before they confirm

State = Literal["checking", "checked", "applying", "done", "failed"]


class Refused(NamedTuple):
    """A row that was not accepted: its line, the column, what is wrong, what to do."""

    line: str
    column: str
    what: str
    fix: str


class Import(msgspec.Struct, frozen=True):
    """One file and what became of it.

    Attributes:
        token: names it; 128 random bits.
        owner: who brought it; nobody else may see it or take it in.
        name: the file's name, numbers in it masked. size: its bytes. digest: SHA-256, the first 16 hexadecimal digits.
        at: second when it came.
        state: what is being done with it.
        read: bytes read so far, while something is being done.
        checked: what looking through it found. done: what taking it in did.
        trouble: why it failed.
    """

    token: str
    owner: str
    name: str
    size: int
    digest: str
    at: int
    state: State = "checking"
    read: int = 0
    checked: Imported | None = None
    done: Imported | None = None
    trouble: HutongError | None = None

    @property
    def share(self) -> float:
        """How far the reading is, 0 … 1."""
        return min(self.read / self.size, 1.0) if self.size else 1.0


class _Nowhere:
    """Where entries of a file go that is only looked through."""

    def add(self, entries: Sequence[Entry], now: int) -> None:
        """Forget them."""


class ImportDesk:
    """Takes files, looks through them, takes them in.

    Args:
        folder: for files that wait; what an earlier process left there is deleted when the first one comes.
        store: where entries go.
        numbering: reads targets.
        clock: the time.
    """

    def __init__(self, folder: Path, store: ListStore, numbering: Numbering, clock: Clock) -> None:
        self._folder = folder
        self._store = store
        self._numbering = numbering
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, Import] = {}
        self._begun = False

    def bring(self, owner: str, name: str, content: bytes) -> Import:
        """Keep a file and begin to look through it.

        Raises:
            StateError: too many files wait, or this one cannot be kept.
        """
        it = Import(
            token=secrets.token_hex(16),
            owner=owner,
            name=masked(name[:200]),
            size=len(content),
            digest=hashlib.sha256(content).hexdigest()[:16],
            at=self._now(),
        )
        with self._lock:
            self._sweep()
            if len(self._kept) >= MOST_KEPT:
                raise StateError("Too many files wait to be imported.", fix="Take them in or give them up first.")
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file(it.token).write_bytes(content)
            except OSError as error:
                raise StateError(f"The file cannot be kept: {error.strerror}.", where=str(self._folder)) from error
            self._kept[it.token] = it
        self._start(it.token, self._check)
        return it

    def find(self, token: str, owner: str) -> Import | None:
        """A file that `owner` brought; None where there is none or its time is over."""
        with self._lock:
            it = self._kept.get(token)
        return it if it is not None and it.owner == owner else None

    def take_in(self, token: str, owner: str, finished: Callable[[Import], None]) -> bool:
        """Begin to take a file in; False where that is not its turn (somebody confirmed it twice).

        Args:
            token, owner: which.
            finished: told of the end, in the thread that did it.
        """
        with self._lock:
            it = self._kept.get(token)
            if it is None or it.owner != owner or it.state != "checked":
                return False
            self._kept[token] = msgspec.structs.replace(it, state="applying", read=0)
        self._start(token, lambda token: self._apply(token, finished))
        return True

    def give_up(self, token: str, owner: str) -> None:
        """Forget a file that nothing is being done with."""
        with self._lock:
            it = self._kept.get(token)
            if it is not None and it.owner == owner and it.state not in {"checking", "applying"}:
                self._drop(token)

    def refused(self, it: Import) -> list[Refused]:
        """The first rows that were refused."""
        try:
            with self.refused_file(it).open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                return [
                    Refused(row["error_row"], row["error_column"], row["error"], row["error_fix"])
                    for row in islice(rows, SHOWN_REFUSED)
                ]
        except OSError:
            return []

    def refused_file(self, it: Import) -> Path:
        """The file of refused rows; it exists where there are any. Repaired, it can itself be imported."""
        return self._folder / f"{it.token}.refused.csv"

    def _now(self) -> int:
        return self._clock.wall() // _NS

    def _file(self, token: str) -> Path:
        return self._folder / f"{token}.csv"

    def _start(self, token: str, work: Callable[[str], None]) -> None:
        threading.Thread(target=work, args=(token,), name=f"import-{token[:8]}", daemon=True).start()

    def _check(self, token: str) -> None:
        self._read(token, _Nowhere(), lambda it, done: msgspec.structs.replace(it, state="checked", checked=done))

    def _apply(self, token: str, finished: Callable[[Import], None]) -> None:
        try:
            self._read(token, self._store, lambda it, done: msgspec.structs.replace(it, state="done", done=done))
        finally:
            # Also where it broke off by our own fault: the trail must not say for ever that it began.
            with self._lock:
                it = self._kept[token]
            self._file(token).unlink(missing_ok=True)
            finished(it)

    def _read(self, token: str, store: ListStore | _Nowhere, after: Callable[[Import, Imported], Import]) -> None:
        refused = self.refused_file(self._kept[token])

        def progress(position: int) -> None:
            if refused.exists() and refused.stat().st_size > MOST_REFUSED:
                raise StateError("Too many rows of this file are wrong.", fix="Check its columns and their order.")
            with self._lock:
                self._kept[token] = msgspec.structs.replace(self._kept[token], read=position)

        try:
            done = import_file(
                store,
                self._file(token),
                numbering=self._numbering,
                now=self._now(),
                errors=refused,
                stop_at=_ALL,
                progress=progress,
            )
        except Exception as error:
            trouble = error if isinstance(error, HutongError) else HutongError(f"The import broke off: {error}.")
            with self._lock:
                self._kept[token] = msgspec.structs.replace(self._kept[token], state="failed", trouble=trouble)
            if trouble is not error:
                raise
        else:
            with self._lock:
                self._kept[token] = after(self._kept[token], done)

    def _sweep(self) -> None:
        """Delete files whose time is over. Called with the lock held."""
        if not self._begun:
            self._begun = True
            for file in self._folder.glob("*.csv"):
                file.unlink(missing_ok=True)
        for token, it in list(self._kept.items()):
            if it.at + KEPT_S <= self._now() and it.state not in {"checking", "applying"}:
                self._drop(token)

    def _drop(self, token: str) -> None:
        it = self._kept.pop(token)
        self._file(token).unlink(missing_ok=True)
        self.refused_file(it).unlink(missing_ok=True)
