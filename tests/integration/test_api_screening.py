"""POST /v1/calls/screen against a real screening process: verdicts, errors, limits, and what survives a kill."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from nodes import ScreenNode
from sip_clients import UdpPeer, code_of

from api_servers import ApiServer
from e2e.processes import running
from engines import ABROAD, COMPANY, NEIGHBOUR
from hutong.calls.api import ApiLimits
from hutong.kernel.clock import ManualClock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from hutong.kernel.access.permissions import Role

pytestmark = pytest.mark.enable_socket

PROBLEM = "application/problem+json"
_serial = iter(range(1, 1 << 30))


def call(caller: str = "", callee: str = "", **more: object) -> dict[str, object]:
    """A call that no other is, between two who never called before unless they are named."""
    serial = next(_serial)
    numbers = {"caller": caller or f"138{serial:08d}", "callee": callee or f"139{serial:08d}"}
    return {"call_id": f"h{serial}@gw", **numbers, "source": NEIGHBOUR, **more}


def screen(client: httpx.Client, body: object) -> Any:  # noqa: ANN401  # JSON
    answer = client.post("/v1/calls/screen", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_an_ordinary_call_passes(client: httpx.Client) -> None:
    asked = call()
    seq = (told := screen(client, asked)).pop("seq")
    assert seq > 0
    night = [flag for flag in told.pop("flags") if flag != "night"]
    assert (told, night) == (
        {
            "call_id": asked["call_id"],
            "action": "pass",
            "code": 302,
            "reason": {"zh": "", "en": ""},
            "rules": [],
            "trunk": "neighbour",
        },
        [],
    )


def test_a_forged_call_is_blocked_with_reason_and_rule(client: httpx.Client) -> None:
    told = screen(client, call("4008123456"))
    assert (told["action"], told["code"]) == ("block", 608)
    assert told["rules"] == [{"id": "calls.shared-cost-as-caller", "decided": True}]
    assert told["reason"] == {"zh": "400/800 号码作主叫", "en": "A 400 or 800 number as caller"}
    assert screen(client, call("4008123457"))["reason"] == told["reason"], "told the same of the next one"


def test_http_and_sip_judge_alike(node: ScreenNode, client: httpx.Client) -> None:
    with UdpPeer(("127.0.0.1", node.port)) as peer:
        for caller, callee, source in (
            ("13800138000", "13900139000", NEIGHBOUR),
            ("4008123456", "13900139000", NEIGHBOUR),
            ("13800138000", "13900139000", ABROAD),
            ("13800138000", "110", ABROAD),
            ("13800138000", "13900139000", COMPANY),
            ("02161230001", "13900139000", COMPANY),
        ):
            code = code_of(peer.ask(peer.invite(caller, callee, source=source)))
            assert screen(client, call(caller, callee, source=source))["code"] == code


def test_several_calls_are_answered_one_by_one_and_a_wrong_one_spoils_no_other(client: httpx.Client) -> None:
    good, forged = call(), call("4008123456")
    wrong = [
        {**call(), "source": "nowhere"},
        {"call_id": "c", "callee": "110"},
        {**call(), "calle": "1"},
        {**call(), "callee": ""},
        {**call(), "callee": 110},
        {**call(), "callee": "1\n2"},
        {**call(), "call_id": "号" * 200},
        {**call(), "source": "", "trunk": "nobody"},
        "no call",
        None,
    ]
    answers = screen(client, {"calls": [good, *wrong, forged]})["calls"]
    assert [answers[0]["action"], answers[-1]["action"]] == ["pass", "block"]
    for asked, told in zip(wrong, answers[1:-1], strict=True):
        assert told["error"]["status"] == 422, told
        assert told["error"]["detail"]
        assert told["call_id"] == (asked["call_id"] if isinstance(asked, dict) else None)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Input data was truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"calls": []}', "Send 1 to 1000"),
        (b'{"calls": {}}', "Expected `array`"),
        (b'{"calls": [], "other": 1}', "unknown field"),
        (b'{"callee": "110"}', "call_id"),
        (b'{"call_id": "x", "callee": "110"}', "Neither source nor trunk"),
        (b'{"call_id": "x", "callee": "110", "source": "::g"}', "no IP address"),
        (b'{"call_id": "x", "callee": "110", "trunk": "nobody"}', "no trunk 'nobody'"),
        (b'{"call_id": "\xff", "callee": "110"}', "utf-8"),
        (b'{"call_id": "\\ud800", "callee": "110", "trunk": "home"}', ""),
        (json.dumps({"calls": [call()] * 1001}).encode(), "Send 1 to 1000"),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(client: httpx.Client, body: bytes, says: str) -> None:
    answer = client.post("/v1/calls/screen", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert says.lower() in answer.json()["detail"].lower()


def test_a_word_in_a_text_makes_no_batch(client: httpx.Client) -> None:
    assert screen(client, call(call_id="calls", trunk="home"))["trunk"] == "home"
    assert client.post("/v1/calls/screen", json={**call(), "trunk": "calls"}).status_code == 422


def test_the_same_attempt_again_gets_the_same_verdict_and_counts_once(node: ScreenNode, client: httpx.Client) -> None:
    asked = call("4008123456")
    first = screen(client, asked)
    assert screen(client, asked) == first
    assert screen(client, {"calls": [asked, asked]})["calls"] == [first, first]
    twins = call("4008123456")
    one, other = screen(client, {"calls": [twins, twins]})["calls"]
    assert one == other
    assert sum(it.call_id == asked["call_id"] for it in node.verdicts()) == 1


def test_emergency_lists_and_named_trunks_count_as_for_sip(client: httpx.Client) -> None:
    told = screen(client, call("4008123456", "110"))
    assert (told["action"], "emergency" in told["flags"]) == ("pass", True)
    assert told["rules"][0]["decided"] is False
    assert screen(client, {**call("+8613800138000"), "source": "", "trunk": "abroad"})["trunk"] == "abroad"
    added = client.post("/v1/lists", json={"target": "13700001111", "reason": "complaint 7", "respond": 603})
    assert added.status_code == 201, added.text
    pause = threading.Event()
    for _ in range(200):
        told = screen(client, call("13700001111"))
        if told["action"] == "block":
            break
        pause.wait(0.02)
    assert (told["action"], told["code"]) == ("block", 603)
    assert "complaint 7" in told["reason"]["en"]


def test_a_thousand_calls_at_once(client: httpx.Client) -> None:
    calls = [call(f"137{n:08d}") for n in range(1000)]
    answers = screen(client, {"calls": calls})["calls"]
    assert [it["call_id"] for it in answers] == [it["call_id"] for it in calls]
    seqs = [it["seq"] for it in answers]
    assert seqs == list(range(seqs[0], seqs[0] + 1000))


def test_many_clients_at_once_each_get_their_own(server: ApiServer) -> None:
    failed: list[str] = []

    def ask() -> None:
        with server.client() as client:
            for _ in range(50):
                asked = call()
                told = screen(client, asked)
                if told["call_id"] != asked["call_id"]:
                    failed.append(told["call_id"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_what_is_counted(server: ApiServer, client: httpx.Client) -> None:
    asked = call()
    screen(client, asked)
    screen(client, asked)
    client.post("/v1/calls/screen", content=b"{")
    text = server.metrics.expose().decode()
    for line in (
        'hutong_api_requests_total{route="calls.screen",status="200"}',
        'hutong_api_requests_total{route="calls.screen",status="422"}',
        'hutong_api_calls_total{result="judged"}',
        'hutong_api_calls_total{result="repeated"}',
        'hutong_api_calls_total{result="refused"}',
    ):
        assert line in text


class TestWhoMay:
    @pytest.mark.parametrize("role", ["viewer", "analyst", "auditor", "administrator"])
    def test_other_roles_may_not_screen(self, server: ApiServer, role: Role) -> None:
        with server.client(role) as client:
            answer = client.post("/v1/calls/screen", json=call())
            assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM)
            assert "calls.screen" in answer.json()["detail"]

    @pytest.mark.parametrize("secret", ["", "hut_aaaaaaaaaaaa_" + "a" * 43, "nonsense"])
    def test_without_a_token_nobody_may(self, server: ApiServer, secret: str) -> None:
        with server.client(None, secret) as client:
            answer = client.post("/v1/calls/screen", json=call())
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    def test_a_token_does_what_its_scopes_say(self, server: ApiServer) -> None:
        with server.client(None, server.token("operator", "calls.screen")) as client:
            assert client.post("/v1/calls/screen", json=call()).status_code == 200
            assert client.get("/v1/lists").status_code == 403
            assert client.get("/v1/verdicts").status_code == 403

    def test_a_token_ends(self, node: ScreenNode, tmp_path: Path) -> None:
        clock = ManualClock(SystemClock().wall())
        (tmp_path / "run").symlink_to(node.data / "run")
        with ApiServer(tmp_path, clock=clock) as server:
            secret = server.token("operator", expires_ms=60_000)
            with server.client(None, secret) as client:
                assert client.get("/v1/rules").status_code == 200
                clock.advance(61 * 10**9)
                assert client.get("/v1/rules").status_code == 401
            secret = server.token("operator")
            with server.client(None, secret) as client:
                assert client.get("/v1/rules").status_code == 200
                server.tokens.revoke(secret.split("_")[1], server.now_ms)
                assert client.get("/v1/rules").status_code == 401


class TestLimits:
    """Of each token, by a clock that stands still."""

    @pytest.fixture
    def limited(self, node: ScreenNode, tmp_path: Path) -> Iterator[ApiServer]:
        clock = ManualClock(SystemClock().wall())
        (tmp_path / "run").symlink_to(node.data / "run")
        with ApiServer(tmp_path, limits=ApiLimits(10, 20), requests_per_second=3, clock=clock) as it:
            yield it

    def test_calls_a_second(self, limited: ApiServer) -> None:
        with limited.client() as client, limited.client(None, limited.token()) as other:
            for _ in range(2):
                assert len(screen(client, {"calls": [call() for _ in range(10)]})["calls"]) == 10
            answer = client.post("/v1/calls/screen", json=call())
            assert (answer.status_code, answer.headers["content-type"]) == (429, PROBLEM)
            assert int(answer.headers["retry-after"]) >= 1
            assert screen(other, call())["action"] == "pass", "another token has its own"
            limited.clock.advance(10**9 // 20)
            assert screen(client, call())["action"] == "pass"
            assert client.post("/v1/calls/screen", content=b"junk").status_code == 429, "junk counts too"

    def test_other_requests_a_second(self, limited: ApiServer) -> None:
        with limited.client() as client:
            codes = [client.get("/v1/rules").status_code for _ in range(4)]
            assert codes == [200, 200, 200, 429]
            assert screen(client, call())["action"] == "pass", "screening has a limit of its own"
            limited.clock.advance(10**9)
            assert client.get("/v1/lists").status_code == 200
        assert 'hutong_api_throttled_total{limit="requests"} 1.0' in limited.metrics.expose().decode()

    def test_calls_in_one_request(self, limited: ApiServer) -> None:
        with limited.client() as client:
            assert client.post("/v1/calls/screen", json={"calls": [call()] * 11}).status_code == 422
            big = {"calls": [call(call_id="x" * 70_000)]}
            assert client.post("/v1/calls/screen", json=big).status_code == 413


class TestWhenScreeningIsAway:
    def test_the_answer_says_to_let_the_call_pass(self, tmp_path: Path) -> None:
        with ApiServer(tmp_path / "data") as server, server.client() as client:
            for body in (call(), {"calls": [call(), call()]}):
                answer = client.post("/v1/calls/screen", json=body)
                assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
                assert answer.headers["retry-after"] == "1"
                assert "Let it pass" in answer.json()["detail"]
            assert client.get("/v1/rules").status_code == 200, "the rest goes on"

    def test_what_was_answered_is_on_record_after_a_kill(self, tmp_path: Path) -> None:
        node = ScreenNode(tmp_path)
        with running(node):
            node.start()
            with ApiServer(node.data) as server, server.client() as client:
                for _ in range(3):
                    answered: dict[str, tuple[int, int]] = {}
                    stop = threading.Event()

                    def load(answered: dict[str, tuple[int, int]] = answered, stop: threading.Event = stop) -> None:
                        with server.client() as mine:
                            while not stop.is_set():
                                batch = [call("4008123456" if n % 4 else "13800138000") for n in range(20)]
                                got = mine.post("/v1/calls/screen", json={"calls": batch})
                                if got.status_code == 200:
                                    answered.update(
                                        (it["call_id"], (it["seq"], it["code"]))
                                        for it in got.json()["calls"]
                                        if "seq" in it
                                    )

                    thread = threading.Thread(target=load)
                    thread.start()
                    node.wait_until(lambda answered=answered: len(answered) > 400, 20)  # type: ignore[misc]
                    node.kill()
                    assert client.post("/v1/calls/screen", json=call()).status_code == 503
                    stop.set()
                    thread.join()
                    kept = {it.call_id: (it.seq, it.code) for it in node.verdicts()}
                    assert {call_id: kept.get(call_id) for call_id in answered} == answered
                    node.start()
                    assert screen(client, call())["action"] == "pass", "the next process is found by itself"
