"""How the processes of a node stand, as the supervisor leaves it in `DATA/run/up.json` for whoever asks.

Belongs here: the note, writing and reading it. Not here: deciding states (`supervision`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTE: Final = "up.json"

_START_FIELD = 19  # of /proc/PID/stat behind the name: when it started, in clock ticks since the machine did


class ProcessState(msgspec.Struct, frozen=True):
    """One supervised process.

    Attributes:
        name: screen, serve or work.
        state: a `supervision.State`, by its word.
        pid: its process; 0 while there is none.
        since_ms: when it came into this state. started_ms: when its process started, 0 while there is none.
        restarts: starts after the first.
    """

    name: str
    state: str
    pid: int
    since_ms: int
    started_ms: int
    restarts: int


class UpNote(msgspec.Struct, frozen=True):
    """What the supervisor says.

    Attributes:
        pid: the supervisor's own. start: when that started, in the kernel's ticks: a number used again has another.
        time_ms: when this was written: at each change.
        processes: in the order in which they are started.
    """

    pid: int
    start: int
    time_ms: int
    processes: tuple[ProcessState, ...]

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.start > 0 and start_of(self.pid) == self.start


def write_note(run_folder: Path, pid: int, time_ms: int, processes: Sequence[ProcessState]) -> None:
    """Leave the note, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    fresh = run_folder / f"{NOTE}.new"
    fresh.write_bytes(msgspec.json.encode(UpNote(pid, start_of(pid), time_ms, tuple(processes))))
    fresh.replace(run_folder / NOTE)


def read_note(run_folder: Path) -> UpNote | None:
    """The note; None where no supervisor has left one that can be read."""
    try:
        return msgspec.json.decode((run_folder / NOTE).read_bytes(), type=UpNote)
    except (OSError, *UNREADABLE):
        return None


def start_of(pid: int) -> int:
    """When a process started, in clock ticks since the machine did; 0 where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[_START_FIELD])
