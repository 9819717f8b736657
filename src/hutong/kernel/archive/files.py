"""The files of an archive: their names, which of them count, how one is written whole. No tables, no queries."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

POSITION: Final = "position.json"
LOCK: Final = "writer.lock"
#: Ends the names of files that are being written.
DRAFT: Final = ".new"

_DAY: Final = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
_NAME: Final = re.compile(r"(\d{4})-(\d{20})-(\d{20})\.parquet")


class ArchiveError(HutongError):
    """The archive cannot be opened, written or read."""


class Position(msgspec.Struct, frozen=True):
    """How far the archive reaches: the last number that it covers, and the era in which that was given.

    A new era begins where numbers are given again, because a journal lost its end or came back from a backup.
    `wall_ns` is when the last one was given, in ns since 1970 UTC.
    """

    era: int = 0
    seq: int = 0
    wall_ns: int = 0

    @property
    def reach(self) -> tuple[int, int]:
        """Era and number, by which positions are compared."""
        return self.era, self.seq


class DayFile(NamedTuple):
    """A file of a table: its day and what it covers, from `first` to `last` of an era."""

    path: Path
    day: date
    era: int
    first: int
    last: int

    @property
    def reach(self) -> tuple[int, int]:
        """Era and last number, to be compared with a position's."""
        return self.era, self.last

    def covers(self, other: DayFile) -> bool:
        """Whether it holds everything that another file of the same table and day does, and more."""
        inside = self.first <= other.first and other.last <= self.last
        return inside and (self.era, self.day) == (other.era, other.day) and self.path != other.path


def day_of(time_ms: int) -> date:
    """The UTC day of a moment."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).date()


def path_of(folder: Path, day: date, era: int, first: int, last: int) -> Path:
    """Where a table's file belongs; `folder` is the table's."""
    return folder / f"day={day.isoformat()}" / f"{era:04d}-{first:020d}-{last:020d}.parquet"


def files_in(folder: Path) -> list[DayFile]:
    """Every file of a table, in order of days and of what they cover."""
    found = []
    for at in folder.glob("day=*/*.parquet"):
        named, dated = _NAME.fullmatch(at.name), _DAY.fullmatch(at.parent.name)
        if named and dated:
            era, first, last = map(int, named.groups())
            found.append(DayFile(at, date.fromisoformat(dated[1]), era, first, last))
    return sorted(found, key=lambda one: (one.day, one.era, one.first, -one.last))


def superseded(files: Iterable[DayFile]) -> list[DayFile]:
    """Files whose rows a merged one holds too."""
    gone: list[DayFile] = []
    widest: DayFile | None = None
    for one in files:  # in the order of `files_in` a wider file comes before those inside it
        if widest is not None and widest.covers(one):
            gone.append(one)
        else:
            widest = one
    return gone


def read_position(folder: Path) -> Position | None:
    """How far the archive reaches; None where nothing was ever finished.

    Raises:
        ArchiveError: the file is damaged.
    """
    path = folder / POSITION
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise ArchiveError(
            f"how far the archive reaches cannot be read: {error}.",
            where=str(path),
            fix="Bring the file back from a backup; or delete it, and the files' names will tell.",
        ) from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under another name, put it on disk and give it its own name; a crash leaves it whole or absent."""
    draft = path.with_name(f"{path.name}{DRAFT}")
    write(draft)
    file = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's names on disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
