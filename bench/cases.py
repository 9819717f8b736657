"""Lists, counts and searches of cases with 100,000 open and 2 million closed, and transitions a second.

    python -m bench.cases [--open 100000] [--closed 2000000] [--folder DIR] [--url postgresql://…] [--transitions 300]

Records that have cases are taken as they are: filling takes longer than asking. Else rows are made up and written at
once, without their events; then each question that a page asks is asked many times with
changing arguments, by a connection of its own as pages have. Times are of the whole call: SQL, and cases decoded.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.tables import table
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.fields import keys_of
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.model import Actor, Case, Finding, Proof, Request, State, case_id
from hutong.kernel.cases.projection import COUNTS, KEYS, count_keys, row_of
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.records import Database, database_url, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = 1_772_416_800_000  # 2026-03-02T10:00:00+08:00
DAY = 86_400_000
UNITS = [f"单位{number:02}" for number in range(40)]
OWNERS = [f"person{number:03}" for number in range(300)]
OPENED, CLOSED, TRANSITIONS = 100_000, 2_000_000, 1_000
OPEN: tuple[State, ...] = ("found", "assigned", "accepted", "acted", "verified", "risk")
_BATCH = 20_000
_NAMES = "东西南北中华海江河山"


def made_up(count: int, chance: random.Random, *, is_open: bool) -> Iterator[Case]:
    """Cases of the shipped types, spread over half a year or five."""
    for _ in range(count):
        found = NOW - int(chance.random() * (180 if is_open else 1800) * DAY)
        number = f"1{chance.randrange(3_000_000_000, 9_999_999_999)}"
        state: State = chance.choice(OPEN) if is_open else "closed" if chance.random() < 0.97 else "merged"
        name = "".join(chance.choice(_NAMES) for _ in range(4))
        yield Case(
            id=case_id("node1", found, chance.randbytes(8)),
            node="node1",
            type="fraud-number",
            type_version=1,
            title=f"涉诈号码核查 {number[:3]}****{number[-4:]} {name}公司",
            state=state,
            found_ms=found,
            changed_ms=found + int(chance.random() * 5 * DAY),
            fields={"number": number, "operator": chance.choice(UNITS), "reported": chance.randrange(9)},
            source="calls.rules:calls.one-ring",
            owner=chance.choice(OWNERS),
            unit=chance.choice(UNITS),
            register=f"node1-register{chance.randrange(40)}" if chance.random() < 0.2 else "",
            due_ms=found + 7 * DAY + (170 * DAY if is_open and chance.random() < 0.7 else 0),
            wake_ms=NOW + 40 * DAY if is_open else 0,
            risk_until_ms=found + 200 * DAY if state == "risk" else 0,
            proofs=(Proof("reference", "order:1"), Proof("retest", "dial:1"))
            if state in {"closed", "verified"}
            else (),
            version=6,
        )


def fill(database: Database, opened: int, closed: int) -> None:
    """Write the rows as they would stand, indexes last."""
    chance = random.Random(7)
    kind = load_types(SHIPPED, permissions=PERMISSIONS)["fraud-number"]
    counts: dict[tuple[str, str, str], int] = {}
    parts = (made_up(opened, chance, is_open=True), made_up(closed, chance, is_open=False))
    indexes = sorted(tables.cases.indexes, key=lambda index: str(index.name))
    with database.write() as connection:
        for index in indexes:
            index.drop(connection)
    for part in parts:
        while batch := list(islice(part, _BATCH)):
            with database.write() as connection:
                if database.is_sqlite:
                    connection.exec_driver_sql("PRAGMA cache_size=-600000")
                connection.execute(sa.insert(tables.cases), [row_of(case) for case in batch])
                keys = [{"key": key, "case": case.id} for case in batch for key in keys_of(kind, case.fields)]
                connection.execute(sa.insert(KEYS), keys)
            for case in batch:
                for at in count_keys(case):
                    counts[at] = counts.get(at, 0) + 1
    with database.write() as connection:
        for index in indexes:
            index.create(connection)
        rows = [{"scope": at[0], "name": at[1], "state": at[2], "count": count} for at, count in counts.items()]
        connection.execute(sa.insert(COUNTS), rows)


def filled(database: Database, opened: int, closed: int) -> None:
    """Fill records that are empty."""
    with database.read() as connection:
        is_empty = connection.execute(sa.select(tables.cases.c.id).limit(1)).first() is None
    if is_empty:
        begun = time.perf_counter()
        fill(database, opened, closed)
        print(f"filled in {time.perf_counter() - begun:.0f} s", flush=True)


def questions(cases: Cases, chance: random.Random, some: list[Case]) -> dict[str, Callable[[], object]]:
    """What pages ask."""

    def unit() -> str:
        return chance.choice(UNITS)

    def asked(**parts: object) -> Callable[[], object]:
        def ask() -> object:
            query = CaseQuery(**{name: it() if callable(it) else it for name, it in parts.items()})
            return cases.listing(query, 50, chance.choice((0, 0, 50, 500)))

        return ask

    def number() -> str:
        return str(chance.choice(some).fields["number"])

    return {
        "my work": asked(owner=lambda: chance.choice(OWNERS)),
        "team's work": asked(unit=unit),
        "team's work in one state": asked(unit=unit, states=lambda: (chance.choice(OPEN),)),
        "all open by due time": asked(),
        "late": asked(late_ms=NOW),
        "one state, latest first": asked(states=lambda: (chance.choice((*OPEN, "closed")),), sort="changed"),
        "closed of a unit": asked(states=("closed",), unit=unit, sort="changed"),
        "closed of a type": asked(states=("closed",), type="fraud-number", sort="changed"),
        "closed of a unit and a person": asked(
            states=("closed",), unit=unit, owner=lambda: chance.choice(OWNERS), sort="changed"
        ),
        "all of a person, latest first": asked(owner=lambda: chance.choice(OWNERS), sort="changed"),
        "all, latest first": asked(sort="changed"),
        "open, latest first": asked(states=OPEN, sort="changed"),
        "open in one state, by due time": asked(states=lambda: (chance.choice(OPEN),)),
        "register's items": asked(register=lambda: f"node1-register{chance.randrange(40)}", sort="changed"),
        "register's open items": asked(register=lambda: f"node1-register{chance.randrange(40)}"),
        "whole number": asked(text=number, sort="changed"),
        "beginning of a number": asked(text=lambda: number()[:6], sort="changed"),
        "part of a title, open": asked(text=lambda: "".join(chance.choice(_NAMES) for _ in range(2))),
        "part of a title, all": asked(text=lambda: "".join(chance.choice(_NAMES) for _ in range(2)), sort="changed"),
        "a title that nobody has": asked(text="没有这个", sort="changed"),
        "one case": lambda: cases.case(chance.choice(some).id),
        "figures of all, a unit, a register": lambda: (
            cases.figures("all"),
            cases.figures("unit", unit()),
            cases.figures("register", f"node1-register{chance.randrange(40)}"),
        ),
        "board of units with lateness": lambda: cases.lateness(NOW),
        "late in all": lambda: cases.late(NOW),
    }


def latencies(cases: Cases, times: int = 60) -> list[tuple[str, str, str]]:
    """Of each question p50 and p95, milliseconds."""
    chance = random.Random(11)
    some = [*cases.page(CaseQuery(), 200), *cases.page(CaseQuery(states=("closed",), sort="changed"), 200)]
    rows = []
    for name, ask in questions(cases, chance, some).items():
        ask()
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            ask()
            took.append((time.perf_counter() - begun) * 1000)
        cuts = statistics.quantiles(took, n=20)
        rows.append((name, f"{statistics.median(took):.1f}", f"{cuts[18]:.1f}"))
    return rows


def transitions(cases: Cases, count: int) -> float:
    """Transitions a second of one writer: each a durable transaction with its trail."""
    people = [Actor(name, frozenset(PERMISSIONS)) for name in ("worker", "checker")]
    steps = (
        (people[0], Request("assign", unit="单位01")),
        (people[0], Request("accept")),
        (people[0], Request("act", proofs=(Proof("reference", "order:1"),))),
        (people[1], Request("verify", proofs=(Proof("retest", "dial:1"),))),
        (people[1], Request("close")),
    )
    begun, done = time.perf_counter(), 0
    while done < count:
        of = cases.find(Finding("fraud-number", "x", {"number": "13800138000"}), people[0], NOW).case
        for who, request in steps:
            cases.do(of, request, who, NOW)
        done += 1 + len(steps)
    return done / (time.perf_counter() - begun)


def bare_inserts(database: Database, count: int) -> float:
    """Rows a second of one writer, each a durable transaction: what the database itself can do."""
    begun = time.perf_counter()
    for at in range(count):
        row = {"key": f"bare-{begun}-{at}", "digest": "", "answer": "", "time_ms": NOW}
        with database.write() as connection:
            connection.execute(sa.insert(tables.case_requests), row)
    return count / (time.perf_counter() - begun)


def measure(url: str, folder: Path, opened: int, closed: int, count: int) -> tuple[str, str]:
    """Transitions beside bare rows, and how long questions take."""
    database = Database(database_url(url, folder))
    database.open()
    filled(database, opened, closed)
    types = load_types(SHIPPED, permissions=PERMISSIONS)
    cases = Cases(database, types, load_calendar(), "node1", WHOLE)
    rates = (
        ("transitions of cases, each with its event, counters, notices and trail", f"{transitions(cases, count):,.0f}"),
        ("bare rows", f"{bare_inserts(database, count):,.0f}"),
    )
    asked = table(("question", "p50 ms", "p95 ms"), latencies(cases))
    database.close()
    return table(("a durable transaction each, one writer", "per second"), rates), asked


def cases_table(folder: Path) -> str:
    """The tables of `python -m bench cases`, on SQLite, and on the empty PostgreSQL of HUTONG_RECORDS__URL."""
    place = folder / "cases"
    place.mkdir()
    parts = []
    for name, url in (("SQLite", ""), ("PostgreSQL", os.environ.get("HUTONG_RECORDS__URL", ""))):
        if url or name == "SQLite":
            parts += [f"{name}:", *measure(url, place, OPENED, CLOSED, TRANSITIONS)]
    return "\n\n".join(parts)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=OPENED)
    parser.add_argument("--closed", type=int, default=CLOSED)
    parser.add_argument("--transitions", type=int, default=TRANSITIONS)
    parser.add_argument("--folder", type=Path, default=None, help="is kept")
    parser.add_argument("--url", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        for text in measure(given.url, given.folder or Path(name), given.open, given.closed, given.transitions):
            print(text, flush=True)


if __name__ == "__main__":
    main()
