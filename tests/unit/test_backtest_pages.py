"""Backtests on a rule's pages: who may start one, what may be chosen, what is on the trail, what is shown."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from console_pages import CALLS, NOW, ConsoleSite
from evidences import evidence_of
from hutong.calls.console import backtests
from hutong.calls.console.rule_stages import StageViews
from hutong.calls.evidence.asking import BacktestDesk
from hutong.calls.evidence.desk import PromotionDesk
from hutong.calls.evidence.jobs import MOST_WAITING, Note
from hutong.calls.evidence.promotion import Limits
from hutong.calls.evidence.store import EvidenceStore
from hutong.calls.rule_book import RuleShelf
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import PERMISSIONS, ROLES
from hutong.kernel.rules.proposals import PROPOSALS_FILE
from hutong.kernel.rules.stages import find_rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

RULE = "calls.anonymous-from-abroad"
PATH = f"/rules/{RULE}/backtests"
FORM = {"since": "2026-03-01", "until": "2026-03-03", "labels": "march.csv"}


class Site(ConsoleSite):
    """With rules, an archive of three days and two files of labels."""

    def __init__(self, data: Path) -> None:
        names = ("rules", "rule_stages", "backtests", "error_words")
        super().__init__(data, texts=[CALLS / "console" / "texts" / f"{name}.toml" for name in names])
        for day in ("01", "02", "03"):
            (data / "archive" / "verdicts" / f"day=2026-03-{day}").mkdir(parents=True)
        (data / "labels").mkdir()
        for name in ("march.csv", "april.parquet", "notes.txt"):
            (data / "labels" / name).write_text("number,label\n")
        self.shelf = RuleShelf(data)
        self.store = EvidenceStore(data / "evidence")
        self.desk = BacktestDesk(data, self.shelf, self.trail)
        people = People(self.database)
        promotion = PromotionDesk(self.shelf, self.store, Limits(), data / PROPOSALS_FILE, self.trail, people)
        views = StageViews(self.console, promotion)
        self.build(backtests.routes(self.console, shelf=self.shelf, desk=self.desk, store=self.store, views=views))

    def state(self, number: int = 1) -> str:
        job = self.desk.jobs.find(number)
        assert job is not None
        return job.note.state


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    one = Site(data_folder)
    yield one
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


@pytest.mark.parametrize("role", ROLES)
def test_who_may_propose_may_test_and_it_is_on_the_trail_first(site: Site, role: str) -> None:
    browser = site.browser(role)
    allowed = role in PERMISSIONS["rules.propose"].roles
    assert browser.get(PATH).status_code == (200 if allowed else 403)
    assert browser.post(f"{PATH}/new", **FORM).status_code == (303 if allowed else 403)
    assert browser.post(f"{PATH}/1/cancel").status_code == (303 if allowed else 403)
    deeds = [(it.deed, it.who, it.target) for it in reversed(site.deeds("rules."))]
    who = f"{role}-1"
    expected = [("rules.backtest", who, RULE), ("rules.backtest_cancel", who, RULE)]
    assert deeds == (expected if allowed else [])
    if allowed:
        assert site.deeds("rules.backtest")[-1].after["labels"] == "march.csv"
        assert site.state() == "cancelled"


def test_only_what_the_administrator_put_there_may_be_chosen(site: Site) -> None:
    browser = site.browser("analyst")
    page = browser.get(PATH).text
    assert re.findall(r"<option[^>]*>([^<]*)</option>", page) == ["april.parquet", "march.csv"]
    assert 'min="2026-03-01" max="2026-03-03"' in page
    for wrong, words in (
        ({"labels": "notes.txt"}, "no such file"),
        ({"labels": "../records.db"}, "no such file"),
        ({"since": "2026-03-03", "until": "2026-03-01"}, "the last is not before the first"),
        ({"since": "yesterday"}, "Choose the first"),
        ({"since": "2026-01-01", "until": "2026-03-03"}, "At most 31 days"),
        ({"since": "2026-04-01", "until": "2026-04-02"}, "holds none of these days"),
    ):
        answer = browser.post(f"{PATH}/new", **{**FORM, **wrong})
        assert answer.status_code == 422
        assert words in text_of(answer)
    assert site.desk.jobs.all() == []
    assert site.deeds("rules.") == []
    assert browser.get("/rules/none.such/backtests").status_code == 404
    assert browser.post("/rules/none.such/backtests/new", **FORM).status_code == 404


@pytest.mark.parametrize(
    ("lang", "waits", "runs"), [("en", "waiting", "judging, 25.0%"), ("zh", "等待中", "判决 25.0%")]
)
def test_the_page_follows_a_job_until_it_is_over(site: Site, lang: str, waits: str, runs: str) -> None:
    browser, jobs = site.browser("analyst"), site.desk.jobs
    assert 'hx-trigger="every 1s"' not in browser.get(PATH).text
    browser.post(f"{PATH}/new", **FORM)
    page = browser.get(PATH, lang=lang)
    assert waits in text_of(page)
    assert 'hx-trigger="every 1s"' in page.text
    with jobs.running():
        jobs.say(1, Note("running", phase="judging", done=25, total=100, rows=1234))
        page = browser.get(f"{PATH}?part=jobs", lang=lang)
        assert runs in text_of(page)
        assert "1,234" in text_of(page)
        assert "?part=jobs" in page.text
    assert ("broke off" if lang == "en" else "中断") in text_of(browser.get(PATH, lang=lang))
    assert 'hx-trigger="every 1s"' not in browser.get(PATH).text
    assert browser.post(f"{PATH}/1/again").status_code == 303
    again = jobs.find(2)
    assert again is not None
    assert (again.note.state, again.asked.since, again.asked.labels) == ("waiting", "2026-03-01", "march.csv")


def test_what_came_out_is_shown_with_its_cases_and_an_older_rule_is_said(site: Site) -> None:
    browser = site.browser("analyst")
    browser.post(f"{PATH}/new", **FORM)
    rule = find_rule(site.shelf.book().ruleset, RULE)
    evidence = site.store.keep(evidence_of(rule, NOW * 1000))
    site.desk.jobs.say(1, Note("done", evidence=evidence, ended_ms=NOW * 1000))
    page = browser.get(PATH)
    said = text_of(page)
    assert "90 calls of 9 numbers" in said
    assert "0.00 (0 of 1,000,000 legitimate calls)" in said
    assert "calls made in 10 min = 43" in said
    assert f'href="/evidence/{evidence}"' in page.text
    assert "The rule was changed since" not in said
    assert "calls made in 10 min = 43" not in text_of(browser.get(f"{PATH}?part=jobs")), (
        "the rule's page has it already"
    )


def test_when_too_many_wait_none_can_be_added(site: Site) -> None:
    browser = site.browser("analyst")
    for _ in range(MOST_WAITING):
        assert browser.post(f"{PATH}/new", **FORM).status_code == 303
    answer = browser.post(f"{PATH}/new", **FORM)
    assert answer.status_code == 422
    assert "Too many backtests wait" in text_of(answer)
    assert browser.post(f"{PATH}/99/cancel").status_code == 422
    assert browser.post("/rules/calls.caller-listed/backtests/1/cancel").status_code == 422, "another rule's"


def test_without_days_or_labels_it_says_what_is_missing(data_folder: Path) -> None:
    site = Site(data_folder)
    for name in ("march.csv", "april.parquet"):
        (site.data / "labels" / name).unlink()
    assert "There are no labels" in text_of(site.browser("analyst").get(PATH))
    for day in (site.data / "archive" / "verdicts").iterdir():
        day.rmdir()
    assert "The archive is still empty" in text_of(site.browser("analyst").get(PATH))
    site.close()
