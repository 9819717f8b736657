"""Processor time of processes and of a core, out of /proc (proc(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TICKS: Final = os.sysconf("SC_CLK_TCK")
#: Places after the name in /proc/PID/stat: parent; own user and system time; that of children that have ended.
_PARENT, _TIMES = 1, slice(11, 15)
#: Places in a line of /proc/stat: user, nice, system, interrupts, soft interrupts, stolen by another machine.
_BUSY: Final = (1, 2, 3, 6, 7, 8)


class Reading(NamedTuple):
    """Seconds of processor time so far: of parts by name, and of everything on the core."""

    parts: dict[str, float]
    core: float

    def since(self, before: Reading) -> Reading:
        """What was spent between two readings."""
        parts = {name: it - before.parts.get(name, 0.0) for name, it in self.parts.items()}
        return Reading(parts, self.core - before.core)


def read(parts: Mapping[str, Iterable[int]], core: int) -> Reading:
    """Of each part's processes and all that they started; ended ones count where their parent lives."""
    parents, times = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text("utf-8", "replace").rpartition(")")[2].split()
            pid = int(file.parent.name)
            parents[pid], times[pid] = int(fields[_PARENT]), sum(map(int, fields[_TIMES])) / _TICKS
    found = {}
    for name, roots in parts.items():
        mine = set(roots)
        while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= more
        found[name] = sum(times.get(pid, 0.0) for pid in mine)
    return Reading(found, _core(core))


def _core(core: int) -> float:
    for line in Path("/proc/stat").read_text("utf-8").splitlines():
        fields = line.split()
        if fields[0] == f"cpu{core}":
            return sum(int(fields[at]) for at in _BUSY) / _TICKS
    return 0.0
