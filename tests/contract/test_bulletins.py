"""Bulletins in the records, on each engine: what is gathered, drafted, signed, corrected; and losses."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from bulletin_samples import DEFINITIONS, TEXTS
from case_samples import CALENDAR, DUTY, TYPES, number_case
from hutong.bulletins.desk import MEDIA, Desk, Doer, name_of
from hutong.bulletins.errors import BulletinError, BulletinRefusedError, NoBulletinError
from hutong.bulletins.gather import asked
from hutong.bulletins.losses import Losses
from hutong.bulletins.model import Of, Part
from hutong.bulletins.periods import day_at, period_of, read_period
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.figures import Count
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.records import Connection, Database

ZONE = ZoneInfo("Asia/Shanghai")
DAY = read_period("2026-11-20")
START, END = DAY.bounds(ZONE)
WHO = Doer("zhang", "192.0.2.9")


def reports(_connection: Connection, start_ms: int, end_ms: int) -> Iterator[Count]:
    """Forty on the day, ten the day before."""
    assert end_ms - start_ms <= END - START
    if start_ms == START:
        yield Count("reports.received", "021", "mobile", 25)
        yield Count("reports.received", "", "", 15)
    elif end_ms == START:
        yield Count("reports.received", "021", "", 30)


def count_day(database: Database, day: str, blocked: int, until_ms: int) -> None:
    figures = {"calls.attempts": 50_000, "calls.blocked": blocked, "rules.blocked": blocked}
    at = {"node": "node1", "day": day}
    with database.write() as connection:
        for name, value in figures.items():
            place = {"city": "021", "operator": "mobile"} if name.startswith("calls") else {"city": "", "operator": ""}
            item = {"item": "calls.one-ring" if name.startswith("rules") else ""}
            connection.execute(
                sa.insert(tables.daily_figures).values(at | {"name": name, "value": value} | item | place)
            )
        group = {"rule": "calls.one-ring", "block": "+44770090xxxx", "calls": blocked, "numbers": 3}
        connection.execute(sa.insert(tables.daily_campaigns).values(at | group))
        connection.execute(sa.insert(tables.daily_counted).values(at | {"until_ms": until_ms, "counted_ms": until_ms}))


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    rules = {"calls.one-ring": {"zh": "响一声", "en": "One ring"}}
    return Desk(
        database, tmp_path, "node1", "Asia/Shanghai", Trail(database), TEXTS, {"reports": reports}, lambda: rules
    )


def test_every_query_runs_and_every_figure_is_gathered(desk: Desk, database: Database) -> None:
    count_day(database, "2026-11-20", 300, END)
    count_day(database, "2026-11-19", 200, START)
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    cases.find(number_case(), DUTY, START + 1000)
    losses = Losses(database, Trail(database))
    losses.take_in([row("2026-11-20", "12", "34.50"), row("2026-11-19", "20", "100")], "zhang", "", END)
    kept = desk.make(DAY, WHO, END + 1000)
    _, made = desk.store.get(kept.id)
    assert made.figure("calls.blocked").now == Of(300)
    assert made.figure("calls.blocked").previous == Of(200)
    assert made.figure("calls.blocked").year == Of()
    assert made.figure("calls.blocked").parts == (Part("021", "mobile", 300),)
    assert made.figure("calls.blocked_share").now == Of(300, 50_000)
    assert made.figure("reports.received").now == Of(40)
    assert made.figure("reports.received").previous == Of(30)
    assert made.figure("reports.numbers").now == Of(0)
    assert made.figure("orders.requested").now == Of(), "a system that is not there counts nothing, not nought"
    assert made.figure("losses.amount").now == Of(3450)
    assert made.figure("cases.found").now == Of(1)
    assert made.figure("cases.completed").now == Of(0, 1)
    assert made.figure("cases.open").previous == Of(), "what stood a day ago is known from that day's bulletin only"
    assert (made.decline, made.missing, made.provisional) == ("both", (), False)
    assert [it.blocked for it in made.rules] == [300]
    assert [(it.calls, it.title["en"]) for it in made.campaigns] == [(300, "One ring")]
    assert [day.blocked for day in made.days][-3:] == [None, 200, 300]
    following = desk.make(read_period("2026-11-21"), WHO, END + 25 * 3_600_000)
    assert desk.store.get(following.id)[1].figure("cases.open").previous == Of(1)
    assert desk.store.get(following.id)[1].missing == ("2026-11-21",)


def test_a_period_that_goes_on_is_provisional_and_compares_nothing(desk: Desk, database: Database) -> None:
    count_day(database, "2026-11-20", 300, START + 5)
    kept = desk.make(DAY, WHO, START + 10)
    _, made = desk.store.get(kept.id)
    assert made.provisional
    assert made.missing == ()
    assert made.figure("calls.blocked").now == Of(300, full=False)
    with pytest.raises(BulletinRefusedError, match="not ended"):
        desk.sign(kept.id, kept.digest, WHO, START + 20)
    with pytest.raises(BulletinRefusedError, match="not begun"):
        desk.make(read_period("2026-11-21"), WHO, START + 10)
    assert desk.due([DAY]) == [DAY]


def test_signed_once_and_never_changed_but_corrected(desk: Desk, database: Database, tmp_path: Path) -> None:
    count_day(database, "2026-11-20", 300, END)
    draft = desk.make(DAY, WHO, END + 1)
    again = desk.make(DAY, WHO, END + 2)
    assert (draft.id, again.id) == ("2026-11-20.1", "2026-11-20.1")
    with pytest.raises(BulletinRefusedError, match="made anew"):
        desk.sign(draft.id, draft.digest, WHO, END + 3)
    hashes = desk.sign(again.id, again.digest, Doer("li"), END + 3)
    assert set(hashes) == {name_of(again.id, lang, form) for lang in ("zh", "en") for form in MEDIA}
    kept, _ = desk.store.get(again.id)
    assert (kept.signed_by, kept.signed_ms, kept.files) == ("li", END + 3, hashes)
    assert "li" in PdfReader(io.BytesIO(desk.file(kept.id, "zh", "pdf"))).pages[-1].extract_text()
    with pytest.raises(BulletinRefusedError, match="signed already"):
        desk.sign(kept.id, kept.digest, WHO, END + 4)
    for statement in (sa.update(tables.bulletins).values(body="{}"), sa.delete(tables.bulletins)):
        with pytest.raises(sa.exc.DatabaseError, match="does not change"), database.write() as connection:
            connection.execute(statement)
    with pytest.raises(BulletinRefusedError, match="signed"):
        desk.make(DAY, WHO, END + 5)
    second = desk.make(DAY, WHO, END + 5, "三个\x01\n地市漏报")
    assert (second.id, second.corrects, second.signed_ms) == ("2026-11-20.2", "2026-11-20.1", None)
    assert "三个 地市漏报" in desk.file(second.id, "zh", "html").decode()
    assert desk.file(second.id, "zh", "docx").startswith(b"PK"), "Word refuses control characters"
    assert [it.id for it in desk.store.all()] == ["2026-11-20.2", "2026-11-20.1"]
    deeds = [(it.deed, it.target) for it in Trail(database).entries(TrailQuery(deed="bulletins"))]
    assert deeds[0] == ("bulletins.make", "2026-11-20.2")
    assert ("bulletins.sign", "2026-11-20.1") in deeds
    with pytest.raises(NoBulletinError):
        desk.store.get("2026-11-20.3")
    (tmp_path / "bulletins" / hashes["2026-11-20.1-en.html"]).write_bytes(b"<html>")
    with pytest.raises(BulletinError, match="hash"):
        desk.file(kept.id, "en", "html")


def row(period: str, cases: str, amount: str, city: str = "上海") -> dict[str, str]:
    return {"agency": "上海市公安局", "city": city, "period": period, "cases": cases, "amount": amount}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_losses_right_rows_go_in_wrong_ones_are_told_and_the_last_word_counts(
    database: Database, encoding: str
) -> None:
    sheet = (
        '单位,地市,周期,案件数,金额\n市局,上海,2026-11,12,"1,234.5"\n市局,某地,2026-11,1,1\n市局,021,2026-13,1,1\n'
        "市局,021,2026-11,-1,1\n市局,021,2026-11,00000000000000009999999999999999,1\n市局,021,2026-W47,1,1.234\n=cmd,021,2026-11,1,1\n,,,,\n市局,021,2026-11,13,1234\n"
    )
    store = Losses(database, Trail(database))
    done = store.take_file(sheet.encode(encoding), "zhang", "local", END)
    assert done.taken == 1
    assert [(it.row, it.column) for it in done.errors] == [
        (3, "city"),
        (4, "period"),
        (5, "cases"),
        (6, "cases"),
        (7, "amount"),
        (8, "agency"),
    ]
    (kept,) = store.all()
    assert (kept.city, kept.period, kept.cases, kept.amount) == ("021", "2026-11", 13, 123_400)
    with pytest.raises(BulletinError, match="lacks the columns amount"):
        store.take_file(b"agency,city,period,cases\n", "zhang", "local", END)


def test_figures_of_cases_go_by_an_index(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL chooses by what is in the tables")
    queries = [it.query for it in DEFINITIONS.figure if it.source == "cases" and it.query]
    assert len(queries) == 6
    with database.read() as connection:
        for query in queries:
            named = asked(query, "node1", DAY, ZONE, END)
            first = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {query}"), named).all()[0][3]
            if "case_events" in query:
                assert "ix_case_events_time_ms_action (time_ms>? AND time_ms<?)" in first, query
            else:
                assert first.startswith("SEARCH cases USING INDEX"), query


def test_what_falls_due_later_today_is_not_late(desk: Desk, database: Database) -> None:
    Cases(database, TYPES, CALENDAR, "node1", WHOLE).find(number_case(), DUTY, START)
    with database.write() as connection:
        connection.execute(sa.update(tables.cases).values(next_due_ms=START + 50_000))
    for now_ms, late in ((START + 40_000, 0), (START + 60_000, 1)):
        made = desk.store.get(desk.make(DAY, WHO, now_ms).id)[1]
        assert (made.figure("cases.open").now.value, made.figure("cases.late").now.value) == (1, late)


def test_an_agency_that_gave_nothing_yet_is_no_fall(desk: Desk, database: Database) -> None:
    losses = Losses(database, Trail(database))
    other = row("2026-11-19", "5", "7") | {"agency": "another"}
    losses.take_in([row("2026-11-20", "12", "34.50"), row("2026-11-19", "20", "100"), other], "zhang", "", END)
    made = desk.store.get(desk.make(DAY, WHO, END).id)[1]
    assert made.figure("losses.cases").now == Of(12)
    assert made.figure("losses.cases").previous == Of(25, full=False)
    assert made.decline == "unknown"


def test_a_period_in_which_the_node_began_is_not_compared_with(desk: Desk, database: Database) -> None:
    with database.write() as connection:
        account = {"name": "a", "created_ms": START - 3_600_000}
        nothing = {it.name: "" if isinstance(it.type, sa.Text) else 0 for it in tables.accounts.c if not it.nullable}
        connection.execute(sa.insert(tables.accounts).values(nothing | account))
    made = desk.store.get(desk.make(DAY, WHO, END).id)[1]
    assert made.figure("reports.received").now == Of(40)
    assert made.figure("reports.received").previous == Of(30, full=False)


def test_periods_meet_without_gap() -> None:
    for text, previous, year in (
        ("2026-11-20", "2026-11-19", "2025-11-20"),
        ("2024-02-29", "2024-02-28", None),
        ("2026-W01", "2025-W52", "2025-W01"),
        ("2026-W53", "2026-W52", None),
        ("2026-01", "2025-12", "2025-01"),
    ):
        period = read_period(text)
        assert (period.key, period.previous.key) == (text, previous)
        assert (period.year_before.key if period.year_before else None) == year
        assert period.previous.bounds(ZONE)[1] == period.bounds(ZONE)[0]
        assert day_at(period.bounds(ZONE)[0], ZONE) == period.first == period.days[0]
        assert all(period_of(period.kind, day) == period for day in period.days)
    for text in ("2026", "2026-13", "2026-02-30", "2025-W53", "1999-01", "9999-12-31", "9999-W52", "2026-11-20 "):
        with pytest.raises(BulletinError):
            read_period(text)
