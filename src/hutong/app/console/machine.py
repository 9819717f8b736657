"""What the kernel says of processes, memory, disks and the clock. Reads /proc; judges nothing."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _THREADS, _RSS = 11, 12, 17, 21  # fields of /proc/PID/stat behind the name
_LIBC = ctypes.CDLL(None, use_errno=True)
_ERROR = 5  # adjtimex(2): TIME_ERROR, the clock is not synchronised
_MICROSECOND = 1e-6


class ProcessFigures(NamedTuple):
    """One process: resident memory in bytes, processor seconds used since its start, threads."""

    rss: int
    cpu_s: float
    threads: int


def process_figures(pid: int) -> ProcessFigures | None:
    """Figures of a process; None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    cpu = (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS
    return ProcessFigures(int(fields[_RSS]) * _PAGE, cpu, int(fields[_THREADS]))


class Memory(NamedTuple):
    """The machine's memory in bytes: all, and what could be had without swapping."""

    total: int
    available: int


def memory() -> Memory:
    """The machine's memory now."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    found = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return Memory(found["MemTotal"], found["MemAvailable"])


class Disk(NamedTuple):
    """The disk that holds a folder, in bytes; `free` is what this user may still write."""

    total: int
    free: int


def disk(folder: Path) -> Disk | None:
    """The disk of a folder; None where it cannot be asked."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(usage.total, usage.free)


def size_of(files: Iterable[Path]) -> int:
    """Bytes on disk of files, those that vanish meanwhile left out."""
    total = 0
    for file in files:
        try:
            total += file.stat().st_blocks * 512
        except OSError:
            continue
    return total


class Timekeeping(NamedTuple):
    """Whether something keeps the system's clock right, and by how much it may be wrong (s)."""

    synchronised: bool
    most_wrong_s: float


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def timekeeping() -> Timekeeping | None:
    """What the kernel knows of its clock; None where it does not tell."""
    state = _Timex()  # modes = 0 asks and changes nothing
    answer = _LIBC.adjtimex(ctypes.byref(state))
    if answer < 0:
        return None
    return Timekeeping(answer != _ERROR, state.maxerror * _MICROSECOND)
