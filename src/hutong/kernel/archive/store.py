"""Writing an archive: one process at a time, each step such that a crash after it loses nothing and doubles nothing.

What is appended counts once the position says so; files beyond it are of an append that did not end, and go at the next
opening. A merged file takes the place of those that it covers as soon as it has its name; they are deleted one merge
later, so that a query that began before finds them.
"""

from __future__ import annotations

import fcntl
import os
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow.parquet as pq

from hutong.kernel.archive.files import (
    DRAFT,
    LOCK,
    POSITION,
    ArchiveError,
    DayFile,
    Position,
    day_of,
    files_in,
    path_of,
    read_position,
    superseded,
    sync_folder,
    write_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

#: A day's file that is at least this large is not merged any more, bytes.
LARGE: Final = 256 << 20
#: Smaller files of a day are merged once there are so many of them.
MANY: Final = 16
_GROUP_ROWS: Final = 131_072
_COMPRESSION: Final = "zstd"


class Archive:
    """The writer of an archive. Inert until opened.

    Args:
        folder: the archive; made where it is missing.
        tables: names of its tables.
        many: files of a day that are worth a merge.
    """

    def __init__(self, folder: Path, tables: Sequence[str], many: int = MANY) -> None:
        self._folder, self._tables, self._many = folder, tuple(tables), many
        self._lock = -1
        self.position = Position()

    def open(self) -> None:
        """Take the writer's place, and clear away what a crash left.

        Raises:
            ArchiveError: another process writes here, or the folder cannot be used.
        """
        if self._lock >= 0:
            return
        try:
            for table in self._tables:
                (self._folder / table).mkdir(parents=True, exist_ok=True, mode=0o750)
            self._take_lock()
            self._recover()
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Let go of the writer's place."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def _take_lock(self) -> None:
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ArchiveError(
                "Another process writes this archive.", where=str(self._folder), fix="Only one `hutong work` may."
            ) from None
        self._lock = lock

    def _recover(self) -> None:
        for draft in self._folder.rglob(f"*{DRAFT}"):
            draft.unlink()
        position = read_position(self._folder)
        files = [one for table in self._tables for one in files_in(self._folder / table)]
        if position is None:
            # Without it nothing tells what was finished, so everything that has its name counts.
            position = Position(*max((one.reach for one in files), default=(0, 0)))
        for one in files:
            if one.reach > position.reach:
                one.path.unlink()
        self.position = position

    def append(self, rows: Mapping[str, pa.Table], first: int, last: int, wall_ns: int) -> None:
        """Add what the numbers first … last gave; all of it counts afterwards, or nothing.

        Args:
            rows: by table; days are those of the column `time`, a timestamp. A table may be empty.
            first, last: what they cover; `first` follows `position`.
            wall_ns: when the last one was given.

        Raises:
            ArchiveError: the disk refuses; nothing of it counts.
        """
        if first <= self.position.seq or last < first:
            raise ArchiveError(f"{first} … {last} does not follow {self.position.seq}.", where=str(self._folder))
        try:
            for table, all_rows in rows.items():
                for day, some in _by_day(all_rows):
                    path = path_of(self._folder / table, day, self.position.era, first, last)
                    self._write(path, some)
            self._move(Position(self.position.era, last, wall_ns))
        except OSError as error:
            raise self._refused(error) from error

    def begin_era(self, after: int) -> None:
        """Numbers beyond `after` are being given again: what is archived of the old ones stays."""
        self._move(Position(self.position.era + 1, after, self.position.wall_ns))

    def _move(self, position: Position) -> None:
        write_whole(self._folder / POSITION, lambda path: _write_bytes(path, msgspec.json.encode(position)))
        self.position = position

    def _write(self, path: Path, rows: pa.Table) -> None:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o750)
            sync_folder(path.parent.parent)
        write_whole(
            path,
            lambda draft: pq.write_table(rows, draft, compression=_COMPRESSION, row_group_size=_GROUP_ROWS),
        )

    # Upkeep

    def merge(self) -> int:
        """Merge small files of a day, and delete what the merge before took in; returns how many files went.

        Raises:
            ArchiveError: the disk refuses.
        """
        try:
            return sum(self._merge(table) for table in self._tables)
        except OSError as error:
            raise self._refused(error) from error

    def _merge(self, table: str) -> int:
        folder = self._folder / table
        gone = superseded(files_in(folder))
        for one in gone:
            one.path.unlink()
        for _, files in groupby(files_in(folder), key=lambda one: (one.day, one.era)):
            for some in _mergeable(list(files), self._many):
                self._merge_files(folder, some)
        return len(gone)

    def _merge_files(self, folder: Path, files: Sequence[DayFile]) -> None:
        """One file instead of many; row groups are taken over one at a time."""
        path = path_of(folder, files[0].day, files[0].era, files[0].first, files[-1].last)

        def write(draft: Path) -> None:
            with pq.ParquetWriter(draft, pq.read_schema(files[0].path), compression=_COMPRESSION) as writer:
                for one in files:
                    with pq.ParquetFile(one.path, pre_buffer=False) as source:
                        for batch in source.iter_batches(_GROUP_ROWS):
                            writer.write_batch(batch)

        write_whole(path, write)

    def forget(self, before: date) -> int:
        """Delete the days before one; returns how many files went.

        Raises:
            ArchiveError: the disk refuses.
        """
        gone = 0
        try:
            for table in self._tables:
                for one in files_in(self._folder / table):
                    if one.day < before:
                        one.path.unlink()
                        gone += 1
                for day in (self._folder / table).glob("day=*"):
                    if day.name < f"day={before.isoformat()}" and not any(day.iterdir()):
                        day.rmdir()
        except OSError as error:
            raise self._refused(error) from error
        return gone

    def size(self) -> int:
        """Bytes of all files that count."""
        return sum(one.path.stat().st_size for table in self._tables for one in files_in(self._folder / table))

    def _refused(self, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"The archive cannot be written: {error.strerror or error}.",
            where=str(error.filename or self._folder),
            fix="Free space there or shorten archive.keep_days; archiving then goes on where it stopped.",
        )


def first_day_kept(now_ms: int, keep_days: int) -> date:
    """The oldest day that is kept at a moment: today and `keep_days` before it."""
    return day_of(now_ms) - timedelta(days=keep_days)


def _mergeable(files: list[DayFile], many: int) -> Iterator[list[DayFile]]:
    """Runs of small files that stand side by side, of one day and era: as many as are worth a merge."""
    run: list[DayFile] = []
    for one in files:
        if one.path.stat().st_size < LARGE:
            run.append(one)
            continue
        if len(run) >= many:
            yield run
        run = []
    if len(run) >= many:
        yield run


def _by_day(rows: pa.Table) -> Iterable[tuple[date, pa.Table]]:
    import pyarrow.compute as pc  # noqa: PLC0415  # slow to load; only writers need it

    if not rows.num_rows:
        return
    days = pc.floor_temporal(rows.column("time"), unit="day")
    for day in pc.unique(days).to_pylist():
        yield day.date(), rows.filter(pc.equal(days, day))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
