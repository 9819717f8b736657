"""Reports in the records, on each engine: one effect, joined, marked, a case opened, answered, forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest
import sqlalchemy as sa

from case_samples import TYPES
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.model import Actor, Proof, Request
from hutong.kernel.figures import Count
from hutong.kernel.marks import MARKS, MarkFile, Marks, find_row, reporters_24h
from hutong.kernel.numbering.codes import KLASSES
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records.report_tables import report_matters, report_subjects, reports
from hutong.kernel.records.tables import marks
from hutong.reports.csv_batch import take_in
from hutong.reports.errors import ReportError
from hutong.reports.figures import figures
from hutong.reports.model import FINDINGS, KINDS, Origin, Told
from hutong.reports.opening import case_row, case_rows
from hutong.reports.public_pages import standing
from hutong.reports.query import ReportQuery, ReportReader
from hutong.reports.receipts import read_receipt
from report_nodes import FRAUD, OTHER, VICTIMS, reports_on

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database
    from hutong.reports.store import Parts, Reports

MONDAY = 1_772_416_800_000  # 2026-03-02 10:00 in Shanghai, ms
DAY = 86_400_000
KEY = key_of_digits(f"86{FRAUD}")
API = Origin(source="api", taker="gd")
CHIEF = Actor("chief", frozenset(PERMISSIONS))
OTHER_CHIEF = Actor("second", frozenset(PERMISSIONS))


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> tuple[Reports, Parts]:
    return reports_on(database, tmp_path)


def call(reporter: str = "", number: str = FRAUD, lost: int = 0) -> Told:
    return Told(kind="call", number=number, reporter=reporter, text="冒充客服", lost_fen=lost)


def page(address: str, key: str = "") -> Origin:
    return Origin(source="page", address=address, key=key)


def closed(parts: Parts, case: str, finding: str) -> None:
    steps = (
        (CHIEF, Request("assign", unit="移动")),
        (CHIEF, Request("accept")),
        (CHIEF, Request("act", proofs=(Proof("reference", "order:1"),))),
        (CHIEF, Request("amend", "checked", fields={"finding": finding})),
        (OTHER_CHIEF, Request("verify", proofs=(Proof("retest", "dial:1"),))),
        (OTHER_CHIEF, Request("close")),
    )
    for actor, request in steps:
        parts.cases.do(case, request, actor, MONDAY + 1000)


def test_reports_are_joined_marked_and_open_one_case_whose_outcome_the_receipt_tells(
    desk: tuple[Reports, Parts], database: Database, tmp_path: Path
) -> None:
    it, parts = desk
    first = it.take(call(VICTIMS[0]), API, MONDAY)
    assert (first.reporters, first.case, first.joined) == (1, "", "")
    again = it.take(call(f"+86 {VICTIMS[0]}"), API, MONDAY)
    assert (again.reporters, again.joined, again.matter) == (1, first.id, first.matter)
    assert again.receipt != first.receipt
    second = it.take(call(VICTIMS[1], f"0086{FRAUD}"), API, MONDAY)
    assert (second.reporters, second.matter) == (2, first.matter)
    case = parts.cases.case(second.case)
    assert (case.type, case.state, case.fields["number"]) == ("fraud-number", "found", f"+86{FRAUD}")
    assert it.take(call(VICTIMS[2]), API, MONDAY).case == second.case
    assert it.take(call(VICTIMS[2], OTHER), API, MONDAY).matter != first.matter
    # Whoever was killed before publishing: the next turn of `work` brings it.
    file = MarkFile(tmp_path / MARKS)
    Marks(database, tmp_path / MARKS).publish(MONDAY)
    file.refresh()
    assert reporters_24h(file.rows, find_row(file.rows, KEY)) == 3
    report, matter = it.report(first.receipt)
    assert (report.who == VICTIMS[0], matter.state, matter.reports, matter.reporters) == (False, "open", 4, 3)
    closed(parts, second.case, "legitimate")
    assert it.follow(MONDAY) == 1
    assert it.follow(MONDAY) == 0
    _, matter = it.report(first.receipt)
    assert (matter.state, matter.finding) == ("closed", "legitimate")
    it.publish(MONDAY)
    assert reporters_24h(file.rows, find_row(file.rows, KEY)) == 0
    # An answered matter opens another case only on what came since.
    assert it.take(call(VICTIMS[3]), API, MONDAY + 2000).case == second.case
    assert it.take(call(VICTIMS[4]), API, MONDAY + 2000).case != second.case
    assert ReportReader(database).unanswered() == 2


@pytest.mark.parametrize(
    ("number", "type_"), [("110", "service-number"), ("95588", "service-number"), ("17012345678", "fraud-number")]
)
def test_who_shows_a_services_number_is_looked_for_and_its_owner_not_accused(
    desk: tuple[Reports, Parts], number: str, type_: str
) -> None:
    it, parts = desk
    taken = it.take(call(VICTIMS[0], number=number, lost=100), API, MONDAY)
    case = parts.cases.case(taken.case)
    assert (case.type, case.fields["reported"]) == (type_, 1)
    # The same where a person opens it.
    named = it.take(call(VICTIMS[0], number="12345"), page("192.0.2.1"), MONDAY)
    opened = it.open_case(named.matter, CHIEF, MONDAY)
    assert parts.cases.case(opened).type == "service-number"
    if type_ == "service-number":
        closed(parts, taken.case, "spoofed")
        it.follow(MONDAY + 2000)
        matter = it.report(taken.id)[1]
        assert (matter.state, matter.finding, standing(matter)) == ("closed", "spoofed", "spoofed")
        assert dict(it.known(matter, MONDAY + 2000))["caller.reporters_24h"] == 0


def test_each_kind_of_subject_has_a_type_of_case_that_takes_what_reports_tell() -> None:
    assert [case_row(kind, "mobile").type for kind in KINDS] == ["fraud-number", "fraud-message", "fraud-domain"]
    assert {klass for row in case_rows() for klass in row.classes} <= set(KLASSES)
    for row in case_rows():
        fields = {it.name: it for it in TYPES[row.type].fields}
        assert fields.keys() >= {"reported", "lost", "finding"}
        assert set(fields["finding"].choices) <= set(FINDINGS)


def test_what_is_found_of_one_subject_says_nothing_of_another_nor_of_what_comes_later(
    desk: tuple[Reports, Parts], database: Database
) -> None:
    it, parts = desk
    sender = key_of_digits("8617000000001")

    def reporters(key: int) -> int:
        with database.read() as connection:
            return parts.marks.known(connection, key, MONDAY + 3000).reporters[0]

    told = Told(kind="message", number="17000000001", text="https://www.bank.example/a", reporter=VICTIMS[0])
    it.take(told, API, MONDAY)
    named = it.take(Told(kind="web", name="bank.example"), page("192.0.2.1"), MONDAY)
    closed(parts, it.open_case(named.matter, CHIEF, MONDAY), "legitimate")
    it.follow(MONDAY + 2000)
    assert reporters(sender) == 1
    called = it.take(call(VICTIMS[0], lost=1), API, MONDAY)
    closed(parts, called.case, "legitimate")
    it.follow(MONDAY + 2000)
    it.take(call(VICTIMS[1]), API, MONDAY + 3000)
    parts.cases.do(called.case, Request("comment", "archived"), CHIEF, MONDAY + 3000)
    it.follow(MONDAY + 3000)
    assert reporters(KEY) == 1


def test_a_matter_whose_next_case_has_as_many_reporters_still_takes_reports(desk: tuple[Reports, Parts]) -> None:
    it, parts = desk
    for victim in VICTIMS[:2]:
        first = it.take(call(victim), API, MONDAY)
    it.take(call(VICTIMS[0]), API, MONDAY)  # the open case is told of two
    closed(parts, first.case, "fraud")
    it.follow(MONDAY + 2000)
    second = it.take(call(VICTIMS[0], lost=1), API, MONDAY + 3000)
    assert second.case != first.case
    assert it.take(call(VICTIMS[0]), API, MONDAY + 4000).case == second.case


def test_numbers_that_one_network_makes_up_count_for_few(desk: tuple[Reports, Parts]) -> None:
    it, _ = desk
    taken = [it.take(call(victim), page("2001:db8::1"), MONDAY) for victim in VICTIMS]
    assert taken[-1].reporters == 4  # three people, and the network
    assert all(not one.case for one in taken)
    assert it.take(call(), page("192.0.2.7"), MONDAY).case


def test_a_loss_opens_a_case_at_once_and_a_person_may_too(desk: tuple[Reports, Parts], database: Database) -> None:
    it, parts = desk
    lost = it.take(call(VICTIMS[0], lost=300_000), page("192.0.2.1"), MONDAY)
    case = parts.cases.case(lost.case)
    assert (case.fields["lost"], case.priority) == (3000.0, 1)
    quiet = it.take(Told(kind="web", name="https://www.Bank.example/login"), page("192.0.2.1"), MONDAY)
    with pytest.raises(CaseRefused):
        it.open_case(quiet.matter, Actor("viewer", frozenset()), MONDAY)
    opened = it.open_case(quiet.matter, CHIEF, MONDAY)
    assert it.open_case(quiet.matter, CHIEF, MONDAY) == opened
    assert parts.cases.case(opened).fields["name"] == "bank.example"
    with pytest.raises(ReportError):
        it.open_case("nothing", CHIEF, MONDAY)
    with database.read() as connection:
        found = list(figures(connection, MONDAY, MONDAY + 1))
    assert Count("reports.received", "", "", 1) in found
    assert sum(count.value for count in found if count.name == "reports.received") == 2


def test_a_message_is_about_its_sender_and_the_names_in_it(desk: tuple[Reports, Parts], database: Database) -> None:
    it, _ = desk
    text = "您的账户异常,请登录 http://例子.中国/a?b=1 或 ｅｖｉｌ.example.com 核实"
    taken = it.take(Told(kind="message", number="10690012345678", text=text), page("192.0.2.1"), MONDAY)
    report, matter = it.report(taken.id)
    assert report.names == ("xn--fsqu00a.xn--fiqs8s", "evil.example.com")
    assert matter.kind == "message"
    web = it.take(Told(kind="web", name="例子。中国"), page("192.0.2.2"), MONDAY)
    assert web.reporters == 2
    assert {one.id for one in it.reports_of(web.matter)} == {taken.id, web.id}
    named = it.take(Told(kind="message", number="ICBC", text="x"), page("192.0.2.1"), MONDAY)
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(marks)) == 1
    assert it.report(named.receipt)[1].subject == "icbc"


WRONG = (
    (Told(kind="call", number="nobody"), "number"),
    (Told(kind="call"), "number"),
    (Told(kind="web", name="com.cn"), "name"),
    (Told(kind="web", name="https://"), "name"),
    (Told(kind="message", text="hello"), "number"),
    (Told(kind="call", number=FRAUD, reporter="me"), "reporter"),
    (Told(kind="call", number=FRAUD, text="a\0b"), "text"),
    (Told(kind="call", number=FRAUD, text="a" * 2001), "text"),
    (Told(kind="call", number=FRAUD, happened_ms=MONDAY + DAY), "time"),
    (Told(kind="call", number=FRAUD, lost_fen=-1), "lost"),
    (Told(kind="sms", number=FRAUD), "kind"),  # type: ignore[arg-type]
)


def test_what_cannot_be_taken_leaves_nothing(desk: tuple[Reports, Parts], database: Database) -> None:
    for told, where in WRONG:
        with pytest.raises(ReportError) as wrong:
            desk[0].take(told, page("192.0.2.1"), MONDAY)
        assert wrong.value.where == where
    assert ReportReader(database).count(ReportQuery()) == ReportReader(database).unanswered() == 0


def test_a_repeated_request_has_one_effect(desk: tuple[Reports, Parts], database: Database) -> None:
    it, _ = desk
    first = it.take(call(VICTIMS[0]), page("192.0.2.1", "form-1"), MONDAY)
    again = it.take(call(VICTIMS[0]), page("192.0.2.1", "form-1"), MONDAY + 5)
    assert msgspec.structs.replace(again, again=False) == first
    with pytest.raises(ReportError) as wrong:
        it.take(call(VICTIMS[1]), page("192.0.2.1", "form-1"), MONDAY)
    assert wrong.value.code == "key-used"
    assert ReportReader(database).count(ReportQuery(kind="call", state="new", text=f"86{FRAUD[:5]}")) == 1
    assert it.of_id(first.id) == it.report(first.receipt)
    with pytest.raises(ReportError):
        it.of_id(first.receipt)


def test_who_and_what_are_forgotten_and_nothing_of_a_number_is_ever_kept(
    desk: tuple[Reports, Parts], database: Database
) -> None:
    it, parts = desk
    old = it.take(call(VICTIMS[0]), page("192.0.2.1", "form"), MONDAY - 200 * DAY)
    kept = it.take(call(VICTIMS[0], OTHER, lost=1), page("192.0.2.1"), MONDAY - 200 * DAY)
    assert parts.cases.case(kept.case).is_open
    told = Told(kind="message", number="17000000001", text="https://bank.example/a")
    about = it.take(told, page("192.0.2.1"), MONDAY - 200 * DAY)
    named = it.take(Told(kind="web", name="bank.example"), API, MONDAY - 100 * DAY)
    it.open_case(named.matter, CHIEF, MONDAY - 100 * DAY)
    with database.read() as connection:
        rows = [str(tuple(row)) for table in (reports, report_subjects) for row in connection.execute(sa.select(table))]
    assert not any(VICTIMS[0][-8:] in row or "192.0.2.1" in row for row in rows)
    assert it.forget(MONDAY - 180 * DAY) == 1
    assert it.forget(MONDAY - 180 * DAY) == 0
    report, matter = it.report(old.receipt)
    assert (report.who, report.place, report.text, matter.subject, matter.key) == ("", "", "", "", 0)
    assert report.forgotten
    assert it.report(kept.receipt)[0].text
    assert it.report(about.receipt)[0].text  # what is examined is a name in it
    with database.read() as connection:
        assert connection.scalar(sa.select(report_matters.c.reports).where(report_matters.c.id == old.matter)) == 1


def test_a_file_goes_in_but_for_its_wrong_rows_and_only_once(desk: tuple[Reports, Parts]) -> None:
    for encoding in ("utf-8-sig", "gb18030"):
        taken_in(desk[0], encoding)


def taken_in(it: Reports, encoding: str) -> None:
    rows = (
        "类型,号码,网址,内容,时间,损失,举报人",
        f'电话,{FRAUD},,冒充公检法,2026-03-01 10:20,"1,000.50",{VICTIMS[0]}',
        "电话,,,没有号码,,,",
        "短信,'+8617000000001,,'=cmd|' /C calc'!A0,,,",
        "网址,,bank.example,,昨天,,",
        "传真,1,,,,,",
        "太短,1",
        "",
        f"网站,,http://bank.example/x,,2026/3/1 9:05,,{VICTIMS[1]}",
    )
    content = "\n".join(rows).encode(encoding)
    done = take_in(it, content, "gd", ZoneInfo("Asia/Shanghai"), lambda: MONDAY)
    assert (done.taken, done.again, done.encoding) == (3, 0, encoding)
    assert [(error.row, error.column) for error in done.errors] == [(3, "number"), (5, "time"), (6, "kind"), (7, "")]
    again = take_in(it, content, "somebody else", ZoneInfo("Asia/Shanghai"), lambda: MONDAY)
    assert (again.taken, again.again, len(again.errors)) == (0, 3, 4)
    for wrong in (b"\xff\xff\xff", b"number\n1", b"kind,kind\n", b"kind,what\n"):
        with pytest.raises(ReportError):
            take_in(it, wrong, "gd", ZoneInfo("Asia/Shanghai"), lambda: MONDAY)


def test_receipts_are_their_own(desk: tuple[Reports, Parts]) -> None:
    it, _ = desk
    found = {it.take(call(), page("192.0.2.1"), MONDAY).receipt for _ in range(20)}
    assert len(found) == 20
    assert all(read_receipt(one) == one for one in found)
    with pytest.raises(ReportError):
        it.report("0000000000000000")
