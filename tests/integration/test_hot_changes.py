"""Lists, rules and stages change under a running node: within a second, without a restart, without losing a call."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from nodes import IPV4, ScreenNode, until
from sip_clients import FORGED, HONEST, UdpPeer, code_of, header_of, new_call

from e2e.processes import hutong, running
from hutong.app.cli import run
from stages import put_stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

#: Seconds within which a change takes effect once its command has returned.
WITHIN = 1.0
LISTED, VIRTUAL = "13700001111", "17000001234"
DUTY = ("--who", "duty officer")

RULE = """\
id: own.virtual-caller
version: {version}
title: {{zh: 虚拟运营商号码, en: Number of a virtual operator}}
when: caller.class == "virtual"
action: block
stage: {stage}
certain: true
basis: test
runbook: docs/calls.md#test
samples:
  - {{given: {{caller.class: virtual}}, fires: true}}
  - {{given: {{caller.class: mobile}}, fires: false}}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenNode]:
    it = ScreenNode(tmp_path_factory.mktemp("hot"))
    with running(it):
        it.start()
        yield it
        assert "Traceback" not in it.read_log()


@pytest.fixture
def peer(node: ScreenNode) -> Iterator[UdpPeer]:
    with UdpPeer((IPV4, node.port)) as it:
        yield it


@pytest.fixture
def rules(node: ScreenNode) -> Iterator[Path]:
    """The operator's own rule folder, emptied afterwards."""
    folder = node.data / "rules"
    folder.mkdir(exist_ok=True)
    yield folder
    for file in folder.iterdir():
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink()


def code(peer: UdpPeer, caller: str, callee: str = "13900139000") -> int:
    call = new_call()
    answer, _ = peer.answer_to(peer.invite(caller, callee, call=call))
    peer.send(peer.ack(answer, call))
    return code_of(answer)


def becomes(peer: UdpPeer, caller: str, wanted: int, callee: str = "13900139000", within: float = WITHIN) -> None:
    until(lambda: code(peer, caller, callee) == wanted, within, f"{caller} gets {wanted}")


def command(node: ScreenNode, *arguments: str) -> None:
    """A `hutong` command on the node's data, run in this process: to the node it is another one all the same."""
    assert run([*arguments, "--data", str(node.data)]) == 0


def place(folder: Path, name: str, content: str | bytes) -> None:
    """Put a file there whole, as an editor or a deployment does."""
    fresh = folder / f".{name}.new"
    fresh.write_bytes(content.encode() if isinstance(content, str) else content)
    fresh.replace(folder / name)


# Lists


def test_a_listed_number_is_refused_and_a_removed_one_passes(node: ScreenNode, peer: UdpPeer) -> None:
    data = ("--data", str(node.data))
    assert code(peer, LISTED) == 302
    hutong("lists", "add", LISTED, "--reason", "reported", *DUTY, "--respond", "607", *data)
    becomes(peer, LISTED, 607)
    hutong("lists", "remove", LISTED, "--why", "reported wrongly", *DUTY, *data)
    becomes(peer, LISTED, 302)


def test_an_allow_entry_lets_a_forged_caller_through(node: ScreenNode, peer: UdpPeer) -> None:
    command(node, "lists", "add", FORGED, "--list", "allow", "--reason", "line test", *DUTY)
    becomes(peer, FORGED, 302)
    command(node, "lists", "remove", FORGED, "--list", "allow", "--why", "test is over", *DUTY)
    becomes(peer, FORGED, 608)


def test_a_called_number_and_a_whole_prefix_can_be_listed(node: ScreenNode, peer: UdpPeer) -> None:
    callee = "13811112222"
    command(node, "lists", "add", callee, "--role", "callee", "--reason", "call-back", *DUTY, "--respond", "603")
    becomes(peer, HONEST, 603, callee=callee)
    command(node, "lists", "add", "0755*", "--reason", "campaign", *DUTY)
    becomes(peer, "075512345678", 608)
    command(node, "lists", "remove", "0755*", "--why", "over", *DUTY)
    becomes(peer, "075512345678", 302)


def test_an_entry_ends_when_it_expires(node: ScreenNode, peer: UdpPeer) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    expires = ("--expires", ends.isoformat().replace("+00:00", "Z"))
    command(node, "lists", "add", LISTED, "--reason", "for a moment", *DUTY, *expires)
    becomes(peer, LISTED, 608)
    becomes(peer, LISTED, 302, within=ends.timestamp() - time.time() + WITHIN)
    assert time.time() >= ends.timestamp()


# Rules


def test_a_new_rule_file_takes_effect_and_its_removal_as_well(peer: UdpPeer, rules: Path) -> None:
    assert code(peer, VIRTUAL) == 302
    place(rules, "virtual.yaml", RULE.format(version=1, stage="block"))
    becomes(peer, VIRTUAL, 608)
    (rules / "virtual.yaml").unlink()
    becomes(peer, VIRTUAL, 302)


BAD = {
    "an unknown name": (RULE.format(version=1, stage="block").replace("caller.class ==", "caller.clazz =="), ":4"),
    "no YAML": ("id: own.x\ntitle: {zh: [\n", ":"),
    "no UTF-8": (b"id: own.x\n# \xff\xfe\n", ":1"),
    "no samples": (RULE.format(version=1, stage="block").partition("samples:")[0], ":1"),
    "an uncertain block": (RULE.format(version=1, stage="block").replace("certain: true\n", ""), ":6"),
    "a reference to itself": ("&a [*a, *a]\n", ":1"),
    "a shipped rule's name": (
        RULE.format(version=1, stage="block").replace("own.virtual-caller", "calls.caller-listed"),
        ":1",
    ),
}


@pytest.mark.parametrize("what", list(BAD))
def test_a_bad_rule_file_is_refused_with_its_place_and_calls_are_judged_as_before(
    node: ScreenNode, peer: UdpPeer, rules: Path, what: str
) -> None:
    content, line = BAD[what]
    said = node.said
    place(rules, "bad.yaml", content)
    node.await_log("rules refused, the old set stays", said)
    assert f"bad.yaml{line}" in node.read_log(said)
    assert code(peer, FORGED) == 608
    assert code(peer, HONEST) == 302


def test_while_one_file_is_bad_the_whole_old_set_stays(node: ScreenNode, peer: UdpPeer, rules: Path) -> None:
    place(rules, "good.yaml", RULE.format(version=1, stage="block"))
    becomes(peer, VIRTUAL, 608)
    said = node.said
    place(rules, "bad.yaml", BAD["an unknown name"][0])
    node.await_log("rules refused", said)
    assert code(peer, VIRTUAL) == 608
    said = node.said
    place(rules, "good.yaml", RULE.format(version=2, stage="warn"))
    node.await_log("rules refused", said)
    assert code(peer, VIRTUAL) == 608
    (rules / "bad.yaml").unlink()
    becomes(peer, VIRTUAL, 302)


def test_a_folder_or_a_dangling_link_in_place_of_a_rule_file_is_refused(
    node: ScreenNode, peer: UdpPeer, rules: Path
) -> None:
    for make in (lambda it: it.mkdir(), lambda it: it.symlink_to("nowhere.yaml")):
        said = node.said
        make(rules / "odd.yaml")
        node.await_log("rules refused", said)
        assert "odd.yaml" in node.read_log(said)
        assert code(peer, FORGED) == 608
        (rules / "odd.yaml").rmdir() if (rules / "odd.yaml").is_dir() else (rules / "odd.yaml").unlink()
    place(rules, "virtual.yaml", RULE.format(version=1, stage="block"))
    becomes(peer, VIRTUAL, 608)


def test_a_rule_moved_to_another_stage_acts_by_it(node: ScreenNode, peer: UdpPeer) -> None:
    rule = "calls.shared-cost-as-caller"
    put_stage(node.data, rule, "observe")
    becomes(peer, FORGED, 302)
    put_stage(node.data, rule, "warn")
    until(lambda: rule in _warning(peer, FORGED), WITHIN, "a warning")
    put_stage(node.data, rule, "block")
    becomes(peer, FORGED, 608)


def _warning(peer: UdpPeer, caller: str) -> str:
    call = new_call()
    answer, _ = peer.answer_to(peer.invite(caller, call=call))
    peer.send(peer.ack(answer, call))
    return header_of(answer, "Hutong-Warning")


def test_no_call_is_lost_or_misjudged_while_rules_are_reloaded_twenty_times(
    node: ScreenNode, peer: UdpPeer, rules: Path
) -> None:
    before = node.figures
    callers = itertools.cycle([HONEST, FORGED, VIRTUAL, "13800138001", FORGED, "02161230001"])
    placed = reloads = 0
    for reload in range(20):
        stage, wanted = ("block", 608) if reload % 2 == 0 else ("warn", 302)
        place(rules, "virtual.yaml", RULE.format(version=reload + 1, stage=stage))
        deadline = time.monotonic() + 10
        while True:
            codes = _burst(peer, [next(callers) for _ in range(24)])
            placed += 24
            assert codes[FORGED] == {608}
            assert codes[HONEST] == codes["13800138001"] == codes["02161230001"] == {302}
            if codes[VIRTUAL] == {wanted}:
                reloads += 1
                break
            assert time.monotonic() < deadline, f"reload {reload} did not come into force"
    assert reloads == 20
    figures = node.figures
    assert figures.attempts - before.attempts == placed
    assert figures.retransmits == before.retransmits
    assert figures.fail_open == before.fail_open


def test_a_large_rule_set_is_reloaded_while_every_call_is_judged_in_time(tmp_path: Path) -> None:
    hasty = ScreenNode(tmp_path, budget_ms=200)
    rules = hasty.data / "rules"
    with running(hasty), UdpPeer((IPV4, hasty.port)) as peer:
        hasty.start()
        rules.mkdir()
        many = [RULE.format(version=1, stage="block").replace("own.virtual", f"own.v{at}") for at in range(800)]
        place(rules, "many.yaml", "---\n".join(many))
        until(lambda: code(peer, FORGED) == 608 and "rules in force" in hasty.read_log(), 30, "the rules are in force")
        assert code(peer, VIRTUAL) == 608
        assert hasty.figures.fail_open == 0


def _burst(peer: UdpPeer, callers: list[str]) -> dict[str, set[int]]:
    """Place calls at once, half through the full codec; each must get its answer, sent once. Codes by caller."""
    calls = {f"call-{call}@192.0.2.99": (call, caller) for caller in callers for call in [new_call()]}
    peer.send(
        *(
            peer.invite(caller, call=call, extra="Subject: x" if at % 2 else "")
            for at, (call, caller) in enumerate(calls.values())
        )
    )
    codes: dict[str, set[int]] = {}
    while calls:
        answer = peer.receive()
        found = calls.pop(header_of(answer, "Call-ID"), None)
        if found is not None:
            call, caller = found
            codes.setdefault(caller, set()).add(code_of(answer))
            peer.send(peer.ack(answer, call))
    return codes
