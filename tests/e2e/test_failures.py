"""Nodes die under load: no honest call fails, no acknowledged verdict is lost, callers keep their node."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

import pytest
from processes import free_port, running
from screened import Office, verdicts
from sip_peers import Callee, Caller, Kamailio, needs

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.peer, pytest.mark.enable_socket, needs("kamailio", "kamcmd", "sipp")]

FORGED = "4008123456"


def _pairs(count: int, callers: int = 0) -> list[tuple[str, str]]:
    """Every tenth caller is forged; the others are `callers` subscribers in turn, or all different."""
    honest = [f"138{at % (callers or count):08d}" for at in range(count)]
    return [(FORGED if at % 10 == 9 else honest[at], f"139{at:08d}") for at in range(count)]


def test_calls_pass_while_no_node_answers(tmp_path: Path) -> None:
    callee = Callee(tmp_path)
    kamailio = Kamailio(tmp_path, [f"sip:127.0.0.1:{free_port()}"], callee.address)
    caller = Caller("caller", tmp_path, kamailio.port, [*_pairs(99), ("13800000000", "110")], rate=100)
    with running(callee, kamailio, caller):
        callee.start()
        kamailio.start()
        caller.launch()
        calls = caller.complete()
        callee.stop()
        counts = kamailio.counts()
    assert {call.code for call in calls} == {200}
    assert len(calls) == 100
    marks = collections.Counter(arrival.unscreened for arrival in callee.arrivals())
    assert marks == {"no-answer": 99, "": 1}  # the emergency call did not ask and did not wait
    assert counts["unscreened"] == 99
    assert counts["emergency"] == 1


def test_a_killed_node_costs_no_call_and_no_acknowledged_verdict(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        node = office.nodes[0]
        office.open()
        caller = office.call(_pairs(1_000), rate=120)
        caller.wait_until(lambda: len(caller.calls()) >= 300, 30)
        node.kill()
        node.start()
        calls = caller.complete()
        office.callee.stop()

        assert len(calls) == 1_000
        assert {call.code for call in calls if call.caller != FORGED} == {200}
        assert {call.code for call in calls[:300] if call.caller == FORGED} == {608}
        recorded = {verdict.call_id: verdict.code for verdict in verdicts(node)}
        arrivals = {arrival.call_id: arrival for arrival in office.callee.arrivals()}
        for call in calls:
            if call.code == 608:
                assert recorded.get(call.call_id) == 608
            elif not arrivals[call.call_id].unscreened:
                assert recorded.get(call.call_id) == 302
        unscreened = sum(1 for arrival in arrivals.values() if arrival.unscreened)
        assert 0 < unscreened == office.kamailio.counts()["unscreened"]

        again = office.call([(FORGED, "13900000000")], rate=10).complete()
        assert [call.code for call in again] == [608]


def test_callers_are_spread_over_nodes_and_stay_on_theirs(tmp_path: Path) -> None:
    with Office(tmp_path, nodes=2) as office:
        office.open()
        ways = ("{}", "+86{}", "0086{}", "0{}")  # one number as different trunks write it
        pairs = [(way.format(f"138{at:08d}"), f"139{at:08d}") for at in range(50) for way in ways]
        assert {call.code for call in office.call(pairs, rate=200).complete()} == {200}
        judged = [{verdict.caller_key for verdict in verdicts(node)} for node in office.nodes]
        assert len(judged[0]) + len(judged[1]) == 50
        assert not judged[0] & judged[1]
        assert min(map(len, judged)) >= 10


def test_one_of_two_nodes_dies_and_every_call_is_still_judged(tmp_path: Path) -> None:
    with Office(tmp_path, nodes=2) as office:
        office.open()
        caller = office.call(_pairs(600, callers=40), rate=150)
        caller.wait_until(lambda: len(caller.calls()) >= 150, 30)
        office.nodes[0].kill()
        calls = caller.complete()
        counts = office.kamailio.counts()
        assert {call.code for call in calls if call.caller != FORGED} == {200}
        assert {call.code for call in calls if call.caller == FORGED} == {608}
        assert counts["failover"] > 0
        assert counts["unscreened"] == 0
