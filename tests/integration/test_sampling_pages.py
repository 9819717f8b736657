"""Pages and API of sampling in this process: what they say, files of results, two persons, what is on the trail."""

from __future__ import annotations

import os
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from console_pages import ConsoleSite
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.districts import load_districts
from hutong.kernel.metrics import Metrics
from hutong.kernel.web.api.desk import Desk
from hutong.kernel.web.api.limits import Buckets
from hutong.kernel.web.api.meters import Meters
from hutong.sampling.console import HOME, api, pages
from hutong.sampling.console.districts import MEASURES, tiles_of
from hutong.sampling.console.parts import Parts
from hutong.sampling.desk import SamplingDesk
from hutong.sampling.emergency.model import Actor
from hutong.sampling.emergency.store import Emergencies
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.figures import DistrictFigures, Figures, spent_of
from hutong.sampling.listing import Listing
from hutong.sampling.model import Batch, Event, HandOver, Register, Seal, Terms
from hutong.sampling.station.pairing import CODE_MS, Pairings
from hutong.sampling.store import Bounds, Sampling
from sampling_samples import HOUR, MINUTE, event, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.sampling.identity import IdentityKind

OPERATOR = Actor("operator-1", permissions_of("operator"))
FIRST, SECOND, THIRD = "XA20220415001", "XA20220415002", "XA20220415003"


class _Known:
    """Knows documents, by their numbers; one may be over."""

    def __init__(self, over: str = "") -> None:
        self._over = over

    def person(self, _kind: IdentityKind, text: str) -> str:
        if not text.isdigit() or text == self._over:
            raise SamplingRefused("identity", "This is no number.", where="person")
        return person(text)


class SamplingSite(ConsoleSite):
    """Pages and API of sampling, over records of their own."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[], folders=[HOME])
        emergencies = Emergencies(self.database, "node1", Terms(), 168)
        self.sampling = Sampling(self.database, Bounds(), emergencies.terms)
        node = ("node1", "Asia/Shanghai")
        self.desk = SamplingDesk(
            self.database, self.sampling, emergencies, self.trail, _Known, *node, lambda: _Known(over="99")
        )
        self.figures = Figures(self.database, 30 * MINUTE)
        self.tokens = Tokens(self.database, 365)
        self.pairings = Pairings(self.database, self.tokens, lambda: b"\1" * 32, emergencies.terms, HOUR, HOUR)
        self.parts = Parts(
            console=self.console,
            desk=self.desk,
            figures=self.figures,
            listing=Listing(self.database),
            districts=load_districts(),
            imports=data / "imports",
            longest_h=168,
            pair=self.pairings.begin,
        )
        meters = Meters(Metrics())
        section = api.section(self.parts, Desk(self.trail, self.clock, Buckets(10**9), meters))
        self.build([*pages.routes(self.parts), *section.routes])

    def merge(self, events: list[Event], *, waiting: int = 0, ago_ms: int = 0, district: str = "610102") -> None:
        at_ms = self.console_now - ago_ms
        batch = Batch(events[0].station, at_ms, tuple(events), district=district, waiting=waiting)
        answer = self.sampling.merge(batch, at_ms)
        assert not answer.refused

    def filled(self, tube: str, station: str, people: int, *, ago_ms: int, expected: int = 1, first: int = 1) -> None:
        """A tube of ten, sealed and handed over as one of a batch of the station."""
        own = 1 if tube == FIRST else 2
        deeds: list[Any] = [
            Register(tube=tube, size=10, person=person(f"{own}{n}"), district="610102") for n in range(people)
        ]
        deeds += [
            Seal(tube=tube, people=people),
            HandOver(tube=tube, batch=f"B-{station}", expected=expected, courier="周"),
        ]
        at_ms = self.console_now - ago_ms
        self.merge([event(deed, n, at_ms, station, tube) for n, deed in enumerate(deeds, first)], ago_ms=ago_ms)

    def call(self, method: str, path: str, role: str = "operator", **more: Any) -> Any:  # noqa: ANN401  # as httpx
        secret = self.tokens.make(f"{role}-1", role, permissions_of(role), self.console_now + HOUR, self.console_now)[1]  # type: ignore[arg-type]  # it is one
        headers = {"authorization": f"Bearer {secret}", "host": "127.0.0.1", **more.pop("headers", {})}
        return self.browser()._client.request(method, path, headers=headers, **more)  # noqa: SLF001  # without its cookie's person


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SamplingSite]:
    it = SamplingSite(tmp_path)
    yield it
    assert not it.errors
    it.close()


def csv(*rows: str) -> bytes:
    return "\n".join(("tube,result,tested", *rows)).encode()


def moment(site: SamplingSite, ago_ms: int) -> str:
    return datetime.fromtimestamp((site.console_now - ago_ms) / 1000, UTC).isoformat()


def test_the_duty_officer_sees_what_wants_somebody(site: SamplingSite) -> None:
    browser = site.browser("analyst")
    empty = browser.get("/sampling").text
    assert "Sampling goes well" in empty
    site.filled(FIRST, "s1", 3, ago_ms=30 * HOUR, expected=2)
    site.filled(SECOND, "s2", 2, ago_ms=10 * MINUTE)
    site.merge([event(Seal(tube=THIRD, people=0), 99, site.console_now - 2 * HOUR, "s3")], waiting=41, ago_ms=2 * HOUR)
    page = browser.get("/sampling").text
    assert "Things that want somebody: 2" in page
    assert "Silent stations: 1" in page, "s1 has closed, s2 was just heard of"
    assert "A tube has waited for 1 d 6 h" in page
    assert 'hx-trigger="every 15s"' in page
    assert re.search(r">41</strong>\s*<span>events not yet merged", page.replace("\n", ""))
    told = site.call("GET", "/v1/sampling").json()
    assert (told["silent"], told["unmerged"], told["tubes"]["in-transit"]) == (1, 41, 2)
    assert sum(it["samples"] for it in told["hours"]) == 2
    for path in ("stations", "tubes", "batches", "recalls", "conflicts", "emergencies", "map"):
        for language in ("zh", "en"):
            assert browser.get(f"/sampling/{path}", lang=language).status_code == 200, path
    for path in ("stations", "tubes?state=waiting", "batches?missing=yes", "conflicts"):
        exported = browser.get(f"/sampling/{path}{'&' if '?' in path else '?'}format=csv")
        assert len(exported.content.decode("utf-8-sig").splitlines()) > 1, path
    assert {it.target for it in site.deeds("tables.export")} == {"stations", "tubes", "batches", "conflicts"}


def test_a_file_with_errors_goes_in_and_its_errors_come_back(site: SamplingSite) -> None:
    site.filled(FIRST, "s1", 3, ago_ms=9 * HOUR)
    site.filled(SECOND, "s2", 1, ago_ms=9 * HOUR)
    browser, tested = site.browser(), moment(site, HOUR)
    content = csv(
        f"{FIRST},positive,{tested}", f"{SECOND},perhaps,{tested}", f"x,negative,{tested}", f"{THIRD},negative,{tested}"
    )
    file = {"file": ("day.csv", content, "text/csv")}
    page = browser.post("/sampling/results", files=file, laboratory="cdc1")
    assert "Rows taken: 2, again: 0, refused: 2" in page.text
    assert site.sampling.story(FIRST).tubes[0].result == "positive", "nothing else was lost"
    link = re.search(r'href="(/sampling/results/[0-9a-f]{16})"', page.text)
    assert link is not None
    errors = browser.get(link[1])
    rows = errors.content.decode("utf-8-sig").splitlines()
    assert errors.headers["content-disposition"].endswith('.csv"')
    assert [row.split(",")[0] for row in rows[1:]] == ["3", "4", "5"]
    assert site.browser("analyst").get(link[1]).status_code == 404, "it is of whoever brought it"
    (kept,) = site.parts.imports.iterdir()
    os.utime(kept, ((site.console_now - HOUR - MINUTE) / 1000,) * 2)
    assert browser.get(link[1]).status_code == 404, "its hour is over"
    assert not kept.exists()
    again = site.call("POST", "/v1/sampling/results?laboratory=cdc1", content=content).json()
    assert (again["taken"], again["again"], again["refused"]) == (0, 2, 2)
    assert {(it["row"], it["taken"]) for it in again["notes"]} == {(3, False), (4, False)}
    assert browser.post("/sampling/results", files=file, laboratory="CDC 1").status_code == 422
    assert site.call("POST", "/v1/sampling/results?laboratory=a", content=b"\xff\xfe\xff").status_code == 422
    assert [it.target for it in site.deeds("sampling.results")] == ["results.csv", "day.csv"]
    spent = site.call("GET", "/v1/sampling").json()["turnaround"]
    assert (spent["results"], spent["p50_s"]) == (1, 8.5 * 3600), "eight hours, told as the end of its half hour"


def test_a_tube_is_recalled_settled_and_its_story_is_masked(site: SamplingSite) -> None:
    site.filled(FIRST, "s1", 3, ago_ms=9 * HOUR)
    tested = moment(site, HOUR)
    site.desk.results(csv(f"{FIRST},positive,{tested}"), "cdc1", "a.csv", OPERATOR, site.console_now)
    browser = site.browser()
    assert person("10") not in (page := browser.get(f"/sampling/tubes/{FIRST}").text)
    assert person("10")[:6] in page
    assert "To be tested singly: 3 (tubes: 1)" in browser.get("/sampling/recalls").text
    assert browser.post(f"/sampling/tubes/{FIRST}/recall", tube=f"{FIRST}@s1").status_code == 303
    assert browser.post(f"/sampling/tubes/{FIRST}/recall", tube=f"{FIRST}@s1").status_code == 422, "only once"
    site.desk.results(csv(f"{FIRST},negative,{moment(site, MINUTE)}"), "cdc2", "b.csv", OPERATOR, site.console_now)
    assert "Results in doubt: 1" in browser.get("/sampling").text
    refused = site.call(
        "POST", f"/v1/sampling/tubes/{FIRST}/settle", "analyst", json={"result": "negative", "reason": "x"}
    )
    assert refused.status_code == 403
    settled = browser.post(f"/sampling/tubes/{FIRST}/settle", tube=f"{FIRST}@s1", result="negative", reason="复检")
    assert settled.status_code == 303
    told = site.call("GET", f"/v1/sampling/tubes/{FIRST}").json()
    assert (told["tubes"][0]["result"], told["tubes"][0]["held"]) == ("negative", False)
    assert browser.get(f"/sampling/tubes?q={FIRST.lower()}").headers["location"] == f"/sampling/tubes/{FIRST}"
    assert browser.get("/sampling/tubes?q=B-s1").headers["location"] == "/sampling/batches/B-s1"
    assert "There is no tube" in browser.get("/sampling/tubes?q=nothing").text
    assert {it.deed for it in site.deeds("sampling.")} >= {"sampling.recall", "sampling.settle", "sampling.results"}


def test_a_batch_is_received_and_what_is_missing_is_said(site: SamplingSite) -> None:
    site.filled(FIRST, "s1", 3, ago_ms=2 * HOUR, expected=3)
    site.filled(SECOND, "s1", 2, ago_ms=2 * HOUR, expected=3, first=20)
    browser = site.browser()
    assert "Tubes that did not come or are not merged: 3" in browser.get("/sampling/batches/B-s1").text
    page = browser.post("/sampling/batches/B-s1/receive", laboratory="市疾控", tubes=f"{FIRST}\nXA999999").text
    assert "Received: 1 of 3 tubes" in page
    assert "there is no such tube" in page
    told = site.call("POST", "/v1/sampling/batches/B-s1/receive", json={"laboratory": "市疾控"}).json()
    assert (told["batch"]["received"], told["missing"], told["batch"]["state"]) == (2, [], "partly-received")
    assert browser.post("/sampling/batches/none/receive", laboratory="x").status_code == 404


def test_somebody_s_results_need_a_purpose_that_is_on_the_trail(site: SamplingSite) -> None:
    site.filled(FIRST, "s1", 3, ago_ms=HOUR)
    browser = site.browser()
    bare = browser.post("/sampling/person", kind="id-card", identity="10", purpose=" ")
    assert (bare.status_code, site.deeds("sampling.person")) == (422, [])
    found = browser.post("/sampling/person", kind="id-card", identity="10", purpose="本人来电 4471").text
    assert f"{FIRST}@s1" in found
    assert person("10") not in found
    (deed,) = site.deeds("sampling.person")
    assert (deed.purpose, deed.target) == ("本人来电 4471", f"{person('10')[:6]}…")
    body = {"kind": "id-card", "identity": "11"}
    assert site.call("POST", "/v1/sampling/person", json=body).status_code == 422
    told = site.call("POST", "/v1/sampling/person", json=body, headers={"hutong-purpose": "case%204"})
    assert [it["tube"] for it in told.json()["results"]] == [f"{FIRST}@s1"]
    assert browser.post("/sampling/person", kind="id-card", identity="x", purpose="case 4").status_code == 422


def test_an_emergency_takes_two_persons(site: SamplingSite) -> None:
    wish = {"district": "610102", "preset": "city-wide", "agency": "市指挥部", "document": "1号", "reason": "全员采样"}
    one = site.browser("operator")
    assert one.post("/sampling/emergencies/new", hours="9999", **wish).status_code == 422
    asked = one.post("/sampling/emergencies/new", hours="48", **wish)
    order = asked.headers["location"].partition("?")[0]
    page = one.get(order).text
    assert "another person must approve" in page
    assert f'action="{order}/approve"' not in page
    assert one.post(f"{order}/approve").status_code == 422, "whoever asks does not decide"
    assert site.call("POST", f"/v1{order}/approve", json={}).status_code == 403
    People(site.database).arrive(Identity("chen", "chen", "operator", "subject:chen"), site.console_now)
    site.cookies["second"] = site.sessions.start(People(site.database).account("chen"), "127.0.0.1", site.console_now)
    other = site.browser("second")
    assert other.post(f"{order}/approve").status_code == 303
    assert site.desk.emergencies.terms("610102", site.console_now).sizes == (10, 20)
    told = site.call("GET", "/v1/sampling/emergencies", "auditor").json()["emergencies"]
    assert [(it["state"], it["decided_by"]) for it in told] == [("in-force", "chen")]
    assert "Xincheng" in one.get("/sampling").text
    assert other.post(f"{order}/lift", reason="").status_code == 422
    assert other.post(f"{order}/lift", reason="结束").status_code == 303
    assert [it.deed.partition("_")[2] for it in site.deeds("sampling.emergency")] == ["lift", "approve", "request"]


def test_a_tablet_is_paired_by_a_code_that_is_shown_once(site: SamplingSite) -> None:
    browser = site.browser()
    for role, shown in (("operator", True), ("analyst", False), ("auditor", False)):
        assert ('action="/sampling/stations"' in site.browser(role).get("/sampling/stations").text) == shown
    assert site.browser("analyst").post("/sampling/stations", station="analyst-1", district="").status_code == 403
    for wrong, field in (
        ({"station": "nobody"}, "station"),
        ({"station": "S 1"}, "station"),
        ({"district": "61"}, "district"),
    ):
        page = browser.post("/sampling/stations", **({"station": "operator-1", "district": "610102"} | wrong))
        assert page.status_code == 422
        marked = re.search(r'<input id="pair-(\w+)"[^>]*aria-invalid', page.text)
        assert marked is not None
        assert marked[1] == field
    assert not site.deeds("sampling.pair"), "nothing was given"
    codes = []
    for language in ("zh", "en"):
        page = browser.post(f"/sampling/stations?lang={language}", station="operator-1", district="610102")
        shown_once = re.findall(r"operator-1:[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", page.text)
        assert (page.status_code, len(shown_once), page.headers["cache-control"]) == (200, 1, "no-store")
        assert "/station/" in page.text
        codes += shown_once
    assert not any(code[-14:] in browser.get("/sampling/stations").text for code in codes)
    assert [(it.who, it.target) for it in site.deeds("sampling.pair")] == [("operator-1", "operator-1")] * 2
    assert not any(code[-14:] in str(it) for it in site.deeds() for code in codes), "the trail does not have it"
    paired = site.pairings.finish(codes[1], site.console_now + CODE_MS - 1)
    assert (paired.station, paired.district) == ("operator-1", "610102")
    for code in codes:
        with pytest.raises(SamplingRefused):
            site.pairings.finish(code, site.console_now + CODE_MS - 1)


def test_a_connected_centre_registers_seals_and_hands_over_by_itself(site: SamplingSite) -> None:
    said = {"kind": "id-card", "identity": "77", "size": 5, "district": "610103"}
    path = f"/v1/sampling/tubes/{FIRST}"
    assert site.call("POST", f"{path}/register", json=said).json()["state"] == "open"
    assert site.call("POST", f"{path}/register", json=said).status_code == 409, "the same person"
    assert site.call("POST", f"{path}/register", json={**said, "identity": "none"}).status_code == 422
    assert site.call("POST", f"{path}/register", json={**said, "identity": "99"}).status_code == 422, "it is over"
    shown, headers = {"kind": "code", "identity": "99"}, {"hutong-purpose": "case%204"}
    assert site.call("POST", "/v1/sampling/person", json=shown, headers=headers).status_code == 200, "whose it was"
    assert site.call("POST", f"{path}/seal", json={"people": 2}).status_code == 422
    assert site.call("POST", f"{path}/seal", json={"people": 1}).json()["state"] == "sealed"
    both = {"tubes": [FIRST, SECOND], "courier": "周"}
    assert site.call("POST", "/v1/sampling/batches/B1/hand-over", json=both).status_code == 404
    assert site.sampling.story(FIRST).tubes[0].state == "sealed", "all of it, or nothing"
    told = site.call("POST", "/v1/sampling/batches/B1/hand-over", json={"tubes": [FIRST], "courier": "周"}).json()
    assert told["missing"] == [f"{FIRST}@node1"]
    assert site.sampling.recount() == []


def test_the_map_says_the_same_as_its_table_and_needs_no_geometry(site: SamplingSite) -> None:
    site.filled(FIRST, "s1", 4, ago_ms=10 * MINUTE)
    districts = load_districts()
    for measure in MEASURES:
        page = site.browser().get(f"/sampling/map?measure={measure}").text
        assert page.count('class="tile shade-') == len(districts.district)
        assert page.count('<th scope="row">') == len(districts.district)
    page = site.browser().get("/sampling/map").text
    assert re.search(r'shade-4" href="/sampling/stations\?district=610102"><span>Xincheng</span><strong>4<', page)
    figures = [
        DistrictFigures("610102", waiting=1),
        DistrictFigures("999999", waiting=100),
        DistrictFigures("", waiting=9),
    ]
    tiles = tiles_of(figures, districts, "waiting", site.console_now)
    places = [(it.row, it.column) for it in tiles]
    assert len(set(places)) == len(places), "no two in one place"
    assert {it.figures.code: it.shade for it in tiles if it.value} == {"610102": 1, "999999": 4, "": 1}
    told = site.call("GET", "/v1/sampling/districts").json()["districts"]
    assert [(it["code"], it["hourly"], it["waiting"], it["load"]) for it in told] == [("610102", 4, 1, 4)]


def test_turnaround_is_the_end_of_the_half_hour_that_reaches_the_share() -> None:
    spent = spent_of([Counter({0: 5}), Counter({3: 4, 10: 1})])
    assert (spent.results, spent.p50_ms, spent.p90_ms) == (10, 30 * MINUTE, 2 * HOUR)
    assert spent_of([]).p90_ms == 0
