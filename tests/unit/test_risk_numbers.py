"""What is told of a number by its calls: from call records in any file, and from an archive, alike."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hutong.app.cli import run
from hutong.kernel.archive import Archive
from hutong.kernel.numbering import Numbering
from hutong.risk.calls_so_far import SCHEMA, CallsSoFar
from hutong.risk.errors import TableError
from hutong.risk.number_columns import number_columns
from hutong.risk.number_table import table_of_archive, table_of_records
from hutong.risk.telling import Kind

if TYPE_CHECKING:
    from pathlib import Path

MORNING = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # ten in Shanghai
NIGHT = MORNING + timedelta(hours=13)
BUSY, QUIET = "13800138000", "13900139000"
HEAD = ("call_id", "start", "trunk", "caller", "callee", "answered", "ring_ms", "talk_ms", "imei")


def _calls() -> list[tuple[object, ...]]:
    """Busy calls ten numbers in sequence, once each, one of them at night; quiet and one of them call each other."""
    rows: list[tuple[object, ...]] = []
    for n in range(10):
        at = NIGHT if n == 9 else MORNING + timedelta(minutes=n)
        rows.append(
            (f"b{n}", at, "local", BUSY, f"1370013700{n}", int(n < 4), 5000, 12_000 if n < 4 else 0, f"i{n % 2}")
        )
    rows += [
        (f"q{n}", MORNING + timedelta(days=n), "local", QUIET, "13700137000", 1, 3000, 60_000, "j") for n in range(3)
    ]
    rows.append(("q4", MORNING, "local", "13700137000", QUIET, 1, 3000, 90_000, ""))
    rows.append(("q5", MORNING, "local", QUIET, "13700137001", 1, 3000, 60_000, "j"))
    return rows


def _written(path: Path, rows: list[tuple[object, ...]], *, epoch: bool = False) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for row in rows:
            at = row[1]
            assert isinstance(at, datetime)
            writer.writerow((row[0], int(at.timestamp() * 1000) if epoch else at.isoformat(), *row[2:]))
    return path


def _row(table: pa.Table, number: str) -> dict[str, object]:
    return next(row for row in table.to_pylist() if row["user"] == f"+86{number}")


def _check(table: pa.Table) -> None:
    busy, quiet = _row(table, BUSY), _row(table, QUIET)
    assert (busy["calls_made"], busy["callees"], busy["calls_per_callee"]) == (10, 10, 1)
    assert busy["out_share"] == 1
    assert busy["called_back_share"] == 0
    assert busy["callees_once_share"] == 1
    assert busy["sequential_share"] == pytest.approx(0.9)
    assert busy["answered_share"] == pytest.approx(0.4)
    assert (busy["mean_talk"], busy["short_share"]) == (12, 1)
    assert busy["night_share"] == pytest.approx(0.1)
    assert (busy["active_days"], busy["active_hours"], busy["busiest_hour"]) == (1, 2, 9)
    assert busy["calls_received"] is None
    assert (quiet["calls_made"], quiet["callees"], quiet["active_days"]) == (4, 2, 3)
    assert quiet["callees_once_share"] == 0.5
    assert (quiet["calls_received"], quiet["callers"], quiet["mean_talk_received"]) == (1, 1, 90)
    assert quiet["out_share"] == pytest.approx(0.8)
    assert quiet["called_back_share"] == 0.5


@pytest.mark.parametrize("form", ["rfc3339", "epoch", "parquet"])
def test_records_of_calls_become_a_table(tmp_path: Path, form: str) -> None:
    path = _written(tmp_path / "calls.csv", _calls(), epoch=form == "epoch")
    if form == "parquet":
        columns = {name: [row[at] for row in _calls()] for at, name in enumerate(HEAD)}
        path = tmp_path / "calls.parquet"
        pq.write_table(pa.table(columns), path)
    made = table_of_records(path)
    _check(made.table)
    assert _row(made.table, BUSY)["devices"] == 2
    assert _row(made.table, BUSY)["cells"] is None
    assert made.skipped == 0


def test_cards_that_share_a_device_and_calls_beside_others_are_told(tmp_path: Path) -> None:
    rows = [
        (
            f"s{n}",
            MORNING + timedelta(minutes=n),
            "local",
            f"1380000000{n}",
            "13700137000",
            0,
            1,
            0,
            "box",
            f"c{n}",
            "x",
        )
        for n in range(3)
    ]
    rows.append(("t", MORNING + timedelta(hours=5), "inter-network", QUIET, "13700137001", 1, 1, 9, "own", "d", "y"))
    rows.append(
        ("u", MORNING + timedelta(hours=5, minutes=9), "international", QUIET, "13700137002", 1, 1, 9, "own", "d", "z")
    )
    path = tmp_path / "calls.parquet"
    names = (*HEAD, "imsi", "cell")
    pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}), path)
    table = table_of_records(path).table
    boxed, alone = _row(table, "13800000000"), _row(table, QUIET)
    assert (boxed["cards_in_device"], alone["cards_in_device"]) == (3, 1)
    assert (boxed["cells_in_day"], alone["cells_in_day"], alone["devices_in_day"]) == (1, 2, 1)
    assert (boxed["strangers_beside"], alone["strangers_beside"]) == (2, 0)
    assert (boxed["calls_last_hour"], alone["calls_last_hour"]) == (0, 2)
    assert (alone["abroad_share"], alone["other_network_share"]) == (0.5, 0.5)
    assert alone["age_hours"] == pytest.approx(0.15)
    assert alone["unseen_hours"] == pytest.approx(5)
    assert (boxed["mobile"], boxed["virtual"]) == (1, 0)


def test_calls_so_far_tell_outcomes_once_they_are_over_and_who_was_refused_beside() -> None:
    keys = [Numbering().read(number).key for number in ("13800000000", "13800000001", "13700137000")]
    calls = [
        {"moment": MORNING, "way": "local", "caller": keys[0], "callee": keys[2], "blocked": True},
        {"moment": MORNING, "way": "local", "caller": keys[1], "callee": keys[2], "blocked": False, "answered": 1,
         "ring_ms": 1000, "talk_ms": 59_000},
    ]  # fmt: skip
    begun = int(MORNING.timestamp() * 1000)
    with CallsSoFar(Kind()) as so_far:
        so_far.add(pa.Table.from_pylist(calls, SCHEMA))
        under_way = _row(so_far.told(begun + 30_000, 0).table, "13800000001")
        over = _row(so_far.told(begun + 60_000, 0).table, "13800000001")
        itself = _row(so_far.told(begun + 60_000, 0).table, "13800000000")
        so_far.add(pa.Table.from_pylist([calls[0] | {"caller": keys[1]}], SCHEMA))
        both = so_far.told(begun + 60_000, 0).table
        assert so_far.told(begun + 60_000, begun + 1).table.num_rows == 0
        assert so_far.told(begun + 60_000, 0, callees=2).table.num_rows == 0
    assert (under_way["answered_share"], over["answered_share"]) == (None, 1)
    assert over["refused_callee_share"] == 1
    assert over["refused_in_block"] == 1
    # Nobody counts itself, whether it was refused alone or beside others.
    assert itself["refused_in_block"] == 0
    assert [_row(both, f"1380000000{n}")["refused_in_block"] for n in range(2)] == [1, 1]


def test_what_records_do_not_show_is_missing_and_never_nought(tmp_path: Path) -> None:
    path = tmp_path / "calls.parquet"
    seen = {"imei": ("i", "j"), "imsi": ("c", "c"), "cell": ("x", "x")}
    expected = {
        ("imei",): (None, None, 2), ("cell",): (None, 1, None), ("imei", "imsi"): (1, None, 2),
        ("imsi", "cell"): (None, 1, None), (): (None, None, None),
    }  # fmt: skip
    for shown, told in expected.items():
        columns = {name: [row[at] for row in _calls()[:2]] for at, name in enumerate(HEAD[:-1])}
        pq.write_table(pa.table(columns | {name: seen[name] for name in shown}), path)
        row = _row(table_of_records(path).table, BUSY)
        assert tuple(row[name] for name in ("cards_in_device", "cells_in_day", "devices_in_day")) == told, shown


def test_who_shares_two_quiet_callees_is_linked(tmp_path: Path) -> None:
    made = table_of_records(_written(tmp_path / "calls.csv", _calls()))
    assert made.edges.to_pylist() == [{"a": f"+86{BUSY}", "b": f"+86{QUIET}"}]
    popular = [
        (f"p{n}{m}", MORNING, "local", f"135{n:08d}", f"1370013700{m}", 1, 1, 1, "")
        for n in range(60)
        for m in range(2)
    ]
    assert table_of_records(_written(tmp_path / "more.csv", popular)).edges.num_rows == 0


def test_an_archive_tells_the_same(tmp_path: Path) -> None:
    numbering = Numbering()
    verdicts, outcomes = [], []
    for seq, (call_id, at, trunk, caller, callee, answered, ring, talk, _) in enumerate(_calls(), start=1):
        keys = {"caller_key": numbering.read(str(caller)).key, "callee_key": numbering.read(str(callee)).key}
        verdicts.append(
            {"era": 0, "seq": seq, "time": at, "call_id": call_id, "trunk_kind": trunk, "action": "pass", **keys}
            | {"rule": None}
        )
        outcomes.append(
            {
                "era": 0,
                "seq": 100 + seq,
                "time": at,
                "phase": "ended",
                "verdict_seq": seq,
                "ring_ms": ring,
                "talk_ms": talk,
                "answered": bool(answered),
            }
        )
    archive = Archive(tmp_path / "archive", ("verdicts", "outcomes"))
    archive.open()
    # Two others called QUIET's callee and were refused: one by a rule of its own, one by the score.
    for seq, (caller, rule) in enumerate((("13800000001", "own.busy"), ("13800000002", "own.scored")), start=50):
        one = verdicts[-1] | {"seq": seq, "caller_key": numbering.read(caller).key, "action": "block", "rule": rule}
        verdicts.append(one)
    tables = {"verdicts": pa.Table.from_pylist(verdicts), "outcomes": pa.Table.from_pylist(outcomes)}
    archive.append({name: _dated(table) for name, table in tables.items()}, 1, 200, 0)
    archive.close()
    made = table_of_archive(tmp_path / "archive")
    _check(made.table)
    assert made.edges.num_rows == 1
    later = int((MORNING + timedelta(hours=1)).timestamp() * 1000)
    assert _row(table_of_archive(tmp_path / "archive", later).table, BUSY)["calls_made"] == 1
    told = table_of_archive(tmp_path / "archive", 0, Kind(by_score=("own.scored",))).table
    seen = [[_row(table, f"1380000000{n}")["refused_in_block"] for n in (1, 2)] for table in (made.table, told)]
    assert seen == [[1, 1], [0, 1]], "what the score refused raises no neighbour"


def _dated(table: pa.Table) -> pa.Table:
    return table.set_column(table.column_names.index("time"), "time", table["time"].cast(pa.timestamp("ms", "UTC")))


def test_night_and_days_are_those_of_the_node(tmp_path: Path) -> None:
    path = _written(tmp_path / "calls.csv", _calls())
    assert _row(table_of_records(path, Kind(time_zone="UTC")).table, BUSY)["night_share"] == pytest.approx(0.9)


def test_bad_rows_are_counted_and_bad_files_refused(tmp_path: Path) -> None:
    path = _written(tmp_path / "calls.csv", _calls())
    with path.open("a") as file:
        file.write("x,yesterday,local,13800138000,13700137000,1,1,1,\n")
    assert table_of_records(path).skipped == 1
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="lack the column 'start'"):
        table_of_records(tmp_path / "other.csv")
    (tmp_path / "other.parquet").write_bytes(b"nonsense")
    with pytest.raises(TableError, match="no call records"):
        table_of_records(tmp_path / "other.parquet")
    (tmp_path / "none").mkdir()
    with pytest.raises(TableError, match="no call records here"):
        table_of_records(tmp_path / "none")


def test_the_command_writes_table_edges_and_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = _written(tmp_path / "calls.csv", _calls())
    (tmp_path / "labels.csv").write_text(f"user,label\n{BUSY},1\n+86{QUIET},0\n")
    out, edges = tmp_path / "t.csv", tmp_path / "e.parquet"
    told = ("--out", str(out), "--edges-out", str(edges), "--labels", str(tmp_path / "labels.csv"))
    assert run(["risk", "table", str(records), *told]) == 0
    assert "2 个号码 / numbers, 1 对 / pairs" in capsys.readouterr().out
    rows = {row["user"]: row["label"] for row in csv.DictReader(out.read_text().splitlines())}
    assert rows == {f"+86{BUSY}": "1", f"+86{QUIET}": "0"}
    assert pq.read_table(edges).num_rows == 1


def test_every_column_has_words_in_both_languages() -> None:
    rows = [row for rows in number_columns().values() for row in rows]
    assert len({row["name"] for row in rows}) == len(rows)
    assert all(set(row) == {"name", "sql", "zh", "en"} and row["zh"] and row["en"] for row in rows)
