"""A node that takes HEP on real sockets: both transports and families, junk, kills, a second start."""

from __future__ import annotations

import contextlib
import json
import random
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from mirror_nodes import MirrorNode, Sender
from nodes import IPV4, IPV6, PATIENCE, until
from sip_clients import FORGED, UdpPeer, code_of, new_call

from e2e.processes import hutong, running
from hutong.calls.screening import replay_records
from hutong.kernel import windows
from hutong.kernel.journal import FileJournal
from mirrored import Leg, hep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.calls.outcomes import Outcome

pytestmark = pytest.mark.enable_socket

ROUNDS = 4
MEBIBYTE = 1 << 20
ESTIMATED = ("distinct_callees", "areas")
KEY = b"a key of the senders"


@pytest.fixture
def node(tmp_path: Path) -> MirrorNode:
    return MirrorNode(tmp_path)


def call(name: str) -> Leg:
    return Leg(call=name, branch=name)


def told(sender: Sender, name: str, **more: object) -> None:
    """One whole call."""
    leg = call(name)
    sender.send(leg.invite(), leg.response(200), leg.bye(), **more)


@pytest.mark.parametrize("host", [IPV4, IPV6])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{}, {"compress": "gzip"}, {"source": "2001:db8::7"}])
def test_a_call_is_followed_over_either_transport_and_family(
    node: MirrorNode,
    host: str,
    stream: bool,  # noqa: FBT001
    more: dict[str, object],
) -> None:
    with running(node):
        node.start()
        with Sender(node, host=host, stream=stream) as sender:
            told(sender, "one", **more)
            assert [it.phase for it in node.await_outcomes(2)] == ["answered", "ended"]
        (verdict,) = node.verdicts()
        assert "mirrored" in verdict.flags
        assert verdict.trunk == ("company" if "source" in more else "neighbour")


def test_packets_of_a_stream_may_come_in_any_pieces(node: MirrorNode) -> None:
    leg, now = call("pieces"), time.time_ns() // 1000
    data = b"".join(hep(message, now) for message in (leg.invite(), leg.response(200), leg.bye()))
    with running(node):
        node.start()
        with Sender(node, stream=True) as sender:
            for at in range(0, len(data), 37):
                sender.send_raw(data[at : at + 37])
            node.await_outcomes(2)


JUNK = {
    "nothing": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(400),
    "too short": b"HEP3\x00\x05",
    "an older version": b"\x02\x10" + bytes(40),
    "an empty packet": b"HEP3\x00\x06",
    "SIP without HEP": call("bare").invite(),
    "no SIP in it": hep(b"\xff" * 90, 0),
    "a cut message": hep(call("cut").invite()[:150], 0),
    "long": b"\xff" * 60_000,
}


@pytest.mark.parametrize("stream", [False, True])
def test_junk_changes_nothing_and_a_call_after_it_is_followed(node: MirrorNode, stream: bool) -> None:  # noqa: FBT001
    with running(node):
        node.start()
        for number, (name, data) in enumerate(JUNK.items()):
            with Sender(node, stream=stream) as sender:
                sender.send_raw(data)
            with Sender(node, stream=stream) as sender:
                told(sender, name.replace(" ", "-"))
                assert len(node.await_outcomes(2 * number + 2)) == 2 * number + 2
        assert node.terminate() == 0
    assert "Traceback" not in node.read_log()
    assert len(node.verdicts()) == len(JUNK)


def test_random_bytes_on_both_ports_while_calls_go_on(node: MirrorNode) -> None:
    rng = random.Random(5)
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        with Sender(node) as datagrams:
            for _ in range(300):
                datagrams.send_raw(rng.randbytes(rng.randrange(1, 300)))
                datagrams.send_raw(b"HEP3" + rng.randbytes(rng.randrange(2, 300)))
            for _ in range(20):
                with Sender(node, stream=True) as stream:
                    stream.send_raw(rng.randbytes(2000))
            told(datagrams, "after")
            node.await_outcomes(2)
        assert code_of(peer.ask(peer.invite(FORGED))) == 608
        node.await_figures(lambda it: it.attempts == 2)
    assert "Traceback" not in node.read_log()


def test_only_senders_with_the_key_are_heard(tmp_path: Path) -> None:
    node = MirrorNode(tmp_path, key=KEY)
    with running(node):
        node.start()
        for stream in (False, True):
            with Sender(node, stream=stream, key=b"another") as stranger:
                told(stranger, f"stranger{stream}")
            with Sender(node, stream=stream, key=KEY) as sender:
                told(sender, f"known{stream}")
                node.await_outcomes(4 if stream else 2)
    assert {it.call_id for it in node.outcomes()} == {"knownTrue@192.0.2.99", "knownFalse@192.0.2.99"}


def test_a_screened_call_is_linked_by_the_running_node(tmp_path: Path) -> None:
    node = MirrorNode(tmp_path, wait_ms=5000)
    with running(node), UdpPeer((IPV4, node.port)) as peer, Sender(node) as sender:
        node.start()
        for extra in ("", "Subject: through the full codec"):
            name = new_call()
            leg = Leg(call=f"call-{name}", branch=name, caller_tag=f"a{name}")
            sender.send(leg.invite())
            assert code_of(peer.ask(peer.invite(call=name, extra=extra))) == 302
            sender.send(leg.response(200), leg.bye())
        outcomes = node.await_outcomes(4)
    assert sorted({it.verdict_seq for it in outcomes}) == sorted(it.seq for it in node.verdicts())
    assert len(node.verdicts()) == 2


def test_explain_tells_what_became_of_a_call_and_that_nobody_asked(node: MirrorNode) -> None:
    with running(node), Sender(node) as sender:
        node.start()
        start = time.time_ns() // 1000
        leg = msgspec.structs.replace(call("told"), caller=FORGED)
        for message, at in (
            (leg.invite(), 0),
            (leg.response(200), 3_250_000),
            (leg.bye("Reason: Q.850;cause=16"), 9_000_000),
        ):
            sender.send_raw(hep(message, start + at))
        node.await_outcomes(2)
        explain = ("calls", "explain", "told@192.0.2.99", "--data", str(node.data))
        english, chinese = hutong(*explain, "--lang", "en"), hutong(*explain)
        assert "outcome: answered after 3.250 s, talked 5.750 s (Q.850 16)" in english
        assert "seen in mirrored signalling only" in english
        assert "would have decided: calls.shared-cost-as-caller" in english
        assert "SIP 0" not in english
        assert "结局: 振铃 3.250 秒,通话 5.750 秒 (Q.850 16)" in chinese
        assert "若经筛查则决定" in chinese
        told = json.loads(hutong(*explain, "--json"))
        assert (told["code"], told["action"]) == (0, "pass")
        assert {name: told["outcome"][name] for name in ("phase", "ring_ms", "talk_ms", "release")} == {
            "phase": "ended",
            "ring_ms": 3250,
            "talk_ms": 5750,
            "release": 16,
        }


def test_calls_under_way_are_known_to_the_next_start(node: MirrorNode) -> None:
    with running(node), Sender(node) as sender:
        for number, stop in enumerate((node.kill, node.terminate)):
            node.start()
            leg = call(f"over{number}")
            start = time.time_ns() // 1000
            sender.send_raw(hep(leg.invite(), start))
            sender.send_raw(hep(leg.response(200), start + 2_000_000))
            node.await_outcomes(2 * number + 1)
            stop()
            node.start()
            sender.send_raw(hep(leg.bye(), start + 9_000_000))
            ended = node.await_outcomes(2 * number + 2)[-1]
            assert (ended.phase, ended.ring_ms, ended.talk_ms) == ("ended", 2000, 7000)
            assert node.terminate() == 0
    assert_windows_equal_the_journal(node.data)


def test_calls_are_lost_from_sight_with_their_table_and_do_not_go_on(node: MirrorNode) -> None:
    with running(node), Sender(node) as sender:
        node.start()
        leg = call("gone")
        sender.send(leg.invite(), leg.response(200))
        key = node.await_outcomes(1)[0].caller_key
        node.kill()
        (node.data / "mirror.bin").unlink()
        node.start()
        assert [(it.phase, it.caller_key) for it in node.await_outcomes(2)][1] == ("lost", 0)
        assert node.terminate() == 0
    with opened(node.data) as table:
        assert exact(table, key)["active_calls"] == 0
    assert_windows_equal_the_journal(node.data)


def test_a_stop_judges_what_still_waits(tmp_path: Path) -> None:
    node = MirrorNode(tmp_path, wait_ms=10_000)
    with running(node), Sender(node) as sender:
        node.start()
        sender.send(call("waits").invite())
        node.await_figures(lambda it: it.mirror.packets == 1)
        assert node.terminate() == 0
    assert [verdict.call_id for verdict in node.verdicts()] == ["waits@192.0.2.99"]


def test_while_the_disk_is_full_packets_are_lost_and_counted_and_then_it_goes_on(node: MirrorNode) -> None:
    with running(node), Sender(node) as sender:
        node.start()
        sender.send(call("before").invite(), call("before").response(200))
        node.await_outcomes(1)
        node.await_figures(lambda it: it.mirror.answered == 1)
        with node.full_disk():
            sender.send(call("before").bye())
            node.await_figures(lambda it: it.mirror.lost > 0)
        sender.send(call("before").bye())
        assert node.await_outcomes(2)[-1].phase == "ended"
        told(sender, "after")
        node.await_outcomes(4)
        assert node.terminate() == 0
    assert "Traceback" not in node.read_log()
    assert_windows_equal_the_journal(node.data)
    assert_told_once(node.outcomes())


class Traffic:
    """Screened and mirrored calls at once, messages shuffled among each other."""

    def __init__(self, peer: UdpPeer, sender: Sender, rng: random.Random) -> None:
        self._peer, self._sender, self._rng = peer, sender, rng
        self._deeds: list[Callable[[], None]] = []
        self._placed = 0

    def go_on(self, count: int) -> None:
        """Do so many more things."""
        for _ in range(count):
            while len(self._deeds) < 60:
                self._place()
            self._deeds.pop(self._rng.randrange(min(len(self._deeds), 10)))()
        self._peer.pending()

    def _place(self) -> None:
        rng, name = self._rng, new_call()
        caller, callee = f"138{rng.randrange(50):08d}", f"139{rng.randrange(50):08d}"
        leg = Leg(call=f"call-{name}", branch=name, caller_tag=f"a{name}", caller=caller, callee=callee)
        if rng.random() < 0.5:
            asked = self._peer.invite(caller, callee, call=name)
            self._deeds.append(lambda: self._peer.send(asked))
        messages = [leg.invite()]
        messages += [leg.response(486)] if rng.random() < 0.3 else [leg.response(200), leg.bye()]
        for message in messages:
            compress = "gzip" if rng.random() < 0.1 else ""
            self._deeds.append(lambda message=message, compress=compress: self._sender.send(message, compress=compress))


def test_killed_under_load_the_windows_equal_the_journal_with_all_outcomes(tmp_path: Path) -> None:
    node, rng = MirrorNode(tmp_path, wait_ms=20), random.Random(6)
    with running(node), UdpPeer((IPV4, node.port)) as peer, Sender(node) as sender:
        traffic = Traffic(peer, sender, rng)
        for _ in range(ROUNDS):
            before = len(node.outcomes()) if (node.data / "journal").exists() else 0
            node.start()
            traffic.go_on(rng.randrange(200, 600))
            until(lambda: len(node.outcomes()) > before + 20, PATIENCE, "outcomes")  # noqa: B023
            traffic.go_on(rng.randrange(1, 200))
            node.kill()
        node.start()
        traffic.go_on(300)
        assert node.terminate() == 0
    assert_windows_equal_the_journal(node.data)
    assert_told_once(node.outcomes())


def assert_told_once(outcomes: list[Outcome]) -> None:
    """No answer and no end of a call stands twice in the journal."""
    seen = [(it.verdict_seq, it.phase) for it in outcomes if it.verdict_seq]
    assert len(seen) == len(set(seen))


@contextlib.contextmanager
def opened(data: Path) -> Iterator[windows.WindowArrays]:
    """The windows of a node that has stopped."""
    kept = windows.WindowFile(data / "windows.bin", 16 * MEBIBYTE)
    kept.open()
    try:
        yield kept.arrays
    finally:
        kept.close()


def assert_windows_equal_the_journal(data: Path) -> None:
    """What the windows hold of every number is what counting the whole journal again gives. The node has stopped."""
    recount = windows.format_buffer(bytearray(windows.size_for(20_000)), 20_000, (1, 2))
    journal = FileJournal(data / "journal")
    journal.open()
    try:
        last = journal.last_seq
        keys = set()
        for frame in journal.read_frames(1):
            words = np.frombuffer(frame.payload, dtype=np.int64)
            windows.begin(recount, frame.first_seq)
            replay_records(recount, words, words.view(np.uint16), 0)
            windows.commit(recount, frame.next_seq - 1)
        for record in journal.read(1):
            keys |= set(np.frombuffer(record.body, dtype=np.int64, count=4)[1:4].tolist())
    finally:
        journal.close()
    with opened(data) as kept:
        assert windows.committed_seq(kept) == last
        assert windows.tracked(kept) == windows.tracked(recount)
        for key in keys - {0}:
            assert exact(kept, key) == exact(recount, key)


def exact(table: windows.WindowArrays, key: int) -> dict[str, float]:
    """The features of a number that are counted, not estimated, at its own last moment."""
    out = np.zeros(len(windows.WINDOW_FEATURES))
    windows.read_features(table, windows.find(table, key), 0, out, 0)
    named = dict(zip(windows.WINDOW_FEATURES, out.tolist(), strict=True))
    return {name: value for name, value in named.items() if not name.startswith(ESTIMATED)}
