"""A node is killed, stopped, and refused by its disk: what it has answered stands, and nothing is counted twice."""

from __future__ import annotations

import contextlib
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from nodes import IPV4, PATIENCE, ScreenNode, until, verdicts_in
from sip_clients import FORGED, UdpPeer, code_of, header_of, new_call

from e2e.processes import running
from hutong.calls.screening import replay_records
from hutong.kernel import windows
from hutong.kernel.journal import FileJournal

if TYPE_CHECKING:
    from hutong.calls.model import Verdict
    from hutong.kernel.windows import WindowArrays

pytestmark = pytest.mark.enable_socket

ROUNDS = 4
AT_ONCE = 150
MEBIBYTE = 1 << 20
#: Estimates over salted bins: two tables of the same calls may differ in them.
ESTIMATED = ("distinct_callees", "areas")


@pytest.fixture
def node(tmp_path: Path) -> ScreenNode:
    return ScreenNode(tmp_path)


class Load:
    """Calls under way at one client: at most AT_ONCE unanswered, every fourth forged, half through each path."""

    def __init__(self, peer: UdpPeer, rng: random.Random) -> None:
        self._peer, self._rng = peer, rng
        self.answered: dict[str, int] = {}
        self._waiting: set[str] = set()

    def until_answered(self, count: int) -> None:
        """Keep calling until so many more answers have come."""
        enough = len(self.answered) + count
        while len(self.answered) < enough:
            while len(self._waiting) < AT_ONCE:
                self._place()
            self._note(self._peer.receive())

    def settle(self) -> None:
        """Let every call under way be answered."""
        while self._waiting:
            self._note(self._peer.receive())

    def drain(self) -> None:
        """Take what came before the node died; forget what it never answered."""
        for answer in self._peer.pending():
            self._note(answer)
        self._waiting.clear()

    def _place(self) -> None:
        call = new_call()
        caller = FORGED if self._rng.random() < 0.25 else f"138{self._rng.randrange(300):08d}"
        callee = self._rng.choice(["110", f"139{self._rng.randrange(200):08d}"])
        extra = "Subject: through the full codec" if self._rng.random() < 0.5 else ""
        self._peer.send(self._peer.invite(caller, callee, call=call, extra=extra))
        self._waiting.add(f"call-{call}@192.0.2.99")

    def _note(self, answer: bytes) -> None:
        call_id = header_of(answer, "Call-ID")
        self._waiting.discard(call_id)
        assert self.answered.setdefault(call_id, code_of(answer)) == code_of(answer)


def assert_kept(answered: dict[str, int], verdicts: list[Verdict]) -> None:
    """Every answer is on record as it was given; no number is missing or used twice, nor any call."""
    recorded = {verdict.call_id: verdict.code for verdict in verdicts}
    assert {call_id: recorded.get(call_id) for call_id in answered} == answered
    assert [verdict.seq for verdict in verdicts] == list(range(1, len(verdicts) + 1))
    assert len(recorded) == len(verdicts)


def assert_windows_equal_the_journal(data: Path) -> None:
    """What the windows hold of every number is what counting the whole journal again gives. The node has stopped."""
    kept = windows.WindowFile(data / "windows.bin", 16 * MEBIBYTE)
    kept.open()
    journal = FileJournal(data / "journal")
    journal.open()
    try:
        assert kept.rolled_back == 0
        recount = windows.format_buffer(bytearray(windows.size_for(20_000)), 20_000, (1, 2))
        for frame in journal.read_frames(1):
            words = np.frombuffer(frame.payload, dtype=np.int64)
            windows.begin(recount, frame.first_seq)
            replay_records(recount, words, words.view(np.uint16), 0)
            windows.commit(recount, frame.next_seq - 1)
        verdicts = verdicts_in(data)
        assert windows.committed_seq(kept.arrays) == len(verdicts)
        now = max(verdict.time_ms for verdict in verdicts) // 1000
        keys = {key for verdict in verdicts for key in (verdict.caller_key, verdict.callee_key)}
        assert windows.tracked(kept.arrays) == windows.tracked(recount) > len(keys)  # the trunks are among them
        for key in keys:
            assert _exact(kept.arrays, key, now) == _exact(recount, key, now)
    finally:
        journal.close()
        kept.close()


def _exact(table: WindowArrays, key: int, now: int) -> dict[str, float]:
    """The features of a number that are counted, not estimated."""
    out = np.zeros(len(windows.WINDOW_FEATURES))
    windows.read_features(table, windows.find(table, key), now, out, 0)
    named = dict(zip(windows.WINDOW_FEATURES, out.tolist(), strict=True))
    return {name: value for name, value in named.items() if not name.startswith(ESTIMATED)}


def test_killed_under_load_it_keeps_every_verdict_it_has_given_and_counts_each_once(node: ScreenNode) -> None:
    rng = random.Random(1)
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        load = Load(peer, rng)
        for _ in range(ROUNDS):
            node.start()
            load.until_answered(rng.randrange(1, 800))
            node.kill()
            load.drain()
            assert_kept(load.answered, node.verdicts())
        node.start()
        load.until_answered(100)
        load.drain()
        assert node.terminate() == 0
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)
    assert len(load.answered) > 100 + ROUNDS


def test_killed_while_it_recovers_it_recovers_all_the_same(node: ScreenNode) -> None:
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        load = Load(peer, random.Random(2))
        load.until_answered(300)
        node.kill()
        load.drain()
        (node.data / "windows.bin").unlink()  # all of it must be counted again
        for _ in range(2):
            node.launch()
            node.wait_until((node.data / "windows.bin").exists)
            node.kill()
        node.start()
        load.until_answered(10)
        load.drain()
        assert node.terminate() == 0
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)


def test_sigterm_stops_it_cleanly_within_five_seconds_even_under_load(node: ScreenNode) -> None:
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        load = Load(peer, random.Random(3))
        load.until_answered(200)
        assert node.terminate(5.0) == 0
        load.drain()
    assert "stopped" in node.read_log()
    assert "Traceback" not in node.read_log()
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)


def test_sigterm_is_heeded_while_it_still_starts(node: ScreenNode) -> None:
    with running(node):
        node.launch()
        node.wait_until(lambda: catches(node.pid, signal.SIGTERM))
        assert node.terminate(5.0) == 0


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask, 16) & 1 << (number - 1))


# A disk that takes no more


def test_while_the_disk_is_full_calls_stay_unanswered_and_then_service_resumes(node: ScreenNode) -> None:
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        load = Load(peer, random.Random(4))
        load.until_answered(300)
        load.settle()
        said = node.said
        with node.full_disk():
            refused = [peer.invite(FORGED, call=new_call(), extra="Subject: x" if at % 2 else "") for at in range(6)]
            for data in refused:
                peer.send(data)
                assert still_unanswered(peer, data)
        told = node.read_log(said)
        assert told.count("The journal cannot be written") == 1
        assert "Free space on this disk" in told
        assert str(node.data / "journal") in told
        assert node.figures.journal_refused > 0
        # The caller's own retransmission finds the node well again.
        assert {code_of(peer.answer_to(data)[0]) for data in refused} == {608}
        load.until_answered(200)
        load.drain()
        assert node.terminate() == 0
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)


def still_unanswered(peer: UdpPeer, data: bytes) -> bool:
    """Whether a request has no answer by the time that a later question has one.

    Questions need no record; one that was read together with a call that could not be kept shares its fate.
    """
    wanted, question = header_of(data, "Call-ID"), peer.request("OPTIONS")
    seen: list[str] = []

    def answered() -> bool:
        peer.send(question)
        with contextlib.suppress(AssertionError):
            seen.append(header_of(peer.receive(0.1), "Call-ID"))
        seen.extend(header_of(answer, "Call-ID") for answer in peer.pending())
        return header_of(question, "Call-ID") in seen

    until(answered, PATIENCE, "an answer to a question")
    return wanted not in seen


def test_rules_that_the_disk_cannot_keep_wait_until_it_can(node: ScreenNode) -> None:
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        assert code_of(peer.ask(peer.invite(VIRTUAL))) == 302
        (node.data / "rules").mkdir()
        with node.full_disk(beyond=8192):
            (node.data / "rules" / "own.yaml").write_text(OWN_RULE, encoding="utf-8")
            node.await_log("rules cannot be kept, the old set stays")
        node.await_log("rules in force")
        assert code_of(peer.answer_to(peer.invite(VIRTUAL))[0]) == 608
    assert "Traceback" not in node.read_log()


VIRTUAL = "17000001234"
OWN_RULE = """\
id: own.virtual-caller
version: 1
title: {zh: 虚拟运营商号码, en: Number of a virtual operator}
when: caller.class == "virtual"
action: block
stage: block
certain: true
basis: test
runbook: docs/calls.md#test
samples:
  - {given: {caller.class: virtual}, fires: true}
  - {given: {caller.class: mobile}, fires: false}
"""


def test_what_is_mapped_has_its_place_on_the_disk_from_the_start(node: ScreenNode) -> None:
    # Otherwise a disk that fills up later would kill the process at its next store into such a file.
    with running(node):
        node.start()
        for name in ("windows.bin", "board.bin"):
            stat = (node.data / name).stat()
            assert stat.st_blocks * 512 >= stat.st_size
