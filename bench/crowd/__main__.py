"""`python -m bench.crowd [--quick]`: a crowd before the public services; prints the tables of the section `crowd`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.crowd.rounds import FULL, QUICK
from bench.crowd.tables import crowd_table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.crowd", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: whether it works, no figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hc-") as name:
        print(crowd_table(Path(name), QUICK if arguments.quick else FULL))


if __name__ == "__main__":
    main()
