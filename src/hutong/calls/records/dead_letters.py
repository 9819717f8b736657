"""Rows that were set aside: a CSV file that says of each where it stood, what is wrong, and what it was."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final, TextIO

from hutong.calls.records.faults import FAULTS, CallFileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hutong.calls.records.piece import BadRow

COLUMNS: Final = ("file", "row", "column", "reason_zh", "reason_en", "text")


class DeadLetters:
    """The file of bad rows; made when the first one comes.

    Args:
        path: where; what is there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self.count = 0

    @property
    def name(self) -> str:
        """Where bad rows go."""
        return str(self._path)

    def put(self, file: str, bad: Iterable[BadRow]) -> None:
        """Set rows aside.

        Raises:
            CallFileError: they cannot be written.
        """
        try:
            for row, code, text in bad:
                if self._file is None:
                    self._file = self._path.open("w", encoding="utf-8", errors="replace", newline="")
                    self._write(COLUMNS)
                fault = FAULTS[code]
                self._write((file, row, fault.column, fault.zh, fault.en, text))
                self.count += 1
        except OSError as error:
            raise CallFileError(
                f"Bad rows cannot be set aside: {error.strerror}.", where=str(self._path), fix="Name a file: --errors."
            ) from error

    def _write(self, values: Iterable[object]) -> None:
        csv.writer(self._file, lineterminator="\n").writerow(values)  # type: ignore[arg-type]

    def forget(self) -> None:
        """Begin again: the rows are read once more."""
        self.close()
        if self.count:
            self._path.unlink(missing_ok=True)
        self.count = 0

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None
