"""Evidence, proposals and what becomes of them, over HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from api_servers import ApiServer
from evidences import evidence_of
from hutong.calls.evidence.store import EvidenceStore
from hutong.calls.rule_book import STAGES_FILE, RuleShelf
from hutong.kernel.rules.stages import find_rule, read_stages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from hutong.kernel.access.permissions import Role

pytestmark = pytest.mark.enable_socket

RULE = "calls.many-callees"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "node") as it:
        it.people.add("second", "Second", "operator", it.now_ms)
        yield it


@pytest.fixture
def second(server: ApiServer) -> Iterator[httpx.Client]:
    """A second operator."""
    scopes = frozenset({"rules.read", "rules.approve", "rules.propose"})
    secret = server.tokens.make("second", "test", scopes, server.now_ms + 86_400_000, server.now_ms)[1]
    with server.client() as client:
        client.headers["authorization"] = f"Bearer {secret}"
        yield client


def keep(server: ApiServer, **figures: int) -> str:
    rule = find_rule(RuleShelf(server.data).book().ruleset, RULE)
    return EvidenceStore(server.data / "evidence").keep(evidence_of(rule, server.now_ms, **figures))


def propose(client: httpx.Client, evidence: str, to: str = "block", rule: str = RULE) -> httpx.Response:
    return client.post("/v1/proposals", json={"rule": rule, "to": to, "evidence": evidence, "why": "March"})


def approve(client: httpx.Client, number: int = 1) -> httpx.Response:
    return client.post(f"/v1/proposals/{number}/approve", json={"why": "looked at"})


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    told: dict[str, Any] = answer.json()
    return str(told["detail"])


def test_one_proposes_another_approves_and_both_are_on_the_trail(server: ApiServer, second: httpx.Client) -> None:
    evidence = keep(server)
    with server.client("analyst") as analyst, server.client() as operator:
        (listed,) = analyst.get("/v1/evidence").json()["evidence"]
        assert (listed["id"], listed["rules"]) == (evidence, [f"{RULE}@1"])
        whole = analyst.get(f"/v1/evidence/{evidence}").json()
        assert whole["rules"][0]["effect"]["rate"]["hits"] == 0
        made = propose(analyst, evidence)
        assert made.status_code == 201, made.text
        assert (made.json()["number"], made.json()["state"], made.json()["by"]) == (1, "open", "analyst")
        assert operator.get(f"/v1/rules/{RULE}").json()["stage"] == "warn"
        done = approve(second)
        assert done.status_code == 200, done.text
        assert (done.json()["state"], done.json()["decided_by"]) == ("approved", "second")
        assert operator.get(f"/v1/rules/{RULE}").json()["stage"] == "block"
        assert "is approved by second" in detail(approve(second), 409)
    approved, proposed = server.deeds()[:2]
    assert (approved.who, approved.deed, approved.before["stage"], approved.after["stage"]) == (
        "second",
        "rules.approve",
        "warn",
        "block",
    )
    assert (proposed.who, proposed.deed, proposed.after["evidence"]) == ("analyst", "rules.propose", evidence)


def test_who_proposed_cannot_approve(server: ApiServer) -> None:
    with server.client() as operator:
        assert propose(operator, keep(server)).status_code == 201
        assert "another person must approve" in detail(approve(operator), 403)
        assert operator.get(f"/v1/rules/{RULE}").json()["stage"] == "warn"


def test_a_rule_that_would_block_a_hospital_is_refused(server: ApiServer) -> None:
    with server.client() as operator:
        said = detail(propose(operator, keep(server, protected=2)), 422)
        assert "2 legitimate calls of hospitals" in said
        assert "2 次正常呼叫" in said
        assert operator.get("/v1/proposals").json() == {"proposals": []}


@pytest.mark.parametrize(
    ("figures", "told"), [({"wrong": 30}, "above the limit of 10"), ({"calls": 1000}, "takes 368,887 at least")]
)
def test_evidence_that_does_not_do_is_refused(server: ApiServer, figures: dict[str, int], told: str) -> None:
    with server.client() as operator:
        assert told in detail(propose(operator, keep(server, **figures)), 422)


def test_what_cannot_be(server: ApiServer, second: httpx.Client) -> None:
    with server.client() as operator:
        evidence = keep(server)
        detail(propose(operator, evidence, rule="calls.nothing"), 404)
        assert "no evidence" in detail(propose(operator, "0123456789abcdef"), 422)
        assert "in stage warn already" in detail(propose(operator, evidence, to="warn"), 422)
        assert propose(operator, evidence).status_code == 201
        assert "is open" in detail(propose(second, evidence), 409)
        detail(approve(second, 7), 404)
        refused = second.post("/v1/proposals/1/refuse", json={"why": "a clinic"})
        assert (refused.status_code, refused.json()["state"]) == (200, "refused")
        detail(approve(second), 409)
        detail(operator.get("/v1/evidence/0123456789abcdef"), 404)


def test_a_node_with_one_person_cannot_promote(server: ApiServer) -> None:
    server.people.set_disabled("second", True, server.now_ms)  # noqa: FBT003  # its one argument
    with server.client() as operator:
        assert "takes two persons" in detail(propose(operator, keep(server)), 409)


@pytest.mark.parametrize("role", ["viewer", "analyst", "auditor", "administrator"])
def test_only_operators_decide(server: ApiServer, role: Role) -> None:
    with server.client(role) as other:
        detail(approve(other), 403)
        detail(other.post("/v1/proposals/1/refuse", json={"why": "w"}), 403)
        if role != "analyst":
            detail(propose(other, "0" * 16), 403)
        if role in ("viewer", "administrator"):
            detail(other.get("/v1/evidence"), 403)
        assert other.get("/v1/proposals").status_code == 200


def test_of_approvals_at_once_one_takes_effect(server: ApiServer, second: httpx.Client) -> None:
    with server.client("analyst") as analyst:
        assert propose(analyst, keep(server)).status_code == 201
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(approve(second).status_code)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]
    assert len(read_stages(server.data / STAGES_FILE)) == 1
