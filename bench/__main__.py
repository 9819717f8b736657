"""Runs the benchmarks: `python -m bench [SECTION…] [--write]`, of SECTIONS below."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
import time
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    alert_table,
    alerts,
    audit,
    bulletins,
    case_pages,
    cases,
    codes,
    http_calls,
    kafka,
    mirror,
    orders,
    pages,
    replay,
    replica,
    reports,
    speed,
    start,
    tables,
    watchers,
    windows,
)
from bench.crowd.rounds import FULL
from bench.crowd.tables import crowd_table
from bench.peers import Echo, Hutong, Kamailio, Server, has_kamailio
from bench.size import size
from bench.size.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SECTIONS = (
    "speed",
    "latency",
    "mirror",
    "alerts",
    "alert-table",
    "http",
    "pages",
    "watchers",
    "memory",
    "kafka",
    "replay",
    "cases",
    "case-pages",
    "audit",
    "reports",
    "orders",
    "bulletins",
    "codes",
    "replica",
    "crowd",
    "start",
)
#: Takes hours and most of a disk: runs only when it is named.
LARGE = ("size",)
ROUNDS = 5
SECONDS = 3.0
LATENCY_ROUNDS = 3
LATENCY_SECONDS = 4.0
MEMORY_MB = 1_024


def main() -> None:
    """Measure the named sections, print each table as it is ready, write them into the page where asked."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="SECTION",
        help=f"of {', '.join(SECTIONS)}, {', '.join(LARGE)}; all but the last by default",
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument("--verdicts", type=int, default=pages.VERDICTS, help="on record while pages are measured")
    parser.add_argument("--rows", default=",".join(map(str, size.ROWS)), help="of section size: 1e6,1e7")
    parser.add_argument("--engine", default=",".join(ENGINES), help=f"of section size: of {', '.join(ENGINES)}")
    parser.add_argument("--disk", type=int, default=size.DISK_GB, help="of section size: takes no more, GB")
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - {*SECTIONS, *LARGE}
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join((*SECTIONS, *LARGE))}")
    chosen = arguments.sections or list(SECTIONS)
    found = {"machine": _machine()}
    print(found["machine"], flush=True)
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        folder = Path(name)
        measured = _measure(chosen, folder, arguments.verdicts)
        if "size" in chosen:
            rows = [int(float(it)) for it in arguments.rows.split(",")]
            told = size.size_table(folder, rows, arguments.engine.split(","), arguments.disk)
            measured = chain(measured, [("size", told)])
        for section, text in measured:
            found[section] = text
            print(f"\n{section}\n{text}", flush=True)
    if arguments.write:
        for section, text in found.items():
            tables.replace(PAGE, section, text)


def _measure(chosen: Sequence[str], folder: Path, verdicts: int) -> Iterator[tuple[str, str]]:
    if {"speed", "latency"} & set(chosen):
        yield from _compared(chosen, folder)
    if "mirror" in chosen:
        yield "mirror", mirror.mirror_table(folder, memory_mb=MEMORY_MB)
    if "alerts" in chosen:
        yield "alerts", alerts.alerts_table()
    if "alert-table" in chosen:
        yield "alert-table", alert_table.alert_table(folder)
    if "http" in chosen:
        yield "http", http_calls.measure(folder, memory_mb=MEMORY_MB, rounds=ROUNDS, seconds=SECONDS)
    if "pages" in chosen:
        yield "pages", pages.measure(folder, verdicts=verdicts, memory_mb=MEMORY_MB)
    if "watchers" in chosen:
        rounds = watchers.measure(folder, memory_mb=MEMORY_MB, rounds=ROUNDS, seconds=SECONDS)
        yield "watchers", watchers.watchers_table(rounds)
    if "memory" in chosen:
        yield "memory", windows.memory_table()
    if "replay" in chosen:
        yield "replay", replay.replay_table(folder)
    yield from _in_records(chosen, folder)
    yield from _of_codes(chosen)
    yield from _alone(chosen, folder)


def _in_records(chosen: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """What is kept in SQL."""
    if "cases" in chosen:
        yield "cases", cases.cases_table(folder)
    if "case-pages" in chosen:
        yield "case-pages", case_pages.case_pages_table(folder)
    if "audit" in chosen:
        yield "audit", audit.audit_table(folder)
    if "reports" in chosen:
        yield "reports", reports.reports_table(folder)
    if "bulletins" in chosen:
        yield "bulletins", bulletins.bulletins_table(folder)


def _of_codes(chosen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """On one core, without sockets."""
    if "codes" in chosen:
        yield "codes", codes.codes_table()
    if "replica" in chosen:
        yield "replica", replica.replica_table()


def _alone(chosen: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """With a node of their own, or two processes of one."""
    if "kafka" in chosen:
        yield "kafka", kafka.kafka_table(folder)
    if "crowd" in chosen:
        (place := folder / "crowd").mkdir()
        yield "crowd", crowd_table(place, FULL)
    if "orders" in chosen:
        yield "orders", orders.orders_table(folder)
    if "start" in chosen:
        server = Hutong(folder, memory_mb=start.MEMORY_MB, name="full", listed=str(start.LISTED))
        yield "start", start.start_table(start.measure(server, folder))


def _compared(chosen: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Beside Kamailio and the echo."""
    with ExitStack() as stack:
        servers: list[Server] = [Hutong(folder, memory_mb=MEMORY_MB)]
        if has_kamailio():
            servers.append(Kamailio(folder))
        servers.append(Echo("echo", folder))
        for server in servers:
            stack.callback(server.stop)
            server.start()
        if "speed" in chosen:
            runs = speed.verdicts(servers, rounds=ROUNDS, seconds=SECONDS)
            yield "speed", speed.verdict_table(runs)
        if "latency" in chosen:
            by_rate = speed.latencies(servers, rounds=LATENCY_ROUNDS, seconds=LATENCY_SECONDS)
            yield "latency", speed.latency_table(by_rate)


def _machine() -> str:
    """One line that says what the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    peer = ""
    if has_kamailio():
        said = subprocess.run(["kamailio", "-v"], check=True, capture_output=True, text=True).stdout
        peer = ", Kamailio " + said.split("kamailio", 1)[1].split()[0]
    cores = len(os.sched_getaffinity(0))
    system = f"Linux {platform.release()}, Python {platform.python_version()}{peer}"
    return f"{time.strftime('%Y-%m-%d')}: {model}, {cores} cores, {system}"


if __name__ == "__main__":
    main()
