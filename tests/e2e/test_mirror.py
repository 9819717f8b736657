"""Kamailio mirrors its signalling: what sipp's calls did stands in the outcomes and in the windows, exactly."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mirror_peers import MirroringKamailio, Tap, TimedCall, TimedCallee, TimedCaller, Truth, truths
from processes import HutongNode, free_port, running
from screened import verdicts
from sip_peers import Callee, Caller, needs

from hutong.calls.live.figures import LiveSource
from hutong.calls.outcomes import decode_outcome
from hutong.calls.record import KIND_OUTCOME
from hutong.kernel import windows
from hutong.kernel.journal import FileJournal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.outcomes import Outcome

pytestmark = [pytest.mark.peer, pytest.mark.enable_socket, needs("kamailio", "sipp")]

_CONFIG = """\
[sip]
next_hop = "{next_hop}"

[calls]
budget_ms = 5000

[windows]
memory_mb = 16

[mirror]
listen = ["{transport}:127.0.0.1:{hep}"]
key = "{key}"
wait_ms = {wait_ms}
calls = 4096

[[trunks]]
name = "neighbour"
kind = "inter-network"
networks = ["127.0.0.0/8"]
"""

CALLS = [
    *(TimedCall(f"1380013800{at}", ring=200 + 150 * at, talk=100 * at, serial=at) for at in range(6)),
    *(TimedCall(f"1380013800{at}", ring=300, talk=0, busy=True, serial=at) for at in range(6, 9)),
]
FORGED = TimedCall("4008123456", ring=0, talk=0, serial=99)


class MirroredOffice:
    """sipp → Kamailio → sipp, with HEP through a tap to a Hutong node."""

    def __init__(
        self, folder: Path, *, only: bool, transport: str = "udp", key: str = "secret", sent_key: str = ""
    ) -> None:
        self.folder = folder
        self.callee = TimedCallee(folder)
        self.hep = free_port()
        config = folder / "hutong.toml"
        settings = {"next_hop": self.callee.address, "transport": transport, "hep": self.hep, "key": key}
        config.write_text(_CONFIG.format(**settings, wait_ms=100 if only else 2000))
        self.node = HutongNode("node", folder, config)
        self.tap = Tap(self.hep, transport=transport)
        suffix = "" if transport == "udp" else ";transport=tcp"
        self.kamailio = MirroringKamailio(
            folder,
            [f"sip:{self.node.address}"],
            self.callee.address,
            hep=f"sip:127.0.0.1:{self.tap.port}{suffix}",
            key=sent_key or key,
            only=only,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        with self.tap, running(self.callee, self.node, self.kamailio):
            self.callee.start()
            self.node.start()
            self.kamailio.start()
            yield

    def place(self, calls: list[TimedCall]) -> dict[str, Truth]:
        """Place the calls, wait until Hutong has told of each; gives what the HEP packets say of them."""
        caller = TimedCaller(self.folder, self.kamailio.port, calls)
        port = int(caller.command[caller.command.index("-p") + 1])
        with running(caller):
            caller.launch()
            caller.complete()
        told = sum(call is not FORGED for call in calls)
        self.node.wait_until(lambda: len([it for it in self.outcomes() if it.phase == "ended"]) >= told, 20)
        return truths(self.tap.packets, port, self.kamailio.port)

    def outcomes(self) -> list[Outcome]:
        journal = FileJournal(self.node.data / "journal")
        journal.open()
        try:
            return [decode_outcome(it.seq, it.body) for it in journal.read(1) if it.kind == KIND_OUTCOME]
        finally:
            journal.close()

    def features(self, keys: list[int]) -> dict[int, dict[str, float]]:
        """What the windows say of numbers; the node has stopped."""
        file = windows.WindowFile(self.node.data / "windows.bin", 16 << 20)
        file.open()
        try:
            found, out = {}, np.zeros(len(windows.WINDOW_FEATURES))
            for key in keys:
                slot = windows.find(file.arrays, key)
                windows.read_features(file.arrays, slot, 0, out, 0)
                found[key] = dict(zip(windows.WINDOW_FEATURES, out.tolist(), strict=True))
            return found
        finally:
            file.close()


def milliseconds(since: int, until: int) -> int:
    return (until - since) // 1000


def assert_told(office: MirroredOffice, calls: list[TimedCall], truth: dict[str, Truth]) -> None:
    """Each call's outcomes are what its HEP packets say, and what sipp was told to do."""
    by_caller = {it.caller: (call_id, it) for call_id, it in truth.items()}
    outcomes = office.outcomes()
    for call in calls:
        call_id, seen = by_caller[call.caller]
        mine = {it.phase: it for it in outcomes if it.call_id == call_id}
        ended = mine["ended"]
        if call.busy:
            assert set(mine) == {"ended"}
            assert (ended.answered, ended.ring_ms, ended.talk_ms) == (False, milliseconds(seen.invited, seen.final), 0)
            assert (ended.status, ended.release) == (486, 17)
        else:
            assert set(mine) == {"answered", "ended"}
            assert mine["answered"].ring_ms == ended.ring_ms == milliseconds(seen.invited, seen.answered)
            assert ended.talk_ms == milliseconds(seen.answered, seen.ended)
            assert ended.release == 16
            # sipp's clock ticks in ms, and a busy machine is late; it is never early.
            assert ended.talk_ms >= call.talk - 10
        assert ended.ring_ms >= call.ring - 10
    assert len(outcomes) == sum(1 if call.busy else 2 for call in calls)


def assert_counted(office: MirroredOffice, calls: list[TimedCall]) -> None:
    """The windows hold each call once, with its times."""
    outcomes = [it for it in office.outcomes() if it.phase == "ended"]
    features = office.features([it.caller_key for it in outcomes])
    assert len(features) == len(calls)
    for it in outcomes:
        seen = features[it.caller_key]
        assert (seen["attempts_24h"], seen["ended_24h"], seen["active_calls"]) == (1, 1, 0)
        assert seen["answer_share_24h"] == it.answered
        assert seen["mean_ring_24h"] == pytest.approx((it.ring_ms + 50) // 100 / 10)
        assert seen["mean_talk_24h"] == pytest.approx((it.talk_ms + 50) // 100 / 10)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_calls_that_nobody_asks_about_are_judged_and_followed(tmp_path: Path, transport: str) -> None:
    office = MirroredOffice(tmp_path, only=True, transport=transport)
    with office.running():
        truth = office.place(CALLS)
        figures = LiveSource(office.node.data).snapshot()
        assert (figures.attempts, figures.passed) == (len(CALLS), len(CALLS))
        office.node.stop()
        assert_told(office, CALLS, truth)
        judged = verdicts(office.node)
        assert len(judged) == len(CALLS)
        assert all("mirrored" in it.flags and it.trunk == "neighbour" for it in judged)
        assert_counted(office, CALLS)


def test_redirected_calls_are_linked_to_their_verdicts_and_counted_once(tmp_path: Path) -> None:
    office = MirroredOffice(tmp_path, only=False)
    with office.running():
        truth = office.place([*CALLS, FORGED])
        office.node.stop()
        assert_told(office, CALLS, truth)
        judged = verdicts(office.node)
        assert sorted(it.caller for it in judged) == sorted(call.caller for call in [*CALLS, FORGED])
        assert not [it for it in judged if "mirrored" in it.flags]
        by_call = {it.call_id: it.seq for it in judged}
        assert all(by_call[it.call_id] == it.verdict_seq for it in office.outcomes())
        assert [it.code for it in judged if it.caller == FORGED.caller] == [608]
        assert_counted(office, CALLS)


def test_without_the_key_nothing_is_believed(tmp_path: Path) -> None:
    office = MirroredOffice(tmp_path, only=True, sent_key="wrong")
    with office.running():
        caller = TimedCaller(tmp_path, office.kamailio.port, [CALLS[0]])
        with running(caller):
            caller.launch()
            caller.complete()
        office.node.stop()
        assert verdicts(office.node) == []
        assert office.outcomes() == []
        assert len(office.tap.data) > 5


def test_an_emergency_call_is_told_of_and_mirrored_and_still_one_call(tmp_path: Path) -> None:
    office = MirroredOffice(tmp_path, only=False)
    office.callee = Callee(tmp_path)
    office.kamailio.command = [
        word.replace(word.split('"')[1], office.callee.address) if word.startswith("NEXT_HOP=") else word
        for word in office.kamailio.command
    ]
    with office.running():
        caller = Caller("trunk", tmp_path, office.kamailio.port, [("13800138000", "110")], rate=1)
        with running(caller):
            caller.launch()
            assert [it.code for it in caller.complete()] == [200]
        office.node.wait_until(lambda: len(office.outcomes()) >= 2, 20)
        office.node.stop()
        (verdict,) = verdicts(office.node)
        assert "emergency" in verdict.flags
        assert [(it.phase, it.verdict_seq) for it in office.outcomes()] == [("answered", 1), ("ended", 1)]
