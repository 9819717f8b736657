"""Merges a device's scans until it is killed, and says what was answered: `scan_victim.py URL KEYS VENUE`."""

from __future__ import annotations

import sys
from pathlib import Path

from hutong.codes.people.day_keys import DayKeys
from hutong.codes.scans.model import Batch, Scan
from hutong.codes.scans.store import Scans
from hutong.kernel.districts import load_districts
from hutong.kernel.records import Database
from scan_worlds import HOUR, NOW, STATION


def main(url: str, keys: Path, venue: str) -> None:
    database = Database(url)
    database.open()
    scans = Scans(database, DayKeys(keys / "scans", keys / "node.key"), load_districts())
    first = 1
    while True:
        sent = (Scan(sequence=it, at_ms=NOW - HOUR, venue=venue, verdict="valid") for it in range(first, first + 7))
        answer = scans.merge([Batch(STATION, NOW, tuple(sent))], NOW).answers[0]
        sys.stdout.write(" ".join(map(str, answer.taken)) + "\n")
        sys.stdout.flush()
        first += 5  # some come twice


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
