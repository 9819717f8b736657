"""What pages and the watch ask goes by an index: with millions of closed cases a look at every row takes seconds."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from case_samples import CALENDAR, CHECKER, DUTY, MONDAY, ORDER, RETEST, TYPES, WORKER, number_case
from hutong.kernel.cases.boards import CaseBoards
from hutong.kernel.cases.model import Part, Request
from hutong.kernel.cases.purview import WHOLE, Purview
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.registers import Registers
from hutong.kernel.cases.store import Cases
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    made.open()
    yield made
    made.close()


@pytest.fixture
def asked(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is sent to the database, with its values."""
    assert database.is_sqlite
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: ANN401, FBT001
        statements.append((statement, parameters[0] if many else parameters))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)


def plans(database: Database, asked: list[tuple[str, Any]]) -> str:
    """How the statements about cases are carried out."""
    with sqlite3.connect(database.place) as raw:
        return "\n".join(
            row[3]
            for statement, values in asked
            if statement.startswith(("SELECT", "UPDATE")) and "cases" in statement
            for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # statements of our own
        )


@pytest.mark.parametrize(
    "query",
    [
        CaseQuery(),
        CaseQuery(states=("found",)),
        CaseQuery(owner="a"),
        CaseQuery(owner="a", unit="b", type="c"),
        CaseQuery(unit="b", states=("acted",)),
        CaseQuery(register="r"),
        CaseQuery(parent="p"),
        CaseQuery(late_ms=1),
        CaseQuery(sort="changed"),
        CaseQuery(states=("closed",), sort="changed"),
        CaseQuery(states=("found",), sort="changed"),
        CaseQuery(states=("closed",), unit="b", sort="changed"),
        CaseQuery(states=("closed",), unit="b", owner="a", sort="changed"),
        CaseQuery(text="1380013"),
        CaseQuery(text="核查", sort="changed"),
    ],
    ids=str,
)
def test_no_list_looks_at_every_case(database: Database, asked: list[tuple[str, Any]], query: CaseQuery) -> None:
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    cases.listing(query)
    plan = plans(database, asked)
    assert "SEARCH cases" in plan or "USING INDEX ix_cases_changed" in plan
    if query.sort == "changed" and not query.states and not query.text:
        assert "SCAN cases USING INDEX ix_cases_changed" in plan, "as many rows as a page takes"
    else:
        assert "SCAN cases" not in plan


def test_neither_the_watch_nor_work_looks_at_every_case(database: Database, asked: list[tuple[str, Any]]) -> None:
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    cases.waking(MONDAY)
    cases.late(MONDAY)
    of = cases.find(number_case(), DUTY, MONDAY).case
    cases.do(of, Request("split", "two", parts=(Part("a"), Part("b"))), DUTY, MONDAY)
    cases.do(of, Request("assign", unit="移动"), DUTY, MONDAY)
    cases.do(of, Request("accept"), WORKER, MONDAY)
    cases.do(of, Request("act", proofs=(ORDER,)), WORKER, MONDAY)
    cases.do(of, Request("verify", proofs=(RETEST,)), CHECKER, MONDAY)
    cases.lateness(MONDAY)
    registers = Registers(database, cases)
    registers.progress(registers.make("x", "rectification", (), DUTY, MONDAY).id)
    plan = plans(database, asked)
    assert "ix_cases_wake_ms" in plan
    assert "ix_cases_parent" in plan
    assert "SCAN cases" not in plan


@pytest.mark.parametrize("purview", [WHOLE, Purview(frozenset({"North", "South"}))], ids=["all", "units"])
def test_boards_are_counted_in_an_index_alone(
    database: Database, asked: list[tuple[str, Any]], purview: Purview
) -> None:
    boards = CaseBoards(database, purview)
    boards.heat("unit", MONDAY)
    boards.heat("owner", MONDAY)
    boards.due_between(MONDAY, MONDAY + 1)
    found = plans(database, asked)
    assert found.count("COVERING INDEX ix_cases_late") == 3 or not purview.whole
    assert "SCAN cases\n" not in f"{found}\n"
    asked.clear()
    boards.waiting()
    assert "ix_cases_waits" in plans(database, asked) or not purview.whole
    assert "SCAN cases\n" not in plans(database, asked) + "\n"
