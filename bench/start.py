"""How long a node with a full memory takes to start: 5 million tracked numbers, 1 million list entries.

The folder is filled through public doors only: numbers by placing calls, entries by `hutong lists import`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from bench.load import Client
from bench.tables import table
from hutong.calls.live.figures import LiveSource

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Hutong

NUMBERS = 5_000_000
ENTRIES = 1_000_000
MEMORY_MB = 2_048
WINDOW = 128
LISTED = 19_900_000_000
"""The first of the list's mobile numbers. No call of the load uses them; the first answer is one's refusal."""


class Start(NamedTuple):
    """Seconds from starting the process to its first answer to an INVITE, and what it then knew."""

    clean: float
    killed: float
    import_seconds: float
    fill_seconds: float
    tracked: int
    entries: int


def measure(server: Hutong, folder: Path) -> Start:
    """Fill `server`'s folder, then start it after a clean stop and again after SIGKILL."""
    began = time.monotonic()
    server.command("lists", "import", str(_entries(folder / "entries.csv")))
    imported = time.monotonic()
    server.start()
    try:
        client = Client(server.port, distinct=True)
        calls = 0
        while calls < NUMBERS // 2:  # each call brings a caller and a callee that nobody has seen
            calls += client.closed(2.0, window=WINDOW).answered
        filled = time.monotonic()
        server.stop()
        clean = _timed_start(server)
        server.stop(hard=True)
        killed = _timed_start(server)
        client.closed(2.0, window=WINDOW)  # its figures are written from time to time
        known = LiveSource(server.data).snapshot()
    finally:
        server.stop()
    filling = (imported - began, filled - imported)
    return Start(clean, killed, *filling, known.tracked_numbers, known.list_entries)


def _timed_start(server: Hutong) -> float:
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def _entries(path: Path) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("target,reason,who\n")
        file.writelines(f"{LISTED + 7 * i},bench,bench\n" for i in range(ENTRIES))
    return path


def start_table(start: Start) -> str:
    """The two starts, and what it took to fill the folder."""
    rows = [
        ("start to first answer, after a clean stop", f"{start.clean:.1f} s"),
        ("start to first answer, after SIGKILL", f"{start.killed:.1f} s"),
        ("numbers tracked", f"{start.tracked:,}"),
        ("list entries", f"{start.entries:,}"),
        ("(filling) lists import", f"{start.import_seconds:.1f} s"),
        ("(filling) calls from distinct numbers", f"{start.fill_seconds:.1f} s"),
    ]
    return table(("", ""), rows)
