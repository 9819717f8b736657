"""The public pages of reports: large and scriptless, one receipt for one form, floods refused before any work."""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from console_pages import ConsoleSite
from engines import NOON_NS
from hutong.kernel.clock import ManualClock
from hutong.kernel.marks import MARKS, MarkFile, find_row, reporters_24h
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from hutong.kernel.web.flood import FloodGate, Limits
from hutong.kernel.web.frame import Frame
from hutong.kernel.web.problems import error_handlers, public_page
from hutong.kernel.web.security import with_security_headers
from hutong.reports.model import Origin, Told
from hutong.reports.pages import Pages, routes
from hutong.reports.public_pages import HOME, PREFIX, PublicPages
from hutong.reports.query import ReportQuery, ReportReader
from report_nodes import FRAUD, VICTIMS, reports_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response
    from litestar.types import HTTPReceiveMessage, Message, Receive, Scope, Send

    from hutong.reports.store import Reports

RECEIPT = re.compile(r"\d{4} \d{4} \d{4} \d{4}")
FORM = re.compile(r'name="form" value="([^"]+)"')
BUILTIN = "application/x-www-form-urlencoded"


class Public:
    """The public port of a node whose records are at hand."""

    def __init__(self, data: Path, limits: Limits) -> None:
        self.clock = ManualClock(NOON_NS)
        self.database = Database(database_url("", data))
        self.database.open()
        self.reports, _ = reports_on(self.database, data)
        self.failing = False
        self.reporter = Reporter("test", stream=io.StringIO(), clock=self.clock)
        frame = Frame([HOME])
        self.address = "192.0.2.1"
        pages = PublicPages(
            frame, self._give, self.clock, ZoneInfo("Asia/Shanghai"), lambda _: self.address, self.reporter, "node1"
        )
        self.worked = 0
        self.application = Litestar(
            pages.routes(), exception_handlers=error_handlers(public_page(frame)), openapi_config=None
        )
        self.refused: list[str] = []
        self.gate = FloodGate(
            self._inside, (PREFIX,), limits, lambda _: self.address, self.clock.monotonic, self.refused.append
        )
        self.client = TestClient(with_security_headers(self.gate))

    def _give(self) -> Reports:
        if self.failing:
            self.database.close()
        return self.reports

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.worked += 1
        await self.application(scope, receive, send)

    def count(self) -> int:
        return ReportReader(self.database).count(ReportQuery())


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Public]:
    made = Public(tmp_path, Limits(forms_per_minute=60, pages_per_minute=60))
    yield made
    made.database.close()


def sent(public: Public, kind: str = "call", **fields: str) -> tuple[Response, dict[str, str]]:
    page = public.client.get(f"/report?kind={kind}&lang=en")
    form = {"kind": kind, "lang": "en", "form": FORM.findall(page.text)[0], **fields}
    return public.client.post("/report", data=form), form


def test_a_report_gets_one_receipt_and_reaches_the_rules(public: Public, tmp_path: Path) -> None:
    answer, form = sent(public, number=f"+86 {FRAUD}", text="他说是警察", lost="3,000 元", reporter=VICTIMS[0])
    assert answer.status_code == 200
    (receipt,) = RECEIPT.findall(answer.text)
    assert RECEIPT.findall(public.client.post("/report", data=form).text) == [receipt]
    assert public.count() == 1
    file = MarkFile(tmp_path / MARKS)
    file.refresh()
    assert reporters_24h(file.rows, find_row(file.rows, key_of_digits(f"86{FRAUD}"))) == 1
    told = public.client.post("/report/receipt", data={"receipt": receipt.replace(" ", "-"), "lang": "en"})
    assert "Being examined" in told.text
    assert "170****5678" in told.text
    assert FRAUD not in told.text
    assert VICTIMS[0] not in told.text
    for page in (answer, told):
        assert "hreflang" not in page.text  # a link to another language would lose what is shown
    changed = public.client.post("/report", data={**form, "number": "17000000009"})
    assert (changed.status_code, public.count()) == (422, 1)
    anew = {**form, "number": "17000000009", "form": FORM.findall(changed.text)[0]}
    assert public.client.post("/report", data=anew).status_code == 200


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_is_readable_without_script_or_cookie(public: Public, lang: str) -> None:
    addresses = ["/report", *(f"/report?kind={kind}" for kind in ("call", "message", "web")), "/report/receipt"]
    for address in addresses:
        page = public.client.get(address, headers={"accept-language": lang})
        assert page.status_code == 200
        assert page.headers["content-language"] == lang
        assert "<script" not in page.text
        assert "set-cookie" not in page.headers
        assert page.text.count("<input") - page.text.count('type="hidden"') <= page.text.count("<label")
    assert public.client.get("/report?kind=<script>").status_code == 200


@pytest.mark.parametrize(
    ("kind", "fields", "where"),
    [
        ("call", {"number": "x"}, "number"),
        ("web", {"name": "com.cn"}, "name"),
        ("message", {"text": "hello"}, "number"),
        ("call", {"number": FRAUD, "lost": "all"}, "lost"),
        ("call", {"number": FRAUD, "time": "2027-01-01T00:00"}, "time"),
        ("call", {"number": FRAUD, "reporter": "<b>me"}, "reporter"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_written_stays(
    public: Public, kind: str, fields: dict[str, str], where: str
) -> None:
    answer, _ = sent(public, kind, **fields)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert re.search(rf'name="{where}"[^>]*aria-invalid="true"', answer.text)
    assert "<b>me" not in answer.text
    assert public.count() == 0


def test_wrong_receipts_and_forms_that_are_none(public: Public) -> None:
    for receipt in ("", "1234", "0000 0000 0000 0001", "a" * 99):
        assert public.client.post("/report/receipt", data={"receipt": receipt}).status_code == 422
    for body in (
        b"\xff",
        b"",
        b"kind=sms&number=1",
        b"&".join(b"a=1" for _ in range(99)),
        b"kind=call&number=" + b"1" * 30_000,
    ):
        answer = public.client.post("/report", content=body, headers={"content-type": BUILTIN})
        assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)
    assert public.client.post("/report", content=b"a" * 40_000).status_code == 413
    assert public.client.put("/report").status_code in {404, 405}


def test_records_that_fail_say_so_and_nothing_is_lost_silently(public: Public) -> None:
    page = public.client.get("/report?kind=call")
    public.failing = True
    answer = public.client.post("/report", data={"kind": "call", "number": FRAUD, "form": FORM.findall(page.text)[0]})
    assert answer.status_code == 503
    assert not RECEIPT.findall(answer.text)


def test_a_flood_is_refused_before_any_work_and_others_go_on(tmp_path: Path) -> None:
    public = Public(tmp_path, Limits(forms_per_minute=6, pages_per_minute=60, forms_per_second=20))
    form = {"kind": "call", "number": FRAUD}
    answers = [public.client.post("/report", data=form) for _ in range(200)]
    assert [one.status_code for one in answers[:6]] == [200] * 6
    assert {one.status_code for one in answers[6:]} == {429}
    assert (public.worked, public.count()) == (6, 6)
    assert all(int(one.headers["retry-after"]) >= 1 and len(one.content) < 1000 for one in answers[6:])
    assert answers[-1].headers["content-security-policy"]
    public.address = "192.0.2.2"
    assert sent(public, number=FRAUD)[0].status_code == 200
    # From everywhere at once: what all send together is bounded as well.
    taken = 0
    for n in range(100):
        public.address = f"198.51.100.{n}"
        taken += public.client.post("/report", data=form).status_code == 200
    assert taken < 20
    assert set(public.refused) == {"address", "everybody"}
    public.clock.advance(60 * 10**9)
    public.address = "192.0.2.1"
    assert public.client.post("/report", data=form).status_code == 200
    public.database.close()


def test_no_way_of_writing_leads_past_the_gate_and_who_sends_slowly_holds_up_nobody(tmp_path: Path) -> None:
    public = Public(tmp_path, Limits(forms_per_minute=40, forms_per_second=1000, at_once=1, read_s=0.01))
    answers = [
        public.client.post(f"http://testserver.local{path}", data={"receipt": "1"}).status_code
        for path in ["/report/receipt", "//report/receipt", "/report//receipt/"] * 14
    ]
    assert answers == [422] * 40 + [429] * 2

    async def never() -> HTTPReceiveMessage:
        return await asyncio.get_running_loop().create_future()

    async def slow() -> list[int]:
        said: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                said.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": "/report", "headers": []}
        await asyncio.gather(*(public.gate(cast("Scope", scope), never, send) for _ in range(3)))
        return said

    public.address = "192.0.2.3"
    assert asyncio.run(slow()) == [408] * 3
    assert sent(public, number=FRAUD)[0].status_code == 200
    chunks = iter([b"a" * 20_000] * 2)
    assert public.client.post("/report", content=chunks).status_code == 413
    assert public.refused == ["address"] * 2 + ["slow"] * 3 + ["too-long"]
    public.database.close()


class Inbox(ConsoleSite):
    """The console's pages of reports."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[], folders=[HOME])
        self.reports, _ = reports_on(self.database, data)
        self.build(routes(Pages(self.console, lambda: self.reports, self.database, self.trail)))


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    site = Inbox(tmp_path)
    yield site
    site.close()


def test_the_inbox_shows_masked_numbers_and_opens_cases(inbox: Inbox) -> None:
    now, web = inbox.console_now, Origin(source="page", address="192.0.2.1")
    one = inbox.reports.take(Told(kind="call", number=FRAUD, text=f"回拨 {VICTIMS[1]}"), web, now)
    named = inbox.reports.take(Told(kind="web", name="bank.example.com", lost_fen=500), web, now)
    for lang in ("zh", "en"):
        page = inbox.browser().get("/reports", lang=lang)
        assert page.status_code == 200
        assert "170****5678" in page.text
        assert FRAUD not in page.text
    browser = inbox.browser()
    for query, shown in {
        "kind=web": {named.id},
        "state=open": {named.id},
        "state=new": {one.id},
        "state=fraud": set(),
        "name=bank": {named.id},
    }.items():
        page = browser.get(f"/reports?{query}")
        assert {it.id for it in (one, named) if it.id in page.text} == shown, query
    # A receipt goes in a form; no address holds one, and none that does is answered.
    written = " ".join(one.receipt[at : at + 4] for at in range(0, 16, 4))
    found = browser.post("/reports/search", receipt=written)
    assert (found.status_code, found.headers["location"]) == (303, f"/reports/{one.id}")
    assert browser.post("/reports/search", receipt="1").status_code == 422
    assert browser.get(f"/reports/{one.receipt}").status_code == 404
    forms = re.findall(r"<form.*?</form>", browser.get("/reports").text, re.DOTALL)
    assert [it for it in forms if "receipt" in it and 'method="post"' not in it] == []
    assert any('name="receipt"' in it for it in forms)
    story = browser.get(f"/reports/{one.id}")
    assert one.receipt[:4] not in story.text.partition("</title>")[0]
    assert VICTIMS[1] not in story.text
    assert "caller.reporters_24h" in story.text
    assert inbox.browser("auditor").get(f"/reports/{one.id}").text.count("<form") < story.text.count("<form")
    assert browser.post(f"/reports/{one.id}/case").status_code == 303
    assert inbox.reports.report(one.id)[1].state == "open"
    assert browser.get("/reports/nothing").status_code == 404
    table = browser.get("/reports?format=csv")
    assert "170****5678" in table.text
    assert FRAUD not in table.text
    assert [entry.deed for entry in inbox.deeds()][:2] == ["tables.export", "cases.find"]
