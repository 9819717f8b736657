"""Pages of cases in this process: what they show to whom, forms that are sent twice or too late, files, registers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from console_pages import Browser, ConsoleSite
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases import pages
from hutong.kernel.cases.attachments import Attachments
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.model import Actor, Finding, Proof, Request
from hutong.kernel.cases.pages import CaseDesk, Link, Person
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.cases.views import Views
from hutong.kernel.numbering import Numbering
from hutong.kernel.web.guard import permission_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from httpx import Response

NUMBER = "13800138000"
OPERATOR = Actor("operator-1", frozenset(PERMISSIONS))
ANALYST = Actor("analyst-1", frozenset(PERMISSIONS))
HEADER = "title,item,subject,problem,unit\n"


class CaseSite(ConsoleSite):
    """Pages of cases with shipped types."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[], folders=[pages.HOME])
        types = load_types(SHIPPED, permissions=PERMISSIONS)
        self.cases = Cases(self.database, types, load_calendar(), "node1", WHOLE)
        self.attachments = Attachments(data, self.database)
        desk = CaseDesk(
            console=self.console,
            database=self.database,
            opened=lambda: self.cases,
            attachments=self.attachments,
            views=Views(self.database),
            trail=self.trail,
            refs=self.refs,
            numbering=Numbering(),
            people=lambda: [Person(it.name, it.title) for it in People(self.database).all()],
            links={"order": Link("/orders/{}", "cases.read")},
            imports=data / "imports",
        )
        self.routes = pages.case_routes(desk)
        self.build(self.routes)

    def found(self, title: str = "Number 4711", *, ago_ms: int = 0) -> str:
        fields = {"number": NUMBER, "operator": "North"}
        return self.cases.find(Finding("fraud-number", title, fields), OPERATOR, self.console_now - ago_ms).case

    def do(self, of: str, action: str, who: Actor = OPERATOR, **more: object) -> None:
        self.cases.do(of, Request(action, **more), who, self.console_now)  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[CaseSite]:
    it = CaseSite(tmp_path)
    yield it
    assert not it.errors
    it.close()


def sent(
    browser: Browser, path: str, fields: Mapping[str, object], files: Mapping[str, tuple[str, bytes]] | None = None
) -> Response:
    """The answer to a form."""
    parts = {name: (*file, "application/octet-stream") for name, file in (files or {}).items()}
    return browser.post(path, files=parts or None, **fields)  # type: ignore[arg-type]


def fields_of(reply: Response, action: str) -> dict[str, str]:
    """The hidden fields of the form of an action."""
    form = re.search(rf'<form[^>]*action="[^"]*/{action}".*?</form>', reply.text, re.DOTALL)
    assert form is not None, action
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))


def test_numbers_are_masked_everywhere_until_a_purpose_is_on_the_trail(site: CaseSite) -> None:
    of = site.found(f"called by {NUMBER}")
    site.do(of, "assign", unit="North", owner="operator-1")
    site.do(of, "comment", reason=f"his other number is 139 {NUMBER[3:]} or {NUMBER}")
    for role in ("operator", "auditor"):
        for path in (f"/cases/{of}", "/cases", "/work", "/overdue", "/cases?format=csv"):
            reply = site.browser(role).get(path)
            assert not site.errors, (path, site.errors)
            assert reply.status_code == 200
            assert NUMBER not in reply.text
    operator = site.browser()
    said = sent(operator, f"/cases/{of}/whole", {"purpose": "police", "detail": "letter 12"})
    assert NUMBER in said.text
    entry = site.deeds("numbers.unmask")[0]
    assert (entry.who, entry.target) == ("operator-1", f"cases/{of}")
    assert sent(operator, f"/cases/{of}/whole", {"purpose": "police", "detail": ""}).status_code == 422
    assert sent(site.browser("auditor"), f"/cases/{of}/whole", {"purpose": "police", "detail": "x"}).status_code == 403


def test_a_number_is_looked_for_without_standing_in_an_address(site: CaseSite) -> None:
    of = site.found()
    operator = site.browser()
    parted = f"{NUMBER[:3]}.{NUMBER[3:7]}.{NUMBER[7:]}"
    for written in (f"+86 {NUMBER}", f"{NUMBER} 转租", parted, f"电话\uff1a{NUMBER}"):
        place = sent(operator, "/cases/search", {"q": written}).headers["location"]
        assert NUMBER[3:7] not in place
        assert f"/cases/{of}" in operator.get(place).text
    assert "text=JB2026112200001" in sent(operator, "/cases/search", {"q": "JB2026112200001"}).headers["location"]
    assert "/cases/" + of in sent(operator, "/cases/search", {"q": of}).headers["location"]
    assert f"/cases/{of}" in operator.get("/cases?state=any&text=Number").text
    assert f"/cases/{of}" not in operator.get("/cases?number=aaaaaaaaaaaaaaaaaaaaaaaaaa").text


def test_the_beginning_of_a_number_finds_for_who_may_see_it_whole_and_is_on_the_trail(site: CaseSite) -> None:
    of = site.found()
    for role, finds in (("operator", True), ("auditor", False)):
        browser = site.browser(role)
        place = sent(browser, "/cases/search", {"q": NUMBER[:7]}).headers["location"]
        for path in (place, f"/cases?text={NUMBER[:7]}", f"/cases?text={NUMBER[:7]}&format=csv"):
            assert (of in browser.get(path).text) is finds, (role, path)
        for path in (f"/cases?text={NUMBER}", sent(browser, "/cases/search", {"q": NUMBER}).headers["location"]):
            assert f"/cases/{of}" in browser.get(path).text
    assert {it.who for it in site.deeds("cases.search")} == {"operator-1"}
    assert len(site.deeds("cases.search")) == 4  # a whole number that goes by its reference is none
    assert not any(NUMBER in str(it) for it in site.deeds("cases.search"))


def test_an_export_holds_every_case_and_says_what_a_search_leaves_out(
    site: CaseSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [site.found(f"Number {n}") for n in range(5)]
    monkeypatch.setattr("hutong.kernel.cases.query.COUNTED", 3)
    auditor = site.browser("auditor")
    assert auditor.get("/cases?format=csv").text.count("node1-") == len(ids)
    assert "There may be more" not in auditor.get("/cases?text=Number").text
    monkeypatch.setattr("hutong.kernel.cases.query.MOST_TITLES", 2)
    for lang, words in (("en", "There may be more"), ("zh", "还有未列出的")):
        assert words in auditor.get("/cases?text=Number", lang=lang).text
        export = auditor.get("/cases?text=Number&format=csv", lang=lang).text
        assert (export.count("node1-"), words in export.splitlines()[-1]) == (2, True)


def test_an_amendment_that_is_sent_twice_is_one(site: CaseSite) -> None:
    of = site.found()
    site.do(of, "assign", unit="North")
    operator = site.browser()
    hidden = fields_of(operator.get(f"/cases/{of}"), "amend")
    said = {**hidden, "reason": "the bank said so", "field_number": NUMBER, "field_operator": "South"}
    for _ in range(2):
        assert sent(operator, f"/cases/{of}/amend", said).headers["location"] == f"/cases/{of}?done=amend"
    assert [(it.action, it.said.get("fields")) for it in site.cases.events(of)][2:] == [
        ("amend", {"operator": "South"})
    ]
    assert sent(operator, f"/cases/{of}/amend", {**said, "version": "9" * 5000}).status_code == 409


def test_whoever_was_slower_sees_what_changed_and_keeps_what_they_typed(site: CaseSite) -> None:
    of = site.found()
    operator = site.browser()
    hidden = fields_of(operator.get(f"/cases/{of}"), "assign")
    site.do(of, "comment", ANALYST, reason="called the bank")
    slower = sent(operator, f"/cases/{of}/assign", {**hidden, "unit": "North", "reason": "theirs"})
    assert slower.status_code == 409
    assert "called the bank" in slower.text
    assert 'value="North"' in slower.text
    assert "theirs</textarea>" in slower.text
    assert site.cases.case(of).state == "found"
    again = {**fields_of(slower, "assign"), "unit": "North"}
    for _ in range(2):  # a double click
        assert sent(operator, f"/cases/{of}/assign", again).status_code == 303
    assert [it.action for it in site.cases.events(of)] == ["find", "comment", "assign"]


def test_what_is_refused_is_said_and_nobody_judges_their_own_work(site: CaseSite) -> None:
    of = site.found()
    site.do(of, "assign", unit="North")
    site.do(of, "accept", OPERATOR)
    operator = site.browser()
    hidden = fields_of(operator.get(f"/cases/{of}"), "act")
    bare = sent(operator, f"/cases/{of}/act", {**hidden, "reason": "done"})
    assert bare.status_code == 422
    assert 'class="notice block"' in bare.text
    proof = {"proof_kind": "reference", "proof_ref": "order:12", "proof_note": "", "proof_result": "passed"}
    assert sent(operator, f"/cases/{of}/act", {**fields_of(bare, "act"), **proof}).status_code == 303
    page = operator.get(f"/cases/{of}")
    assert f'action="/cases/{of}/verify"' not in page.text
    assert 'href="/orders/12"' in page.text
    retest = {**proof, "proof_kind": "retest", "proof_ref": "dial:1"}
    own = sent(operator, f"/cases/{of}/verify", {"version": "4", "key": "operator-1:k", **retest})
    assert own.status_code == 422
    assert sent(site.browser("analyst"), f"/cases/{of}/close", {"version": "4"}).status_code == 403
    assert site.cases.case(of).state == "acted"


def test_a_file_comes_with_its_proof_and_is_only_ever_downloaded(site: CaseSite) -> None:
    of = site.found()
    site.do(of, "assign", unit="North")
    site.do(of, "accept", ANALYST)
    analyst = site.browser("analyst")
    hidden = fields_of(analyst.get(f"/cases/{of}"), "attach")
    hostile = sent(analyst, f"/cases/{of}/attach", hidden, {"file": ("a.pdf", b"<svg onload=alert(1)>")})
    assert hostile.status_code == 422
    good = {"file": ("../../etc/<b>13800138000.txt", "拨测记录".encode())}
    assert sent(analyst, f"/cases/{of}/attach", fields_of(hostile, "attach"), good).status_code == 303
    page = analyst.get(f"/cases/{of}")
    assert NUMBER not in page.text
    assert "<b>138" not in page.text
    sha256 = site.cases.case(of).attachments[0]
    reply = analyst.get(f"/cases/{of}/files/{sha256}")
    assert reply.content == "拨测记录".encode()
    assert reply.headers["content-disposition"] == f'attachment; filename="{of}-{sha256[:8]}.txt"'
    assert reply.headers["content-type"].startswith("text/plain")
    assert "sandbox" in reply.headers["content-security-policy"]
    assert site.deeds("cases.download")[0].who == "analyst-1"
    assert analyst.get(f"/cases/{of}/files/{'0' * 64}").status_code == 404
    other = site.found()
    assert analyst.get(f"/cases/{other}/files/{sha256}").status_code == 404


def test_a_file_of_what_is_refused_is_not_kept(site: CaseSite, tmp_path: Path) -> None:
    of = site.found()
    site.do(of, "assign", unit="North")
    site.do(of, "accept", ANALYST)
    analyst = site.browser("analyst")
    hidden = fields_of(analyst.get(f"/cases/{of}"), "act")
    proof = {"proof_kind": "reference", "proof_ref": "order:12", "proof_note": "", "proof_result": "passed"}
    file = {"file": ("a.txt", b"dialled it")}
    site.do(of, "comment", ANALYST, reason="meanwhile")
    assert sent(analyst, f"/cases/{of}/act", {**hidden, **proof}, file).status_code == 409
    short = {**fields_of(analyst.get(f"/cases/{of}"), "act"), **proof, "proof_ref": ""}
    assert sent(analyst, f"/cases/{of}/act", short, file).status_code == 422
    assert not [it for it in (tmp_path / "attachments").rglob("*") if it.is_file()]
    assert site.cases.case(of).attachments == ()
    right = {**fields_of(analyst.get(f"/cases/{of}"), "act"), **proof}
    for _ in range(2):  # a double click
        assert sent(analyst, f"/cases/{of}/act", right, file).status_code == 303
    assert [it.action for it in site.cases.events(of)][-2:] == ["attach", "act"]


def test_the_same_is_done_with_many_and_each_says_what_became_of_it(site: CaseSite) -> None:
    ids = [site.found(f"Number {n}") for n in range(3)]
    site.do(ids[2], "assign", unit="South")
    operator = site.browser()
    form = {"key": "operator-1:many", "action": "assign", "unit": "North", "reason": "", "owner": "", "back": "/cases"}
    reply = sent(operator, "/cases/bulk", {**form, "case": ids})
    assert reply.text.count('class="verdict pass"') == 2
    assert reply.text.count('class="verdict block"') == 1
    assert [site.cases.case(of).unit for of in ids] == ["North", "North", "South"]
    assert sent(operator, "/cases/bulk", {**form, "action": "merge", "case": ids}).status_code == 422


def test_views_are_kept_for_oneself_or_shared(site: CaseSite) -> None:
    operator, analyst = site.browser(), site.browser("analyst")
    sent(operator, "/cases/views", {"query": "state=acted&evil=1", "name": "North's", "shared": "yes"})
    sent(operator, "/cases/views", {"query": "late=yes", "name": "mine"})
    assert 'href="/cases?state=acted"' in analyst.get("/cases").text
    assert ">mine<" not in analyst.get("/cases").text
    sent(operator, "/cases/views", {"drop": "North's"})
    assert "North&#39;s" not in analyst.get("/cases").text


def test_a_new_case_is_made_of_its_types_fields_once(site: CaseSite) -> None:
    analyst = site.browser("analyst")
    hidden = fields_of(analyst.get("/cases/new/fraud-number"), "fraud-number")
    wrong = sent(analyst, "/cases/new/fraud-number", {**hidden, "title": "x", "field_number": "not one"})
    assert wrong.status_code == 422
    assert 'value="not one"' in wrong.text
    right = {**hidden, "title": "x", "field_number": NUMBER, "field_reported": "3", "priority": "1"}
    places = {sent(analyst, "/cases/new/fraud-number", right).headers["location"] for _ in range(2)}
    assert len(places) == 1
    case = site.cases.case(places.pop().split("/")[2].partition("?")[0])
    assert (case.fields["reported"], case.priority, case.source) == (3, 1, "person:analyst-1")
    assert analyst.get("/cases/new/nothing").status_code == 404


def test_a_register_is_tried_before_it_is_taken_in(site: CaseSite) -> None:
    registers = Registers(site.database, site.cases)
    of = registers.make("Lines", "rectification", [AssignRule("North")], OPERATOR, site.console_now).id
    operator = site.browser()
    hidden = fields_of(operator.get(f"/registers/{of}"), "import")
    content = f"{HEADER}Line {NUMBER},1,=cmd(),none,North\nLine 2,2,,none,\n".encode()
    tried = sent(operator, f"/registers/{of}/import", hidden, {"file": ("a.csv", content)})
    assert NUMBER not in tried.text
    assert registers.progress(of).items == 0
    token = re.search(r'name="token" value="(\w+)"', tried.text)
    assert token is not None
    assert sent(site.browser("analyst"), f"/registers/{of}/import", {"token": token[1]}).status_code == 422
    taken = sent(operator, f"/registers/{of}/import", {"token": token[1]})
    assert registers.progress(of).items == 1
    assert '<td class="number">3</td>' in taken.text
    export = operator.get(f"/registers/{of}/export").text
    assert "'=cmd()" in export
    assert NUMBER not in export
    whole = sent(operator, f"/registers/{of}/export", {"purpose": "police", "detail": "letter 12"})
    assert NUMBER in whole.text
    assert site.deeds("numbers.export")[0].who == "operator-1"
    auditor = site.browser("auditor")
    assert "/export" in auditor.get(f"/registers/{of}").text
    assert f'action="/registers/{of}/export"' not in auditor.get(f"/registers/{of}").text
    assert sent(auditor, f"/registers/{of}/export", {"purpose": "police", "detail": "letter 12"}).status_code == 403
    needs = {next(iter(it.paths)): permission_of(it) for it in site.routes if "POST" in it.http_methods}
    assert needs["/registers/{register:str}/export"] == needs["/cases/{case:str}/whole"] == "cases.unmask"


def test_the_wall_counts_what_is_late_by_unit_and_level(site: CaseSite) -> None:
    ids = [site.found(f"Number {n}", ago_ms=40 * 86_400_000) for n in range(3)]
    for of in ids[:2]:
        site.do(of, "assign", unit="North", owner="analyst-1")
    site.do(ids[0], "supervise", reason="asked by the director")
    text = site.browser("auditor").get("/overdue").text
    assert "3 cases are late" in text
    assert re.search(r"level 1 <b>1</b>", text)
    assert re.search(r'class="whose">North</span>\s*<strong class="count">2<', text)
    team = site.browser().get("/work/team").text
    assert re.search(r'unit=North&(?:amp;)?late=yes"><span class="verdict late">2<', team)
    waits = site.found()
    site.do(waits, "assign", unit="North")
    site.do(waits, "accept", ANALYST)
    site.do(waits, "accept-risk", reason="until the switch is replaced", until_ms=site.console_now + 86_400_000)
    assert "Wait for my countersignature" not in site.browser().get("/work").text  # whoever asked does not countersign
    hidden = fields_of(site.browser().get(f"/cases/{waits}"), "decline")
    assert sent(site.browser(), f"/cases/{waits}/decline", {**hidden, "reason": "too long"}).status_code == 303
    proofs = (Proof("reference", "order:1"),)
    site.do(ids[0], "accept", ANALYST)
    site.do(ids[0], "act", ANALYST, proofs=proofs)
    mine = site.browser("analyst").get("/work").text
    assert "Wait for verification" not in mine  # it was their own work
    assert "Wait for verification" in site.browser().get("/work").text
