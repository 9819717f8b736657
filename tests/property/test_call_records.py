"""Call records come through readers as they were written, whatever their texts hold and however they are cut."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.calls.records.columns import SCHEMA, call_batch
from hutong.calls.records.csv_file import CsvFile
from hutong.calls.records.layout import Layout
from hutong.calls.records.lines import split_rows
from hutong.calls.replay.batch import ASK, BY_TIME, DERIVE, UNKNOWN, Texts
from record_files import read, run

TRUNKS = ("unlisted", "international", "inter-network", "local", "enterprise")
START = 1_772_326_800_000

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
# A carriage return within a value has to be quoted, and csv.writer does so only where lines end with one.
call_ids = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
numbers = st.one_of(st.from_regex(r"\+?[0-9]{1,15}", fullmatch=True), texts)
rows = st.fixed_dictionaries(
    {
        "call_id": call_ids,
        "start": st.integers(START, START + 10**10),
        "trunk": st.sampled_from(TRUNKS[1:]),
        "caller": numbers.filter(bool),
        "callee": numbers,
        "answered": st.sampled_from([None, 0, 1]),
        "ring_ms": st.one_of(st.none(), st.integers(0, 10**9)),
        "talk_ms": st.one_of(st.none(), st.integers(0, 10**9)),
        "release": st.one_of(st.none(), st.integers(0, 999)),
    }
)


def written(some: list[dict[str, Any]], separator: str = ",", line_end: str = "\r\n") -> bytes:
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if "\r" in line_end else csv.QUOTE_NONNUMERIC
    writer = csv.DictWriter(out, list(some[0]), delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writeheader()
    writer.writerows(some)
    return out.getvalue().encode()


def expected(some: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "trunk": TRUNKS.index(row["trunk"]),
            "answered": UNKNOWN if row["answered"] is None else row["answered"],
            **{name: row[name] or 0 for name in ("ring_ms", "talk_ms", "release")},
            **{name: row[name].encode() for name in ("call_id", "caller", "callee")},
            "from": b"",
            "diverter": b"",
            "anonymous": 0,
            "roaming": ASK,
            "lost": 0,
            "flags": 0,
            "row": at,
            **dict.fromkeys(("answered_at", "ended_at"), DERIVE),
            **dict.fromkeys(("seq", "answered_seq", "ended_seq"), BY_TIME),
        }
        for at, row in enumerate(some)
    ]


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_rows_come_out_of_csv_as_they_went_in(some: list[dict[str, Any]], separator: str, line_end: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls.csv"
        path.write_bytes(written(some, separator, line_end))
        found = read(Path(folder), path, trunks=TRUNKS)
    assert found.bad == []
    assert found.rows == expected(some)


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=8))
def test_rows_come_out_of_parquet_as_they_went_in(some: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls.parquet"
        pq.write_table(pa.Table.from_pylist(some), path)
        found = read(Path(folder), path, trunks=TRUNKS)
    assert found.bad == []
    assert found.rows == expected(some)


def _texts(column: Texts) -> list[bytes]:
    return [
        column.data[begin:end].tobytes()
        for begin, end in zip(column.offsets.tolist()[:-1], column.offsets.tolist()[1:], strict=True)
    ]


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=8), st.data())
def test_a_batch_holds_the_texts_of_its_rows_however_it_is_sliced(
    some: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = pa.RecordBatch.from_pylist(expected(some), schema=SCHEMA)
    first = data.draw(st.integers(0, len(some) - 1))
    batch = call_batch(whole.slice(first))
    assert _texts(batch.call_id) == [row["call_id"].encode() for row in some[first:]]
    assert _texts(batch.caller) == [row["caller"].encode() for row in some[first:]]
    assert batch.start_ms.tolist() == [row["start"] for row in some[first:]]


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=30))
def test_results_stand_in_the_order_of_the_rows_and_calls_are_judged_in_order_of_time(
    some: list[dict[str, Any]],
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls.parquet"
        pq.write_table(pa.Table.from_pylist(some), path)
        done = run(Path(folder), path)
    assert [row["call_id"] for row in done.results] == [row["call_id"] for row in some]
    assert done.judges[-1].starts == sorted(row["start"] for row in some)


harm = st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"b", b'""', b"\r\n", b"\0"]), max_size=40).map(
    b"".join
)


@given(harm)
def test_rows_begin_where_pyarrow_begins_them(text: bytes) -> None:
    """Both readings of quotes must agree, or a piece would end within a row."""
    data = np.frombuffer(text + b"\n", dtype=np.uint8)
    starts = np.zeros(100, dtype=np.int64)
    found = split_rows.py_func(data, data.size, ord(","), starts)  # type: ignore[attr-defined]
    counts: list[int] = []

    def count(row: pa_csv.InvalidRow) -> str:
        counts.append(row.actual_columns)
        return "skip"

    whole = data[: found.end].tobytes()
    if not found.rows:
        return
    table = pa_csv.read_csv(
        pa.BufferReader(whole),
        read_options=pa_csv.ReadOptions(use_threads=False, column_names=["0", "1"]),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=count),
        convert_options=pa_csv.ConvertOptions(column_types={"0": pa.binary(), "1": pa.binary()}, check_utf8=False),
    )
    assert table.num_rows + len(counts) == found.rows


@settings(deadline=None)
@given(harm, st.integers(12, 60))
def test_any_text_is_read_to_its_end_in_pieces_of_any_size(text: bytes, size: int) -> None:
    header = b"call_id,start,trunk,caller,callee\n"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls.csv"
        path.write_bytes(header + text)
        rows_of = []
        for piece_bytes in (len(header) + size, 1 << 20):
            pieces = list(CsvFile(path, Layout(), piece_bytes).pieces())
            numbered = [row for piece in pieces for row in [*piece.rows.tolist(), *(bad.row for bad in piece.bad)]]
            assert sorted(numbered) == list(range(2, len(numbered) + 2))
            rows_of.append(len(numbered))
    if b'"' not in text:
        assert rows_of[0] == rows_of[1]
