"""The live counters kept in memory: `SnapshotSource` for tests, and for showing the page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from hutong.calls.live.figures import LiveSnapshot


class MemoryLive:
    """Gives the snapshot that was put in last."""

    def __init__(self) -> None:
        self._snapshot: LiveSnapshot | None = None

    def put(self, snapshot: LiveSnapshot | None) -> None:
        """The next snapshot to give; None as if the screening process had never run."""
        self._snapshot = snapshot

    def snapshot(self) -> LiveSnapshot:
        """The snapshot that was put in last.

        Raises:
            StateError: there is none.
        """
        if self._snapshot is None:
            raise StateError("There are no live counters yet.", where="memory", fix="Start the screening process.")
        return self._snapshot
