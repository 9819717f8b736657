"""Builds the index and folds the minutes of a data folder over and over until it is killed; says "." at each step."""

from __future__ import annotations

import sys
from pathlib import Path

from hutong.calls.history import History
from hutong.calls.index import VerdictIndex
from hutong.kernel.records import Database


def main() -> None:
    data = Path(sys.argv[1])
    database = Database(f"sqlite:///{data / 'records.db'}")
    database.open()
    history = History(database, "n")
    while True:
        for path in (data / "index").glob("*.idx"):
            path.unlink()
            step()
        index = VerdictIndex(data)
        index.build()
        step()
        while history.fold(index, rows_at_once=7, turns=1):
            step()


def step() -> None:
    sys.stdout.write(".")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
