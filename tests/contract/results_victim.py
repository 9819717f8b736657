"""Follows results two at a time until it is killed, and says each step: `results_victim.py DATA URL NOW`."""

from __future__ import annotations

import sys
from pathlib import Path

from hutong.app import results_work
from hutong.kernel.reporter import Reporter
from joined_nodes import settings_on


def main(data: Path, url: str, now_ms: int) -> None:
    results_work.BATCH, results_work._BATCHES = 2, 1  # type: ignore[misc]  # noqa: SLF001  # many small transactions
    work = results_work.ResultsWork(settings_on(url, data), Reporter("victim"))
    while True:
        done = work.follow(now_ms)
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
