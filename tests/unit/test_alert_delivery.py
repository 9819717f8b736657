"""Alerts from the journal into their table and on to sinks: once in the table, at least once to a sink, in order."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import subprocess
import sys
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np
import pytest

from hutong.calls import record as rec
from hutong.calls.alerts import record as told
from hutong.calls.alerts.follow import AlertReader, fill_table
from hutong.calls.alerts.queries import AlertFilters
from hutong.calls.alerts.sinks import (
    FIRST_WAIT,
    LONGEST_WAIT,
    AlertMessage,
    Courier,
    FileSink,
    MemorySink,
    SinkError,
    SinkRefusedError,
    WebhookSink,
)
from hutong.calls.alerts.table import AlertTable
from hutong.calls.outcomes import all_lost
from hutong.kernel.clock import ManualClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.journal.frames import encode_record
from hutong.kernel.numbering import key_of_digits

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.alerts.table import AlertEvent

NOW_MS = 1_772_416_800_000
CALLER, CALLEE = key_of_digits("8613800138000"), key_of_digits("8613900139000")


def alert(
    verdict: int, rule: str = "victim.long-talk", *, phase: int = told.PHASE_RAISED, stage: int = 1, talk: int = 0
) -> bytes:
    """A whole record of an alert."""
    facts = np.array([NOW_MS + verdict, CALLER, CALLEE, 9, verdict, 2000, talk, 77, phase, stage, 1, 0, 16, 1])
    buffer = rec.new_record_buffer(4096)
    text = np.frombuffer(bytearray(rule.encode() + b"home"), np.uint8)
    cut = len(rule)
    end = told.write_alert(
        facts,
        text,
        np.array([0, cut if phase == told.PHASE_RAISED else 0]),
        text,
        np.array([cut, cut + 4]),
        np.array([181.0]),
        np.zeros(1 if phase == told.PHASE_RAISED else 0, np.int64),
        buffer,
        0,
    )
    return buffer.bytes_[:end].tobytes()


def ended(verdict: int, talk: int = 200_000) -> bytes:
    return alert(verdict, phase=told.PHASE_ENDED, talk=talk)


class Kept:
    """A journal that gains records, and the table that follows it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        (data / "alerts").mkdir(parents=True, exist_ok=True)
        self.journal = FileJournal(data / "journal", writable=True)
        self.journal.open()
        self.table = AlertTable(data)
        self.table.create()
        self.reader = AlertReader(data)

    def add(self, *records: bytes) -> None:
        self.journal.append_records(b"".join(records), len(records), NOW_MS * 1_000_000)

    def fill(self) -> None:
        while fill_table(self.reader, self.table)[0]:
            pass

    def events(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(event.phase, event.alerts) for event in self.table.events(0, 100)]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def other() -> bytes:
    return encode_record(1, b"\0" * 40)


def test_alerts_are_found_among_other_records_and_end_with_their_call(kept: Kept) -> None:
    kept.add(other(), alert(1), other())
    kept.add(alert(2, "long.talk"), alert(1, "suspicious.x", stage=0))
    kept.fill()
    rows = kept.table.rows(AlertFilters(), limit=10)
    assert [(row.seq, row.verdict, row.rule, row.kind, row.stage) for row in rows] == [
        (4, 2, "long.talk", "long", "alert"),
        (5, 1, "suspicious.x", "suspicious", "observe"),
        (2, 1, "victim.long-talk", "victim", "alert"),
    ]
    assert all(row.goes_on and row.trunk == "home" and row.caller == CALLER for row in rows)
    assert kept.table.going_on() == (2, 1)
    assert kept.table.going_on("victim") == (1, 1)
    kept.add(ended(1))
    kept.fill()
    over = kept.table.rows(AlertFilters(state="over"), limit=10)
    assert [(row.seq, row.end_phase, row.total_ms, row.release) for row in over] == [
        (5, "ended", 200_000, 16),
        (2, "ended", 200_000, 16),
    ]
    assert kept.table.going_on() == (1, 1)
    assert kept.events() == [("raised", (2,)), ("raised", (4,)), ("raised", (5,)), ("ended", (2, 5))]


def test_when_all_calls_are_lost_from_sight_so_are_their_alerts(kept: Kept) -> None:
    kept.add(alert(1), alert(2))
    kept.add(all_lost(NOW_MS))
    kept.fill()
    assert [row.end_phase for row in kept.table.rows(AlertFilters(), limit=9)] == ["lost", "lost"]
    assert kept.events()[-1] == ("lost", (1, 2))


def test_filters_and_orders_of_the_table(kept: Kept) -> None:
    kept.add(alert(1, talk=9), alert(2, "long.talk", talk=5), alert(3, "long.talk", talk=7, stage=0))
    kept.fill()

    def seqs(**wanted: object) -> list[int]:
        return [row.seq for row in kept.table.rows(AlertFilters(**wanted), limit=10)]  # type: ignore[arg-type]

    assert seqs(kind="long") == [3, 2]
    assert seqs(kind="long", stage="alert") == [2]
    assert seqs(rule="victim.long-talk") == [1]
    assert seqs(number=CALLEE) == [3, 2, 1]
    assert seqs(number=5) == []
    assert seqs(since_ms=NOW_MS + 2, until_ms=NOW_MS + 3) == [2]
    assert seqs(before=3) == [2, 1]
    assert seqs(verdict=3) == [3]
    by_talk = kept.table.rows(AlertFilters(), limit=2, offset=1, sort="talk", descending=False)
    assert [row.seq for row in by_talk] == [3, 1]
    assert kept.table.count(AlertFilters(kind="long")) == 2
    assert kept.table.rules() == ["long.talk", "victim.long-talk"]
    assert [row.seq for row in kept.table.by_seqs([3, 1, 99])] == [1, 3]


def test_a_reader_without_a_table_finds_nothing(tmp_path: Path) -> None:
    table = AlertTable(tmp_path)
    assert table.rows(AlertFilters(), limit=5) == []
    assert (table.count(AlertFilters()), table.going_on(), table.rules()) == (0, (0, 0), [])


@pytest.mark.parametrize("junk", [b"no database at all, but long enough to be one" * 9, b""])
def test_a_damaged_or_lost_table_is_made_again_from_the_journal(kept: Kept, junk: bytes) -> None:
    kept.add(alert(1), ended(1))
    kept.fill()
    for suffix in ("-wal", "-shm"):
        (kept.data / f"alerts.db{suffix}").unlink(missing_ok=True)
    (kept.data / "alerts.db").write_bytes(junk)
    again = AlertTable(kept.data)
    again.create()
    assert fill_table(AlertReader(kept.data), again)[0] == 2
    assert [row.end_phase for row in again.rows(AlertFilters(), limit=5)] == ["ended"]


def test_old_alerts_are_forgotten(kept: Kept) -> None:
    kept.add(alert(1), alert(2))
    kept.fill()
    assert kept.table.forget(NOW_MS + 2) == 1
    assert [row.seq for row in kept.table.rows(AlertFilters(), limit=5)] == [2]
    assert kept.events() == [("raised", (2,))]


_VICTIM = """
import sys
from pathlib import Path
from hutong.calls.alerts.follow import AlertReader, fill_table
from hutong.calls.alerts.table import AlertTable
data = Path(sys.argv[1])
table, reader = AlertTable(data), AlertReader(data)
table.create()
print("begun", flush=True)
while fill_table(reader, table)[0]:
    pass
print("done", flush=True)
"""


def test_killed_while_it_fills_the_table_holds_each_alert_once(kept: Kept) -> None:
    for start in range(0, 3000, 60):
        kept.add(*(record for verdict in range(start + 1, start + 61) for record in (alert(verdict), ended(verdict))))
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", _VICTIM, str(kept.data)], stdout=subprocess.PIPE) as victim:
            assert victim.stdout is not None
            victim.stdout.readline()
            victim.kill()
    kept.fill()
    rows = kept.table.rows(AlertFilters(), limit=10_000)
    assert [row.verdict for row in rows] == list(range(3000, 0, -1))
    assert all(row.end_phase == "ended" for row in rows)
    assert len(kept.table.events(0, 10_000)) == 6000


def courier(kept: Kept, sink: MemorySink | FileSink | WebhookSink, notes: list[str] | None = None) -> Courier:
    def note(result: str, _event: AlertEvent, _why: str) -> None:
        if notes is not None:
            notes.append(result)

    return Courier(kept.table, sink, "node1", kept.data / "alerts", note)


def test_a_sink_gets_every_event_in_order_and_once_while_nothing_fails(kept: Kept) -> None:
    kept.add(alert(1), alert(2, stage=0), alert(3), ended(1), ended(2))
    kept.fill()
    sink = MemorySink()
    assert courier(kept, sink).run(0) == 3
    assert [(it.id, it.event) for it in sink.got] == [
        ("node1-1", "raised"),
        ("node1-3", "raised"),
        ("node1-4", "ended"),
    ]
    first, _, last = sink.got
    (one,) = first.alerts
    assert (one.id, one.kind, one.callee.number, one.callee.key) == ("node1-1", "victim", "8613900139000", CALLEE)
    assert (one.ended, one.outcome, one.talk_s) == ("2026-03-02T02:00:00.001Z", "ended", 200.0)
    assert [it.id for it in last.alerts] == ["node1-1"]
    again = courier(kept, sink)
    assert again.place == 4
    assert again.run(0) == 0


def test_what_is_not_taken_is_brought_again_after_waits_that_double(kept: Kept) -> None:
    kept.add(alert(1))
    kept.fill()
    notes: list[str] = []
    sink = MemorySink(*(SinkError("away") for _ in range(12)))
    it = courier(kept, sink, notes)
    now, waits = 0, []
    while not sink.got:
        if it.run(now) == 0 and len(notes) > len(waits):
            waits.append(now)
        now += FIRST_WAIT
    gaps = [later - earlier for earlier, later in pairwise(waits)]
    assert gaps[:4] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]
    assert max(gaps) <= LONGEST_WAIT + FIRST_WAIT
    assert notes == ["failed"] * 12 + ["delivered"]
    assert [message.id for message in sink.got] == ["node1-1"]


def test_a_message_that_the_receiver_calls_wrong_does_not_hold_up_the_others(kept: Kept) -> None:
    kept.add(alert(1), alert(2))
    kept.fill()
    notes: list[str] = []
    sink = MemorySink(SinkRefusedError("422"))
    assert courier(kept, sink, notes).run(0) == 2
    assert notes == ["refused", "delivered"]
    assert [message.id for message in sink.got] == ["node1-2"]


def test_the_file_holds_a_line_for_each_message_also_after_a_torn_one(kept: Kept, tmp_path: Path) -> None:
    kept.add(alert(1), alert(2))
    kept.fill()
    file = tmp_path / "told.jsonl"
    file.write_bytes(b'{"id": "node1-0", "ev')
    assert courier(kept, FileSink(file)).run(0) == 2
    torn, *lines = file.read_bytes().splitlines()
    assert torn == b'{"id": "node1-0", "ev'
    assert [msgspec.json.decode(line, type=AlertMessage).id for line in lines] == ["node1-1", "node1-2"]


def test_a_file_that_cannot_be_written_is_tried_again(kept: Kept, tmp_path: Path) -> None:
    kept.add(alert(1))
    kept.fill()
    it = courier(kept, FileSink(tmp_path / "gone" / "told.jsonl"))
    assert it.run(0) == 0
    (tmp_path / "gone").mkdir()
    assert it.run(FIRST_WAIT) == 1


class _Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((dict(self.headers.items()), body))
        self.send_response(type(self).answers.pop(0) if type(self).answers else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        del format, args


@pytest.mark.enable_socket
def test_a_webhook_gets_signed_bodies_and_tells_repetitions_by_their_key(kept: Kept) -> None:
    kept.add(alert(1), alert(2))
    kept.fill()
    _Receiver.seen.clear()
    _Receiver.answers[:] = [503, 204, 422]
    clock = ManualClock(wall=1_772_416_800 * 10**9)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = WebhookSink(f"http://127.0.0.1:{server.server_port}/in", "a shared secret", clock)
        notes: list[str] = []
        it = courier(kept, sink, notes)
        assert it.run(0) == 0
        assert it.run(FIRST_WAIT) == 2
        server.shutdown()
    assert notes == ["failed", "delivered", "refused"]
    assert [headers["Idempotency-Key"] for headers, _ in _Receiver.seen] == ["node1-1", "node1-1", "node1-2"]
    for headers, body in _Receiver.seen:
        expected = hmac.new(b"a shared secret", b"1772416800." + body, hashlib.sha256).hexdigest()
        assert headers["Hutong-Signature"] == f"t=1772416800,v1={expected}"
        assert msgspec.json.decode(body, type=AlertMessage).node == "node1"


@pytest.mark.enable_socket
def test_a_webhook_that_nobody_answers_is_tried_again(kept: Kept) -> None:
    kept.add(alert(1))
    kept.fill()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        port = server.server_port
    sink = WebhookSink(f"http://127.0.0.1:{port}/", "s", ManualClock())
    assert courier(kept, sink).run(0) == 0


def test_the_place_of_a_sink_survives_and_is_never_half_written(kept: Kept) -> None:
    kept.add(alert(1))
    kept.fill()
    assert courier(kept, MemorySink()).run(0) == 1
    assert (kept.data / "alerts" / "place-memory").read_text() == "1\n"
    assert [file.name for file in (kept.data / "alerts").iterdir()] == ["place-memory"]
