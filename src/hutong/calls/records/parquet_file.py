"""Call records in Apache Parquet, of any size, one batch of rows at a time."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hutong.calls.records.columns import READ, REQUIRED
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.piece import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.records.layout import Layout

MAGIC: Final = b"PAR1"
SUFFIXES: Final = (".parquet", ".pq")
BATCH_ROWS: Final = 65_536
_SHOWN: Final = 4_096


class ParquetFile:
    """One Parquet file.

    Args:
        path: the file.
        layout: what its columns are called.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.name = str(path)
        self.size = self.position = 0
        self._path, self._layout = path, layout

    def pieces(self) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        try:
            self.size = self._path.stat().st_size
            self._refuse_other()
            # Buffered ahead, a file is kept in memory as far as it was read.
            trunk = [self._layout.name_of("trunk")]
            with pq.ParquetFile(self._path, pre_buffer=False, read_dictionary=trunk) as file:
                yield from self._pieces(file)
        except (pa.ArrowException, OSError) as error:
            strerror = getattr(error, "strerror", None)
            if strerror:
                raise CallFileError(f"The file cannot be read: {strerror}.", where=self.name) from error
            reason = str(error).partition("\n")[0].rstrip(".")
            raise CallFileError(
                f"The file is damaged or was not written to its end: {reason}.",
                where=self.name,
                fix="Copy or export it again.",
            ) from error

    def _refuse_other(self) -> None:
        with self._path.open("rb") as file:
            magic = file.read(len(MAGIC))
        if not magic:
            raise CallFileError("The file is empty.", where=self.name, fix="Check the export, or leave the file out.")
        if magic != MAGIC:
            raise CallFileError(
                "The file is no Parquet file.", where=self.name, fix="CSV files must not be named .parquet or .pq."
            )

    def _pieces(self, file: pq.ParquetFile) -> Iterator[Piece]:
        names = file.schema_arrow.names
        wanted = {ours: self._layout.name_of(ours) for ours in READ}
        missing = [wanted[ours] for ours in REQUIRED if wanted[ours] not in names]
        if missing:
            raise CallFileError(
                f"There is no column {', '.join(missing)}.",
                where=self.name,
                fix=f"It has {', '.join(names[:20])}. Map columns with --layout (docs/records.md).",
            )
        there = {ours: theirs for ours, theirs in wanted.items() if theirs in names}
        rows, first = max(file.metadata.num_rows, 1), 1
        for batch in file.iter_batches(BATCH_ROWS, columns=sorted(set(there.values())), use_threads=False):
            self.position = min(self.size * (first - 1 + batch.num_rows) // rows, self.size)
            yield Piece(
                columns={ours: batch.column(theirs) for ours, theirs in there.items()},
                rows=np.arange(first, first + batch.num_rows, dtype=np.int64),
                text=lambda place, batch=batch: as_line(batch, place),  # type: ignore[misc]
                bad=(),
            )
            first += batch.num_rows


def as_line(batch: pa.RecordBatch, place: int) -> str:
    """A row as CSV, for the dead letters."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(_shown(column[place]) for column in batch.columns)
    return out.getvalue()[:_SHOWN]


def _shown(value: pa.Scalar) -> object:
    try:
        shown = value.as_py()
    except UnicodeDecodeError:
        shown = value.cast(pa.binary()).as_py()
    except (OverflowError, ValueError):  # a time that Python cannot hold
        shown = value.cast(pa.int64()).as_py()
    return shown.decode("utf-8", "replace") if isinstance(shown, bytes) else shown
