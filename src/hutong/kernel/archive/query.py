"""Asking an archive with DuckDB: read-only, in bounded memory, of the files that count at the moment of asking."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from hutong.kernel.archive.files import ArchiveError, Position, files_in, read_position, superseded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.archive.files import DayFile

MEMORY_MB: Final = 512


class ArchiveQuery:
    """Reads an archive; any process may, while another writes.

    Args:
        folder: the archive.
        tables: names of its tables.
        memory_mb: what a query may take; the rest waits on disk.
    """

    def __init__(self, folder: Path, tables: Sequence[str], memory_mb: int = MEMORY_MB) -> None:
        self._folder, self._tables, self._memory_mb = folder, tuple(tables), memory_mb

    def files(self, table: str) -> list[DayFile]:
        """The files that count now: finished, and not merged into another."""
        position = read_position(self._folder)
        files = [one for one in files_in(self._folder / table) if position is None or one.reach <= position.reach]
        gone = set(superseded(files))
        return [one for one in files if one not in gone]

    @property
    def position(self) -> Position:
        """How far the archive reaches."""
        return read_position(self._folder) or Position()

    @contextmanager
    def opened(self, empty: dict[str, str] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with a view for each table.

        Args:
            empty: what stands for a table without files: a SELECT that gives its columns and no row.

        Raises:
            ArchiveError: DuckDB fails: a damaged file, a full disk.
        """
        with tempfile.TemporaryDirectory(prefix="hutong-archive-") as spill:
            config: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": f"{self._memory_mb}MB",
                "temp_directory": str(Path(spill) / "spill"),
                "threads": 2,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
            try:
                with duckdb.connect(config=config) as engine:
                    for table in self._tables:
                        engine.execute(f"CREATE VIEW {table} AS {self._selected(table, empty or {})}")
                    yield engine
            except duckdb.Error as error:
                raise ArchiveError(
                    f"The archive cannot be asked: {str(error).partition(chr(10))[0]}", where=str(self._folder)
                ) from error

    def _selected(self, table: str, empty: dict[str, str]) -> str:
        files = [str(one.path).replace("'", "''") for one in self.files(table)]
        if not files:
            return empty.get(table, "SELECT 0 AS seq WHERE false")
        named = ", ".join(f"'{file}'" for file in files)
        return f"SELECT * FROM read_parquet([{named}], hive_partitioning = false)"  # noqa: S608  # our own file names
