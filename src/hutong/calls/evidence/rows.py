"""Call records in order of time, as often as they are asked for: a backtest reads them twice."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from hutong.calls.records.columns import SCHEMA
from hutong.calls.records.dead_letters import DeadLetters
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.order import OutOfOrder, is_counted, ordered, uncounted
from hutong.calls.records.reading import Reading
from hutong.calls.records.run import Progress
from hutong.calls.records.sorting import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from hutong.calls.records.reading import Source

_BATCH_ROWS: Final = 65_536
_CHUNK: Final = 1 << 22


class Rows:
    """The good rows of a source, earliest first.

    Args:
        source: what is read.
        folder: an existing folder for sorted rows and bad ones; its user deletes it.
        errors: file for bad rows.
        progress: told how far it is.
    """

    def __init__(
        self, source: Source, folder: Path, errors: Path, progress: Callable[[Progress], None] = lambda _: None
    ) -> None:
        self._source, self._folder, self._errors, self._progress = source, folder, errors, progress
        self._sorted: Path | None = None
        self._total = 0
        #: Rows that were set aside.
        self.bad = 0

    def digest(self) -> str:
        """Of the files' content.

        Raises:
            CallFileError: one cannot be read.
        """
        found = hashlib.blake2b(digest_size=8)
        for path in self._source.files:
            for file in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:
                try:
                    with file.open("rb") as content:
                        while chunk := content.read(_CHUNK):
                            found.update(chunk)
                except OSError as error:
                    raise CallFileError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
        return found.hexdigest()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows in `columns.SCHEMA`.

        Raises:
            OutOfOrder: they turn out not to be in order; `sort`, and ask again.
            CallFileError: see `Reading.batches`.
        """
        if self._sorted is not None:
            yield from self._from_disk(self._sorted)
            return
        dead = DeadLetters(self._errors)
        reading = Reading(self._source, dead)
        try:
            for rows in ordered(reading.batches(), counted=None if self._source.counted else False):
                yield rows
                self._progress(Progress("judging", reading.position, self._source.size, reading.rows, dead.count))
        finally:
            self.bad = dead.count
            dead.close()

    def _from_disk(self, path: Path) -> Iterator[pa.RecordBatch]:
        done = 0
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for rows in file.iter_batches(_BATCH_ROWS):
                yield rows.cast(SCHEMA)
                done += rows.num_rows
                self._progress(Progress("judging", done, self._total, self._total, self.bad))

    def sort(self) -> None:
        """Put all rows in order on disk.

        Raises:
            CallFileError: see `Reading.batches`; or the disk is full.
        """
        dead = DeadLetters(self._errors)
        dead.forget()
        reading, spool, counted = Reading(self._source, dead), Spool(self._folder, "calls"), self._source.counted
        try:
            for rows in reading.batches():
                counted = counted and is_counted(rows)
                spool.put(rows)
                self._progress(Progress("reading", reading.position, self._source.size, reading.rows, dead.count))
        finally:
            self.bad = dead.count
            dead.close()
        self._progress(Progress("sorting", 0, reading.rows, reading.rows, dead.count))
        path = self._folder / "sorted.parquet"
        with pq.ParquetWriter(path, SCHEMA, compression="lz4") as writer:
            for rows in spool.sorted("seq, row" if counted else "start, row", SCHEMA):
                writer.write_batch(rows if counted else uncounted(rows))
        self._sorted, self._total = path, reading.rows


__all__ = ["OutOfOrder", "Rows"]
