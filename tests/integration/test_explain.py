"""Why a call was passed or refused, told from the record of a running node: in words, as JSON, and for good."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from nodes import IPV4, ScreenNode
from sip_clients import FORGED, HONEST, UdpPeer, code_of, new_call

from e2e.processes import hutong, running
from engines import ABROAD, COMPANY, NEIGHBOUR
from hutong.app.cli import run
from stages import put_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.calls.live.figures import LiveSnapshot

pytestmark = pytest.mark.enable_socket

LISTED, ALLOWED = "13700001111", "4008000000"
VERDICT_MS = 1000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("explain"), budget_ms=VERDICT_MS)
    with running(it):
        it.start()
        yield it


@pytest.fixture
def peer(node: ScreenNode) -> Iterator[UdpPeer]:
    with UdpPeer((IPV4, node.port)) as it:
        yield it


@pytest.fixture
def told(node: ScreenNode, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`told(call, *options)`: what `hutong calls explain` prints of a call."""

    def tell(call: str, *options: str) -> str:
        capsys.readouterr()
        assert run(["calls", "explain", f"call-{call}@192.0.2.99", "--data", str(node.data), *options]) == 0
        return capsys.readouterr().out

    return tell


@pytest.fixture
def story(told: Callable[..., str]) -> Callable[[str], dict[str, Any]]:
    """`story(call)`: the same as JSON."""
    return lambda call: json.loads(told(call, "--json"))


def place(peer: UdpPeer, caller: str, code: int, **more: object) -> str:
    """Place a call and require its answer; gives its name."""
    call = new_call()
    assert code_of(peer.ask(peer.invite(caller, call=call, **more))) == code  # type: ignore[arg-type]
    return call


def listed(node: ScreenNode, *arguments: str) -> None:
    """Change the lists, and wait until the node has taken it up."""
    changes = node.figures.list_entries
    assert run(["lists", *arguments, "--data", str(node.data)]) == 0

    def taken_up(figures: LiveSnapshot) -> bool:
        return figures.list_entries != changes

    node.await_figures(taken_up)


def test_a_passed_call(peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]) -> None:
    call = place(peer, HONEST, 302, callee="+8613900139000")
    it = story(call)
    assert (it["action"], it["code"], it["rules"], it["lists"]) == ("pass", 302, [], [])
    assert (it["caller"], it["callee"], it["trunk"], it["source"]) == (HONEST, "+8613900139000", "neighbour", NEIGHBOUR)
    assert told(call, "--lang", "en").startswith("passed")
    assert told(call).startswith("放行")


def test_a_blocked_call_shows_the_rule_and_the_values_that_fired_it(
    peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]
) -> None:
    call = place(peer, FORGED, 608)
    it = story(call)
    (rule,) = it["rules"]
    assert (it["action"], rule["id"], rule["version"], rule["decided"]) == (
        "block",
        "calls.shared-cost-as-caller",
        1,
        True,
    )
    assert any("caller.class" in line and "shared-cost" in line for line in rule["because"]["en"])
    assert rule["basis"]
    assert rule["runbook"].startswith("docs/calls.md#")
    english, chinese = told(call, "--lang", "en"), told(call, "--lang", "zh")
    assert english.startswith("blocked: ")
    assert chinese.startswith("拦截:")
    for line in (*rule["because"]["en"], "decided: calls.shared-cost-as-caller@1 [block]", "SIP 608"):
        assert line in english
    assert rule["title"]["zh"] in chinese


def test_a_warned_call(peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]) -> None:
    call = place(peer, "110", 302)
    it = story(call)
    assert it["action"] == "warn"
    assert "calls.emergency-number-inter-network" in {rule["id"] for rule in it["rules"] if rule["decided"]}
    assert told(call, "--lang", "en").startswith("passed with a warning")
    assert told(call).startswith("提醒后放行")


def test_a_rule_that_counts_shows_the_count(peer: UdpPeer, story: Callable[[str], dict[str, Any]]) -> None:
    for at in range(20):
        call = place(peer, "13811110000", 302, callee=f"139{at:08d}")
    rules = {rule["id"]: rule for rule in story(call)["rules"]}
    because = "\n".join(rules["calls.many-callees-in-a-minute"]["because"]["en"])
    assert re.search(r"distinct_callees_1m = (1[2-9]|2\d)\b", because)  # an estimate of 20, with a key of this node
    assert "≥" in because or ">" in because


def test_a_call_from_abroad_and_one_that_an_enterprise_may_not_show(
    peer: UdpPeer, story: Callable[[str], dict[str, Any]]
) -> None:
    for caller, source, trunk, kind in (
        ("+8613800138000", ABROAD, "abroad", "international"),
        (HONEST, COMPANY, "company", "enterprise"),
    ):
        it = story(place(peer, caller, 608, source=source))
        assert (it["trunk"], it["trunk_kind"], it["source"]) == (trunk, kind, source)
        assert any(rule["decided"] for rule in it["rules"])


def test_a_disagreement_and_a_diversion_are_told(peer: UdpPeer, story: Callable[[str], dict[str, Any]]) -> None:
    extra = "P-Asserted-Identity: <sip:13800138009@192.0.2.99>\nDiversion: <sip:02161230001@192.0.2.99>;reason=unknown"
    it = story(place(peer, HONEST, 302, extra=extra))
    assert (it["caller"], it["from"], it["diverter"]) == ("13800138009", HONEST, "02161230001")
    assert {"identity-conflict", "diverted"} <= set(it["flags"])


def test_an_emergency_call_passes_and_says_why(
    peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]
) -> None:
    call = place(peer, FORGED, 302, callee="110")
    it = story(call)
    assert (it["action"], "emergency" in it["flags"]) == ("pass", True)
    assert "calls.shared-cost-as-caller" in {rule["id"] for rule in it["rules"]}  # it fired, and did not decide
    assert "emergency" in told(call, "--lang", "en")
    assert "紧急" in told(call)


def test_a_list_hit_is_told_with_who_and_why_even_after_the_entry_is_gone(
    node: ScreenNode, peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]
) -> None:
    listed(node, "add", LISTED, "--reason", "举报属实", "--who", "值班员", "--source", "12321", "--respond", "603")
    call = place(peer, LISTED, 603)
    listed(node, "remove", LISTED, "--why", "误报", "--who", "值班长")
    assert code_of(peer.ask(peer.invite(LISTED))) == 302
    it = story(call)
    (hit,) = it["lists"]
    assert (hit["list"], hit["side"], hit["reason"], hit["who"], hit["source"]) == (
        "block",
        "caller",
        "举报属实",
        "值班员",
        "12321",
    )
    assert "举报属实" in it["reason"]["zh"]
    assert "list block" in told(call, "--lang", "en")


def test_an_allowed_call_is_told_with_what_fired_and_what_allowed_it(
    node: ScreenNode, peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]
) -> None:
    listed(node, "add", ALLOWED, "--list", "allow", "--reason", "line test", "--who", "engineer")
    call = place(peer, ALLOWED, 302)
    it = story(call)
    assert (it["action"], "allowed-by-list" in it["flags"]) == ("pass", True)
    assert it["lists"][0]["reason"] == "line test"
    assert [rule["decided"] for rule in it["rules"]] == [False]
    assert "it is on an allow list" in told(call, "--lang", "en")


def test_a_call_passed_for_want_of_time_says_so(
    node: ScreenNode, peer: UdpPeer, told: Callable[..., str], story: Callable[[str], dict[str, Any]]
) -> None:
    call = new_call()
    with node.suspended(at_least=VERDICT_MS / 1000 + 0.05):
        peer.send(peer.invite(FORGED, call=call))
    assert code_of(peer.receive()) == 302
    assert "fail-open" in story(call)["flags"]
    assert "its time budget was spent" in told(call, "--lang", "en")


def test_the_newest_of_several_attempts_comes_first(peer: UdpPeer, told: Callable[..., str]) -> None:
    call = place(peer, FORGED, 608)
    peer.ask(peer.invite(HONEST, call=call))
    stories = told(call, "--lang", "en").split("\n\n")
    assert [one.partition(":")[0].partition("\n")[0] for one in stories] == ["passed", "blocked"]


def test_a_verdict_is_explained_by_the_rules_of_its_time(
    node: ScreenNode, peer: UdpPeer, story: Callable[[str], dict[str, Any]]
) -> None:
    call = place(peer, FORGED, 608)
    before = story(call)
    move(node, "observe")
    try:
        after = story(place(peer, FORGED, 302))
        assert story(call) == before
        assert before["rules"][0]["stage"] == "block"
        assert after["rules"][0]["stage"] == "observe"
        assert after["ruleset"] != before["ruleset"]
    finally:
        move(node, "block")


def move(node: ScreenNode, stage: str) -> None:
    """Move the rule against forged 400 numbers, and wait until that is in force."""
    said = node.said
    put_stage(node.data, "calls.shared-cost-as-caller", stage)
    node.await_log("rules in force", said)


def test_an_unknown_call_is_said_to_be_unknown(node: ScreenNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calls", "explain", "nobody@nowhere", "--data", str(node.data)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "nobody@nowhere" in said.err
    assert "没有该呼叫的记录" in said.err


def test_a_folder_without_records_knows_no_call(node: ScreenNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calls", "explain", "x", "--data", str(node.folder / "empty")]) == 1
    assert capsys.readouterr().err


def test_the_command_itself(node: ScreenNode, peer: UdpPeer) -> None:
    call = f"call-{place(peer, HONEST, 302)}@192.0.2.99"
    assert call in hutong("calls", "explain", call, "--data", str(node.data), "--lang", "en")
