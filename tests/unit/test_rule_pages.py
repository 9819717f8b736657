"""The pages of rules: what they show of each rule, and how a rule is moved to another stage."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from console_pages import CALLS, NOW, ConsoleSite
from hutong.calls.console import rules
from hutong.calls.console.rule_words import in_colours, words_of
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.history import History
from hutong.calls.rule_book import RuleShelf, runbook_section
from hutong.kernel.errors import RuleError
from hutong.kernel.rules import load_ruleset, read_stages
from hutong.kernel.rules.language import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

OWN = """\
# Ours.
id: own.busy
version: 1
title: {zh: 自有, en: Own}
when: trunk.name == "sh-1" and (caller.attempts_1m >= 30 or caller.answer_share_1h < 0.15)
action: warn
basis: law
runbook: https://intranet.example/busy
samples:
  - {given: {trunk.name: sh-1, caller.attempts_1m: 30}, fires: true}
  - {given: {caller.attempts_1m: 31}, fires: false}
"""


class Site(ConsoleSite):
    """With rules."""

    def __init__(self, data: Path) -> None:
        super().__init__(
            data, texts=[CALLS / "console" / "texts" / f"{name}.toml" for name in ("rules", "error_words")]
        )
        self.further = data / "further"
        self.further.mkdir()
        (self.further / "70-own.yaml").write_text(OWN)
        self.shelf = RuleShelf(data, [self.further])
        self.history = History(self.database, "node1")
        self.build(rules.routes(self.console, shelf=self.shelf, history=self.history, trail=self.trail))

    def count(self, minutes_ago: int, kind: str, name: str, attempts: int, blocked: int = 0) -> None:
        counts = {(NOW // 60 - minutes_ago, kind, name): [attempts, 0, blocked]}
        assert self.history._keep(0, 0, counts)  # noqa: SLF001  # as if they had been folded


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    one = Site(data_folder)
    yield one
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "auditor", "administrator"])
def test_every_rule_is_in_the_table_for_everybody(site: Site, role: str) -> None:
    for lang in ("zh", "en"):
        response = site.browser(role).get("/rules?size=100", lang=lang)
        assert response.status_code == 200
        said = text_of(response)
        for rule in load_ruleset([SHIPPED_RULES], VOCABULARY).rules:
            assert rule.id in said
            assert rule.title[lang] in said
        assert "own.busy" in said, "calls.rules_dir is read"
        assert ("Caller behaviour" if lang == "en" else "主叫行为") in said


def test_hits_are_counted_over_three_spans_with_their_share_of_all_calls(site: Site) -> None:
    for ago, hits in ((2, 3), (30, 4), (600, 5), (2000, 100)):
        site.count(ago, "rule", "calls.caller-listed", hits)
        site.count(ago, "action", "pass", 100)
    row = next(
        row
        for row in re.findall(r"<tr>.*?</tr>", site.browser().get("/rules").text, re.DOTALL)
        if "calls.caller-listed" in row
    )
    assert [it.strip() for it in re.findall(r'<td class="number">(.*?)</td>', row)] == ["1", "3", "7", "12", "4.00%"]
    export = site.browser("analyst").get("/rules?format=csv&stage=block&sort=-hits_24h").text.splitlines()
    assert export[1].startswith("calls.caller-listed,")
    assert ",3,7,12,0.04" in export[1]
    assert all(",block,block," in line for line in export[1:])
    assert [deed.target for deed in site.deeds("tables.export")] == ["rules"]
    assert not site.browser("viewer").get("/rules?format=csv").headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_shipped_rule_has_a_page_that_says_all_of_it(site: Site, lang: str) -> None:
    browser = site.browser()
    for rule in load_ruleset([SHIPPED_RULES], VOCABULARY).rules:
        page = browser.get(f"/rules/{rule.id}", lang=lang)
        assert page.status_code == 200
        said = text_of(page)
        assert rule.title[lang] in said
        assert rule.basis in said
        assert rule.runbook in said
        assert f"id</span>: {rule.id}" in page.text, "its text as written"
        assert (", wrong" if lang == "en" else "，错误") not in said, "every sample does what it should"


def test_an_own_rule_is_told_in_words_with_its_comment_and_the_name_of_its_trunk(site: Site) -> None:
    page = text_of(site.browser().get("/rules/own.busy"))
    assert "trunk = sh-1" in page
    assert "any of: caller's calls made in 1 min ≥ 30 caller's share of answered calls in 1 h < 15%" in page
    assert "# Ours." in page
    assert str(site.further / "70-own.yaml") in page
    assert "https://intranet.example/busy" in page
    assert site.browser().get("/rules/own.none").status_code == 404


def test_a_rule_is_moved_with_a_reason_after_a_second_look_and_on_record(site: Site) -> None:
    site.count(5, "rule", "calls.anonymous-from-abroad", 7)
    site.count(5, "action", "pass", 50)
    browser = site.browser()
    form = {"to": "warn", "why": "三月回放"}
    path = "/rules/calls.anonymous-from-abroad/stage"
    check = text_of(browser.post(path, **form))
    assert "will be promoted to warn" in check
    assert "at most 7 of 50 calls would carry a warning" in check
    assert read_stages(site.shelf.stages) == []
    done = browser.post(path, confirmed="yes", **form)
    assert (done.status_code, done.headers["location"]) == (303, "/rules/calls.anonymous-from-abroad?done=moved")
    (change,) = read_stages(site.shelf.stages)
    assert (change.by, change.why, change.came_from, change.to) == ("operator-1", "三月回放", "observe", "warn")
    assert change.time_ms == NOW * 1000
    (deed,) = site.deeds("rules.promote")
    assert (deed.who, deed.target, deed.purpose) == ("operator-1", "calls.anonymous-from-abroad", "三月回放")
    assert (deed.before["stage"], deed.after["stage"]) == ("observe", "warn")
    page = text_of(browser.get("/rules/calls.anonymous-from-abroad"))
    assert "observe → warn" in page
    assert "三月回放" in page
    again = browser.post(path, lang="zh", confirmed="yes", **form)
    assert again.status_code == 422
    assert "已处于“提示”阶段" in text_of(again)
    assert len(site.deeds("rules.promote")) == 1


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"to": "block", "why": "x"}, "may at most warn, not block"),
        ({"to": "observe", "why": "x"}, "is in stage observe already"),
        ({"to": "warn", "why": " "}, "needs a reason"),
        ({"to": "drop", "why": "x"}, "There is no stage “drop”"),
    ],
)
@pytest.mark.parametrize("confirmed", ["", "yes"])
def test_a_move_that_may_not_be_is_refused(site: Site, form: dict[str, str], says: str, confirmed: str) -> None:
    response = site.browser().post("/rules/own.busy/stage", confirmed=confirmed, **form)
    assert response.status_code == 422
    assert says in text_of(response)
    assert read_stages(site.shelf.stages) == []
    assert site.deeds("rules.") == []


@pytest.mark.parametrize("role", ["viewer", "analyst", "auditor", "administrator"])
def test_only_an_operator_moves_rules(site: Site, role: str) -> None:
    response = site.browser(role).post("/rules/own.busy/stage", to="warn", why="x", confirmed="yes")
    assert response.status_code == 403
    assert 'name="to"' not in site.browser(role).get("/rules/own.busy").text


def test_refused_files_are_told_and_the_last_set_stays(site: Site, tmp_path: Path) -> None:
    browser = site.browser()
    assert browser.get("/rules").status_code == 200
    (site.further / "80-bad.yaml").write_text(
        OWN.replace("own.busy", "own.bad").replace("attempts_1m >= 30", "attempts")
    )
    page = text_of(browser.get("/rules/own.busy"))
    assert "The rule files are refused" in page
    assert "80-bad.yaml:5" in page
    (site.further / "80-bad.yaml").unlink()
    assert "refused" not in text_of(browser.get("/rules"))
    (tmp_path / "empty").mkdir()
    (site.further / "80-bad.yaml").write_text("- 1")
    fresh = RuleShelf(tmp_path / "empty", [site.further])
    with pytest.raises(RuleError):
        fresh.book()
    site.shelf.book().ruleset.save(tmp_path / "empty" / "rulesets")
    assert fresh.book().ruleset.digest == fresh.in_force()


def test_runbooks_are_read_where_the_documentation_is(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n## First thing\none\n### within\ntwo\n## Second\nthree\n")
    assert runbook_section("docs/a.md#first-thing", tmp_path) == "one\n### within\ntwo"
    assert runbook_section("docs/a.md#none", tmp_path) == ""
    assert runbook_section("docs/../../etc/passwd.md#x", tmp_path) == ""
    assert runbook_section("https://x.example/a.md#first-thing", tmp_path) == ""


def test_words_know_negation_and_arithmetic() -> None:
    condition = (
        'not (call.night or caller.class in ("mobile", "fixed")) and caller.attempts_1h <= 1.5 * caller.inbound_1h'
    )
    words = words_of(parse(condition, VOCABULARY), VOCABULARY, "en", condition)
    assert [part.text for part in words.parts][-1] == (
        "caller's calls made in 1 h ≤ (1.5 × caller's calls received in 1 h)"
    )
    said = str(words)
    assert "call at night = no" in said
    assert "is none of mobile" in said


def test_colours_escape_everything() -> None:
    markup = in_colours('when: a < 3 # <b>\ntitle: {zh: "<i>", en: true}')
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert '<span class="y-comment"># &lt;b&gt;</span>' in markup
    assert '<span class="y-key">zh</span>' in markup
