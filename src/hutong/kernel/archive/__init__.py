"""What is kept for months: Parquet tables in a folder, partitioned by UTC day, written once, queried with DuckDB.

    TABLE/day=2026-03-01/0000-00000000000000000001-00000000000000004096.parquet

A file is named for the numbers (of a journal) that it covers, after the era in which they were given. Which systems
keep which columns is theirs to say. Asking is `query`, which alone loads DuckDB.
"""

from __future__ import annotations

from hutong.kernel.archive.files import ArchiveError, DayFile, Position
from hutong.kernel.archive.store import Archive

__all__ = ["Archive", "ArchiveError", "DayFile", "Position"]
