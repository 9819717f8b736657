"""Cases and registers over HTTP: one effect, versions, files, numbers; and partners, who see their own cases alone."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_servers import ApiServer
from case_samples import DUTY, ORDER, RETEST, number_case
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.cases.model import OPEN_STATES, Actor, Part, Request
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.cases.table import ASKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

pytestmark = pytest.mark.enable_socket

NUMBER = "13800138000"
NEW = {"type": "fraud-number", "title": f"核查 {NUMBER}", "fields": {"number": NUMBER}, "unit": "移动"}
OWN = ("移动", "移动西")
NOWHERE = "node1-" + "b" * 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("cases")) as it:
        yield it


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as it:
        yield it


def good(answer: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401  # JSON
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, kind: str) -> Any:  # noqa: ANN401  # JSON
    assert answer.headers["content-type"] == "application/problem+json"
    problem = good(answer, status)
    assert problem["type"] == f"/problems/case-{kind}"
    return problem


def do(client: httpx.Client, of: str, action: str, **said: object) -> httpx.Response:
    return client.post(f"/v1/cases/{of}/do", json={"action": action, **said})


def test_a_case_is_opened_worked_on_and_closed(server: ApiServer, client: httpx.Client) -> None:
    of = good(client.post("/v1/cases", json=NEW), 201)["case"]
    good(do(client, of, "assign", version=1))
    good(do(client, of, "accept"))
    refused(do(client, of, "verify"), 409, "not-from-here")
    refused(do(client, of, "act"), 422, "no-proof")
    good(do(client, of, "act", proofs=[{"kind": "reference", "ref": "order:1"}]))
    retest = [{"kind": "retest", "ref": "dial:1"}]
    refused(do(client, of, "verify", proofs=retest), 403, "same-person")
    with server.client("analyst") as another:
        good(do(another, of, "verify", proofs=retest))
        refused(do(another, of, "close"), 403, "not-allowed")
    assert good(do(client, of, "close"))["state"] == "closed"
    story = good(client.get(f"/v1/cases/{of}"))
    assert [it["action"] for it in story["events"]] == ["find", "assign", "accept", "act", "verify", "close"]
    assert story["case"]["closed"] is not None
    assert good(client.get("/v1/cases/figures"))["states"]["closed"] == server.cases.figures("all")["closed"]


def test_a_repeated_request_has_one_effect_and_the_same_answer(server: ApiServer, client: httpx.Client) -> None:
    key = {"Idempotency-Key": "find-1"}
    first = good(client.post("/v1/cases", json=NEW, headers=key), 201)
    assert good(client.post("/v1/cases", json=NEW, headers=key), 201) == first
    refused(client.post("/v1/cases", json=NEW | {"unit": "电信"}, headers=key), 422, "key-used")
    with server.client("analyst") as another:  # whose keys are their own
        assert good(another.post("/v1/cases", json=NEW, headers=key), 201) != first
    wanted = {"ids": [first["case"], "none", first["case"]], "request": {"action": "assign"}}
    done = good(client.post("/v1/cases/do", json=wanted, headers={"Idempotency-Key": "many"}))
    assert [it["reason"] for it in done["outcomes"]] == ["", "no-case"]
    assert good(client.post("/v1/cases/do", json=wanted, headers={"Idempotency-Key": "many"})) == done
    assert [it.action for it in server.cases.events(first["case"])] == ["find", "assign"]


def test_who_saw_an_older_version_is_told_what_happened_since(client: httpx.Client) -> None:
    of = good(client.post("/v1/cases", json=NEW), 201)["case"]
    good(do(client, of, "comment", reason=f"call {NUMBER}", version=1))
    told = refused(do(client, of, "assign", version=1), 409, "changed-meanwhile")
    assert (told["version"], [it["seq"] for it in told["since"]]) == (2, [2])
    assert NUMBER not in json.dumps(told)
    assert good(do(client, of, "assign", version=2))["version"] == 3


def test_numbers_are_masked_until_the_trail_knows_what_for(server: ApiServer, client: httpx.Client) -> None:
    of = good(client.post("/v1/cases", json=NEW), 201)["case"]
    good(do(client, of, "comment", reason=f"called from {NUMBER}"))
    found = good(client.post("/v1/cases/search", json={"text": NUMBER[:8], "limit": 500}))
    assert of in {it["id"] for it in found["cases"]}
    assert (server.deeds()[0].deed, NUMBER[:8] in str(server.deeds()[0])) == ("cases.search", False)
    with server.client("auditor") as auditor:
        for text, finds in ((NUMBER[:8], False), (NUMBER, True)):
            page = good(auditor.post("/v1/cases/search", json={"text": text, "limit": 500}))
            assert (of in {it["id"] for it in page["cases"]}) is finds
    for answer in (found, good(client.get(f"/v1/cases/{of}")), good(client.get("/v1/cases"))):
        assert NUMBER not in json.dumps(answer)
    assert client.get(f"/v1/cases/{of}", params={"unmask": True}).status_code == 422
    purpose = {"Hutong-Purpose": "block%20it"}
    whole = good(client.get(f"/v1/cases/{of}", params={"unmask": True}, headers=purpose))
    assert (whole["case"]["fields"], whole["case"]["masked"]) == ({"number": NUMBER}, False)
    assert whole["events"][1]["said"]["reason"].endswith(NUMBER)
    latest = server.deeds()[0]
    assert (latest.deed, latest.target, latest.purpose) == ("numbers.unmask", of, "block it")
    with server.client("auditor") as auditor:
        assert auditor.get(f"/v1/cases/{of}", params={"unmask": True}, headers=purpose).status_code == 403


def test_pages_go_through_every_case_once(server: ApiServer, client: httpx.Client) -> None:
    for n in range(5):
        server.cases.find(number_case(f"1390013900{n}", unit="铁通"), DUTY, server.now_ms)
    seen, cursor = [], 0
    while cursor is not None:
        page = good(client.get("/v1/cases", params={"unit": "铁通", "limit": 2, "cursor": cursor}))
        assert page["count"] == 5
        seen += [it["id"] for it in page["cases"]]
        cursor = page["cursor"]
    assert len(seen) == len(set(seen)) == 5
    assert good(client.get("/v1/cases", params={"state": ["closed", "merged"], "unit": "铁通"}))["cases"] == []


def test_files_are_what_their_bytes_say_and_hostile_ones_are_refused(server: ApiServer, client: httpx.Client) -> None:
    of = good(client.post("/v1/cases", json=NEW), 201)["case"]
    place = f"/v1/cases/{of}/attachments"
    for content in (b"", b"MZ\x90\x00", b"#!/bin/sh\n", b"<html><script>", b"PK\x03\x04", b"\x7fELF"):
        refused(client.post(place, content=content), 422, "field")
    assert client.post(place, content=b"x" * (20 * 1024 * 1024 + 1)).status_code == 413
    names = ("..%2F..%2Fetc%2Fpasswd", "%E2%80%AEfdp.exe", "a%0D%0AX-Evil%3A%201", "%22;%20filename=x.html", "")
    for n, name in enumerate(names):
        kept = good(client.post(place, content=f"proof {n}".encode(), headers={"Hutong-File-Name": name}), 201)
        taken = client.get(f"{place}/{kept['sha256']}")
        assert taken.content == f"proof {n}".encode()
        assert taken.headers["content-disposition"] == f'attachment; filename="{kept["sha256"][:12]}.txt"'
        assert "x-evil" not in taken.headers
    assert client.post(place, content=b"x", headers={"Hutong-File-Name": "%ff"}).status_code == 422
    assert good(do(client, of, "attach"), 422)["type"] == "/problems/case-proof-unknown"
    refused(client.get(f"{place}/{'0' * 64}"), 404, "no-case")
    other = good(client.post("/v1/cases", json=NEW), 201)["case"]
    refused(client.get(f"/v1/cases/{other}/attachments/{kept['sha256']}"), 404, "no-case")
    assert [it.deed for it in server.deeds()].count("cases.download") == len(names)
    inside = {it.name for it in server.data.rglob("*") if it.is_file()}
    assert not {"passwd", "x.html"} & inside


def test_a_register_over_http(server: ApiServer, client: httpx.Client) -> None:
    rules = [{"field": "city", "value": "上海", "unit": "移动"}, {"unit": "电信"}]
    of = good(client.post("/v1/registers", json={"title": "整治", "type": "rectification", "rules": rules}), 201)["id"]
    rows = f"标题,整治对象,问题,地市\n一,=1+1,转租,上海\n二,,转租,上海\n三,丙 {NUMBER},转租,苏州\n"
    sheet = rows.encode("gb18030")
    done = good(client.post(f"/v1/registers/{of}/import", content=sheet))
    assert (done["taken"], done["refused"], done["encoding"]) == (2, 1, "gb18030")
    assert (done["errors"][0]["line"], done["errors"][0]["column"]) == (3, "subject")
    assert good(client.post(f"/v1/registers/{of}/import", content=sheet))["taken"] == 0
    assert good(client.post(f"/v1/registers/{of}/assign")) == {"assigned": 2}
    story = good(client.get(f"/v1/registers/{of}"))
    assert {unit: far["items"] for unit, far in story["units"].items()} == {"移动": 1, "电信": 1}
    at, whole = f"/v1/registers/{of}/export", {"unmask": True}
    exported = client.get(at).content.decode("utf-8-sig")
    assert "'=1+1" in exported
    assert NUMBER not in exported
    assert client.get(at, params=whole).status_code == 422
    purpose = {"Hutong-Purpose": "visit"}
    assert NUMBER in client.get(at, params=whole, headers=purpose).content.decode("utf-8-sig")
    assert "numbers.unmask" in {it.deed for it in server.deeds()[:2]}
    with server.client("auditor") as auditor:
        assert NUMBER not in auditor.get(at).text
        assert auditor.get(at, params=whole, headers=purpose).status_code == 403
    refused(client.get("/v1/registers/none"), 404, "no-register")


class Two:
    """Cases of two agencies, and of nobody; what the first one's people ask must be about its own alone."""

    def __init__(self, server: ApiServer, stack: ExitStack) -> None:
        self.server, self.cases = server, server.cases
        now = server.now_ms
        Agencies(server.database).add(Agency("mobile", "移动", "Mobile", "operator", OWN), now)
        Agencies(server.database).add(Agency("bank", "银行", "Bank", "bank", ("银行",)), now)
        for name, role in (("inside", "partner"), ("chief", "operator"), ("teller", "partner")):
            server.people.arrive(Identity(name, name, role, f"subject:{name}"), now)  # type: ignore[arg-type]
            server.people.set_agency(name, "bank" if name == "teller" else "mobile")
        self.clients = {
            name: stack.enter_context(server.client(None, self._secret(name))) for name in ("inside", "chief")
        }
        self.ids = [
            self.cases.find(number_case(unit=unit, owner=owner), DUTY, now).case
            for unit in (*OWN, "银行", "电信", "")
            for owner in ("", "teller" if unit == "银行" else "")
        ]
        split = self.cases.do(
            self.ids[0], Request("split", "two", parts=(Part("秘密甲", unit="银行"), Part("自己的"))), DUTY, now
        )
        self.ids += split.parts
        registers = Registers(server.database, self.cases)
        rows = "标题,整治对象,问题,责任单位\n甲,甲,x,移动\n秘密,秘密,x,银行\n"
        self.registers = [
            registers.make(title, "rectification", [AssignRule("银行")], DUTY, now).id for title in ("共有", "秘密")
        ]
        registers.take_in(self.registers[0], rows.encode(), DUTY, now)
        registers.take_in(self.registers[1], "标题,整治对象,问题,责任单位\n秘密,秘密,x,银行\n".encode(), DUTY, now)
        for of in self.ids[4:6]:
            self.cases.do(of, Request("comment", "秘密"), DUTY, now)

    def _secret(self, name: str) -> str:
        server = self.server
        scopes = server.people.account(name).role
        allowed = {"cases.read", "cases.work", "cases.unmask"}
        if scopes == "operator":
            allowed |= {"cases.find", "cases.assign", "cases.verify", "cases.close", "tables.export"}
        return server.tokens.make(name, "test", allowed, server.now_ms + 3_600_000, server.now_ms)[1]

    def outside(self) -> dict[str, int]:
        """Cases that the agency does not see, and their versions."""
        with self.server.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT id, unit, version FROM cases").all()
        return {of: version for of, unit, version in rows if unit not in OWN}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with ApiServer(tmp_path_factory.mktemp("partners")) as server, ExitStack() as stack:
        yield Two(server, stack)


scopes = st.sampled_from(("all", "type", "unit", "owner", "register"))
units = st.sampled_from((*OWN, "银行", "电信", ""))
actions = st.sampled_from((*ASKED, "assign", "accept", "act", "return", "transfer", "merge"))


@st.composite
def asked(draw: st.DrawFn, ids: list[str], registers: list[str]) -> tuple[str, str, dict[str, Any]]:
    """Any request that an agency's program may come upon."""
    of = draw(st.sampled_from([*ids, NOWHERE]))
    register = draw(st.sampled_from([*registers, "none"]))
    request = {
        "action": draw(actions),
        "reason": "because",
        "unit": draw(units),
        "owner": draw(st.sampled_from(("", "inside", "chief", "teller"))),
        "into": draw(st.sampled_from(["", *ids])),
        "proofs": [{"kind": "reference", "ref": "order:1"}],
        "parts": draw(st.sampled_from(([], [{"title": "a"}, {"title": "b", "unit": "银行"}], [{"title": "a"}] * 2))),
    }
    filters = {
        "unit": draw(units),
        "register": draw(st.sampled_from(["", *registers])),
        "parent": of,
        "owner": "teller",
    }
    names = ["", "银行", "teller", "fraud-number", *registers]
    some = {name: filters[name] for name in draw(st.sets(st.sampled_from(sorted(filters))))}
    search = some | {"text": draw(st.sampled_from(("", of, "138", "秘密", "甲"))), "changed": draw(st.booleans())}
    return draw(
        st.sampled_from(
            (
                ("GET", "/v1/cases", {"params": some}),
                ("POST", "/v1/cases/search", {"json": search}),
                ("POST", "/v1/cases/search", {"json": search | {"states": list(OPEN_STATES)}}),
                ("GET", f"/v1/cases/{of}", {}),
                ("GET", f"/v1/cases/{of}?unmask=true", {"headers": {"Hutong-Purpose": "x"}}),
                ("POST", f"/v1/cases/{of}/do", {"json": request}),
                ("POST", "/v1/cases/do", {"json": {"ids": [of, NOWHERE], "request": request}}),
                ("POST", f"/v1/cases/{of}/attachments", {"content": b"text"}),
                ("GET", f"/v1/cases/{of}/attachments/{'0' * 64}", {}),
                ("POST", "/v1/cases", {"json": NEW | {"unit": request["unit"], "owner": request["owner"]}}),
                ("GET", "/v1/cases/figures", {"params": {"scope": draw(scopes), "name": draw(st.sampled_from(names))}}),
                ("GET", "/v1/registers", {}),
                ("GET", f"/v1/registers/{register}", {}),
                ("GET", f"/v1/registers/{register}/export", {}),
                ("POST", f"/v1/registers/{register}/import", {"content": "标题,整治对象,问题\n一,x,y\n".encode()}),
                ("POST", f"/v1/registers/{register}/assign", {}),
                ("POST", "/v1/registers", {"json": {"title": "x", "type": "rectification"}}),
            )
        )
    )


def sent(kwargs: dict[str, Any]) -> str:
    return json.dumps(kwargs, default=str)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_sequence_of_requests_shows_or_changes_a_case_of_others(two: Two, data: st.DataObject) -> None:
    """Whatever the agency's people ask, in whatever order; a case that they send back is not theirs any more."""
    for _ in range(data.draw(st.integers(1, 12))):
        who = data.draw(st.sampled_from(sorted(two.clients)))
        method, path, kwargs = data.draw(asked(two.ids, two.registers))
        before = two.outside()
        answer = two.clients[who].request(method, path, **kwargs)
        assert answer.status_code < 500, answer.text
        after = two.outside()
        assert {of: after[of] for of in before} == before, "changed"
        said = path + sent(kwargs)
        shown = [of for of in before if of in answer.text and of not in said]
        assert shown == []
        assert "秘密" not in answer.text or "秘密" in sent(kwargs)
        named = next((of for of in before if f"/{of}" in path), None)
        if named is not None and answer.status_code != 403:
            assert answer.status_code == 404
            nobodys = two.clients[who].request(method, path.replace(named, NOWHERE), **kwargs)
            assert nobodys.text.replace(NOWHERE, named) == answer.text


def test_what_an_agency_counts_is_its_own(two: Two) -> None:
    own = sum(1 for of in two.ids if two.cases.case(of).unit in OWN)
    client = two.clients["inside"]
    for scope in ("all", "type", "unit", "owner", "register"):
        names = {"type": ["fraud-number"], "unit": ["银行", *OWN], "owner": ["teller"], "register": two.registers}
        for name in names.get(scope, [""]):
            counted = good(client.get("/v1/cases/figures", params={"scope": scope, "name": name}))
            every = [two.cases.case(it["id"]) for it in _all(two, scope, name)]
            assert sum(counted["states"].values()) == len(every), (scope, name)
    listed = good(client.get("/v1/registers"))["registers"]
    assert [(it["id"], it["progress"]["items"]) for it in listed] == [(two.registers[0], 1)]
    assert good(client.get(f"/v1/registers/{two.registers[0]}"))["rules"] == []
    refused(client.get(f"/v1/registers/{two.registers[1]}"), 404, "no-register")
    assert own


def _all(two: Two, scope: str, name: str) -> list[dict[str, str]]:
    column = {"all": "'' ", "type": "type", "unit": "unit", "owner": "owner", "register": "register"}[scope]
    with two.server.database.read() as connection:
        marks = ", ".join(f"'{unit}'" for unit in OWN)
        query = f"SELECT id FROM cases WHERE {column} = ? AND unit IN ({marks})"  # noqa: S608  # our own words
        return [{"id": row.id} for row in connection.exec_driver_sql(query, (name,))]


def test_a_disabled_agency_and_an_unbound_partner_see_nothing(server: ApiServer) -> None:
    server.cases.find(number_case(unit="公安"), DUTY, server.now_ms)
    with server.client("partner") as nobody:
        assert good(nobody.get("/v1/cases"))["count"] == 0
    agencies = Agencies(server.database)
    agencies.add(Agency("police", "公安", "Police", "police", ("公安",)), server.now_ms)
    server.people.set_agency("partner", "police")
    now = server.now_ms

    def secret() -> str:
        return server.tokens.make("partner", "t", {"cases.read"}, now + 1000_000, now)[1]

    with server.client(None, secret()) as police:
        assert good(police.get("/v1/cases"))["count"] == 1
    bound = server.tokens.make("operator", "t", {"cases.read"}, now + 1000_000, now, "police")[1]
    with server.client(None, bound) as narrowed:
        assert {it["unit"] for it in good(narrowed.get("/v1/cases"))["cases"]} == {"公安"}
    agencies.set_disabled("police", disabled=True)
    for made in (secret(), server.tokens.make("operator", "t", {"cases.read"}, now + 1000_000, now, "police")[1]):
        with server.client(None, made) as gone:
            assert good(gone.get("/v1/cases"))["count"] == 0


def test_nobody_is_given_a_case_that_they_would_not_see(two: Two) -> None:
    of = two.cases.find(number_case(unit="电信"), DUTY, two.server.now_ms).case
    everything = Actor("duty", DUTY.permissions)
    for request in (Request("assign", unit="电信", owner="inside"), Request("assign", owner="teller")):
        with pytest.raises(Exception, match="does not see"):
            two.cases.do(of, request, everything, two.server.now_ms)
    two.cases.do(of, Request("assign", unit="移动", owner="inside"), everything, two.server.now_ms)
    client = two.clients["inside"]
    good(do(client, of, "accept"))
    good(do(client, of, "act", proofs=[{"kind": "reference", "ref": ORDER.ref}]))
    refused(do(client, of, "verify", proofs=[{"kind": "retest", "ref": RETEST.ref}]), 403, "not-allowed")
