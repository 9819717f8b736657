"""Alerts through real processes and sockets: HEP in, a signed webhook out; and both processes killed meanwhile."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import random
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

import msgspec
import pytest
from mirror_nodes import MirrorNode, Sender
from nodes import PATIENCE, until

from e2e.processes import HUTONG, Process, free_port, running
from hutong.calls.alerts.queries import AlertFilters
from hutong.calls.alerts.record import KIND_ALERT, Alert, decode_alert
from hutong.calls.alerts.sinks import AlertMessage
from hutong.calls.alerts.table import AlertTable
from hutong.kernel.journal import FileJournal
from mirrored import Leg

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.enable_socket

SIGNED_WITH = "what both know"
CALLEE = "13900139000"
ROUNDS = 4
#: Holds for every call that is answered: what a kill may lose or double shows at once.
ALWAYS = """
- id: long.answered
  version: 1
  title: {zh: 接通, en: Answered}
  when: call.answered
  action: alert
  stage: alert
  basis: test
  runbook: https://example.org/answered
  samples: [{given: {call: {answered: true}}, fires: true}, {given: {}, fires: false}]
"""


class Receiver:
    """A webhook's other side: keeps what came with the time it came."""

    def __init__(self) -> None:
        self.got: list[tuple[float, dict[str, str], bytes]] = []
        self.port = free_port()
        self._server: http.server.ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        got = self.got

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((time.monotonic(), dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                del format, args

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def messages(self) -> list[AlertMessage]:
        """Everything that came, in order."""
        return [msgspec.json.decode(body, type=AlertMessage) for _, _, body in list(self.got)]

    def of(self, rule: str) -> list[AlertMessage]:
        """Raised alerts of a condition."""
        return [it for it in self.messages if it.event == "raised" and it.alerts[0].rule == rule]


def worker(node: MirrorNode) -> Process:
    """The `work` process of a node."""
    return Process("work", [*HUTONG, "work", "--data", str(node.data), "--config", str(node.config)], node.folder)


def settings(receiver: Receiver, file: Path) -> str:
    url = f"http://127.0.0.1:{receiver.port}/in"
    return f'[alerts]\nwebhook_url = "{url}"\nwebhook_secret = "{SIGNED_WITH}"\nfile = "{file}"\n'


def call(name: str, caller: str) -> Leg:
    return Leg(call=name, branch=name, caller=caller, callee=CALLEE)


def alerts_in(data: Path) -> list[Alert]:
    """Every alert in a node's journal."""
    journal = FileJournal(data / "journal")
    journal.open()
    try:
        return [decode_alert(it.seq, it.body) for it in journal.read(1) if it.kind == KIND_ALERT]
    finally:
        journal.close()


def test_a_victim_is_told_of_while_the_call_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    with Receiver() as receiver:
        node = MirrorNode(tmp_path, more=settings(receiver, file))
        work = worker(node)
        with running(node, work), Sender(node) as sender:
            node.start()
            work.launch()
            work.wait_until((node.data / "run" / "work.prom").exists)
            first, second = call("first", "4008123456"), call("second", "4008999999")
            sender.send(first.invite(), first.response(486))
            node.await_outcomes(1)
            sender.send(second.invite())
            node.await_figures(lambda it: it.attempts == 2)
            began = time.monotonic()
            sender.send(second.response(200))
            until(lambda: receiver.of("victim.answered-after-attempts"), PATIENCE, "the webhook is called")
            (at, headers, body), *_ = [it for it in receiver.got if b"victim.answered" in it[2]]
            sys.stdout.write(f"\nfrom the 200 OK over HEP to the webhook: {(at - began) * 1000:.0f} ms\n")
            seconds = headers["Hutong-Signature"].partition("t=")[2].partition(",")[0]
            signed = hmac.new(SIGNED_WITH.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
            assert headers["Hutong-Signature"] == f"t={seconds},v1={signed}"
            (message,) = receiver.of("victim.answered-after-attempts")
            (alert,) = message.alerts
            assert (headers["Idempotency-Key"], message.id, alert.id) == (message.id, alert.id, alert.id)
            assert (alert.callee.number, alert.caller.number) == (f"86{CALLEE}", "864008999999")
            assert (alert.call_id, alert.answered, alert.ended) == ("second@192.0.2.99", True, None)
            assert alert.values == {"call.answered": True, "caller.flagged": True, "callee.flagged_attempts_1h": 2.0}
            sender.send(second.bye())
            until(lambda: receiver.messages[-1].event == "ended", PATIENCE, "the end is told")
            assert [it.id for it in receiver.messages[-1].alerts] == [alert.id]
            until(lambda: file.exists() and b'"ended"' in file.read_bytes(), PATIENCE, "the file has it too")
            assert work.child.poll() is None
        lines = [msgspec.json.decode(line, type=AlertMessage) for line in file.read_bytes().splitlines()]
        assert [it.id for it in lines] == [it.id for it in receiver.messages]


def test_conditions_change_while_the_node_runs(tmp_path: Path) -> None:
    with Receiver() as receiver:
        node = MirrorNode(tmp_path, more=settings(receiver, tmp_path / "alerts.jsonl"))
        with running(node), Sender(node) as sender:
            node.start()
            leg = call("goes-on", "13800138000")
            sender.send(leg.invite(), leg.response(200))
            node.await_outcomes(1)
            own = node.data / "alerts" / "own.yaml"
            own.write_text("- {id: long.wrong}\n", encoding="utf-8")
            node.await_log("alert conditions refused")
            assert alerts_in(node.data) == []
            own.write_text(ALWAYS, encoding="utf-8")
            until(lambda: alerts_in(node.data), PATIENCE, "the new condition is told of the call under way")
            assert [it.rule for it in alerts_in(node.data)] == ["long.answered"]


def test_killed_at_any_moment_each_alert_is_raised_once_and_told_at_least_once(tmp_path: Path) -> None:
    rng = random.Random(7)
    with Receiver() as receiver:
        node = MirrorNode(tmp_path, more=settings(receiver, tmp_path / "alerts.jsonl"))
        (node.data / "alerts").mkdir(parents=True)
        (node.data / "alerts" / "own.yaml").write_text(ALWAYS, encoding="utf-8")
        work = worker(node)
        going: list[Leg] = []
        with running(node, work), Sender(node) as sender:
            for number in range(ROUNDS):
                node.start()
                work.launch()
                legs = [call(f"k{number}-{at}", f"1380013{number}{at:03d}") for at in range(rng.randrange(20, 60))]
                for leg in legs:
                    sender.send(leg.invite(), leg.response(200))
                for leg in [leg for leg in going if rng.random() < 0.3]:
                    sender.send(leg.bye())
                going += legs
                before = len(alerts_in(node.data))
                until(lambda: len(alerts_in(node.data)) > before, PATIENCE, "some alerts")  # noqa: B023
                (node if rng.random() < 0.7 else work).kill()
                node.kill()
                work.kill()
            node.start()
            work.launch()
            for leg in going:
                sender.send(leg.bye())
            closing = call("closing", "13700137000")
            sender.send(closing.invite(), closing.response(200), closing.bye())
            table = AlertTable(node.data)

            def is_told() -> bool:
                found = alerts_in(node.data)
                last = max((it.seq for it in found), default=0)
                return table.going_on() == (0, 0) and any(it.id == f"node1-{last}" for it in receiver.messages)

            until(is_told, 6 * PATIENCE, "everything is told")
    found = alerts_in(node.data)
    raised = Counter((it.verdict_seq, it.rule) for it in found if it.phase == "raised")
    ends = Counter(it.verdict_seq for it in found if it.phase != "raised")
    answered = {it.verdict_seq for it in node.outcomes() if it.phase == "answered"}
    assert set(raised.values()) == {1}
    assert set(ends.values()) == {1}
    assert {verdict for verdict, _ in raised} == set(ends)
    # A call that is answered and over within a tick, or in one batch after a kill, is over before it is looked at.
    assert {verdict for verdict, _ in raised} <= answered
    assert len(raised) > ROUNDS
    ids = {f"node1-{it.seq}" for it in found}
    got = [it.id for it in receiver.messages]
    assert set(got) == ids
    assert list(dict.fromkeys(got)) == sorted(ids, key=lambda it: int(it.rpartition("-")[2]))
    rows = AlertTable(node.data).rows(AlertFilters(), limit=10_000)
    assert [row.seq for row in rows] == sorted((it.seq for it in found if it.phase == "raised"), reverse=True)
