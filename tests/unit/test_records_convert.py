"""What fields of call records mean, which are refused, and how layouts change that. Parquet and CSV alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hutong.calls.attempt import ROAMING_CONFIRMED
from hutong.calls.records import LAYOUTS
from hutong.calls.records.columns import TEXTS, call_batch
from hutong.calls.records.convert import Converter
from hutong.calls.records.faults import FAULTS, CallFileError
from hutong.calls.records.layout import Layout, TimeLayout, read_layout
from hutong.calls.replay.batch import ASK, BY_TIME, DERIVE, NEVER, UNKNOWN
from hutong.kernel.errors import ConfigError
from record_files import HEADER, read, read_text

if TYPE_CHECKING:
    from pathlib import Path

START = 1_772_326_800_000  # 2026-03-01T01:00:00Z
ROW = {"call_id": "a", "start": START, "trunk": "local", "caller": "1", "callee": "2"}


def parquet(folder: Path, rows: list[dict[str, Any]], **types: pa.DataType) -> Path:
    path = folder / "calls.parquet"
    table = pa.Table.from_pylist(rows)
    for name, kind in types.items():
        at = table.schema.get_field_index(name)
        column = table.column(name)
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("ms", kind.tz))
        table = table.set_column(at, name, column.cast(kind))
    pq.write_table(table, path)
    return path


def one(folder: Path, **values: object) -> dict[str, Any]:
    """A good row of a CSV file, as it is read."""
    (row,) = every(folder, values)
    return row


def every(folder: Path, *rows: dict[str, object]) -> list[dict[str, Any]]:
    names = list({name: None for row in rows for name in {**ROW, **row}})
    lines = [",".join(str({**ROW, **row}.get(name, "")) for name in names) for row in rows]
    return read_text(folder, "\n".join([",".join(names), *lines])).rows


def refused(folder: Path, **values: object) -> str:
    """Why a row of a CSV file is set aside."""
    row = {**ROW, **values}
    text = ",".join(row) + "\n" + ",".join(str(value) for value in row.values())
    found = read_text(folder, text)
    assert found.rows == []
    (bad,) = found.bad
    assert bad["reason_zh"]
    return f"{bad['column']} {bad['reason_en']}"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T01:00:00Z",
        "2026-03-01T09:00:00+08:00",
        "2026-03-01 01:00:00.000Z",
        "2026-03-01T01:00:00.000999Z",
        str(START),
    ],
)
def test_start_is_rfc_3339_or_milliseconds(tmp_path: Path, text: str) -> None:
    assert one(tmp_path, start=text)["start"] == START


def test_both_ways_may_stand_in_one_file(tmp_path: Path) -> None:
    rows = every(tmp_path, {"start": START}, {"start": "2026-03-01T01:00:01Z"}, {"start": START + 2000})
    assert [row["start"] for row in rows] == [START, START + 1000, START + 2000]


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-03-01", "2026-03-01T01:00:00", "2026-02-30T01:00:00Z", "0x19", "1e12", "1772326800000.5"]
)
def test_a_start_that_is_no_time_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, start=text) == "start cannot be read as a time"


@pytest.mark.parametrize("text", ["1772326800", "-1", "4102444800000", "1999-12-31T23:59:59Z"])
def test_a_start_out_of_this_century_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, start=text).startswith("start is not between 2000 and 2099")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"call_id": ""}, "call_id is empty"),
        ({"call_id": "x" * 2049}, "call_id is longer than 2,048 bytes"),
        ({"trunk": ""}, "trunk is no known trunk"),
        ({"trunk": "unlisted"}, "trunk is no known trunk"),
        ({"trunk": "Local"}, "trunk is no known trunk"),
        ({"caller": "", "callee": ""}, "caller is empty, and so is callee"),
        ({"callee": "2" * 2049}, "callee is longer than 2,048 bytes"),
        ({"answered": "2"}, "answered is not 0 or 1"),
        ({"answered": "yes"}, "answered is not 0 or 1"),
        ({"ring_ms": "-1"}, "ring_ms is negative"),
        ({"talk_ms": "-5"}, "talk_ms is negative"),
        ({"talk_ms": "1.5"}, "talk_ms is no whole number"),
        ({"ring_ms": "99999999999999999999"}, "ring_ms is no whole number"),
        ({"ring_ms": str(367 * 86_400_000)}, "ring_ms is longer than 366 days"),
        ({"release": "1000"}, "release is no whole number from 0 to 999"),
        ({"release": "normal"}, "release is no whole number from 0 to 999"),
        ({"anonymous": "2"}, "anonymous is not 0 or 1"),
        ({"lost": "-1"}, "lost is not 0 or 1"),
        ({"roaming": "maybe"}, "roaming is no known value"),
        ({"flags": "night"}, "flags is no known value"),
        ({"seq": "0"}, "seq is no positive whole number"),
        ({"ended_seq": "x"}, "ended_seq is no positive whole number"),
        ({"answered_at": "then"}, "answered_at cannot be read as a time"),
    ],
)
def test_what_makes_a_row_bad(tmp_path: Path, values: dict[str, str], why: str) -> None:
    assert refused(tmp_path, **values) == why


def test_every_reason_is_told_apart_and_in_both_languages() -> None:
    assert len({(fault.column, fault.en) for fault in FAULTS}) == len(FAULTS) < 256
    assert all(fault.zh for fault in FAULTS[1:])


def test_what_a_file_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    row = one(tmp_path)
    assert (row["answered"], row["ring_ms"], row["talk_ms"], row["release"]) == (UNKNOWN, 0, 0, 0)
    assert (row["answered_at"], row["ended_at"], row["roaming"], row["seq"]) == (DERIVE, DERIVE, ASK, BY_TIME)
    assert (row["from"], row["diverter"], row["anonymous"], row["lost"], row["flags"]) == (b"", b"", 0, 0, 0)


def test_empty_fields_are_as_if_the_column_were_not_there(tmp_path: Path) -> None:
    names = ("answered", "ring_ms", "talk_ms", "release", "answered_at", "ended_at", "roaming", "flags", "seq", "lost")
    assert one(tmp_path, **dict.fromkeys(names, "")) == one(tmp_path)


def test_answered_follows_from_talking_where_it_is_not_said(tmp_path: Path) -> None:
    rows = every(tmp_path, {"talk_ms": "1200"}, {"talk_ms": "0"})
    assert [row["answered"] for row in rows] == [1, 0]


def test_ringing_and_talking_follow_from_times(tmp_path: Path) -> None:
    (row,) = every(tmp_path, {"answered_at": START + 3000, "ended_at": START + 63_000})
    assert (row["answered"], row["ring_ms"], row["talk_ms"]) == (1, 3000, 60_000)
    (row,) = every(tmp_path, {"answered_at": "", "ended_at": START + 9000})
    assert (row["answered"], row["ring_ms"], row["talk_ms"], row["answered_at"]) == (0, 9000, 0, NEVER)


def test_exact_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    row = one(tmp_path, roaming="confirmed", flags="fail-open;mirrored", lost="1", seq="7", anonymous="1", diverter="9")
    assert (row["roaming"], row["flags"], row["lost"], row["seq"], row["anonymous"], row["diverter"]) == (
        *(ROAMING_CONFIRMED, 257, 1, 7, 1),
        b"9",
    )


@pytest.mark.parametrize(
    "types",
    [
        {"start": pa.timestamp("s", "UTC")},
        {"start": pa.timestamp("ns", "Asia/Shanghai")},
        {"start": pa.timestamp("us")},
        {"call_id": pa.large_string(), "caller": pa.dictionary(pa.int32(), pa.string()), "callee": pa.int64()},
        {"caller": pa.binary(), "trunk": pa.dictionary(pa.int8(), pa.string()), "callee": pa.string_view()},
    ],
)
def test_parquet_may_type_its_columns_in_many_ways(tmp_path: Path, types: dict[str, pa.DataType]) -> None:
    (row,) = read(tmp_path, parquet(tmp_path, [ROW], **types)).rows
    assert (row["start"], row["caller"], row["callee"], row["trunk"]) == (START, b"1", b"2", 3)


def test_parquet_numbers_flags_and_nulls(tmp_path: Path) -> None:
    rows = [
        {**ROW, "answered": True, "ring_ms": 5.0, "talk_ms": 7, "release": 16, "diverter": None},
        {**ROW, "answered": None, "ring_ms": None, "talk_ms": None, "release": None, "diverter": None, "caller": None},
    ]
    found = read(tmp_path, parquet(tmp_path, rows)).rows
    assert [(row["answered"], row["ring_ms"], row["talk_ms"], row["release"]) for row in found] == [
        (1, 5, 7, 16),
        (UNKNOWN, 0, 0, 0),
    ]
    assert found[1]["caller"] == b""


def test_bad_rows_of_parquet_are_written_out(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "call_id": None}, {**ROW, "trunk": "x,y"}, {**ROW, "trunk": None}]
    found = read(tmp_path, parquet(tmp_path, rows))
    assert len(found.rows) == 1
    assert [(bad["row"], bad["column"]) for bad in found.bad] == [("2", "call_id"), ("3", "trunk"), ("4", "trunk")]
    assert '"x,y"' in found.bad[1]["text"]


def test_parquet_of_wrong_types_is_refused_by_column(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match=r"calls\.parquet: column caller holds double.*texts"):
        read(tmp_path, parquet(tmp_path, [{**ROW, "caller": 1.5}]))
    with pytest.raises(CallFileError, match=r"column start holds list"):
        read(tmp_path, parquet(tmp_path, [{**ROW, "start": [1]}]))
    with pytest.raises(CallFileError, match=r"column ring_ms holds struct"):
        read(tmp_path, parquet(tmp_path, [{**ROW, "ring_ms": {"a": 1}}]))
    with pytest.raises(CallFileError, match=r"no column callee"):
        read(tmp_path, parquet(tmp_path, [{name: value for name, value in ROW.items() if name != "callee"}]))


def test_parquet_that_is_none_or_is_cut_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, [ROW] * 1000)
    whole = path.read_bytes()
    for cut in (6, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(CallFileError, match="damaged or was not written to its end"):
            read(tmp_path, path)
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(CallFileError, match="no Parquet file"):
        read(tmp_path, path)
    path.write_bytes(b"")
    with pytest.raises(CallFileError, match="file is empty"):
        read(tmp_path, path)


def test_parquet_is_known_by_its_bytes_under_any_name(tmp_path: Path) -> None:
    path = parquet(tmp_path, [ROW]).rename(tmp_path / "calls.dat")
    assert len(read(tmp_path, path).rows) == 1


def test_a_batch_shows_the_columns_where_they_are() -> None:
    columns = {name: pa.array([str(value).encode()] * 3) for name, value in ROW.items()}
    rows, faults = Converter(Layout(), ("", "local")).convert(columns, 5, 3)
    batch = call_batch(rows)
    assert not faults.any()
    assert batch.n == 3
    for name in TEXTS:
        field = getattr(batch, {"from": "from_"}.get(name, name))
        assert field.data.tobytes() == b"".join(rows.column(name).to_pylist())
    assert batch.start_ms.ctypes.data == rows.column("start").buffers()[1].address


# Layouts


def shipped(name: str) -> Layout:
    return read_layout(LAYOUTS / f"{name}.toml")


def test_the_softswitch_layout_reads_its_records(tmp_path: Path) -> None:
    text = (
        "3702,000918273,2101,13800138000,02112345678,20260301093015,Y,7,128,16,正常\n"
        "3702,000918274,1001,+85221230000,13800138000,20260301093016,N,31.5,0,19,\n"
        "3702,000918275,1001,+85221230000,13800138000,20260229093016,N,31,0,19,\n"
    )
    found = read_text(tmp_path, text.encode("gb18030"), layout=shipped("softswitch"))
    first, second = found.rows
    assert (first["call_id"], first["trunk"], first["start"]) == (b"000918273", 2, START + 1_815_000)
    assert (first["answered"], first["ring_ms"], first["talk_ms"], first["release"]) == (1, 7000, 128_000, 16)
    assert (second["trunk"], second["answered"], second["ring_ms"]) == (1, 0, 31_500)
    assert [(bad["row"], bad["column"]) for bad in found.bad] == [("3", "start")]


def test_the_gateway_layout_reads_its_records(tmp_path: Path) -> None:
    text = (
        "Session-ID;Ingress;Calling;Called;Setup time;Connect time;Disconnect time;SIP code\n"
        "7f3a-11;HK-IX-1;+85221230000;8613800138000;2026-03-01 09:30:15.123;2026-03-01 09:30:22.004;"
        "2026-03-01 09:32:30.310;200\n"
        "7f3a-12;LOCAL-1;13800138000;02112345678;2026-03-01 09:30:16.000;;2026-03-01 09:30:46.000;487\n"
    )
    first, second = read_text(tmp_path, text, layout=shipped("gateway")).rows
    assert (first["trunk"], first["answered"], first["ring_ms"], first["talk_ms"]) == (1, 1, 6881, 128_306)
    assert (second["trunk"], second["answered"], second["ring_ms"], second["release"]) == (2, 0, 30_000, 487)


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        ("x = 1", "unknown field"),
        ("[columns]\nnumber = 'a'", "no column 'number' of ours"),
        ("[columns]\ncall_id = 'a'", "not said where start, trunk, caller, callee stand"),
        ("[columns]\ncall_id = 3", "by names"),
        ("[file]\nheader = false", "not said where call_id"),
        ("[file]\nheader = false\n[columns]\ncall_id = 'a'", "by positions"),
        ("[file]\nseparator = 'x'", "separator"),
        ("[file]\nencoding = 'klingon'", "no encoding 'klingon'"),
        ("[time]\nzone = 'Asia/Nowhere'", "no time zone"),
        ("[time]\nformat = 'iso'", "time format 'iso' is none"),
        ("[units]\nring_ms = 'h'", "Invalid enum value"),
        ("[answered]\nyes = ['1']\nno = ['1']", "both yes and no"),
        ("[[", "layout is wrong"),
    ],
)
def test_layouts_are_checked(tmp_path: Path, toml: str, why: str) -> None:
    path = tmp_path / "layout.toml"
    path.write_text(toml)
    with pytest.raises(ConfigError, match=why) as caught:
        read_layout(path)
    assert str(path) in str(caught.value)


def test_layouts_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_layout(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"'A' is said to be trunk 'moon', which is none"):
        read_text(tmp_path, HEADER, layout=Layout(trunks={"A": "moon"}))
    with pytest.raises(ConfigError, match="no time pattern"):
        read_text(tmp_path, HEADER, layout=Layout(time=TimeLayout(format="%Q")))


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (TimeLayout("epoch-s"), str(START // 1000)),
        (TimeLayout("epoch-ms"), str(START)),
        (TimeLayout("local", "Asia/Shanghai"), "2026-03-01T09:00:00"),
        (TimeLayout("%d/%m/%Y %H.%M.%S", "Asia/Shanghai"), "1/3/2026 9.00.00"),
        (TimeLayout("%Y-%m-%d %H:%M:%S %z", "Asia/Tokyo"), "2026-03-01 09:00:00 +0800"),
        (TimeLayout("rfc3339"), "2026-03-01T01:00:00Z"),
    ],
)
def test_times_are_read_as_the_layout_says(layout: TimeLayout, text: str) -> None:
    columns = {name: pa.array([str({**ROW, "start": text}[name])]).cast(pa.binary()) for name in ROW}
    rows, faults = Converter(msgspec.structs.replace(Layout(), time=layout), ("", "local")).convert(columns, 0, 1)
    assert not faults.any()
    assert rows.column("start").to_pylist() == [START]
