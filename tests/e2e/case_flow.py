"""Cases for the console's tests: some that stand there, and the life of one in two browsers until it is closed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.calendar import load_calendar
from hutong.kernel.cases.lint import load_types
from hutong.kernel.cases.model import Actor, Finding, Request
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.cases.store import Cases
from hutong.kernel.cases.types import SHIPPED
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.browser import Desk

NUMBER = "13900130007"
_DAY_MS = 86_400_000
_ITEMS = "title,item,subject,problem,city\nLine 1,1,Line A,no name,021\nLine 2,2,Line B,no name,020\n"


def some_cases(data: Path, now_ms: int) -> dict[str, str]:
    """Open cases of all kinds in a node's records, late ones too; ids of a case and of a register."""
    database = Database(database_url("", data))
    database.open()
    try:
        cases = Cases(database, load_types(SHIPPED, permissions=PERMISSIONS), load_calendar(), "e2e", WHOLE)
        operator = Actor("operator", frozenset(PERMISSIONS))
        fields = {"number": NUMBER, "operator": "North Telecom", "reported": 3}
        first = ""
        for days, owner in ((30, "operator"), (20, "analyst"), (1, "")):
            at = now_ms - days * _DAY_MS
            finding = Finding(
                "fraud-number", f"Number {NUMBER}, {days} days", fields, source="calls.rules:calls.one-ring"
            )
            first = cases.find(finding, operator, at).case
            if owner:
                cases.do(first, Request("assign", unit="North", owner=owner), operator, at)
        cases.do(first, Request("comment", f"called {NUMBER} back"), operator, now_ms)
        registers = Registers(database, cases)
        register = registers.make("Lines without a name", "rectification", [AssignRule("North")], operator, now_ms)
        registers.take_in(register.id, _ITEMS.encode(), operator, now_ms)
        return {"case": first, "register": register.id}
    finally:
        database.close()


def _offer(desk: Desk, action: str) -> None:
    """Open the form of an action, unless it is open."""
    form = desk.page.locator(f"form[action$='/{action}']")
    if not form.is_visible():
        desk.page.locator(f"details.offer:has(form[action$='/{action}']) > summary").click()
    expect(form).to_be_visible()


def _send(desk: Desk, action: str, **fields: str) -> None:
    _offer(desk, action)
    form = desk.page.locator(f"form[action$='/{action}']")
    for name, value in fields.items():
        form.locator(f"[name={name}]").first.fill(value)
    form.locator("button.primary").click()
    desk.page.wait_for_url(re.compile(rf"done={action}$"))


def _last(desk: Desk, words: str) -> None:
    expect(desk.page.locator(".story li").first).to_contain_text(words)


def live_through(one: Desk, other: Desk, evidence: Path) -> None:
    """One finds and assigns a case, the other accepts it and acts, one verifies and closes; one is quicker once."""
    one.open("/cases/new/fraud-number")
    one.page.locator("[name=title]").fill("Calls in a row")
    one.page.locator("[name=field_number]").fill(NUMBER)
    one.page.locator("form.wide button.primary").click()
    one.page.wait_for_url(re.compile("done=find$"))
    path = one.path.partition("?")[0]
    _send(one, "assign", unit="North", owner="analyst")
    other.open(path)
    _send(other, "accept")
    _offer(other, "comment")
    other.page.locator("form[action$='/comment'] [name=reason]").fill("the line is rented")
    one.open(path)
    _send(one, "supervise", reason="asked by the director")
    # What was typed is kept where somebody was quicker, and can be sent again.
    with other.expecting(409):
        other.page.locator("form[action$='/comment'] button.primary").click()
        expect(other.page.locator("main .notice.late")).to_contain_text("asked by the director")
    assert other.axe() == []
    form = other.page.locator("form[action$='/comment']")
    expect(form.locator("[name=reason]")).to_have_value("the line is rented")
    form.locator("button.primary").dblclick()  # one effect
    other.page.wait_for_url(re.compile("done=comment$"))
    expect(other.page.locator(".story li", has_text="the line is rented")).to_have_count(1)
    _offer(other, "attach")
    other.page.locator("#attach-file").set_input_files(evidence)
    other.page.locator("form[action$='/attach'] button.primary").click()
    other.page.wait_for_url(re.compile("done=attach$"))
    with other.page.expect_download() as waiting:
        other.page.locator("a[download]").first.click()
    assert waiting.value.suggested_filename.endswith(".txt")
    _send(other, "act", proof_ref="order:12", reason="limited")
    expect(other.page.locator("form[action$='/verify']")).to_have_count(0)  # whoever acted does not judge
    one.open(path)
    _send(one, "verify", proof_ref="dial:7")
    _send(one, "close")
    _last(one, "close")
    expect(one.page.locator(".case-head .verdict.pass")).to_have_text("closed")
    assert NUMBER not in one.page.content()
    one.assert_clean()
    other.assert_clean()
