"""The closed loop in one story, through real sockets: call, report, case, order, proof, appeal, bulletin.

Every process of the node is killed after each step. What must take effect at once is looked at before that.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import zipfile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect, sync_playwright
from processes import hutong
from screened import verdicts
from sip_peers import needs
from storied import FRAUD, JUDGE, VICTIM, StoryOffice

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.browser import Desk

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.enable_socket, needs("kamailio", "kamcmd", "sipp")]

_ZONE = ZoneInfo("Asia/Shanghai")


#: Calls of the whole story, each judged once.
_CALLS = 6
_CALL = 'form[action="/cases/{case}/{action}"]'


@pytest.mark.timeout(420)
def test_a_fraud_is_reported_blocked_proven_appealed_lifted_and_accounted_for(tmp_path: Path) -> None:
    with sync_playwright() as playwright, StoryOffice(tmp_path, playwright) as office:
        assert office.call() == 200
        office.interrupted()
        receipt = _report(office.citizen())
        office.interrupted()
        case = _case(office)
        _assign(office.desk("operator"), case)

        order = _request(office.desk("analyst"), case)
        office.interrupted()
        assert office.call() == 200, "one person alone blocks nobody"
        _approve(office.desk("operator"), order)
        assert office.call() == 608
        office.interrupted()
        assert office.call() == 608
        office.until(lambda: _order(office, order)["state"] == "in-force")

        _prove(office, case, order)
        office.interrupted()
        pack = _pack(office.desk("operator"), order, tmp_path)
        office.interrupted()
        public = office.command("audit", "key").strip()
        hutong("orders", "verify-pack", str(pack), "--key", public)

        appeal = _appeal(office)
        office.interrupted()
        _lift(office.desk(JUDGE), appeal)
        assert office.call() == 200
        office.interrupted()
        assert office.call() == 200
        office.until(lambda: _order(office, order)["state"] == "lifted")

        assert "13800005678" not in _told(office.citizen(), receipt)
        _assert_nothing_twice(office, order)
        assert len(verdicts(office.node)) == _CALLS
        assert _bulletin(office, tmp_path) == {
            "calls.attempts": str(_CALLS),
            "calls.blocked": "2",
            "reports.received": "1",
            "cases.found": "2",
            "cases.closed": "1",
            "orders.approved": "1",
            "orders.lifted": "1",
            "appeals.received": "1",
            "appeals.lifted": "1",
        }
        office.command("audit", "checkpoint")
        office.command("audit", "verify")


def _report(desk: Desk) -> str:
    """The victim says what happened, without an account; gives the receipt."""
    page = desk.page
    desk.open("/report")
    page.locator('a[href^="/report?kind=call"]').click()
    page.locator("input[name=number]").fill(FRAUD)
    page.locator("textarea[name=text]").fill("自称公安,要求转账到安全账户")
    page.locator("input[name=lost]").fill("3000")
    page.locator("input[name=reporter]").fill(VICTIM)
    page.locator("form button[type=submit]").click()
    receipt = page.locator("p.receipt").inner_text()
    desk.assert_clean()
    desk.close()
    return receipt


def _told(desk: Desk, receipt: str) -> str:
    """What the receipt's page says."""
    desk.open("/report/receipt")
    desk.page.locator("input[name=receipt]").fill(receipt)
    desk.page.locator("form button[type=submit]").click()
    words = desk.page.locator("article").inner_text()
    assert receipt in words
    desk.close()
    return words


def _case(office: StoryOffice) -> str:
    """The case that the report opened, found by its number."""
    found: list[str] = []

    def opened() -> bool:
        found[:] = [json.loads(line)["id"] for line in office.command("cases", "list", FRAUD, "--json").splitlines()]
        return bool(found)

    office.until(opened)
    (case,) = found
    return case


def _do(desk: Desk, case: str, action: str, **fields: str) -> None:
    """Fill in the form of an action on a case's page, and send it."""
    desk.open(f"/cases/{case}")
    form = desk.page.locator(_CALL.format(case=case, action=action))
    form.locator("xpath=ancestor::details").evaluate("it => { it.open = true }")
    for name, value in fields.items():
        form.locator(f"[name={name}]").first.fill(value)
    form.locator("button.primary").click()
    expect(desk.page.locator(".notice.pass")).to_be_visible()
    desk.assert_clean()


def _assign(desk: Desk, case: str) -> None:
    _do(desk, case, "assign", unit="移动")
    desk.close()


def _prove(office: StoryOffice, case: str, order: str) -> None:
    """Who acts proves it by the order; another tries the number and closes the case."""
    worker, checker = office.desk("analyst"), office.desk("operator")
    _do(worker, case, "accept")
    _do(worker, case, "act", proof_ref=f"order:{order}")
    office.interrupted()
    _do(checker, case, "verify", proof_ref="dial:1")
    _do(checker, case, "close")
    worker.close()
    checker.close()


def _request(desk: Desk, case: str) -> str:
    """One person asks for the block; gives the order."""
    page = desk.page
    desk.open("/orders/new")
    page.locator("select[name=kind]").select_option("block")
    page.locator("select[name=role]").select_option("caller")
    page.locator("select[name=basis]").select_option(index=1)
    wish = {"target": FRAUD, "agency": "市公安局", "document": "反诈〔2026〕17号", "reason": "冒充公安", "days": "30"}
    for name, value in {**wish, "case": case}.items():
        page.locator(f"input[name={name}]").fill(value)
    page.locator("form.form button.primary").click()
    page.wait_for_url(re.compile(r"/orders/[^/]+\?done=requested"))
    desk.assert_clean()
    order = desk.path.removeprefix("/orders/").partition("?")[0]
    assert page.locator(f'form[action="/orders/{order}/approve"]').count() == 0, "nobody approves what they asked for"
    desk.close()
    return order


def _approve(desk: Desk, order: str) -> None:
    desk.open(f"/orders/{order}")
    desk.page.locator(f'form[action="/orders/{order}/approve"] button').click()
    desk.page.wait_for_url(re.compile(r"done=(approved|in-force)"))
    desk.assert_clean()
    desk.close()


def _order(office: StoryOffice, order: str) -> dict[str, object]:
    return dict(json.loads(office.command("orders", "show", order, "--json").splitlines()[0]))


def _pack(desk: Desk, order: str, folder: Path) -> Path:
    """The evidence pack, as it is taken away."""
    desk.open(f"/orders/{order}")
    form = desk.page.locator(f'form[action="/orders/{order}/pack"]')
    form.locator("input[name=purpose]").fill("移送检察机关")
    with desk.page.expect_download() as download:
        form.locator("button").click()
    pack = folder / "pack.zip"
    download.value.save_as(pack)
    names = zipfile.ZipFile(pack).namelist()
    assert {"index.html", "manifest.json"} <= set(names), names
    assert any(name.endswith(".pdf") for name in names), names
    desk.close()
    return pack


def _appeal(office: StoryOffice) -> str:
    """The number's owner proves that it is theirs, reads why, and appeals; gives the receipt."""
    desk = office.citizen()
    page = desk.page
    desk.open("/appeal")
    page.locator("input[name=number]").fill(FRAUD)
    page.locator("form.ask button").first.click()
    page.locator("input[name=code]").wait_for()
    page.locator("input[name=code]").fill(office.code_sent_to(FRAUD))
    page.locator("form.ask button").click()
    page.locator("textarea[name=words]").fill("号码上月过户给我,与此前的机主无关")
    assert "市公安局" in page.locator("ul.why").inner_text()
    page.locator("form.ask button").click()
    page.wait_for_url(re.compile("/appeal/receipts/"))
    receipt = page.locator("p.receipt").inner_text()
    desk.assert_clean()
    desk.close()
    return receipt


def _lift(desk: Desk, receipt: str) -> None:
    """A person who had no part in the block decides."""
    page = desk.page
    desk.open("/appeals")
    page.locator("table a[href^='/appeals/']").first.click()
    expect(page.locator("main")).to_contain_text(receipt)
    page.locator("textarea[name=reasons]").fill("过户属实")
    page.locator("button[name=outcome][value=lifted]").click()
    page.wait_for_load_state()
    desk.assert_clean()
    desk.close()


def _assert_nothing_twice(office: StoryOffice, order: str) -> None:
    """One order had one entry; everything that was asked for once is there once."""
    story = office.command("orders", "show", order, "--json").splitlines()[1:]
    deeds = [json.loads(line)["action"] for line in story]
    assert len(deeds) == len(set(deeds)), deeds
    assert {"request", "approve", "place", "acknowledge", "notice"} <= set(deeds)
    assert len(office.command("orders", "list", "--json").splitlines()) == 1
    assert len(json.loads(office.command("report", "list", "--json"))) == 1
    assert len(office.command("appeals", "list", "--json").splitlines()) == 1
    office.command("cases", "recount")


def _bulletin(office: StoryOffice, folder: Path) -> dict[str, str]:
    """The bulletin of the day: figures as the console shows them, which are those of its documents."""
    today = dt.datetime.now(_ZONE).date().isoformat()
    office.until(lambda: office.archived() == _CALLS, 130)
    made = office.command("bulletin", "make", "--period", today, "--out", str(folder / "bulletins")).splitlines()
    bulletin = made[0].split()[0]
    assert {path.suffix for path in (folder / "bulletins").iterdir()} == {".html", ".docx", ".pdf"}
    desk = office.desk("operator")
    desk.open(f"/bulletins/{bulletin}")
    shown = desk.page.locator("tr[data-figure]").evaluate_all(
        "all => all.map(row => [row.dataset.figure, row.querySelector('td').textContent.trim()])"
    )
    desk.assert_clean()
    desk.close()
    wanted = ("calls.attempts", "calls.blocked", "reports.received", "cases.found", "cases.closed", "orders.approved",
              "orders.lifted", "appeals.received", "appeals.lifted")  # fmt: skip
    return {name: dict(shown).get(name, "") for name in wanted}
