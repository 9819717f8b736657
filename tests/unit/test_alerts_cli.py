"""`hutong alerts`: what is on record, one of them, and what comes; masked, in both languages."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.app.cli import STATUS_FAILED, run
from hutong.calls.alerts.queries import AlertFilters
from hutong.calls.alerts.record import Alert
from hutong.calls.alerts.table import AlertRow, AlertTable
from hutong.kernel.numbering import key_of_digits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLER, CALLEE = "8613800138000", "8613900139000"
AT = 1_772_416_800_000  # 2026-03-02 10:00 in Shanghai


def row(seq: int, rule: str = "victim.long-talk", *, stage: str = "alert", talk_ms: int = 180_000) -> AlertRow:
    return AlertRow(
        seq=seq,
        time_ms=AT + seq * 1000,
        rule=rule,
        version=1,
        kind=rule.partition(".")[0],
        stage=stage,
        caller=key_of_digits(CALLER),
        callee=key_of_digits(CALLEE),
        trunk="home",
        verdict=seq,
        call_id=f"{CALLER}@gw",
        ring_ms=2000,
        talk_ms=talk_ms,
        answered=True,
        figures={"call.talk_s": 180.0, "caller.flagged": True},
        conditions="0" * 16,
        total_ms=talk_ms,
    )


def end(seq: int, verdict: int) -> Alert:
    return Alert(
        seq=seq,
        time_ms=AT + seq * 1000,
        phase="ended",
        stage="observe",
        rule="",
        version=0,
        caller_key=0,
        callee_key=0,
        trunk="home",
        verdict_seq=verdict,
        ring_ms=0,
        talk_ms=200_000,
        answered=True,
        release=16,
        values=(),
        conditions="",
    )


@pytest.fixture
def table(tmp_path: Path) -> AlertTable:
    table = AlertTable(tmp_path)
    table.create()
    table.take([row(1), row(2, "long.talk", stage="observe", talk_ms=900_000), end(3, 1)], 3)
    return table


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["alerts", *words]) == 0
    return capsys.readouterr().out


def test_alerts_are_listed_newest_first_and_masked(
    table: AlertTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(capsys, "list", "--data", str(tmp_path), "--lang", "en").splitlines()
    assert [line.split()[0] for line in lines] == ["id", "node1-2", "node1-1"]
    assert "2026-03-02 10:00:02" in lines[1]
    assert "138****8000" in lines[1]
    assert "goes on" in lines[1]
    assert "200 s  ended" in lines[2]
    text = said(capsys, "list", "--data", str(tmp_path), "--lang", "zh")
    assert "受害人" in text
    assert "仅观察" in text
    for whole in (CALLER, CALLER[2:], CALLEE[2:]):
        assert whole not in text
    assert len(table.rows(AlertFilters(), limit=9)) == 2


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--kind", "long"), [2]),
        (("--rule", "victim.long-talk"), [1]),
        (("--stage", "alert"), [1]),
        (("--state", "on"), [2]),
        (("--state", "over"), [1]),
        (("--since", "2026-03-02T10:00:02+08:00"), [2]),
        (("--until", "2026-03-02T02:00:02Z"), [1]),
        (("--sort", "talk"), [2, 1]),
        (("--limit", "1"), [2]),
        (("--kind", "costly"), []),
    ],
)
@pytest.mark.usefixtures("table")
def test_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], ids: list[int]) -> None:
    told = [
        msgspec.json.decode(line)
        for line in said(capsys, "list", *words, "--json", "--data", str(tmp_path)).splitlines()
    ]
    assert [it["id"] for it in told] == [f"node1-{seq}" for seq in ids]
    assert all("*" in it["caller"] and CALLER not in str(it) for it in told)


@pytest.mark.usefixtures("table")
def test_one_alert_is_shown_with_what_its_condition_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "show", "node1-1", "--data", str(tmp_path), "--lang", "en")
    assert "values read: call.talk_s = 180; caller.flagged = true" in text
    assert "release: 16" in text
    told = msgspec.json.decode(said(capsys, "show", "1", "--data", str(tmp_path), "--json"))
    assert (told["outcome"], told["talk_s"], told["ended"]) == ("ended", 200.0, "2026-03-02T02:00:03.000Z")
    for unknown in ("node1-9", "other-1", "nonsense", ""):
        assert run(["alerts", "show", unknown, "--data", str(tmp_path)]) == 1
    assert "no alert" in capsys.readouterr().err


def test_what_is_asked_wrongly_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alerts", "list", "--data", str(tmp_path / "none")]) == STATUS_FAILED
    assert run(["alerts", "list", "--data", str(tmp_path), "--since", "yesterday"]) == STATUS_FAILED
    assert run(["alerts", "list", "--data", str(tmp_path), "--limit", "0"]) == STATUS_FAILED
    assert "--since" in capsys.readouterr().err
    assert said(capsys, "list", "--data", str(tmp_path), "--lang", "zh") == "没有告警\n", "before there is a table"


@contextmanager
def following(tmp_path: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "hutong", "alerts", "follow", "--data", str(tmp_path), "--json", *words]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def next_line(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], 20)
    assert ready, "nothing came"
    found: dict[str, Any] = msgspec.json.decode(child.stdout.readline())
    return found


def test_what_comes_is_printed_until_ctrl_c(table: AlertTable, tmp_path: Path) -> None:
    with following(tmp_path, "--stage", "alert") as child:
        # When it begins to look nobody can tell: alerts come until it tells of one.
        seq = 10
        told: dict[str, Any] | None = None
        while told is None and seq < 400:
            table.take([row(seq), row(seq + 1, stage="observe")], seq + 1)
            assert child.stdout is not None
            if select.select([child.stdout], [], [], 0.2)[0]:
                told = next_line(child)
            seq += 2
        assert told is not None
        assert (told["event"], told["alerts"][0]["stage"]) == ("raised", "alert")
        assert CALLER not in str(told)
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0


rows_of = st.lists(
    st.builds(
        lambda at, rule, stage, talk, caller, callee, over: (at, rule, stage, talk, caller, callee, over),
        st.integers(0, 20),
        st.sampled_from(["long.a", "long.b", "victim.c"]),
        st.sampled_from(["observe", "alert"]),
        st.integers(0, 5),
        st.integers(1, 3),
        st.integers(1, 3),
        st.booleans(),
    ),
    max_size=25,
)


@given(
    rows_of,
    st.builds(
        AlertFilters,
        since_ms=st.sampled_from([0, AT + 5]),
        until_ms=st.sampled_from([0, AT + 12]),
        kind=st.sampled_from(["", "long", "victim"]),
        stage=st.sampled_from(["", "observe", "alert"]),
        rule=st.sampled_from(["", "long.a", "victim.c"]),
        state=st.sampled_from(["", "on", "over"]),
        number=st.integers(0, 3),
        verdict=st.sampled_from([0, 7]),
        before=st.sampled_from([0, 20]),
    ),
    st.sampled_from(["time", "talk"]),
    st.sampled_from(["newest", "oldest"]),
    st.integers(0, 4),
    st.integers(1, 30),
)
def test_the_table_finds_what_the_filters_say_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[int, str, str, int, int, int, bool]],
    wanted: AlertFilters,
    sort: str,
    first: str,
    offset: int,
    limit: int,
) -> None:
    table = AlertTable(tmp_path_factory.mktemp("alerts"))
    table.create()
    rows = [
        msgspec.structs.replace(
            row(seq, rule, stage=stage, talk_ms=talk), time_ms=AT + at, caller=caller, callee=callee, ended_ms=AT * over
        )
        for seq, (at, rule, stage, talk, caller, callee, over) in enumerate(made, start=1)
    ]
    table.take(rows, len(rows))
    left = [it for it in rows if fits(it, wanted)]
    left.sort(key=lambda it: ((it.total_ms if sort == "talk" else it.time_ms), it.seq), reverse=first == "newest")
    found = table.rows(wanted, limit=limit, offset=offset, sort=sort, descending=first == "newest")
    assert [it.seq for it in found] == [it.seq for it in left[offset : offset + limit]]
    assert table.count(wanted) == len(left)


def fits(it: AlertRow, wanted: AlertFilters) -> bool:
    return all(
        (
            not wanted.since_ms or it.time_ms >= wanted.since_ms,
            not wanted.until_ms or it.time_ms < wanted.until_ms,
            wanted.kind in {"", it.kind},
            wanted.stage in {"", it.stage},
            wanted.rule in {"", it.rule},
            not wanted.state or it.goes_on == (wanted.state == "on"),
            not wanted.number or wanted.number in {it.caller, it.callee},
            wanted.verdict in {0, it.verdict},
            not wanted.before or it.seq < wanted.before,
        )
    )
