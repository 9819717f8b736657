"""Our own archive as call records: every verdict with what became of its call, in the order of events."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from hutong.calls.archiving import TABLES, calls_query, empty_tables, order_of
from hutong.calls.records.columns import READ
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.parquet_file import BATCH_ROWS, as_line
from hutong.calls.records.piece import Piece
from hutong.kernel.archive import ArchiveError
from hutong.kernel.archive.query import ArchiveQuery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OF_A_CALL: Final = "verdicts"


class ArchiveFolder:
    """An archive that `hutong work` keeps.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.size = self.position = 0
        self._path = path

    def pieces(self) -> Iterator[Piece]:
        """See `Reader.pieces`; column names are ours."""
        if not (self._path / _OF_A_CALL).is_dir():
            raise CallFileError(
                "This folder is no archive.", where=self.name, fix="Name DATA/archive, or files: FOLDER/*.parquet."
            )
        try:
            yield from self._pieces()
        except ArchiveError as error:
            raise CallFileError(error.what, where=self.name, fix=error.fix) from error

    def _pieces(self) -> Iterator[Piece]:
        query = ArchiveQuery(self._path, TABLES)
        files = {table: query.files(table) for table in TABLES}
        if not files[_OF_A_CALL]:
            raise CallFileError("The archive is still empty.", where=self.name, fix="`hutong work` fills it.")
        self.size = sum(one.path.stat().st_size for some in files.values() for one in some)
        reaches = sorted(one.reach for some in files.values() for one in some)
        lasts = [(era, max(last for _, last in some)) for era, some in groupby(reaches, key=lambda one: one[0])]
        first = 1
        with query.opened(empty_tables()) as engine:
            total = engine.sql("SELECT count(*) FROM verdicts").fetchall()[0][0]
            for batch in engine.sql(calls_query(order_of(lasts))).to_arrow_reader(BATCH_ROWS):
                yield Piece(
                    columns={name: batch.column(name) for name in READ},
                    rows=np.arange(first, first + batch.num_rows, dtype=np.int64),
                    text=lambda place, batch=batch: as_line(batch, place),  # type: ignore[misc]
                    bad=(),
                )
                first += batch.num_rows
                self.position = self.size * (first - 1) // max(total, 1)
