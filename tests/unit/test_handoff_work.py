"""Victims of the alert table reach the dissuasion desk, over a real webhook, and pages tell what came of it."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from fresh_records import lay_out
from hutong.app.appeals_cli import app, handoff
from hutong.app.appeals_config import HandoffConfig
from hutong.app.config import Config, NodeConfig
from hutong.app.handoff_work import FRESH_MS, HandoffWork
from hutong.calls.alerts.table import AlertRow, AlertTable
from hutong.handoff.metrics import HANDOFFS, HANDOFFS_TOLD, HANDOFFS_WAITING
from hutong.handoff.model import Outcome
from hutong.kernel.cases.model import Actor
from hutong.kernel.clock import ManualClock
from hutong.kernel.letters import CodeError, FileCodes, Letter, NoCodes, Postbox, WebhookCodes
from hutong.kernel.numbering import key_of_digits
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_MS = 1_772_416_800_000
SECRET = "desk"  # noqa: S105  # of a made-up desk


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers with what is due, and keeps what came."""

    due: ClassVar[list[int]] = []
    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.due.pop(0) if self.due else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Receiver.due, Receiver.got = [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/desk"
        server.shutdown()
        thread.join()


def row(
    seq: int, callee: str = "8613900139000", *, kind: str = "victim", stage: str = "alert", ago: int = 0
) -> AlertRow:
    return AlertRow(
        seq=seq,
        time_ms=NOW_MS - ago,
        rule=f"{kind}.long-talk",
        version=1,
        kind=kind,
        stage=stage,
        caller=key_of_digits("8617012345678"),
        callee=key_of_digits(callee),
        trunk="home",
        verdict=seq,
        call_id="x",
        ring_ms=2000,
        talk_ms=181_000,
        answered=True,
        figures={"callee.flagged_callers_1h": 3.0},
        conditions="0" * 16,
        total_ms=181_000,
    )


def signed(headers: dict[str, str], body: bytes) -> bool:
    seconds, _, mark = headers["hutong-signature"].removeprefix("t=").partition(",v1=")
    return hmac.compare_digest(
        mark, hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    )


@pytest.mark.enable_socket
def test_victims_reach_the_desk_once_and_what_came_of_them_is_counted(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lay_out(data / "records.db")
    settings = HandoffConfig(webhook_url=url, webhook_secret=SECRET, file=str(data / "desk.jsonl"))
    config = Config(node=NodeConfig(name="node1", data=str(data)), handoff=settings)
    reporter, clock = Reporter("work", level="error"), ManualClock(NOW_MS * 1_000_000)
    table = AlertTable(data)
    table.create()
    rows = [
        row(1),
        row(2, kind="long"),
        row(3, "8613700137000", stage="observe"),
        row(4),
        row(5, "8613600136000", ago=FRESH_MS),
    ]
    table.take(rows, 5)
    Receiver.due = [503]
    assert HandoffWork(config, clock, reporter).look(NOW_MS) == 0
    again = HandoffWork(config, clock, reporter)  # whoever comes after a kill
    assert [again.look(NOW_MS + at) for at in (100, 500, 1000)] == [0, 1, 0]
    ids = {headers["idempotency-key"] for headers, _ in Receiver.got}
    assert (ids, len(Receiver.got), all(signed(*it) for it in Receiver.got)) == ({"node1-1"}, 2, True)
    told = json.loads(Receiver.got[-1][1])
    assert (told["number"], told["caller"], told["callers"]) == ("+8613900139000", "+8617012345678", 3)
    assert len((data / "desk.jsonl").read_text().splitlines()) == 2, "at least once, with one id"
    table.take([row(6, "8613600136000")], 6)
    Receiver.due = [422]
    assert again.look(NOW_MS + 2000) == 0
    assert again.count() == 0
    again._opened().answer("node1-1", Outcome("reached", saved=9), Actor("desk", frozenset()), NOW_MS)  # noqa: SLF001
    again.count()
    figures = reporter.metrics
    assert (figures.value(HANDOFFS, answer="reached"), figures.value(HANDOFFS, answer="none")) == (1, 1)
    assert figures.value(HANDOFFS_TOLD, result="refused") == 1
    assert figures.value(HANDOFFS_WAITING) == 0
    handoff(["list", "--data", str(data)], result_action="return_value")
    shown = capsys.readouterr().out
    assert "139****9000" in shown
    assert "13900139000" not in shown
    handoff(["list", "--json", "--answer", "reached", "--data", str(data)], result_action="return_value")
    assert json.loads(capsys.readouterr().out)["saved"] == 9
    app(["list", "--data", str(data)], result_action="return_value")
    assert "0 / 0" in capsys.readouterr().out
    assert again.forget(NOW_MS + 91 * 86_400_000) == 2
    again._database.close()  # noqa: SLF001


def test_what_nobody_foresaw_does_not_end_the_thread(tmp_path: Path) -> None:
    class Odd(HandoffWork):
        looks = 0

        def look(self, now_ms: int) -> int:
            self.looks += 1
            if self.looks == 1:
                raise KeyError(now_ms)
            self._over.set()
            return 0

    work = Odd(Config(node=NodeConfig(data=str(tmp_path))), ManualClock(), Reporter("work", level="error"))
    work._run()  # noqa: SLF001
    assert work.looks == 2


@pytest.mark.enable_socket
def test_codes_go_to_the_gateway_signed_and_what_fails_is_told(tmp_path: Path, url: str) -> None:
    letter = Letter("id1", "+8613800138000", "012345", 5, "zh", "验证码 012345")
    said: list[tuple[str, str]] = []

    def note(result: str, why: str) -> None:
        said.append((result, why))

    port = WebhookCodes(url, SECRET, ManualClock(NOW_MS * 1_000_000))
    box = Postbox(port, note, 0)
    Receiver.due = [200, 500]
    assert (box.put(letter), box.put(letter)) == (True, True)
    assert [result for result, _ in said] == ["sent", "failed"]
    headers, body = Receiver.got[0]
    assert signed(headers, body)
    assert (headers["idempotency-key"], msgspec.json.decode(body, type=Letter)) == ("id1", letter)
    with pytest.raises(CodeError):
        FileCodes(tmp_path / "nowhere" / "codes").send(letter)
    with pytest.raises(CodeError):
        WebhookCodes("http://127.0.0.1:9/", "s", ManualClock()).send(letter)
    assert not Postbox(NoCodes("appeals.code_file"), note).ready


def test_a_postbox_that_is_full_takes_no_more() -> None:
    gate, sent = threading.Event(), []

    class Slow:
        name = "slow"

        def send(self, letter: Letter) -> None:
            gate.wait(10)
            sent.append(letter.id)

    box = Postbox(Slow(), lambda *_: None, 1)
    taken = [box.put(Letter(str(n), "+86", "1", 5, "zh", "")) for n in range(300)]
    assert taken[0]
    assert not taken[-1]
    gate.set()
    box.close()
