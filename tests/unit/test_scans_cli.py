"""`hutong codes venues` and `… scans`: a venue, a device without a network, an order, a look-up, a notice."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.app.scans_work import ScanWork, scan_parts
from hutong.codes.issuing import Bearer
from hutong.codes.people.day_keys import day_of
from hutong.codes.scans import metrics
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.access.oidc_identity import Identity
from hutong.kernel.access.people import People
from hutong.kernel.clock import SystemClock
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from scan_worlds import WANG

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    database = Database(database_url("", tmp_path))
    lay_out(tmp_path / "records.db")
    database.open()
    Agencies(database).add(Agency("cdc", "市疾控中心", "City CDC", "other", ("疾控",)), 1_700_000_000_000)
    people = People(database)
    for name, role in (("li", "operator"), ("zhao", "partner"), ("sun", "viewer")):
        people.arrive(Identity(name, name, role, f"subject:{name}"), 1_700_000_000_000)
    people.set_agency("zhao", "cdc")
    database.close()
    return tmp_path


def moment(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")


def code_of_wang(data: Path) -> str:
    """The code that Wang's phone shows now; the keys that verify it are beside it."""
    config = load_config(None, data=data)
    now_ms = SystemClock().wall() // 1_000_000
    ring = key_ring(config)
    ring.rotate(now_ms)
    (data / "keys.cbor").write_bytes(ring.key_set(now_ms).document)
    database = Database(database_url("", data))
    database.open()
    who = scan_parts(config, database).names.name(WANG, day_of(now_ms))
    bearer = Bearer(person=WANG, who=who, kind="own", name="王*", tail="1X", colour="green", as_of_ms=now_ms)
    bundle = code_issuer(config, database).wallet(bearer, (), now_ms).own
    database.close()
    return bundle.text(bundle.at(now_ms) or 0)


def test_the_whole_way(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    at = ("--data", str(data))

    def said(*words: str, status: int = 0) -> str:
        assert run(["codes", *words]) == status, capsys.readouterr()
        out, err = capsys.readouterr()
        return err if status else out

    made = ("venues", "issue", "西仓市场", "--kind", "market", "--district", "610104", "--capacity", "300")
    made += ("--unit", "莲湖区市场办", *at)
    assert "codes.venues_change" in said(*made, "--by", "sun", status=1)
    venue = said(*made, "--by", "li").strip()
    poster = said("venues", "code", venue, "--svg", str(data / "door.svg"), *at).strip()
    assert "<svg" in (data / "door.svg").read_text()
    read = msgspec.json.decode(said("venues", "read", poster, "--key", said("venues", "key", *at).strip()))
    assert (read["id"], read["title"]) == (venue, "西仓市场")
    assert "#2" in said("venues", "replace", venue, "--reason", "被涂改", "--by", "li", *at)
    assert venue in said("venues", "list", "--district", "610104", *at)

    # At the door, with no network.
    gate = str(data / "gate")
    said("scans", "device", "prepare", gate, "--name", "gate-1")
    shown = code_of_wang(data)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{shown}\n\nnonsense\n"))
    taken = ("scans", "device", "take", gate, "--venue", venue, "--keys", str(data / "keys.cbor"))
    assert run(["codes", *taken]) == 1
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["1", "有效"],
        ["2", "不是本系统的码"],
    ]
    (data / "gate.jsonl").write_text(said("scans", "device", "export", gate))
    merge = ("scans", "merge", str(data / "gate.jsonl"), *at)
    assert "codes.merge" in said(*merge, "--by", "zhao", status=1)
    for again in (0, 2):
        answers = said(*merge, "--by", "li")
        assert msgspec.json.decode(answers.encode())["again"] == again
    (data / "answers.jsonl").write_text(answers)
    assert said("scans", "device", "answered", gate, str(data / "answers.jsonl")).strip().endswith(": 0")

    # Somebody falls ill.
    span = ("--since", moment(-3), "--until", moment(1))
    order = ("scans", "order", "request", "venue", venue, *span, "--number", "疾控函8号", "--basis", "epidemic")
    order += ("--basis-text", "第十二条", "--reason", "流调", "--days", "2", *at)
    assert "codes.lookup_request" in said(*order, "--by", "li", status=1)
    of = said(*order, "--by", "zhao").strip()
    look = ("scans", "lookup", of, "venue", venue, *span, "--purpose", "第3例", "--by", "zhao", *at)
    assert "not approved" in said(*look, status=1)
    assert "does not decide" in said("scans", "order", "decide", of, "approve", "--by", "zhao", *at, status=1)
    assert "已批准" in said("scans", "order", "decide", of, "approve", "--by", "li", *at)
    rows = [msgspec.json.decode(line) for line in said(*look).splitlines()]
    assert [(it["verdict"], bool(it["who"])) for it in rows] == [("valid", True), ("malformed", False)]
    assert msgspec.json.decode(said("scans", "order", "show", of, "--by", "zhao", *at))["rows"] == 2
    assert of in said("scans", "order", "list", "--state", "approved", "--by", "zhao", *at)
    told = said("scans", "told", WANG, "--lang", "zh", *at)
    assert "市疾控中心" in told
    assert of in told
    assert "No agency" in said("scans", "told", "b2" * 16, "--lang", "en", *at)
    assert said("scans", "clocks", *at) == ""


def test_the_jobs_let_days_go_and_orders_end(data: Path) -> None:
    reporter = Reporter("work", stream=io.StringIO())
    work = ScanWork(load_config(None, data=data), reporter)
    now = SystemClock().wall()
    assert {job.name: job.run(now) for job in work.jobs()} == {
        "scan-forgetting": 0,
        "lookup-orders": 0,
        "scan-figures": 0,
    }
    assert reporter.metrics.value(metrics.VENUES, state="issued") == 0
    assert metrics.ORDERS.name in reporter.metrics.expose().decode()
