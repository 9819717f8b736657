"""Long tables of the closed loop on each engine: read whole in pages, each row once; what recurs goes by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from appeal_samples import RULE, AppealDesk
from case_samples import CALENDAR, DUTY, MONDAY, TYPES, number_case
from hutong.appeals.store import AppealQuery
from hutong.handoff.store import Handoffs
from hutong.kernel.access.refs import Refs
from hutong.kernel.cases.purview import WHOLE, Purview
from hutong.kernel.cases.query import COUNTED, CaseQuery
from hutong.kernel.cases.store import Cases
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import report_tables, tables
from hutong.orders.query import OrderQuery, OrderReader
from hutong.reports.model import Origin, Told
from hutong.reports.query import ReportQuery, ReportReader
from order_samples import CHEN, NOW, Station, wish
from report_nodes import FRAUD, reports_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.kernel.records import Database

MANY = COUNTED + 20
LISTED = 600  # two pages
DAY = 86_400_000


def fill(database: Database, table: sa.Table, row: dict[str, Any], count: int, **each: Callable[[int], Any]) -> None:
    """Copies of a row, with what differs in each."""
    rows = [row | {name: make(n) for name, make in each.items()} for n in range(count)]
    with database.write() as connection:
        connection.execute(sa.insert(table), rows)


def row_of(database: Database, table: sa.Table) -> dict[str, Any]:
    with database.read() as connection:
        return dict(connection.execute(sa.select(table).limit(1)).one()._mapping)  # noqa: SLF001  # the public name


def of(n: int) -> str:
    # In no order that has to do with time.
    return f"n-{n * 7919 % 100_003:06d}"


def test_every_report_hand_off_and_appeal_is_read_once_the_newest_first(database: Database, tmp_path: Path) -> None:
    reports, _ = reports_on(database, tmp_path)
    reports.take(Told(kind="call", number=FRAUD), Origin(source="api"), MONDAY)
    more = {"id": of, "receipt": of, "received_ms": lambda n: MONDAY - n // 700}
    fill(database, report_tables.reports, row_of(database, report_tables.reports) | {"request": None}, MANY, **more)
    read = [(-report.received_ms, report.id) for report, _ in ReportReader(database).every(ReportQuery(kind="call"))]
    assert len(set(read)) == len(read) == MANY + 1
    assert read == sorted(read)
    blank = {column.name: 0 if column.type.python_type is int else "" for column in tables.handoffs.c}
    fill(database, tables.handoffs, blank | {"body": "{}"}, LISTED, id=of, found_ms=lambda n: n // 300)
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    handoffs = Handoffs(database, lambda: cases, Refs(tmp_path / "refs.key"), Numbering(), "node1", 1)
    assert [it.id for it in handoffs.every("none")] == [it.id for it in handoffs.page("none", LISTED + 1)]
    assert list(handoffs.every("reached")) == []
    (tmp_path / "data").mkdir()
    desk = AppealDesk(database, tmp_path / "data")
    desk.appeal(RULE)
    more = {"id": of, "receipt": of, "state": lambda n: ("open", "upheld")[n % 2], "found_ms": lambda n: MONDAY - n}
    fill(database, tables.appeals, row_of(database, tables.appeals), LISTED, **more)
    found = [it.id for it in desk.store.every(AppealQuery("open"))]
    assert len(set(found)) == len(found) == LISTED // 2 + 1
    assert len(list(desk.store.every(AppealQuery()))) == LISTED + 1
    desk.lists.close()


def test_every_case_and_order_is_read_once_as_listed_or_the_oldest_first(database: Database, tmp_path: Path) -> None:
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    case = cases.case(cases.find(number_case(), DUTY, MONDAY).case)
    row = row_of(database, tables.cases)

    def bodies(n: int) -> str:
        return msgspec.json.encode(msgspec.structs.replace(case, id=of(n))).decode()

    due = {"next_due_ms": lambda n: MONDAY - n, "unit": lambda n: ("", "移动")[n % 2]}
    fill(database, tables.cases, row, MANY, id=of, body=bodies, **due)
    theirs = Cases(database, TYPES, CALENDAR, "node1", Purview(frozenset({"移动"})))
    few = CaseQuery(unit="移动")
    listed = [it.id for it in cases.every(few)]
    assert listed == [of(n) for n in range(MANY - 1, 0, -2)] == [it.id for it in theirs.every(CaseQuery())]
    walked = [it.id for it in cases.every(CaseQuery())]
    assert walked == sorted({case.id, *map(of, range(MANY))})
    assert [it.id for it in cases.every(CaseQuery(type="fraud-number"))] == walked
    assert list(cases.every(CaseQuery(type="wrong-block"))) == []

    station = Station(database, tmp_path)
    order = station.orders.order(station.desk.request(wish(), CHEN, NOW).order)
    station.lists.close()
    blank = row_of(database, tables.orders)

    def order_bodies(n: int) -> str:
        return msgspec.json.encode(msgspec.structs.replace(order, id=of(n))).decode()

    kinds = {"kind": lambda n: "limit" if n < LISTED else "block", "changed_ms": lambda n: n}
    fill(database, tables.orders, blank, MANY, id=of, body=order_bodies, **kinds)
    reader = OrderReader(database)
    assert [it.id for it in reader.every(OrderQuery(kind="limit"))] == [of(n) for n in range(LISTED - 1, -1, -1)]
    assert [it.id for it in reader.every(OrderQuery())] == sorted([order.id, *map(of, range(MANY))])


@pytest.fixture
def asked() -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is sent to a database, with its values."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:  # noqa: ANN401, FBT001  # as the library calls it
        statements.append((statement, values))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)


def plans(database: Database, asked: list[tuple[str, Any]]) -> str:
    """How the statements are carried out; PostgreSQL, which reads small tables whole, is told that it may not."""
    told, found = list(asked), []
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        for statement, values in told:
            if statement.startswith(("SELECT", "UPDATE")) and "advisory" not in statement:
                found += [str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", values)]
    return "\n".join(found)


def test_what_is_asked_again_and_again_goes_by_an_index(
    database: Database, tmp_path: Path, asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("kernel.cases", "orders"):
        monkeypatch.setattr(f"hutong.{module}.query.COUNTED", -1)  # everything is too many
    reports, _ = reports_on(database, tmp_path)
    reader = ReportReader(database)
    (tmp_path / "data").mkdir()
    desk = AppealDesk(database, tmp_path / "data")
    handoffs = Handoffs(database, lambda: desk.cases, desk.refs, Numbering(), "node1", 1)

    def key_of(table: str) -> str:
        return f"sqlite_autoindex_{table}_1 (id>?)" if database.is_sqlite else f"pk_{table}"

    looks: tuple[tuple[Callable[[], object], str], ...] = (
        (reader.unanswered, "ix_report_matters_kept"),
        (lambda: reports.forget(MONDAY), "ix_report_matters_kept"),
        (lambda: reader.page(ReportQuery(text="shop.exam")), "ix_report_matters_subject"),
        (lambda: reader.count(ReportQuery(text="shop.exam")), "ix_report_matters_subject"),
        (lambda: desk.lifting.run(MONDAY), "ix_appeals_waiting"),
        (desk.store.waiting, "ix_appeals_waiting"),
        (handoffs.totals, "ix_handoffs_answer"),
        (lambda: handoffs.page("reached"), "ix_handoffs_answer"),
        (lambda: desk.cases.board("register-unit", "r1|"), "case_counts"),
        (lambda: list(desk.cases.every(CaseQuery(unit="a", states=("found",)))), key_of("cases")),
        (lambda: list(desk.cases.every(CaseQuery(states=("closed",), sort="changed"))), key_of("cases")),
        (lambda: list(OrderReader(database).every(OrderQuery(states=("expired",), agency="b"))), key_of("orders")),
    )
    for look, index in looks:
        asked.clear()
        look()
        plan = plans(database, asked)
        assert index in plan, (index, plan)
        assert not [
            line for line in plan.splitlines() if line.startswith("SCAN") and "USING" not in line and "anon" not in line
        ], plan
    desk.lists.close()
