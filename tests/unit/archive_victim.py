"""Does the same work on copies of an archive, and dies by SIGKILL before its first, second, third … step on disk.

archive_victim.py FOLDER    FOLDER/base is the archive; FOLDER/0001, 0002 … are what each death left behind
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from hutong.kernel.archive import Archive

TABLES = ("calls", "ends")
DAY = date(2026, 3, 1)
#: Numbers that the base holds, and those that the work adds.
BASE, LAST = 8, 16
MANY = 3


def rows(first: int, last: int, *, every: int = 1) -> pa.Table:
    """A row for each number, six hours apart."""
    numbers = list(range(first, last + 1, every))
    begin = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    times = [begin + timedelta(hours=6 * number) for number in numbers]
    return pa.table({"seq": pa.array(numbers, pa.int64()), "time": pa.array(times, pa.timestamp("ms", "UTC"))})


def make(folder: Path) -> None:
    """The archive before the work: many small files of many days."""
    archive = Archive(folder, TABLES, MANY)
    archive.open()
    for number in range(1, BASE + 1):
        one_day = rows(number, number).set_column(
            1, "time", pa.array([datetime(2026, 3, 2 + number // 5, tzinfo=UTC)], pa.timestamp("ms", "UTC"))
        )
        archive.append({"calls": one_day, "ends": one_day.slice(0, number % 2)}, number, number, number)
    archive.close()


def work(folder: Path) -> None:
    """Append what is missing, merge twice, delete the first day."""
    archive = Archive(folder, TABLES, MANY)
    archive.open()
    first = archive.position.seq + 1
    if first <= LAST:
        archive.append({"calls": rows(first, LAST), "ends": rows(first, LAST).slice(0, 5)}, first, LAST, LAST)
    archive.merge()
    archive.merge()
    archive.forget(date(2026, 3, 3))
    archive.close()


def _die_before_step(folder: Path, step: int) -> None:
    seen = 0
    changing = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in changing or (event == "open" and str(arguments[0]).startswith(str(folder))):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main() -> None:
    folder = Path(sys.argv[1])
    for step in range(1, 1000):
        copy = folder / f"{step:04d}"
        shutil.copytree(folder / "base", copy)
        child = os.fork()
        if child == 0:
            _die_before_step(copy, step)
            work(copy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
