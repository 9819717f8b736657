"""Every page of cases over HTTP with 100,000 open and 2 million closed cases, from `hutong serve` to the last byte.

    python -m bench.case_pages [--open 100000] [--closed 2000000] [--rounds 40] [--folder DIR] [--url postgresql://…]

On SQLite, or on the PostgreSQL database of the URL. Records that have cases are taken as they are: filling takes longer
than asking. Pages take turns, round after round; what their addresses ask for changes from round to round.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import numpy as np

from bench import cases as made
from bench.http_calls import Serve
from bench.node import signed_in
from bench.pages import MOST_MS, Page, Visitor
from bench.tables import table
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.access.refs import Refs
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.model import Actor
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.numbering import key_of_digits
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from hutong.kernel.cases.model import Case


ROUNDS = 40


class Node(NamedTuple):
    """What `Serve` needs to know of a node."""

    data: Path
    settings: str = ""


def pages(data: Path, some: list[Case], register: str) -> list[Page]:
    """Every page of cases, as an operator asks for it; some as an auditor does."""
    refs, chance = Refs(data / "keys" / "refs.key"), random.Random(3)

    def asked(**said: object) -> Page:
        def path(_turn: int) -> str:
            given = {name: it() if callable(it) else it for name, it in said.items()}
            return f"/cases?{urlencode(given)}"

        return Page(f"/cases {' '.join(said)}".strip(), "operator", path)

    def one() -> Case:
        return chance.choice(some)

    def ref() -> str:
        return refs.ref(key_of_digits(f"86{one().fields['number']}"))

    def unit() -> str:
        return chance.choice(made.UNITS)

    fixed = ("/work", "/work/team", "/overdue", "/cases", "/cases/new", "/cases/new/fraud-number", "/registers")
    return [
        *(Page(path, "operator", lambda _, path=path: path) for path in fixed),  # type: ignore[misc]
        Page("/overdue", "auditor", lambda _: "/overdue"),
        Page("/audit", "auditor", lambda _: "/audit"),
        asked(page=lambda: chance.randrange(2, 300)),
        asked(sort="-due"),
        asked(sort="changed"),
        asked(state="any"),
        asked(state="closed"),
        asked(state=lambda: chance.choice(made.OPEN)),
        asked(late="yes"),
        asked(unit=unit),
        asked(unit=unit, late="yes"),
        asked(unit=unit, state="closed"),
        asked(owner=lambda: chance.choice(made.OWNERS)),
        asked(type="fraud-number", state="closed"),
        asked(text=lambda: "".join(chance.choice("东西南北中华海江河山") for _ in range(2))),
        asked(text=lambda: "".join(chance.choice("东西南北中华海江河山") for _ in range(2)), state="any"),
        asked(number=ref, state="any"),
        Page("/cases/{case}", "operator", lambda _: f"/cases/{one().id}"),
        Page("/cases/search POST", "operator", lambda _: "/cases/search", form=lambda _: {"q": one().id}),
        Page("/registers/{register}", "operator", lambda _: f"/registers/{register}"),
    ]


def _fill(url: str, data: Path, opened: int, closed: int) -> tuple[Database, list[Case], str]:
    """Cases whose deadlines lie around now, and a register."""
    database = Database(database_url(url, data))
    database.open()
    made.NOW = time.time_ns() // 1_000_000
    made.filled(database, opened, closed)
    cases = Cases(database, load_types(SHIPPED, permissions=PERMISSIONS), load_calendar(), "node1", WHOLE)
    some = [*cases.page(CaseQuery(), 200), *cases.page(CaseQuery(states=("closed",), sort="changed"), 200)]
    actor = Actor("bench", frozenset(PERMISSIONS))
    register = Registers(database, cases).make("Bench", "rectification", [AssignRule("单位01")], actor, made.NOW).id
    return database, some, register


def measure(url: str, folder: Path, *, opened: int, closed: int, rounds: int) -> str:
    """Fill a folder, ask for every page in turn; gives the table."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    database, some, register = _fill(url, data, opened, closed)
    doors = {role: signed_in(database, role, made.NOW) for role in ("operator", "auditor")}  # type: ignore[arg-type]
    database.close()
    records = f'[records]\nurl = "{url}"\n' if url else ""
    site = Serve("case-pages", Node(data, records), folder)  # type: ignore[arg-type]  # all that it asks
    try:
        site.start()
        visitors = {who: Visitor(site.port, {"Cookie": f"hutong={it.cookie}"}, it.csrf) for who, it in doors.items()}
        wanted = pages(data, some, register)
        answers: list[list[tuple[float, int]]] = [[] for _ in wanted]
        for turn in range(rounds + 1):
            for page, got in zip(wanted, answers, strict=True):
                got.append(visitors[page.who].ask(page, turn))
        for visitor in visitors.values():
            visitor.close()
    finally:
        site.stop()
    rows = []
    for page, got in zip(wanted, answers, strict=True):
        half, most, worst = np.percentile([ms for ms, _ in got[1:]], [50, 95, 100])
        wrong = sorted({status for _, status in got} - {200, 303})
        verdict = f"**STATUS {wrong}**" if wrong else "**SLOW**" if most > MOST_MS else "ok"
        who = "" if page.who == "operator" else f" ({page.who})"
        rows.append((f"`{page.name}`{who}", f"{got[0][0]:.0f}", f"{half:.0f}", f"{most:.0f}", f"{worst:.0f}", verdict))
    load = f"Load average (1 min) {os.getloadavg()[0]:.1f} at the end."
    return f"{table(('page, ms', 'first', 'median', 'p95', 'max', f'p95 ≤ {MOST_MS}'), rows)}\n\n{load}"


def case_pages_table(folder: Path) -> str:
    """The tables of `python -m bench case-pages`, on SQLite, and on the PostgreSQL of HUTONG_RECORDS__URL."""
    parts = []
    given = os.environ.pop("HUTONG_RECORDS__URL", "")
    for name, url in (("SQLite", ""), ("PostgreSQL", given)):
        if url or name == "SQLite":
            place = folder / f"case-pages-{name}"
            parts += [f"{name}:", measure(url, place, opened=made.OPENED, closed=made.CLOSED, rounds=ROUNDS)]
    if given:
        os.environ["HUTONG_RECORDS__URL"] = given
    return "\n\n".join(parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=made.OPENED)
    parser.add_argument("--closed", type=int, default=made.CLOSED)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", type=Path, default=None, help="is kept")
    parser.add_argument("--url", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        place = asked.folder or Path(name)
        print(measure(asked.url, place, opened=asked.open, closed=asked.closed, rounds=asked.rounds), flush=True)


if __name__ == "__main__":
    main()
