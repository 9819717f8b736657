"""Rows in order of their time, however many there are: DuckDB sorts them on disk, within a stated memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from hutong.calls.records.faults import CallFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

#: What DuckDB may take for sorting; the rest waits on disk.
MEMORY_MB: Final = 512
_BATCH_ROWS: Final = 65_536
#: Rows of a row group: small, so that writing holds little.
_GROUP_ROWS: Final = 262_144


class Spool:
    """Rows put down in one order and taken up in another.

    Args:
        folder: an existing folder for files that are deleted afterwards.
        name: of the file.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._path = folder / f"{name}.parquet"
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def put(self, rows: pa.RecordBatch) -> None:
        """Put rows down; all have the same schema."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="lz4", use_dictionary=["trunk"])
        self._held.append(rows)
        self._rows += rows.num_rows
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._writer is not None and self._held:
            self._writer.write_table(pa.Table.from_batches(self._held))
        self._held, self._rows = [], 0

    def sorted(self, by: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """All rows by these columns ("start, row"), then they are gone.

        Raises:
            CallFileError: the disk is full, or DuckDB fails otherwise.
        """
        self._flush()
        if self._writer is None:
            return
        self._writer.close()
        with _engine(self._folder) as engine:
            query = engine.sql(f"SELECT * FROM read_parquet($file) ORDER BY {by}", params={"file": str(self._path)})  # noqa: S608  # names of our own columns
            for batch in query.to_arrow_reader(_BATCH_ROWS):
                yield batch.cast(schema)
        self._path.unlink()


@contextmanager
def _engine(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb  # noqa: PLC0415  # only unsorted files need it

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{MEMORY_MB}MB",
        "temp_directory": str(folder / "sorting"),
        "threads": 2,
        "preserve_insertion_order": False,
    }
    try:
        with duckdb.connect(config=config) as engine:
            yield engine
    except duckdb.Error as error:
        raise CallFileError(
            f"The rows could not be sorted: {str(error).partition(chr(10))[0]}.",
            where=str(folder),
            fix="Sorting needs about as much free disk as the files have; TMPDIR or --out says where.",
        ) from error
