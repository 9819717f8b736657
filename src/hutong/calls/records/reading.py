"""Files to rows in `columns.SCHEMA`, file after file: bad rows go to the dead letters, too many of them end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from hutong.calls.records.archive_folder import ArchiveFolder
from hutong.calls.records.columns import SCHEMA
from hutong.calls.records.convert import Converter
from hutong.calls.records.csv_file import CsvFile
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.layout import Layout
from hutong.calls.records.parquet_file import MAGIC, SUFFIXES, ParquetFile
from hutong.calls.records.piece import BadRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hutong.calls.records.dead_letters import DeadLetters
    from hutong.calls.records.piece import Piece, Reader

#: Rows after which a share of bad ones means something.
JUDGED_AFTER: Final = 1_000


class Source(NamedTuple):
    """What is to be read, and how.

    Attributes:
        files: in the order in which they were named.
        trunks: names of all trunks; a place is the trunk's index.
        layout: of all files. layout_file: where it came from, for errors.
        stop_share: share of bad rows above which reading ends.
    """

    files: Sequence[Path]
    trunks: Sequence[str]
    layout: Layout = Layout()
    layout_file: str = ""
    stop_share: float = 0.01

    @property
    def size(self) -> int:
        """Bytes of all files."""
        found = [file for path in self.files for file in (path.rglob("*.parquet") if path.is_dir() else [path])]
        return sum(file.stat().st_size for file in found if file.is_file())

    @property
    def counted(self) -> bool:
        """Whether numbers of events may stand in one row: not where two archives count for themselves."""
        return len(self.files) == 1 or not any(path.is_dir() for path in self.files)


def open_file(path: Path, layout: Layout) -> Reader:
    """The reader for a file: by its name, else by its first bytes; a folder is an archive."""
    if path.is_dir():
        return ArchiveFolder(path)
    parquet = path.suffix.lower() in SUFFIXES
    if not parquet:
        try:
            with path.open("rb") as file:
                parquet = file.read(len(MAGIC)) == MAGIC
        except OSError as error:
            raise CallFileError(f"The file cannot be read: {error.strerror}.", where=str(path)) from error
    return ParquetFile(path, layout) if parquet else CsvFile(path, layout)


def converted(piece: Piece, converter: Converter, first: int) -> tuple[pa.RecordBatch, list[BadRow]]:
    """Good rows of a piece in `columns.SCHEMA`, numbered from `first` on with the bad ones counted; and the bad ones.

    Raises:
        CallFileError: a column holds what it cannot.
    """
    if not len(piece.rows):
        return pa.RecordBatch.from_pylist([], schema=SCHEMA), sorted(piece.bad)
    rows, faults = converter.convert(piece.columns, first, len(piece.rows))
    if piece.faults is not None:
        faults = np.where(piece.faults > 0, piece.faults, faults)
    wrong = np.flatnonzero(faults).tolist()
    bad = [*piece.bad, *(BadRow(int(piece.rows[at]), int(faults[at]), piece.text(at)) for at in wrong)]
    return rows.filter(pa.array(faults == 0)) if wrong else rows, sorted(bad)


class Reading:
    """One reading of all files from the beginning.

    Args:
        source: what is read.
        dead: where bad rows go.
    """

    def __init__(self, source: Source, dead: DeadLetters) -> None:
        self._source, self._dead = source, dead
        self._done = 0
        self._reader: Reader | None = None
        #: Rows by now, good and bad.
        self.rows = 0

    @property
    def position(self) -> int:
        """Bytes read by now."""
        return self._done + (self._reader.position if self._reader else 0)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Good rows in `columns.SCHEMA`; column `row` numbers good and bad ones through all files, from 0.

        Raises:
            CallFileError: a file cannot be read, there is no row at all, or too many are bad.
            ConfigError: the layout does not fit.
        """
        source = self._source
        own = Converter(Layout(), source.trunks, own=True)
        converter = Converter(source.layout, source.trunks, source.layout_file)
        for path in source.files:
            self._reader = open_file(path, source.layout)
            for piece in self._reader.pieces():
                yield from self._take(piece, own if path.is_dir() else converter, self._reader.name)
            self._done += self._reader.size
            self._reader = None
        if not self.rows:
            raise CallFileError(
                "There is not one row.", where=", ".join(map(str, self._source.files)), fix="Check the export."
            )
        self._check_share(final=True)

    def _take(self, piece: Piece, converter: Converter, name: str) -> Iterator[pa.RecordBatch]:
        try:
            rows, bad = converted(piece, converter, self.rows)
        except CallFileError as error:
            error.where = error.where or name
            raise
        self.rows += len(piece.rows) + len(piece.bad)
        if bad:
            self._dead.put(name, bad)
            self._check_share(final=False)
        if rows.num_rows:
            yield rows

    def _check_share(self, *, final: bool) -> None:
        bad, share = self._dead.count, self._source.stop_share
        if bad > share * self.rows and (final or self.rows >= JUDGED_AFTER):
            raise CallFileError(
                f"{bad:,} of {self.rows:,} rows are bad, more than {share:.2%}. Nothing was written out.",
                where=self._reader.name if self._reader else "",
                fix=f"See {self._dead.name}; repair the export, map it with --layout, or allow more with --stop-share.",
            )
