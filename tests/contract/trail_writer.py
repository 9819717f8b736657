"""Writes the trail of the records at argv[1] until it is killed; says the number of each entry once it is kept."""

from __future__ import annotations

import sys

from hutong.kernel.access.trail import Trail
from hutong.kernel.records import Database


def main() -> None:
    database = Database(sys.argv[1])
    database.open()
    trail = Trail(database)
    while True:
        number = trail.record("victim", "::1", "lists.add", after={"text": "x" * 500}, now_ms=1)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
