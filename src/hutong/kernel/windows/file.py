"""The shell: a window table in a memory-mapped file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.windows.layout import WindowArrays


class WindowFile:
    """A window table on disk. `open()` creates it, or maps it and rolls back what a kill interrupted.

    After open(): arrays; rolled_back (rows put back); lost (True: the machine went down with pages unwritten, the
    table starts empty and the whole journal is to be replayed). Replay the journal after committed_seq(arrays).
    """

    arrays: WindowArrays
    rolled_back: int
    lost: bool

    def __init__(self, path: Path, memory_bytes: int, *, boot_id: bytes | None = None) -> None:
        self._path = path
        self._memory_bytes = memory_bytes
        self._boot_id = boot_id

    def open(self) -> None:
        """Map the file; a different capacity copies the most recent numbers over."""

    def flush(self) -> None:
        """Write changed pages to disk."""

    def close(self) -> None:
        """Write all to disk and unmap."""
