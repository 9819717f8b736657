"""Replays of files from end to end: order, memory's stand-in on disk, results whole or not at all."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hutong.calls.records import parquet_file
from hutong.calls.records.faults import CallFileError
from record_files import GOOD, HEADER, dead_letters, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START = 1_772_326_800_000


def calls(path: Path, rows: Sequence[tuple[str, int]], *, header: str = HEADER) -> Path:
    """A CSV file of calls by (Call-ID, seconds after the start); further columns from the header are numbered."""
    further = header.count(",") - HEADER.count(",")
    lines = [
        f"{call},{START + at * 1000},local,1{n % 7},2" + f",{n + 1}" * further for n, (call, at) in enumerate(rows)
    ]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


def test_files_in_order_are_judged_as_they_are_read(tmp_path: Path) -> None:
    one = calls(tmp_path / "one.csv", [("a", 1), ("b", 2), ("c", 2)])
    two = calls(tmp_path / "two.csv", [("d", 2), ("e", 9)])
    done = run(tmp_path, one, two)
    assert not done.tally.sorted
    assert [row["call_id"] for row in done.results] == ["a", "b", "c", "d", "e"]
    assert done.judges[-1].call_ids == [b"a", b"b", b"c", b"d", b"e"]
    assert done.results[0] == {"call_id": "a", "action": "block", "rules": "two;one", "score": "0"}
    assert done.results[1] == {"call_id": "b", "action": "pass", "rules": "", "score": "1"}
    assert (done.tally.calls, done.tally.bad, done.tally.hits) == (5, 0, [2, 2])
    assert done.tally.actions == {"pass": 3, "warn": 0, "block": 2}


def test_rows_out_of_order_are_judged_by_time_and_written_in_their_own_order(tmp_path: Path) -> None:
    rows = [(f"c{n}", n // 3) for n in range(500)]
    random.Random(1).shuffle(rows)
    path = calls(tmp_path / "calls.csv", rows)
    done = run(tmp_path, path)
    assert done.tally.sorted
    assert [row["call_id"] for row in done.results] == [call for call, _ in rows]
    # Equal times keep the order of the file.
    expected = [call.encode() for call, at in sorted(rows, key=lambda row: row[1])]
    assert done.judges[-1].call_ids == expected
    place = {call.decode(): n for n, call in enumerate(expected)}
    assert [float(row["score"]) for row in done.results] == [place[call] for call, _ in rows]


def test_several_files_are_merged_in_order_of_time(tmp_path: Path) -> None:
    late = calls(tmp_path / "a.csv", [("l1", 10), ("l2", 30)])
    early = calls(tmp_path / "b.csv", [("e1", 5), ("e2", 20)])
    done = run(tmp_path, late, early)
    assert done.judges[-1].call_ids == [b"e1", b"l1", b"e2", b"l2"]
    assert [row["call_id"] for row in done.results] == ["l1", "l2", "e1", "e2"]


def test_disorder_across_batches_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "BATCH_ROWS", 4)
    rows = [{"call_id": f"c{n}", "start": START + n, "trunk": "local", "caller": "1", "callee": "2"} for n in range(8)]
    path = tmp_path / "calls.parquet"
    pq.write_table(pa.Table.from_pylist([*rows[4:], *rows[:4]]), path)
    done = run(tmp_path, path)
    assert done.tally.sorted
    assert done.judges[-1].call_ids == [f"c{n}".encode() for n in range(8)]


def test_the_order_of_events_goes_before_time_where_every_row_has_its_place(tmp_path: Path) -> None:
    counted = HEADER.replace("callee", "callee,seq")
    done = run(tmp_path, calls(tmp_path / "a.csv", [("a", 5), ("b", 4), ("c", 6)], header=counted))
    assert not done.tally.sorted
    assert done.judges[-1].call_ids == [b"a", b"b", b"c"]
    mixed = tmp_path / "b.csv"
    mixed.write_text(counted + f"a,{START + 5},local,1,2,1\nb,{START + 4},local,1,2,\nc,{START + 6},local,1,2,3\n")
    assert run(tmp_path, mixed).judges[-1].call_ids == [b"b", b"a", b"c"]


def test_two_files_of_which_one_is_counted_are_merged_by_time(tmp_path: Path) -> None:
    counted = calls(tmp_path / "a.csv", [("a", 5), ("b", 9)], header=HEADER.replace("callee", "callee,seq"))
    plain = calls(tmp_path / "b.csv", [("c", 6)])
    assert run(tmp_path, counted, plain).judges[-1].call_ids == [b"a", b"c", b"b"]


def test_one_call_id_may_be_there_many_times(tmp_path: Path) -> None:
    done = run(tmp_path, calls(tmp_path / "a.csv", [("same", 1)] * 3))
    assert [row["call_id"] for row in done.results] == ["same"] * 3


def test_results_may_be_parquet(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(tmp_path, calls(tmp_path / "a.csv", [("a", 1), ("b", 2)]), out=out)
    table = pq.read_table(out)
    assert table.schema.names == ["call_id", "action", "rules", "score"]
    assert table.column("rules").to_pylist() == ["two;one", ""]


def test_call_ids_that_need_quotes_get_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + GOOD.replace("a1", '"a,""b""\nc"') + GOOD)
    done = run(tmp_path, path, out=tmp_path / "out.csv")
    assert [row["call_id"] for row in done.results] == ['a,"b"\nc', "a1"]


def test_nothing_is_left_but_the_result(tmp_path: Path) -> None:
    path = calls(tmp_path / "a.csv", [("b", 2), ("a", 1)])
    run(tmp_path, path, out=tmp_path / "out.csv")
    assert {file.name for file in tmp_path.iterdir()} == {"a.csv", "out.csv"}


def test_a_run_that_ends_early_leaves_what_was_there(tmp_path: Path) -> None:
    out, path = tmp_path / "out.csv", tmp_path / "a.csv"
    out.write_text("before")
    path.write_text(HEADER + GOOD * 10 + "bad\n")
    with pytest.raises(CallFileError, match="Nothing was written out"):
        run(tmp_path, path, out=out)
    assert out.read_text() == "before"
    assert [row["row"] for row in dead_letters(tmp_path / "errors.csv")] == ["12"]
    assert {file.name for file in tmp_path.iterdir()} == {"a.csv", "out.csv", "errors.csv"}


def test_bad_rows_of_files_out_of_order_are_told_once(tmp_path: Path) -> None:
    path = calls(tmp_path / "a.csv", [("b", 2), ("a", 1)])
    path.write_text(path.read_text() + "bad\n")
    done = run(tmp_path, path, stop_share=0.5)
    assert (done.tally.bad, done.tally.calls) == (1, 2)
    assert [row["row"] for row in dead_letters(tmp_path / "errors.csv")] == ["4"]


def test_input_and_results_are_never_the_same_file(tmp_path: Path) -> None:
    path = calls(tmp_path / "a.csv", [("a", 1)])
    before = path.read_text()
    with pytest.raises(CallFileError, match="written to and read"):
        run(tmp_path, path, out=tmp_path / "sub" / ".." / "a.csv")
    with pytest.raises(CallFileError, match="written to and read"):
        run(tmp_path, path, out=tmp_path / "errors.csv")
    assert path.read_text() == before


def test_where_results_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match="No such file or directory"):
        run(tmp_path, calls(tmp_path / "a.csv", [("a", 1)]), out=tmp_path / "none" / "out.csv")
