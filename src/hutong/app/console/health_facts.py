"""What is known of a node at one moment, gathered from where each part leaves it. Nothing is judged here.

Whatever cannot be had is None: a page about health must open when parts are down, because that is when people look.
"""

from __future__ import annotations

import os
import threading
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.app.backup import NOTE, BackupNote
from hutong.app.console import machine
from hutong.app.process_states import read_note, start_of
from hutong.calls import board as cells
from hutong.calls.board import Board
from hutong.kernel.errors import HutongError
from hutong.kernel.journal import FileJournal
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.replica.store import FOLDER, Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hutong.calls.history import History
    from hutong.calls.live.view import LiveView
    from hutong.kernel.clock import Clock
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.records import Database

_MS, _S = 1_000_000, 1_000_000_000
_DAY_S = 86_400
_HOUR_MS = 3_600_000
_RECORD_BYTES = 170
"""Bytes of a journal record on average, until there are some to measure."""
_FRESH_NS = 1 * _S
SEGMENTS: Final = "*.seg"


class ProcessFact(msgspec.Struct, frozen=True):
    """A process. `cpu`: share of one processor since the last look, else since its start; None without a process."""

    name: str
    state: str
    pid: int
    since_ms: int | None
    uptime_s: float | None
    restarts: int | None
    rss: int | None
    cpu: float | None
    threads: int | None


class DiskFact(msgspec.Struct, frozen=True):
    """The data folder's disk, in bytes.

    Attributes:
        total, free: of the disk. journal: what the journal takes.
        per_day: what it gains a day at the rate of the last hour. full_grown: what it will take when old records go
            as fast as new ones come.
        days_left: until the disk is full; None where the journal stops growing before that.
    """

    total: int
    free: int
    journal: int
    per_day: float
    full_grown: float
    days_left: float | None


class Facts(msgspec.Struct, frozen=True):
    """A node at one moment; None is what cannot be had.

    Attributes:
        now_ms: the moment. live: the live figures.
        supervised: whether a supervisor runs. processes: what it runs, or what wrote its number.
        journal_seq: the newest record. counted_seq: up to where records are counted into history.
        counted_lag_s: how long the oldest record that is not counted yet has waited.
        unindexed: closed journal segments without an index.
        listed: entries in the lists. lists_differ_s: for how long screening has had another number of them.
        disk, memory, timekeeping: of the machine. database_ms: how long the records took to answer.
        database_trouble: why they did not. database_place: where they are.
        backup: the newest one. mirrored: whether mirrored signalling is listened for. watchers: of the live wall.
        ahead_s: by how much the newest counters are ahead of this clock.
        demoted: rules that were demoted by themselves, and that nobody has answered yet.
        replica_s: how old what the read replica holds is, inf where it was never whole; None without one.
    """

    now_ms: int
    live: LiveView
    supervised: bool
    processes: tuple[ProcessFact, ...]
    journal_seq: int | None
    counted_seq: int | None
    counted_lag_s: float | None
    unindexed: int
    listed: int | None
    lists_differ_s: float
    disk: DiskFact | None
    memory: machine.Memory
    timekeeping: machine.Timekeeping | None
    database_ms: float | None
    database_trouble: str
    database_place: str
    backup: BackupNote | None
    mirrored: bool
    watchers: int
    ahead_s: float
    demoted: int
    replica_s: float | None = None


def outlook(disk: machine.Disk, journal: int, per_day: float, keep_s: float) -> DiskFact:
    """What becomes of a disk: pure.

    Args:
        disk: as it is. journal: bytes that the journal takes.
        per_day: bytes that come a day. keep_s: seconds that records are kept.
    """
    full_grown = per_day * keep_s / _DAY_S
    growth = max(full_grown - journal, 0.0)
    days_left = disk.free / per_day if per_day > 0 and growth > disk.free else None
    return DiskFact(disk.total, disk.free, journal, per_day, full_grown, days_left)


class HealthSource:
    """Gathers facts, at most once a second for all who look; safe for many threads.

    Args:
        data: the data folder.
        keep_hours: how long the journal is kept.
        names: the processes of a node, in order.
        mirrored: whether mirrored signalling is listened for.
        live: the live figures now. watchers: how many watch the live wall.
        history, database, lists: opened by whoever made them.
        clock: the time.
        demoted: how many rules were demoted by themselves.
    """

    def __init__(  # noqa: PLR0913  # it knows every part
        self,
        data: Path,
        *,
        keep_hours: int,
        names: Sequence[str],
        mirrored: bool,
        live: Callable[[], LiveView],
        watchers: Callable[[], int],
        history: History,
        database: Database,
        lists: ListStore,
        clock: Clock,
        demoted: Callable[[], int],
    ) -> None:
        self._data = data
        self._journal = FileJournal(data / "journal")
        self._keep_s = keep_hours * 3600
        self._names = tuple(names)
        self._mirrored = mirrored
        self._live = live
        self._watchers = watchers
        self._history = history
        self._database = database
        self._lists = lists
        self._clock = clock
        self._demoted = demoted
        self._lock = threading.Lock()
        self._kept: tuple[int, Facts] | None = None
        self._cpu: dict[int, tuple[int, float, float]] = {}
        self._differ_since: int | None = None

    def facts(self) -> Facts:
        """The node now, or up to a second ago."""
        with self._lock:
            now = self._clock.monotonic()
            if self._kept is None or now - self._kept[0] >= _FRESH_NS:
                self._kept = (now, self._gather())
            return self._kept[1]

    def _gather(self) -> Facts:
        now_ms, live = self._clock.wall() // _MS, self._live()
        supervised, processes = self._processes(now_ms)
        journal_seq = self._journal_seq()
        counted, per_second = self._counted(now_ms)
        rate = per_second or live.rate
        listed = self._listed()
        database_ms, trouble = self._ask_database()
        snapshot = live.snapshot
        return Facts(
            now_ms=now_ms,
            live=live,
            supervised=supervised,
            processes=processes,
            journal_seq=journal_seq,
            counted_seq=counted,
            counted_lag_s=None if counted is None else self._waiting_s(counted + 1, now_ms),
            unindexed=self._unindexed(),
            listed=listed,
            lists_differ_s=self._differ(listed, snapshot.list_entries if snapshot else None),
            disk=self._disk(journal_seq, rate),
            memory=machine.memory(),
            timekeeping=machine.timekeeping(),
            database_ms=database_ms,
            database_trouble=trouble,
            database_place=self._database.place,
            backup=self._backup(),
            mirrored=self._mirrored,
            watchers=self._watchers(),
            ahead_s=max(-live_age(live, self._clock.wall()), 0.0),
            demoted=self._demoted(),
            replica_s=self._replica(now_ms),
        )

    # Processes

    def _processes(self, now_ms: int) -> tuple[bool, tuple[ProcessFact, ...]]:
        run = self._data / "run"
        note = read_note(run)
        if note is not None and note.alive:
            own = self._process("up", "ready", note.pid, None, None, None)
            return True, (
                own,
                *(
                    self._process(
                        it.name,
                        it.state,
                        it.pid,
                        it.since_ms,
                        (now_ms - it.started_ms) / 1000 if it.started_ms else None,
                        it.restarts,
                    )
                    for it in note.processes
                ),
            )
        return False, tuple(self._unsupervised(name) for name in self._names)

    def _unsupervised(self, name: str) -> ProcessFact:
        """Without a supervisor: this process, and whoever shows by its work that it runs."""
        if name == "serve":
            return self._process(name, "ready", os.getpid(), None, None, None)
        alive = name == "screen" and self._live().state not in {"absent", "stale"}
        return self._process(name, "ready" if alive else "unknown", 0, None, None, None)

    def _process(
        self, name: str, state: str, pid: int, since_ms: int | None, uptime_s: float | None, restarts: int | None
    ) -> ProcessFact:
        figures = machine.process_figures(pid) if pid else None
        cpu = self._cpu_share(pid, figures.cpu_s, uptime_s) if figures else None
        return ProcessFact(
            name=name,
            state=state,
            pid=pid,
            since_ms=since_ms,
            uptime_s=uptime_s,
            restarts=restarts,
            rss=figures.rss if figures else None,
            cpu=cpu,
            threads=figures.threads if figures else None,
        )

    def _cpu_share(self, pid: int, used_s: float, uptime_s: float | None) -> float | None:
        start, now = start_of(pid), self._clock.monotonic() / _S
        before = self._cpu.get(pid)
        self._cpu[pid] = (start, now, used_s)
        if before is not None and before[0] == start and now > before[1]:
            return max(used_s - before[2], 0.0) / (now - before[1])
        return used_s / uptime_s if uptime_s else None

    # Journal, history, index, lists

    def _journal_seq(self) -> int | None:
        board = Board(self._data / "board.bin")
        try:
            board.open_existing()
            return int(board.cells[cells.JOURNAL_SEQ])
        except HutongError:
            return None
        finally:
            board.close()

    def _counted(self, now_ms: int) -> tuple[int | None, float]:
        """Up to where history counted, and calls a second over its last hour."""
        try:
            counted = self._history.counted_to()
            hour = self._history.totals("action", now_ms - _HOUR_MS, now_ms)
        except HutongError:
            return None, 0.0
        return counted, sum(it.attempts for it in hour.values()) / 3600

    def _waiting_s(self, seq: int, now_ms: int) -> float:
        record = self._journal.record(seq)
        return 0.0 if record is None else max(now_ms - record.time_ns // _MS, 0) / 1000

    def _unindexed(self) -> int:
        segments = sorted(file.stem for file in (self._data / "journal").glob(SEGMENTS))
        indexed = {file.stem for file in (self._data / "index").glob("*.idx")}
        return sum(stem not in indexed for stem in segments[:-1])

    def _listed(self) -> int | None:
        try:
            return self._lists.count()
        except HutongError:
            return None

    def _differ(self, stored: int | None, screening: int | None) -> float:
        now = self._clock.monotonic()
        if stored is None or screening is None or stored == screening:
            self._differ_since = None
            return 0.0
        self._differ_since = now if self._differ_since is None else self._differ_since
        return (now - self._differ_since) / _S

    # Disk, database, replica, backup

    def _replica(self, now_ms: int) -> float | None:
        if not (self._data / FOLDER / "data.mdb").is_file():
            return None
        replica = Replica(self._data / FOLDER)
        try:
            replica.open()
            heard_ms = replica.heard_ms()
        except HutongError:
            return inf
        finally:
            replica.close()
        return max(now_ms - heard_ms, 0) / 1000 if heard_ms else inf

    def _disk(self, journal_seq: int | None, rate: float) -> DiskFact | None:
        found = machine.disk(self._data)
        if found is None:
            return None
        segments = sorted((self._data / "journal").glob(SEGMENTS))
        size = machine.size_of(segments)
        first = int(segments[0].stem) if segments and segments[0].stem.isdecimal() else 0
        records = (journal_seq or 0) - first + 1 if first else 0
        each = size / records if records > _RECORD_BYTES else _RECORD_BYTES
        return outlook(found, size, rate * _DAY_S * each, self._keep_s)

    def _ask_database(self) -> tuple[float | None, str]:
        began = self._clock.monotonic()
        try:
            with self._database.read() as connection:
                connection.exec_driver_sql("SELECT 1").scalar_one()
        except HutongError as error:
            return None, str(error)
        return (self._clock.monotonic() - began) / _MS, ""

    def _backup(self) -> BackupNote | None:
        try:
            return msgspec.json.decode((self._data / "run" / NOTE).read_bytes(), type=BackupNote)
        except (OSError, *UNREADABLE):
            return None


def live_age(live: LiveView, wall_ns: int) -> float:
    """Seconds since the screening process wrote its counters; below 0 where they are ahead of this clock."""
    return (wall_ns - live.snapshot.time_ns) / _S if live.snapshot else 0.0
