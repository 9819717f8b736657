"""Adds argv[3] entries by argv[2] to the trail of the records at argv[1], once a line comes in."""

from __future__ import annotations

import sys

from hutong.kernel.access.trail import Trail
from hutong.kernel.records import Database


def main() -> None:
    database = Database(sys.argv[1])
    database.open()
    trail = Trail(database)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for at in range(int(sys.argv[3])):
        trail.record(sys.argv[2], "::1", "lists.add", str(at), now_ms=1)
    database.close()


if __name__ == "__main__":
    main()
