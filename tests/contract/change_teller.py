"""Tells argv[3] changes of the topic "lines" under keys of argv[2] in the records at argv[1], once a line comes in.

Each is one transaction; every third is undone. What was kept is written to standard output, a key a line.
"""

from __future__ import annotations

import sys

from hutong.kernel.records import Database
from hutong.kernel.replica.log import Change, Topic, tell, value_of

LINES = Topic("lines")


class Undone(Exception):  # noqa: N818  # nothing is wrong
    """A transaction that ends in nothing."""


def end(at: int) -> None:
    """Let every third end in nothing."""
    if at % 3 == 2:
        raise Undone


def main() -> None:
    database = Database(sys.argv[1])
    database.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for at in range(int(sys.argv[3])):
        key = f"{sys.argv[2]}-{at}"
        try:
            with database.write() as connection:
                tell(database, connection, LINES, [Change(key, value_of(at))], 1)
                end(at)
        except Undone:
            continue
        sys.stdout.write(f"{key}\n")
        sys.stdout.flush()
    database.close()


if __name__ == "__main__":
    main()
