"""Follows the topic "lines" of the records at argv[1] into the replica at argv[2], until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

from change_teller import LINES

from hutong.kernel.records import Database
from hutong.kernel.replica.follower import Follower
from hutong.kernel.replica.source import RecordsSource, Table
from hutong.kernel.replica.store import Replica


def main() -> None:
    database, replica = Database(sys.argv[1]), Replica(Path(sys.argv[2]))
    database.open()
    replica.open()
    source = RecordsSource(database, (Table(LINES, lambda *_: ([], "")),))
    with replica.alone():
        follower = Follower(source, replica, limit=3)
        while True:
            follower.round(1)
            sys.stdout.write("round\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
