"""Call records in CSV: encodings, separators, rows that are none, texts that mean harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.calls.records.csv_file import CsvFile
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.layout import FileLayout, Layout
from record_files import GOOD, HEADER, read, read_text

if TYPE_CHECKING:
    from pathlib import Path


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["call_id"] for row in rows]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_separators_marks_and_line_ends_are_found_out(
    tmp_path: Path, separator: str, mark: bytes, line_end: str
) -> None:
    text = (HEADER + GOOD + GOOD.replace("a1", "a2")).replace(",", separator).replace("\n", line_end)
    found = read_text(tmp_path, mark + text.encode())
    assert ids(found.rows) == [b"a1", b"a2"]
    assert found.bad == []


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    text = "note,callee,caller,trunk,start,call_id,answered\nhello,2,1,local,2026-03-01T00:00:00Z,x,1\n"
    (row,) = read_text(tmp_path, text).rows
    assert (row["call_id"], row["caller"], row["callee"], row["answered"]) == (b"x", b"1", b"2", 1)


def test_gb_18030_is_refused_with_what_to_do_and_read_when_it_is_stated(tmp_path: Path) -> None:
    text = ("备注,call_id,start,trunk,caller,callee\n" + "甲," + GOOD).encode("gb18030")
    with pytest.raises(CallFileError, match=r"GB 18030 .*encoding = \"gb18030\""):
        read_text(tmp_path, text)
    found = read_text(tmp_path, text, layout=Layout(file=FileLayout(encoding="gb18030")))
    assert ids(found.rows) == [b"a1"]


def test_text_in_two_byte_characters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match="UTF-16"):
        read_text(tmp_path, (HEADER + GOOD).encode("utf-16"))


def test_bytes_of_no_character_set_their_row_aside(tmp_path: Path) -> None:
    damaged = GOOD.encode().replace(b"a1", b"a\xff") + b"b\xfe,too,few\n"
    found = read_text(tmp_path, HEADER.encode() + GOOD.encode() + damaged + GOOD.replace("a1", "a3").encode())
    assert ids(found.rows) == [b"a1", b"a3"]
    assert [(row["row"], row["reason_en"]) for row in found.bad] == [
        ("3", "is not UTF-8"),
        ("4", "has another number of columns than the header"),
    ]


def test_rows_of_other_lengths_are_set_aside_with_number_and_text(tmp_path: Path) -> None:
    found = read_text(tmp_path, HEADER + GOOD + "\n\na,b\n" + GOOD + GOOD.strip() + ",more\n")
    assert len(found.rows) == 2
    assert [(row["row"], row["text"]) for row in found.bad] == [("3", "a,b"), ("5", GOOD.strip() + ",more")]
    assert found.bad[0]["file"].endswith("calls.csv")


def test_quoted_fields_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    text = HEADER + '"a,""1""\nx",2026-03-01T00:00:00Z,local,1,2\n' + GOOD
    found = read_text(tmp_path, text)
    assert ids(found.rows) == [b'a,"1"\nx', b"a1"]


def test_a_quote_within_a_field_stands_for_itself(tmp_path: Path) -> None:
    text = HEADER + 'a"b,2026-03-01T00:00:00Z,local,1,2\n' + GOOD
    assert ids(read_text(tmp_path, text).rows) == [b'a"b', b"a1"]


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    found = read_text(tmp_path, HEADER + GOOD + '"open,2026-03-01T00:00:00Z,local,1,2\n' + GOOD + GOOD)
    assert len(found.rows) == 3
    (bad,) = found.bad
    assert (bad["row"], bad["reason_en"]) == ("3", "opens a quote that is never closed")
    assert bad["text"].startswith('"open')


def test_nul_bytes_are_bytes_like_others(tmp_path: Path) -> None:
    found = read_text(tmp_path, HEADER + GOOD.replace("a1", "a\0b") + GOOD)
    assert ids(found.rows) == [b"a\0b", b"a1"]


def test_a_field_of_ten_megabytes_is_set_aside_and_cut_in_the_dead_letters(tmp_path: Path) -> None:
    found = read_text(tmp_path, HEADER + GOOD.replace("a1", "x" * 10_000_000) + GOOD + "y" * 10_000_000)
    assert ids(found.rows) == [b"a1"]
    assert [row["reason_en"] for row in found.bad] == ["is longer than 8 MiB"] * 2
    assert all(len(row["text"]) <= 4096 for row in found.bad)


def test_a_row_of_a_million_fields_is_set_aside(tmp_path: Path) -> None:
    found = read_text(tmp_path, HEADER + "," * 1_000_000 + "\n" + GOOD)
    assert len(found.rows) == len(found.bad) == 1


@pytest.mark.parametrize("columns", [1_500, 1_000_000, 6_000_000])
def test_a_header_of_too_many_columns_is_refused(tmp_path: Path, columns: int) -> None:
    with pytest.raises(CallFileError, match=r"first row (has [\d,]+ fields|does not end within)"):
        read_text(tmp_path, ",".join(["c"] * columns) + "\n")


def test_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match=r"no UTF-8 text|no column"):
        read_text(tmp_path, bytes(range(256)) * 100)


def test_missing_and_repeated_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match=r"no column trunk, callee.*--layout"):
        read_text(tmp_path, "call_id,start,caller\n")
    with pytest.raises(CallFileError, match="callee is there twice"):
        read_text(tmp_path, "call_id,start,trunk,caller,callee,callee\n")


def test_empty_files_and_files_without_rows_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CallFileError, match="file is empty"):
        read_text(tmp_path, "")
    with pytest.raises(CallFileError, match="holds no row"):
        read_text(tmp_path, "\n\n\n")
    with pytest.raises(CallFileError, match="not one row"):
        read_text(tmp_path, HEADER)


def test_an_hour_without_calls_is_no_fault_beside_others(tmp_path: Path) -> None:
    quiet, busy = tmp_path / "quiet.csv", tmp_path / "busy.csv"
    quiet.write_text(HEADER)
    busy.write_text(HEADER + GOOD)
    assert len(read(tmp_path, quiet, busy).rows) == 1


def test_pieces_of_any_size_give_the_same_rows(tmp_path: Path) -> None:
    text = HEADER + "".join(GOOD.replace("a1", f'"a{n}\n{"x" * (n % 50)}"') for n in range(100)) + "bad\n" + GOOD
    (tmp_path / "calls.csv").write_text(text)
    whole = [
        (piece.rows.tolist(), piece.columns["call_id"].to_pylist(), list(piece.bad))
        for piece in CsvFile(tmp_path / "calls.csv", Layout()).pieces()
    ]
    small = list(CsvFile(tmp_path / "calls.csv", Layout(), piece_bytes=300).pieces())
    assert len(small) > 10
    ((rows, call_ids, bad),) = whole
    assert [row for piece in small for row in piece.rows.tolist()] == rows
    assert [one for piece in small if piece.columns for one in piece.columns["call_id"].to_pylist()] == call_ids
    assert [one for piece in small for one in piece.bad] == bad


def test_a_share_of_bad_rows_ends_it_once_it_means_something(tmp_path: Path) -> None:
    rows = [GOOD] * 990 + ["bad\n"] * 10
    assert len(read_text(tmp_path, HEADER + "".join(rows), stop_share=0.01).bad) == 10
    with pytest.raises(CallFileError, match=r"11 of 1,001 rows are bad, more than 1\.00%"):
        read_text(tmp_path, HEADER + "".join([*rows, "bad\n"]), stop_share=0.01)
    # At the end any number of rows says enough.
    with pytest.raises(CallFileError, match="1 of 2 rows are bad"):
        read_text(tmp_path, HEADER + GOOD + "bad\n", stop_share=0.01)
