"""Codes for staff, over HTTP: two agencies, appeals, venues, look-ups under an order, codes by hand; the trail."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from litestar.testing import TestClient

from console_pages import NOW, ConsoleSite
from fresh_records import lay_out
from hutong.app import codes_console
from hutong.app.config import load_config
from hutong.app.services import Services
from hutong.codes.people.documents import read_document
from hutong.codes.scans.model import Batch, Scan, Source
from hutong.codes.status.changes import HOUSE
from hutong.codes.status.evidence import Result
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.metrics import Metrics
from hutong.kernel.reporter import Reporter, rfc3339_ms
from hutong.kernel.web.api.desk import Desk as ApiDesk
from hutong.kernel.web.api.limits import Buckets
from hutong.kernel.web.api.meters import Meters
from status_samples import NUMBER, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

    from hutong.codes.status.desk import StatusDesk
    from hutong.kernel.access.permissions import Role

NOW_MS = NOW * 1000
HOUR = 3_600_000
DAY_MS = 24 * HOUR


class CodesSite(ConsoleSite):
    """The pages of codes of a node: a person with a positive result; two people of one agency, one of another."""

    def __init__(self, data: Path) -> None:
        lay_out(data / "records.db")
        config = load_config(None, data=data, environ={})
        super().__init__(data, texts=[], folders=[codes_console.HOME], nav=codes_console.NAV)
        self.services = Services(config, self.clock, Reporter("serve", level="error"))
        self.services.open()
        self.desk = codes_console.staff_desk(self.services)
        limits = ApiDesk(self.trail, self.clock, Buckets(10_000), Meters(Metrics()))
        api = codes_console.section(self.desk, limits).routes
        self.build([*codes_console.console_pages(self.desk, self.console), *api])
        people, agencies = People(self.database), Agencies(self.database)
        for id_, zh, kind in (("health", "卫健委", "other"), ("police", "公安局", "police")):
            agencies.add(Agency(id_, zh, id_.title(), kind, (zh,)), NOW_MS)  # type: ignore[arg-type]
        for name, agency in (("health-1", "health"), ("health-2", "health"), ("police-1", "police")):
            account = people.arrive(Identity(name, name, "partner", f"subject:{name}"), NOW_MS).account
            people.set_agency(name, agency)
            self.cookies[name] = self.sessions.start(account, "127.0.0.1", NOW_MS)
        self.desk.ring.upkeep(NOW_MS)
        status = self.status
        self.person = status.statuses.people.register(read_document("id", NUMBER), "王小明", "13800138000", NOW_MS)
        status.statuses.take(self.person, [Result(id="tube", at_ms=NOW_MS - HOUR, result="positive")], NOW_MS)

    @property
    def status(self) -> StatusDesk:
        return self.desk.status

    def api(self, name: str, role: Role = "partner") -> Api:
        """A program of somebody's."""
        secret = Tokens(self.database, 365).make(name, "test", permissions_of(role), NOW_MS + DAY_MS, NOW_MS)[1]
        return Api(TestClient(self._app, base_url="http://127.0.0.1"), secret)  # type: ignore[arg-type]  # it is built

    def close(self) -> None:
        self.services.close()
        super().close()


class Api:
    """Asks as a program."""

    def __init__(self, client: TestClient[Any], secret: str) -> None:
        self._client, self._headers = client, {"authorization": f"Bearer {secret}", "host": "127.0.0.1"}

    def get(self, path: str) -> Any:  # noqa: ANN401  # JSON
        answer = self._client.get(f"/v1{path}", headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object, purpose: str = "") -> Response:
        said = {"Hutong-Purpose": quote(purpose)} if purpose else {}
        return self._client.post(f"/v1{path}", json=body, headers={**self._headers, **said})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[CodesSite]:
    it = CodesSite(tmp_path)
    yield it
    assert not it.errors
    it.close()


def field(reply: Response, pattern: str) -> str:
    found = re.search(pattern, reply.text)
    assert found is not None, reply.text
    return found[1]


def whole(reply: Response, site: CodesSite) -> bool:
    """Whether an answer says whose it is."""
    return any(it in reply.text for it in (NUMBER, "王小明", "小明", site.person, "13800138000"))


def local(ms: int) -> str:
    """A time as a form has it, in China."""
    return datetime.fromtimestamp(ms / 1000 + 8 * 3600, UTC).strftime("%Y-%m-%dT%H:%M")


def test_why_a_person_has_a_colour_is_shown_masked_for_a_purpose_and_stands_on_the_trail(site: CodesSite) -> None:
    operator = site.browser()
    asked = {"kind": "id", "number": NUMBER}
    assert operator.post("/colours", **asked, purpose=" ").status_code == 422
    assert operator.post("/colours", kind="id", number=NUMBER[:-1] + "0", purpose="热线").status_code == 422
    assert not site.deeds("codes.explain")
    shown = operator.post("/colours", **asked, purpose="12345 hotline")
    assert shown.status_code == 200
    standing = site.status.statuses.standing(site.person, NOW_MS)
    assert standing.commitment in shown.text
    assert standing.rule in shown.text
    assert "王* ···38" in shown.text
    assert not whole(shown, site)
    told = site.deeds("codes.explain")
    assert [(it.who, it.target, it.purpose) for it in told] == [("operator-1", standing.event, "12345 hotline")]
    overview = operator.get("/colours")
    assert re.search(r"red</span></dt><dd>1</dd>", overview.text)


def test_a_colour_by_hand_takes_two_agencies(site: CodesSite) -> None:
    asked = {"kind": "id", "number": NUMBER, "colour": "yellow", "reason": "核对中", "basis": "epidemic-act"}
    asked |= {"document": "卫2号", "days": "3"}
    with pytest.raises(AccessError, match="this house itself"):
        Agencies(site.database).add(Agency(HOUSE, "公司", "House", "other", ("公司",)), NOW_MS)
    health, colleague, police = (site.browser(it) for it in ("health-1", "health-2", "police-1"))
    assert site.browser("partner").post("/colours/changes/new", **asked).status_code == 422
    assert "bound to no agency" in site.browser("partner").post("/colours/changes/new", **asked).text
    place = health.post("/colours/changes/new", **asked).headers["location"].partition("?")[0]
    assert health.post("/colours/changes/new", **asked).status_code == 422, "one at a time"
    for who in (health, colleague):
        again = who.post(f"{place}/approve")
        assert again.status_code == 422
        assert "approve" not in re.findall(r'action="[^"]*/(\w+)"', who.get(place).text)
    assert site.browser("partner").get(place).status_code == 404
    seen = police.get("/colours/changes?state=requested")
    assert place in seen.text
    assert not whole(seen, site)
    assert police.post(f"{place}/approve").status_code == 303
    assert site.status.statuses.standing(site.person, NOW_MS).colour == "yellow"
    assert police.post(f"{place}/decline", reason="late").status_code == 409
    assert site.browser().post(f"{place}/lift").status_code == 422, "without a reason"
    assert site.browser().post(f"{place}/lift", reason="核实有误").status_code == 303
    assert site.status.statuses.standing(site.person, NOW_MS).colour == "red"
    steps = [(it.who, it.deed, it.after["agency"]) for it in site.deeds("codes.change")]
    assert steps[::-1] == [
        ("health-1", "codes.change_request", "health"),
        ("police-1", "codes.change_approve", "police"),
        ("operator-1", "codes.change_lift", "house"),
    ]
    assert place in police.get("/colours/changes").text, "which it took part in"
    other = health.post("/colours/changes/new", **asked).headers["location"].partition("?")[0]
    assert site.browser().post(f"{other}/decline", reason="证据不足").status_code == 303
    assert other not in police.get("/colours/changes").text, "which is none of its business any more"
    assert police.get(other).status_code == 404


def test_an_appeal_is_decided_on_its_page_and_the_colour_follows(site: CodesSite) -> None:
    second = Result(id="tube-2", at_ms=NOW_MS - HOUR + 1, result="positive")
    site.status.statuses.take(site.person, [second], NOW_MS)
    appeal = site.status.appeals.take(site.person, "这不是我的样本", NOW_MS)
    operator = site.browser()
    assert appeal.id in operator.get("/colours/appeals").text
    shown = operator.get(f"/colours/appeals/{appeal.id}")
    assert "这不是我的样本" in shown.text
    assert not whole(shown, site)
    assert [it.target for it in site.deeds("codes.appeal_read")] == [appeal.id]
    place = f"/colours/appeals/{appeal.id}"
    wrong = operator.post(place, verdict="corrected", reasons="x")
    assert wrong.status_code == 422, "nothing would be put right"
    both: Any = ["tube", "tube-2"]  # two boxes come as the same field twice
    wrong = operator.post(place, verdict="corrected", void=both, reasons=" ")
    assert wrong.status_code == 422, "without reasons"
    assert re.findall(r'name="void" value="([^"]+)" checked', wrong.text) == both
    assert operator.post(place, verdict="corrected", void=both, reasons="标签有误").status_code == 303
    assert site.status.statuses.standing(site.person, NOW_MS).colour == "green"
    assert operator.post(place, verdict="upheld", reasons="x").status_code == 409
    assert [it.deed for it in site.deeds("codes.appeal_corr")] == ["codes.appeal_corrected"]
    assert site.browser("auditor").get(place).status_code == 403


def test_appeals_are_seen_by_whoever_sees_their_cases(site: CodesSite) -> None:
    appeal = site.status.appeals.take(site.person, "这不是我的样本", NOW_MS)
    accounts = People(site.database)
    account = accounts.arrive(Identity("op-2", "op-2", "operator", "subject:op-2"), NOW_MS).account
    accounts.set_agency("op-2", "police")
    site.cookies["op-2"] = site.sessions.start(account, "127.0.0.1", NOW_MS)
    bound, program = site.browser("op-2"), site.api("op-2", "operator")
    place, decision = f"/colours/appeals/{appeal.id}", {"verdict": "upheld", "reasons": "x"}
    shown = bound.get("/colours/appeals")
    assert shown.status_code == 200
    assert appeal.id not in shown.text
    assert bound.get(place).status_code == bound.post(place, **decision).status_code == 404
    assert program.get("/colours/appeals") == {"appeals": [], "next": None}
    assert program.post(f"{place}/decision", decision).status_code == 404
    assert not site.deeds("codes.appeal_read")
    house = site.api("operator-1", "operator")
    assert [it["id"] for it in house.get("/colours/appeals")["appeals"]] == [appeal.id]
    assert house.post(f"{place}/decision", decision).status_code == 200


def test_venues_are_registered_found_and_printed(site: CodesSite) -> None:
    operator = site.browser()
    wish = {"title": "西仓市场", "kind": "market", "district": "610104", "capacity": "300", "unit": "莲湖区市场办"}
    assert operator.post("/venues/new", **(wish | {"district": "6101"})).status_code == 422
    place = operator.post("/venues/new", **wish).headers["location"].partition("?")[0]
    for query in ("?title=西仓", f"?title={place.rpartition('/')[2]}", "?district=610104&kind=market", "?state=issued"):
        assert place in operator.get(f"/venues{query}").text, query
    for query in ("?title=仓", "?kind=mall", "?state=withdrawn", "?title=西仓&kind=mall", f"?title={place[8:]}&unit=x"):
        assert place not in operator.get(f"/venues{query}").text, query
    poster = operator.get(f"{place}/poster")
    assert "请扫码登记" in poster.text
    assert "Scan to check in" in poster.text
    assert "<svg" in poster.text
    assert operator.post(f"{place}/withdraw", reason="", version="1").status_code == 422
    assert operator.post(f"{place}/withdraw", reason="停业", version="1").status_code == 303
    assert operator.post(f"{place}/reissue", reason="恢复", version="1").status_code == 409, "somebody was faster"
    assert operator.get(f"{place}/poster").status_code == 404
    assert [it.deed for it in site.deeds("venues.")] == ["venues.withdraw", "venues.issue"]


def test_lists_follow_each_other_by_cursors(site: CodesSite) -> None:
    operator = site.browser()
    wish = {"kind": "market", "district": "610104", "capacity": "3", "unit": "市场办"}
    for number in range(53):
        site.clock.advance(1_000_000)  # type: ignore[attr-defined]  # it stands otherwise
        operator.post("/venues/new", **wish, title=f"摊位{number:02d}")
    first = operator.get("/venues?kind=market")
    following = field(first, r'rel="next" href="([^"]+)"').replace("&amp;", "&")
    second = operator.get(f"/venues{following}")
    titles = [re.findall("摊位[0-9]{2}", it.text) for it in (first, second)]
    assert [len(it) for it in titles] == [50, 3]
    assert titles[0] + titles[1] == [f"摊位{number:02d}" for number in range(53)]
    assert 'rel="next"' not in second.text


def test_a_look_up_needs_an_order_that_another_person_approved(site: CodesSite) -> None:
    operator, health, colleague, police = (site.browser(it) for it in ("operator", "health-1", "health-2", "police-1"))
    wish = {"title": "西仓市场", "kind": "market", "district": "610104", "capacity": "300", "unit": "莲湖区市场办"}
    venue = operator.post("/venues/new", **wish).headers["location"].partition("?")[0].rpartition("/")[2]
    names = site.desk._names  # noqa: SLF001  # what codes show
    who = names.name(site.person, (NOW_MS + 8 * HOUR) // DAY_MS).hex()
    scan = Scan(sequence=1, at_ms=NOW_MS - HOUR, venue=venue, verdict="valid", who=who, code="00" * 8)
    site.desk.scanning.scans.merge([Batch(Source("gate-1", "00" * 8), NOW_MS, (scan,))], NOW_MS)
    asked = {"scope": "venue", "venue": venue, "since": local(NOW_MS - 2 * HOUR), "until": local(NOW_MS)}
    asked |= {"document": "疾控8号", "basis": "epidemic", "basis_text": "第十二条", "reason": "流调", "days": "2"}
    assert police.post("/lookups/new", **asked).status_code == 422, "no basis of the police's"
    place = health.post("/lookups/new", **asked).headers["location"].partition("?")[0]
    run = {"since": asked["since"], "until": asked["until"], "purpose": "第3例"}
    assert health.post(f"{place}/run", **run).status_code == 422, "not approved"
    assert health.post(f"{place}/approve").status_code == 422, "not by who asked"
    assert police.get(place).status_code == police.post(f"{place}/approve").status_code == 404
    assert place not in police.get("/lookups").text
    assert place not in site.browser("partner").get("/lookups").text
    assert operator.post(f"{place}/approve", version="1").status_code == 303
    assert operator.post(f"{place}/run", **run).status_code == 403
    assert colleague.post(f"{place}/run", **(run | {"purpose": " "})).status_code == 422
    for time in ("since", "until"):
        assert colleague.post(f"{place}/run", **(run | {time: ""})).status_code == 422, "not all of the order's time"
    found = colleague.post(f"{place}/run", **run)
    assert found.status_code == 200
    assert who[:8] in found.text
    assert who not in found.text
    assert not whole(found, site)
    assert health.post(f"{place}/revoke", reason="误").status_code == 303
    assert colleague.post(f"{place}/run", **run).status_code == 422
    deeds = [(it.who, it.deed) for it in site.deeds("scans.lookup")][::-1]
    assert deeds == [
        ("health-1", "scans.lookup_refused"),
        ("health-2", "scans.lookup"),
        ("health-2", "scans.lookup_answer"),
        ("health-2", "scans.lookup_refused"),
    ]


def test_codes_are_issued_on_paper_and_for_now_and_revoked(site: CodesSite) -> None:
    operator = site.browser()
    asked = {"kind": "id", "number": NUMBER, "purpose": "没有手机"}
    assert operator.post("/personal-codes", **asked | {"purpose": ""}, form="paper").status_code == 422
    assert operator.post("/personal-codes", **asked | {"number": OTHER}, form="paper").status_code == 422, "no name"
    paper, now = (operator.post("/personal-codes", **asked, form=form) for form in ("paper", "now"))
    handles = [field(it, r'<dd class="mono">([0-9a-f]{16})</dd>') for it in (paper, now)]
    for reply in (paper, now):
        assert "<svg" in reply.text
        assert "王*" in reply.text
        assert not whole(reply, site)
    assert operator.post("/personal-codes/revoke", handle=handles[0], why="遗失").status_code == 200
    assert operator.post("/personal-codes/revoke", handle="00" * 8, why="遗失").status_code == 422
    rest = operator.post("/personal-codes/revoke", kind="id", number=NUMBER, why="证件被盗")
    assert "1 revoked" in rest.text
    assert [(it.deed, it.target) for it in site.deeds("codes.issue")] == [("codes.issue", it) for it in handles[::-1]]
    assert {it.target for it in site.deeds("codes.revoke")} == set(handles)
    assert {it.purpose for it in site.deeds("codes.revoke")} == {"遗失", "证件被盗"}


def test_family_links_are_made_listed_masked_and_ended(site: CodesSite) -> None:
    operator = site.browser()
    pair = {"guardian_kind": "id", "guardian_number": NUMBER, "ward_kind": "id", "ward_number": OTHER}
    pair |= {"proof": "paper", "days": "30"}
    assert operator.post("/personal-codes/family/link", **pair, link="child").status_code == 422
    made = operator.post("/personal-codes/family/link", **pair, link="elder")
    assert made.status_code == 200
    assert "The link is made" in made.text
    assert operator.post("/personal-codes/family", kind="id", number=NUMBER).status_code == 422, "no purpose"
    shown = operator.post("/personal-codes/family", kind="id", number=OTHER, purpose="窗口办理")
    assert "王* ···38" in shown.text
    assert not whole(shown, site)
    of = field(shown, r'/personal-codes/family/([^/"]+)/unlink')
    assert operator.post(f"/personal-codes/family/{of}/unlink", by="ward").status_code == 200
    assert operator.post(f"/personal-codes/family/{of}/unlink", by="ward").status_code == 422
    deeds = [(it.deed, it.target) for it in site.deeds("codes.")][:3]
    assert deeds == [("codes.unlink", of), ("codes.family", ""), ("codes.link", of)]


def test_auditors_see_how_old_keys_are_and_nothing_secret(site: CodesSite) -> None:
    shown = site.browser("auditor").get("/code-keys")
    (term,) = site.desk.keys(NOW_MS)
    assert term.public().kid.hex() in shown.text
    assert term.record.secret.hex() not in shown.text
    assert site.browser("operator").get("/code-keys").status_code == 403
    assert site.browser("auditor").get("/colours/rules").status_code == 200


def test_programs_of_two_agencies_change_a_colour(site: CodesSite) -> None:
    health, colleague, police = (site.api(it) for it in ("health-1", "health-2", "police-1"))
    person = {"kind": "id", "number": NUMBER}
    asked = {"person": person, "colour": "yellow", "reason": "核对中", "basis": "epidemic-act", "document": "卫2号"}
    made = health.post("/colours/changes", asked | {"term_s": 86_400})
    assert made.status_code == 201
    place = f"/colours/changes/{made.json()['id']}"
    assert [it.post(f"{place}/approve", {}).status_code for it in (health, colleague)] == [403, 403]
    unbound = site.api("partner-1")
    assert unbound.get("/colours/changes") == {"changes": [], "next": None}
    assert unbound.post(f"{place}/approve", {}).status_code == 404
    # A token that is bound to another agency makes nobody somebody of that agency.
    scopes = permissions_of("partner")
    secret = Tokens(site.database, 365).make("health-2", "other", scopes, NOW_MS + DAY_MS, NOW_MS, "police")[1]
    assert Api(colleague._client, secret).post(f"{place}/approve", {}).status_code == 404  # noqa: SLF001  # another's
    # One of this house's people that is bound to an agency sees and does nothing, of neither.
    secret = Tokens(site.database, 365).make(
        "operator-1", "bound", permissions_of("operator"), NOW_MS + DAY_MS, NOW_MS, "police"
    )[1]
    bound = Api(colleague._client, secret)  # noqa: SLF001  # as above
    assert bound.get("/colours/changes") == {"changes": [], "next": None}
    assert bound.get("/lookups") == {"orders": [], "next": None}
    assert bound.post(f"{place}/decline", {"reason": "x"}).status_code == 404
    assert bound.post("/colours/explain", {"document": person}, "热线").status_code == 403
    approved = police.post(f"{place}/approve", {})
    assert (approved.status_code, approved.json()["decided_agency"]) == (200, "police")
    operator = site.api("operator-1", "operator")
    assert operator.post("/colours/explain", {"document": person}).status_code == 422, "no purpose"
    told = operator.post("/colours/explain", {"document": person, "language": "en"}, "热线")
    assert told.json()["colour"] == "yellow"
    assert not whole(told, site)
    assert operator.get("/colours/figures")["people"] == {"green": 0, "yellow": 1, "red": 0}


def test_programs_look_scans_up_under_an_order(site: CodesSite) -> None:
    operator, health, police = site.api("operator-1", "operator"), site.api("health-1"), site.api("police-1")
    wish = {"title": "西仓市场", "kind": "market", "district": "610104", "capacity": 300, "unit": "市场办"}
    venue = operator.post("/venues", wish).json()["id"]
    head = {"source": {"device": "gate-1", "series": "00" * 8}, "clock_ms": NOW_MS}
    scan = {"sequence": 1, "at_ms": NOW_MS - HOUR, "venue": venue, "verdict": "valid", "who": "ab" * 12}
    merged = operator._client.post(  # noqa: SLF001  # lines, not JSON
        "/v1/scan-files",
        content=f"{json.dumps(head)}\n{json.dumps(scan)}\n{{}}\n",
        headers=operator._headers,  # noqa: SLF001
    )
    assert merged.json() == {"taken": 1, "again": 0, "over": 0, "refused": [ANY]}
    rubbish = operator._client.post(  # noqa: SLF001  # as above
        "/v1/scan-files",
        content=f"{json.dumps(head)}\n{json.dumps(scan | {'sequence': 2})}\n" + "{}\n" * 3000,
        headers=operator._headers,  # noqa: SLF001
    )
    assert rubbish.status_code == 422
    assert [it.after["taken"] for it in site.deeds("scans.merge")] == [1, 1], "what stood before is merged"
    since, until = rfc3339_ms(NOW_MS - 2 * HOUR), rfc3339_ms(NOW_MS)
    asked = {"scope": {"venue": venue, "since": since, "until": until}, "document": "疾控8号", "basis": ["epidemic"]}
    asked |= {"basis_text": "第十二条", "reason": "流调", "term_s": 86_400}
    order = health.post("/lookups", asked).json()["id"]
    time = {"since": since, "until": until}
    assert health.post(f"/lookups/{order}/run", time, "第3例").status_code == 409, "not approved"
    assert police.post(f"/lookups/{order}/approve", {}).status_code == 404
    assert operator.post(f"/lookups/{order}/approve", {}).status_code == 200
    assert health.post(f"/lookups/{order}/run", time).status_code == 422, "no purpose"
    found = health.post(f"/lookups/{order}/run", time, "第3例").json()
    assert (found["count"], found["scans"][0]["who"], found["scans"][0]["venue"]) == (2, "ab" * 12, venue)
    longer = {"since": rfc3339_ms(NOW_MS - 3 * HOUR), "until": until}
    assert health.post(f"/lookups/{order}/run", longer, "第3例").status_code == 422, "beyond the order"
    assert [it["id"] for it in health.get("/lookups")["orders"]] == [order]
    assert police.get("/lookups") == {"orders": [], "next": None}
