"""Keys of days: what is sealed to last until a day is unreadable once that day's key is destroyed (ADR 12).

One small file for each day, wrapped by the key of the node, in a folder that no backup holds. A key of a person and day
(`person_keys`) is wrapped by the key of its day, wherever copies of it lie: rows, replicas, backups.
"""

from __future__ import annotations

import os
import re
import secrets
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hutong.codes.people.errors import KeyGoneError
from hutong.codes.people.sealing import new_key, seal, unseal
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret, make_folder, sync_folder
from hutong.kernel.key_marks import marked_secret

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.key_marks import KeyMarks

NODE_KEY: Final = "node.key"
DAYS: Final = "days"
#: Of the mark of the node's key in the records.
MARK: Final = "days"
_FILE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.key")
_EPOCH: Final = date(1970, 1, 1)
_DAY_MS: Final = 86_400_000
_CHINA_MS: Final = 8 * 3_600_000  # days end at midnight in China
_FIX: Final = "Put the mirror of the folder of keys in its place (docs/status.md), or check codes.key_folder."


def day_of(at_ms: int) -> int:
    """The day of a moment, counted from 1970-01-01, in China's time."""
    return (at_ms + _CHINA_MS) // _DAY_MS


def end_of(day: int) -> int:
    """When a day is over, ms since 1970 UTC."""
    return (day + 1) * _DAY_MS - _CHINA_MS


def day_text(day: int) -> str:
    """A day as people write it: 2026-11-22."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def day_of_date(day: date) -> int:
    """The day of a date."""
    return (day - _EPOCH).days


class DayKeys:
    """The keys of days in a folder.

    Args:
        folder: made at the first use (mode 0700). node_key: file of the key of the node; None = `node.key` in it.
        marks: by which the records know the key of the node again; None = there are no records.
    """

    def __init__(self, folder: Path, node_key: Path | None = None, marks: KeyMarks | None = None) -> None:
        self._days, self._marks = folder / DAYS, marks
        self._node_file = node_key or folder / NODE_KEY
        self._node_key = b""
        self._known: dict[int, bytes] = {}

    def key(self, day: int, now_ms: int) -> bytes:
        """The key of a day.

        Raises:
            KeyGoneError: the day is over, or its key is not here. StateError: it cannot be read.
        """
        self._check(day, now_ms)
        found = self._known.get(day)
        if found is None:
            if not self._file(day).exists():
                what = f"The key of {day_text(day)} is not here."
                raise KeyGoneError(what, destroyed=False, where=str(self._days), fix=_FIX)
            found = self._known[day] = self._read(day)
        return found

    def make(self, day: int, now_ms: int) -> bytes:
        """The key of a day, made where there is none yet; processes that make one at the same time get the same.

        Raises:
            KeyGoneError: the day is over. StateError: it cannot be made or read.
        """
        self._check(day, now_ms)
        found = self._known.get(day)
        if found is None:
            fresh = new_key()
            try:
                if not self._file(day).exists():
                    node = self._node()  # first: where it is missing nothing is made
                    make_folder(self._days.parent, 0o700)
                    kept_secret(self._file(day), lambda: seal(node, fresh, _about(day)))
                    # Rows that need it are committed next: its name must be on disk before they are.
                    for kept_in in (self._days, self._days.parent, self._node_file.parent):
                        sync_folder(kept_in)
            except OSError as error:
                raise self._unusable(error) from error
            found = self._known[day] = self._read(day)
        return found

    def check(self) -> None:
        """Whether the node's key is here, and the one that the records know; it is made where there never was one.

        Raises:
            StateError: it is not, or cannot be used.
        """
        self._node()

    def days(self) -> list[int]:
        """The days whose keys are here, in order."""
        if not self._days.is_dir():
            return []
        names = (_FILE.fullmatch(path.name) for path in self._days.iterdir())
        return sorted((date.fromisoformat(name[1]) - _EPOCH).days for name in names if name)

    def destroy(self, now_ms: int) -> int:
        """Destroy the keys of days that are over; gives how many. What was sealed with them is gone everywhere.

        Each file is overwritten before it is removed. A disk may keep what was overwritten: ADR 12 says what helps.

        Raises:
            StateError: a file cannot be overwritten or removed.
        """
        over = [day for day in self.days() if day < day_of(now_ms)]
        self._known = {day: key for day, key in self._known.items() if day >= day_of(now_ms)}
        try:
            for day in over:
                _overwrite(self._file(day))
                self._file(day).unlink()
            if over:
                sync_folder(self._days)
        except OSError as error:
            raise self._unusable(error) from error
        return len(over)

    def abandon(self) -> int:
        """Remove the keys of days that the node's key, as it lies here, does not open; gives how many.

        For whoever has lost the node's key for good: nobody can read any more what they sealed.

        Raises:
            StateError: a file cannot be read or removed.
        """
        try:
            node = self._node_file.read_bytes() if self._node_file.exists() else b""
            lost = [day for day in self.days() if unseal(node, self._file(day).read_bytes(), _about(day)) is None]
            for day in lost:
                self._file(day).unlink()
            if lost:
                sync_folder(self._days)
        except OSError as error:
            raise self._unusable(error) from error
        return len(lost)

    def _check(self, day: int, now_ms: int) -> None:
        if day < day_of(now_ms):
            self._known.pop(day, None)
            raise KeyGoneError(f"What was kept until {day_text(day)} is gone.", destroyed=True)

    def _file(self, day: int) -> Path:
        return self._days / f"{day_text(day)}.key"

    def _read(self, day: int) -> bytes:
        try:
            wrapped = self._file(day).read_bytes()
        except OSError as error:
            raise self._unusable(error) from error
        key = unseal(self._node(), wrapped, _about(day))
        if key is None:
            what = f"The key of {day_text(day)} is not wrapped by this node's key."
            raise StateError(what, where=str(self._file(day)), fix=_FIX)
        return key

    def _node(self) -> bytes:
        if not self._node_key:
            if not self._node_file.exists() and self.days():
                # A new one would be of no use for the days that are here, and hide what is wrong.
                raise StateError("The node's key is not here.", where=str(self._node_file), fix=_FIX)
            try:
                self._node_key = marked_secret(self._node_file, MARK, self._marks, new_key)
            except OSError as error:
                raise self._unusable(error) from error
        return self._node_key

    def _unusable(self, error: OSError) -> StateError:
        what = f"The keys of days cannot be used: {error.strerror}."
        return StateError(what, where=str(error.filename or self._days), fix="Check that this user may write there.")


def _about(day: int) -> str:
    return f"hutong-day-key:{day}"


def _overwrite(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, secrets.token_bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
