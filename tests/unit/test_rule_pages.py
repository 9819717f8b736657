"""The pages of rules: what they show of each rule, and how a rule is moved to another stage."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from console_pages import CALLS, NOW, ConsoleSite
from evidences import evidence_of
from hutong.calls.console import rules
from hutong.calls.console.rule_words import in_colours, words_of
from hutong.calls.evidence.desk import PromotionDesk
from hutong.calls.evidence.promotion import Limits
from hutong.calls.evidence.store import EvidenceStore
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.history import History
from hutong.calls.rule_book import RuleShelf, runbook_section
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.loader import load_ruleset
from hutong.kernel.rules.proposals import PROPOSALS_FILE
from hutong.kernel.rules.stages import find_rule, read_stages
from stages import put

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
            data,
            texts=[
                CALLS / "console" / "texts" / f"{name}.toml"
                for name in ("rules", "rule_stages", "backtests", "error_words")
            ],
        )
        self.further = data / "further"
        self.further.mkdir()
        (self.further / "70-own.yaml").write_text(OWN)
        self.shelf = RuleShelf(data, [self.further])
        self.history = History(self.database, "node1")
        self.store = EvidenceStore(data / "evidence")
        people = People(self.database)
        people.arrive(Identity("operator-2", "operator two", "operator", "subject:operator-2"), self.console_now)
        self.cookies["second"] = self.sessions.start(people.account("operator-2"), "127.0.0.1", self.console_now)
        self.promotion = PromotionDesk(self.shelf, self.store, Limits(), data / PROPOSALS_FILE, self.trail, people)
        self.build(
            rules.routes(
                self.console, shelf=self.shelf, history=self.history, trail=self.trail, promotion=self.promotion
            )
        )

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
    assert site.browser("viewer").get("/rules?format=csv").status_code == 403


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
        assert not re.search(r", wrong\b" if lang == "en" else "，错误", said), "every sample does what it should"


def test_an_own_rule_is_told_in_words_with_its_comment_and_the_name_of_its_trunk(site: Site) -> None:
    page = text_of(site.browser().get("/rules/own.busy"))
    assert "trunk = sh-1" in page
    assert "any of: caller's calls made in 1 min ≥ 30 caller's share of answered calls in 1 h < 15%" in page
    assert "# Ours." in page
    assert str(site.further / "70-own.yaml") in page
    assert "https://intranet.example/busy" in page
    assert site.browser().get("/rules/own.none").status_code == 404


PATH = "/rules/calls.anonymous-from-abroad"


def evident(site: Site, **figures: int) -> str:
    """Keeps a backtest of the rule that is moved."""
    rule = find_rule(site.shelf.book().ruleset, "calls.anonymous-from-abroad")
    return site.store.keep(evidence_of(rule, NOW * 1000 - 60_000, **figures))


def test_a_rule_without_evidence_says_how_to_get_some(site: Site) -> None:
    page = text_of(site.browser().get(PATH))
    assert "There is no backtest of this version" in page
    assert "hutong rules backtest calls.anonymous-from-abroad --over" in page
    assert "It cannot be moved to warn yet. It takes a backtest" in page
    refused = site.browser().post(f"{PATH}/propose", to="warn", why="x", evidence="")
    assert refused.status_code == 422
    assert read_stages(site.shelf.stages) == []


def test_one_person_proposes_and_another_approves_on_record(site: Site) -> None:
    evidence = evident(site)
    first, second = site.browser(), site.browser("second")
    shown = text_of(first.get(PATH))
    assert "0.00 (0 of 1,000,000 legitimate calls)" in shown
    assert "calls made in 10 min = 43" in shown
    done = first.post(f"{PATH}/propose", to="warn", why="三月回测", evidence=evidence)
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?done=proposed")
    assert read_stages(site.shelf.stages) == []
    assert "proposed" in text_of(first.get("/rules"))
    assert "another person must approve it" in text_of(first.get(PATH))
    own = first.post(f"{PATH}/approve", number="1", why="")
    assert own.status_code == 422
    assert "Who made a proposal cannot approve it" in text_of(own)
    assert "Approve: move to warn" in text_of(second.get(PATH))
    done = second.post(f"{PATH}/approve", number="1", why="核对无误")
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?done=approved")
    (change,) = read_stages(site.shelf.stages)
    assert (change.by, change.proposed_by, change.evidence, change.to) == ("operator-2", "operator-1", evidence, "warn")
    approved, proposed = site.deeds("rules.")
    assert (approved.deed, approved.who, proposed.deed, proposed.who) == (
        "rules.approve",
        "operator-2",
        "rules.propose",
        "operator-1",
    )
    assert (approved.before["stage"], approved.after["stage"], approved.after["proposed_by"]) == (
        "observe",
        "warn",
        "operator-1",
    )
    again = second.post(f"{PATH}/approve", number="1", why="")
    assert again.status_code == 422
    assert "This proposal is decided already" in text_of(again)
    assert "observe → warn" in text_of(first.get(PATH))


def test_a_refusal_needs_its_reason_and_ends_the_proposal(site: Site) -> None:
    site.browser().post(f"{PATH}/propose", to="warn", why="x", evidence=evident(site))
    assert site.browser("second").post(f"{PATH}/refuse", number="1", why="").status_code == 422
    assert site.browser("second").post(f"{PATH}/refuse", number="1", why="医院投诉").status_code == 303
    assert [it.state for it in site.promotion.standings()] == ["refused"]
    assert read_stages(site.shelf.stages) == []


def test_a_rule_that_would_stop_a_hospital_cannot_be_proposed(site: Site) -> None:
    evidence = evident(site, protected=1)
    page = text_of(site.browser().get(PATH))
    assert "It would hit hospitals or emergency services: 1 calls of 1 callers" in page
    assert "Propose warn" not in page
    refused = site.browser().post(f"{PATH}/propose", lang="zh", to="warn", why="x", evidence=evidence)
    assert refused.status_code == 422
    assert "医院或应急号码的 1 次正常呼叫" in text_of(refused)
    assert site.deeds("rules.") == []


def test_a_rule_is_moved_down_at_once(site: Site) -> None:
    put(site.shelf.stages, site.shelf.book().ruleset, "calls.anonymous-from-abroad", "warn")
    done = site.browser().post(f"{PATH}/demote", to="observe", why="投诉")
    assert (done.status_code, done.headers["location"]) == (303, f"{PATH}?done=demoted")
    assert [change.to for change in read_stages(site.shelf.stages)] == ["warn", "observe"]
    (deed,) = site.deeds("rules.demote")
    assert (deed.before["stage"], deed.after["stage"], deed.purpose) == ("warn", "observe", "投诉")
    assert site.browser().post(f"{PATH}/demote", to="warn", why="x").status_code == 422


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"to": "block", "why": "x"}, "may at most warn, not block"),
        ({"to": "observe", "why": "x"}, "is in stage observe already"),
        ({"to": "warn", "why": " "}, "needs a reason"),
        ({"to": "drop", "why": "x"}, "There is no stage “drop”"),
    ],
)
def test_a_move_that_may_not_be_is_refused(site: Site, form: dict[str, str], says: str) -> None:
    for way in ("propose", "demote"):
        response = site.browser().post(f"/rules/own.busy/{way}", **form)
        assert response.status_code == 422
        if way == "propose" or "above" not in text_of(response):
            assert says in text_of(response)
    assert read_stages(site.shelf.stages) == []
    assert site.deeds("rules.") == []


@pytest.mark.parametrize("role", ["viewer", "analyst", "auditor", "administrator"])
@pytest.mark.parametrize("way", ["propose", "approve", "refuse", "demote"])
def test_only_operators_move_rules_and_analysts_propose(site: Site, role: str, way: str) -> None:
    response = site.browser(role).post(f"/rules/own.busy/{way}", to="warn", why="x", number="1")
    assert response.status_code == (422 if (role, way) == ("analyst", "propose") else 403)


def test_pages_of_evidence_show_all_of_it_to_whoever_sees_verdicts(site: Site) -> None:
    assert "There is no backtest" in text_of(site.browser().get("/evidence"))
    evidence = evident(site)
    for lang in ("zh", "en"):
        assert evidence in text_of(site.browser("analyst").get("/evidence", lang=lang))
        page = text_of(site.browser("analyst").get(f"/evidence/{evidence}", lang=lang))
        assert "calls.anonymous-from-abroad v1" in page
        assert "0216123****" in page
    assert site.browser("viewer").get(f"/evidence/{evidence}").status_code == 403
    assert "0216123****" not in text_of(site.browser("viewer").get(PATH))
    assert site.browser().get("/evidence/0000").status_code == 404


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
