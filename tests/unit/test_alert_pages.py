"""Alerts as people and programs see them: page, wall, a call's story, API; masked, filtered, in both languages."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import httpx
import pytest

from api_servers import ApiServer
from console_pages import NOW, ConsoleSite
from hutong.calls import console as package
from hutong.calls.alerts.conditions import OWN_ALERTS, SETS, SHIPPED_ALERTS
from hutong.calls.alerts.features import ALERT_VOCABULARY
from hutong.calls.alerts.record import PHASES, Alert
from hutong.calls.alerts.table import AlertRow, AlertTable
from hutong.calls.alerts.views import AlertViews
from hutong.calls.console import alerts
from hutong.kernel.access.permissions import PERMISSIONS, ROLES
from hutong.kernel.numbering import Numbering, key_of_digits
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLER, CALLEE = "8613800138000", "8613900139000"
LANGUAGES = ("zh", "en")


def row(seq: int, rule: str, conditions: str, *, stage: str = "alert", verdict: int = 0) -> AlertRow:
    return AlertRow(
        seq=seq,
        time_ms=NOW * 1000 + seq,
        rule=rule,
        version=1,
        kind=rule.partition(".")[0],
        stage=stage,
        caller=key_of_digits(CALLER),
        callee=key_of_digits(CALLEE),
        trunk="home",
        verdict=verdict or seq,
        call_id=f"{CALLER}@gw",
        ring_ms=2000,
        talk_ms=180_000,
        answered=True,
        figures={"call.talk_s": 180.0},
        conditions=conditions,
        total_ms=180_000,
    )


def fill(data: Path) -> None:
    """Forty alerts; the first call is over, the last one was only observed."""
    data.mkdir(exist_ok=True)
    ruleset = load_ruleset([SHIPPED_ALERTS], ALERT_VOCABULARY)
    ruleset.save(data / OWN_ALERTS / SETS)
    table = AlertTable(data)
    table.create()
    rows = [row(seq, "victim.long-talk" if seq % 2 else "long.talk", ruleset.digest) for seq in range(1, 40)]
    rows.append(row(40, "long.ringing", ruleset.digest, stage="observe"))
    end = Alert(
        seq=41,
        time_ms=NOW * 1000 + 500,
        phase=PHASES[2],
        stage="observe",
        rule="",
        version=0,
        caller_key=0,
        callee_key=0,
        trunk="home",
        verdict_seq=1,
        ring_ms=0,
        talk_ms=200_000,
        answered=True,
        release=16,
        values=(),
        conditions="",
    )
    table.take([*rows, end], 41)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    data = tmp_path_factory.mktemp("alerts")
    fill(data)
    made = ConsoleSite(data, texts=package.TEXTS)
    views = AlertViews(data, "node1", Numbering("021"), made.refs.ref)
    made.build(alerts.routes(made.console, alerts=views, trail=made.trail))
    yield made
    made.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_how_many_people_are_worked_on_and_shows_no_whole_number(site: ConsoleSite, lang: str) -> None:
    answer = site.browser().get("/alerts", lang=lang)
    assert answer.status_code == 200
    title = {
        "zh": "38 个通话正在告警，1 人正被可疑主叫联系",
        "en": "38 calls under alert now; flagged callers are working on 1 people",
    }
    assert title[lang] in answer.text
    assert {"zh": "与可疑主叫通话超过三分钟", "en": "More than three minutes of talk with a flagged caller"}[
        lang
    ] in answer.text
    plain = answer.text.replace("-", "").replace(" ", "")
    assert CALLER not in plain
    assert CALLEE[2:] not in plain
    assert answer.text.count('href="/calls/') == 25


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 40),
        ("kind=victim", 20),
        ("state=over", 1),
        ("state=on&stage=observe", 1),
        ("rule=long.talk", 19),
        ("kind=nonsense", 40),
        ("until=1969-01-01T00:00", 0),
    ],
)
def test_filters(site: ConsoleSite, query: str, count: int) -> None:
    lines = list(csv.reader(io.StringIO(site.browser().get(f"/alerts?format=csv&{query}").text)))
    assert len(lines) - 1 == count


def test_an_export_is_masked_and_on_the_trail(site: ConsoleSite) -> None:
    before = len(site.deeds("tables.export"))
    text = site.browser().get("/alerts?format=csv&state=over").text
    header, line = csv.reader(io.StringIO(text.lstrip("\ufeff")))
    assert header[:3] == ["Id", "Time", "Kind"]
    assert line[0] == "node1-1"
    assert CALLER not in text
    assert "200.0" in line
    assert len(site.deeds("tables.export")) == before + 1


def test_pages_sort_and_end(site: ConsoleSite) -> None:
    last = site.browser().get("/alerts?page=99&sort=time").text
    assert last.count('href="/calls/') == 15
    assert 'href="/calls/40"' in last
    assert site.browser().get("/alerts?sort=-talk").text.index('href="/calls/1"') > 0


@pytest.mark.parametrize("role", ROLES)
def test_who_may_see_it(site: ConsoleSite, role: str) -> None:
    allowed = role in PERMISSIONS["verdicts.read"].roles
    assert site.browser(role).get("/alerts").status_code == (200 if allowed else 403)


def test_before_there_is_a_table_the_page_says_what_will_be_there(tmp_path: Path) -> None:
    made = ConsoleSite(tmp_path, texts=package.TEXTS)
    views = AlertViews(tmp_path, "node1", Numbering("021"), made.refs.ref)
    made.build(alerts.routes(made.console, alerts=views, trail=made.trail))
    assert "No alert yet" in made.browser().get("/alerts").text
    assert views.wall().calls == 0
    assert views.table.newest_event() == 0
    made.close()


def test_the_wall_shows_the_newest_that_go_on_and_nothing_that_was_only_observed(site: ConsoleSite) -> None:
    wall = AlertViews(site.data, "node1", Numbering("021"), site.refs.ref).wall()
    assert (wall.calls, wall.victims) == (38, 1)
    assert [it.seq for it in wall.latest] == list(range(39, 31, -1))


def test_a_call_has_its_alerts(site: ConsoleSite) -> None:
    (one,) = AlertViews(site.data, "node1", Numbering("021"), site.refs.ref).of_call(1)
    assert (one.id, one.goes_on, one.end_phase, one.seconds) == ("node1-1", False, "ended", 200.0)


@pytest.mark.enable_socket
def test_programs_read_events_in_order_and_whole_numbers_for_a_purpose_only(tmp_path: Path) -> None:
    fill(tmp_path)
    with ApiServer(tmp_path) as server, server.client() as client:
        first = client.get("/v1/calls/alerts", params={"limit": 30}).json()
        assert [it["seq"] for it in first["events"]] == list(range(1, 31))
        assert CALLER not in str(first)
        rest = client.get("/v1/calls/alerts", params={"since": first["next"]}).json()
        assert [it["event"] for it in rest["events"]] == ["raised"] * 10 + ["ended"]
        assert rest["events"][-1]["alerts"][0] == {
            **first["events"][0]["alerts"][0],
            "talk_s": 200.0,
            "ended": rest["events"][-1]["time"],
            "outcome": "ended",
            "release": 16,
        }
        assert client.get("/v1/calls/alerts", params={"since": rest["next"]}).json() == {"events": [], "next": 41}
        only = client.get("/v1/calls/alerts", params={"stage": "observe"}).json()
        assert [it["seq"] for it in only["events"]] == [40]
        assert client.get("/v1/calls/alerts", params={"unmask": True}).status_code == httpx.codes.UNPROCESSABLE_ENTITY
        whole = client.get("/v1/calls/alerts", params={"unmask": True, "limit": 1}, headers={"Hutong-Purpose": "96110"})
        assert whole.json()["events"][0]["alerts"][0]["callee"] == f"+{CALLEE}"
        assert [it.purpose for it in server.deeds() if it.deed == "numbers.unmask"] == ["96110"]
        with server.client("administrator") as stranger:
            assert stranger.get("/v1/calls/alerts").status_code == httpx.codes.FORBIDDEN
