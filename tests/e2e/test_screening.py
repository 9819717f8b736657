"""Calls through the whole path: who gets through, who is refused with what, and that the record agrees."""

from __future__ import annotations

import collections
import json
from typing import TYPE_CHECKING

import pytest
from processes import hutong
from screened import Office, verdicts
from sip_peers import needs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.peer, pytest.mark.enable_socket, needs("kamailio", "kamcmd", "sipp")]

FORGED = "4008123456"  # a 400 number is only ever called
LISTED = "13700001111"
ROUND = [
    *(["ordinary"] * 17),
    "listed",
    "forged",
    "listed-in-need",  # even a listed caller reaches the police
]


def _pairs(count: int) -> list[tuple[str, str]]:
    pairs = []
    for at in range(count):
        kind = ROUND[at % len(ROUND)]
        caller = {"ordinary": f"138{at:08d}", "listed": LISTED, "forged": FORGED, "listed-in-need": LISTED}[kind]
        pairs.append((caller, "110" if kind == "listed-in-need" else f"139{at:08d}"))
    return pairs


def _expected(caller: str, callee: str) -> int:
    return 200 if callee == "110" or caller not in (FORGED, LISTED) else 608


def test_a_thousand_calls_end_as_they_should_and_the_record_agrees(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        node = office.nodes[0]
        reported = ("--reason", "reported to 12321", "--who", "duty officer")
        hutong("lists", "add", LISTED, *reported, "--data", str(node.data))
        office.open()
        caller = office.call(_pairs(1_000), rate=400)
        calls = caller.complete()
        office.callee.stop()
        counts = office.kamailio.counts()

        assert caller.statistics() == (1_000, 0)
        assert [call for call in calls if call.code != _expected(call.caller, call.callee)] == []
        refused = {call.call_id: call for call in calls if call.code == 608}
        assert len(refused) == 100
        for call in refused.values():
            assert "reason= SIP" in call.rest
            assert "info= <http" in call.rest

        arrivals = {arrival.call_id: arrival for arrival in office.callee.arrivals()}
        assert set(arrivals) == {call.call_id for call in calls} - set(refused)
        # What the caller itself wrote into our headers is gone, and the question to Hutong did not leak.
        assert {arrival[1:] for arrival in arrivals.values()} == {("", "", "")}
        assert counts == {
            "asked": 950, "passed": 850, "refused": 100, "emergency": 50, "failover": 0, "unscreened": 0,
        }  # fmt: skip

        recorded = {verdict.call_id: verdict for verdict in verdicts(node)}
        assert set(recorded) == {call.call_id for call in calls}
        for call in calls:
            verdict = recorded[call.call_id]
            assert verdict.code == (302 if call.code == 200 else call.code)
            assert verdict.source == "127.0.0.1"  # not the 203.0.113.66 that the caller claims
            assert verdict.trunk == "neighbour"
            assert (verdict.action == "block") == (call.code == 608)
        for caller_number in (FORGED, LISTED):
            blocked = next(call for call in refused.values() if call.caller == caller_number)
            told = json.loads(hutong("calls", "explain", blocked.call_id, "--data", str(node.data), "--json"))
            assert told["code"] == 608


def test_a_warning_reaches_the_next_hop(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        rules = office.nodes[0].data / "rules"
        rules.mkdir(parents=True)
        (rules / "warn.yaml").write_text(WARN)
        office.open()
        calls = office.call([("17000001234", "13900000001"), ("13800001234", "13900000002")], rate=10).complete()
        office.callee.stop()
        assert [call.code for call in calls] == [200, 200]
        by_id = {arrival.call_id: arrival.warning for arrival in office.callee.arrivals()}
        warned = {call.caller: by_id[call.call_id] for call in calls}
        assert "test.virtual-caller" in warned["17000001234"]
        assert warned["13800001234"] == ""


WARN = """\
id: test.virtual-caller
version: 1
title: {zh: 虚拟运营商号码, en: Number of a virtual operator}
when: caller.class == "virtual"
action: warn
stage: warn
basis: test
runbook: docs/calls.md#test
samples:
  - {given: {caller.class: virtual}, fires: true}
  - {given: {caller.class: mobile}, fires: false}
"""


@pytest.mark.parametrize(("transport", "host"), [("tcp", "127.0.0.1"), ("udp", "::1")])
def test_hutong_is_asked_over_tcp_and_ipv6_too(tmp_path: Path, transport: str, host: str) -> None:
    with Office(tmp_path, transport=transport, host=host) as office:
        office.open()
        calls = office.call(_pairs(100), rate=100).complete()
        counts = office.kamailio.counts()
        codes = collections.Counter((call.caller == FORGED, call.code) for call in calls)
        assert codes == {(True, 608): 5, (False, 200): 95}
        assert counts["unscreened"] == counts["failover"] == 0
        assert len({verdict.call_id for verdict in verdicts(office.nodes[0])}) == 100
