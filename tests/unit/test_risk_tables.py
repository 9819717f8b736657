"""Bad tables are refused with the place and the remedy, good ones are read as they are meant."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from risk_tables import made_up, write

from hutong.app.cli import run
from hutong.risk.errors import TableError
from hutong.risk.graph import read_edges
from hutong.risk.table import read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "user,calls,label\n"
GOOD = "".join(f"u{n},{n},{n % 2}\n" for n in range(60))

BAD: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("is empty", "names the columns")),
    "blank": (b"\n\n\n", ("is empty",)),
    "no rows": (HEAD.encode(), ("has no rows",)),
    "header without line end": (HEAD.strip().encode(), ("has no rows",)),
    "no label": (b"user,calls\na,1\nb,2\n", ("no column 'label'", "t.csv:1")),
    "label in capitals": (b"user,calls,Label\na,1,0\nb,2,1\n", ("no column 'label'", "Rename 'Label'")),
    "one class": (b"user,calls,label\na,1,0\nb,2,0\n", ("Every label is 0", "Both classes")),
    "other label": (b"user,calls,label\na,1,0\nb,2,2\n", ("t.csv:3, column 'label'", "is no label", "Write 1")),
    "text label": (b"user,calls,label\na,1,0\nb,2,fraud\n", ("t.csv:3, column 'label'", "'fraud' is no label")),
    "empty label": (b"user,calls,label\na,1,0\nb,2,\n", ("t.csv:3, column 'label'", "has no label")),
    "twice": (b"user,calls,label\na,1,0\nb,2,1\na,3,1\n", ("t.csv:4, column 'user'", "twice, first in row 2")),
    "nameless user": (b"user,calls,label\na,1,0\n,2,1\n", ("t.csv:3, column 'user'", "no identifier")),
    "no identifier": (b"calls,label\n1,0\n2,1\n", ("no column 'user'",)),
    "short row": (b"user,calls,label\na,1,0\nb,2\n", ("t.csv:3", "has 2 fields, the header 3")),
    "wrong type": (
        (HEAD + GOOD + "x,many,1\n").encode(),
        ("t.csv:62, column 'calls'", "'many' is no number", "leave the cell empty"),
    ),
    "infinite": ((HEAD + GOOD + "x,inf,1\n").encode(), ("t.csv:62, column 'calls'", "infinite")),
    "overflowing": ((HEAD + GOOD + "x,1e999,1\n").encode(), ("t.csv:62, column 'calls'", "infinite")),
    "same column twice": (b"user,calls,calls,label\na,1,1,0\n", ("Two columns are named 'calls'", "column 3")),
    "nameless column": (b"user,,label\na,1,0\n", ("A column has no name", "column 2")),
    "only identifiers": (b"user,label\na,0\nb,1\n", ("No column says anything",)),
    "binary": (bytes(range(256)) * 4, ("no text file",)),
    "neither encoding": (b"user,calls,label\n\xff\xff,1,0\n", ("neither UTF-8 nor GB 18030",)),
    "damaged gzip": (gzip.compress(HEAD.encode() * 50)[:40], ("cannot be unzipped",)),
    "damaged parquet": (b"PAR1" + bytes(60), ("Parquet file is damaged",)),
    "columns without end": (
        b"user," + b",".join(b"c%d" % n for n in range(1_000_000)) + b",label\n",
        ("first row is longer than 1 MiB", "at most 4096 columns"),
    ),
    "too many columns": (
        b"user," + b",".join(b"c%d" % n for n in range(5000)) + b",label\n",
        ("5,002 columns; at most 4,096",),
    ),
    "few": (
        b"user,calls,label\n" + b"".join(b"u%d,%d,%d\n" % (n, n, n % 20 == 0) for n in range(99)),
        ("only 5 fraud",),
    ),
    "constant": (b"user,calls,label\n" + b"".join(b"u%d,7,%d\n" % (n, n % 2) for n in range(99)), ("same value",)),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_with_place_and_remedy(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, says = BAD[case]
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert run(["risk", "train", str(path), "--model", str(tmp_path / "m")]) == 2
    told = capsys.readouterr().err
    assert str(path) in told
    assert "Traceback" not in told
    for words in says:
        assert words in told
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("path", ["missing.csv", "."])
def test_what_is_no_file_is_refused(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["risk", "evaluate", str(tmp_path / path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_gb18030_gzip_and_parquet_read_alike(tmp_path: Path) -> None:
    header, rows = made_up(30)
    plain = read_table(write(tmp_path / "t.csv", header, rows), labelled=True)
    chinese = read_table(write(tmp_path / "g.csv", header, rows, "gb18030"), labelled=True)
    marked = read_table(write(tmp_path / "b.csv", header, rows, "utf-8-sig"), labelled=True)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    zipped = read_table(tmp_path / "t.csv.gz", labelled=True)
    columns = {name: [row[at] if row[at] != "" else None for row in rows] for at, name in enumerate(header)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    columnar = read_table(tmp_path / "t.parquet", labelled=True)
    assert zipped.digest == plain.digest
    for other in (chinese, marked, zipped, columnar):
        assert other.users == plain.users
        assert other.labels is not None
        assert other.labels.tolist() == [row[-1] for row in rows]
        for name, column in plain.columns.items():
            assert other.columns[name].levels == column.levels
            assert np.array_equal(other.columns[name].values, column.values, equal_nan=True)
    assert set(plain.columns["city"].levels) == {"成都", "绵阳", "乐山"}
    assert np.isnan(plain.columns["talk"].values).any()


def test_nested_parquet_columns_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": ["a", "b"], "x": [[1], [2]], "label": [0, 1]}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match="neither numbers nor categories"):
        read_table(tmp_path / "t.parquet", labelled=True)


def test_what_says_nothing_is_left_out_and_told(tmp_path: Path) -> None:
    rows = [[f"u{n}", n, f"some remark {n}", "", n % 2] for n in range(1500)]
    table = read_table(write(tmp_path / "t.csv", ["user", "calls", "remark", "none", "label"], rows), labelled=True)
    assert list(table.columns) == ["calls", "none"]
    assert any("'remark' has 1,500 different texts" in note for note in table.notes)
    assert any("'none' has no value at all" in note for note in table.notes)


def test_the_first_column_of_text_identifies_users(tmp_path: Path) -> None:
    rows = [[n, f"+86138{n:08d}x", n % 2] for n in range(4)]
    table = read_table(write(tmp_path / "t.csv", ["calls", "number", "label"], rows), labelled=True)
    assert table.id_column == "number"
    assert list(table.columns) == ["calls"]


@pytest.fixture
def three(tmp_path: Path) -> Callable[[str], Path]:
    write(tmp_path / "t.csv", ["user", "calls", "label"], [["a", 1, 0], ["b", 2, 1], ["c", 3, 0]])

    def edges(text: str) -> Path:
        (tmp_path / "e.csv").write_text(text)
        return tmp_path / "e.csv"

    return edges


def test_edges_count_once_either_way_round_and_strangers_are_counted(three: Callable[[str], Path]) -> None:
    path = three("a,b\na,b\nb,a\na,b\na,a\nc,nobody\nc,b\n")
    graph = read_edges(path, read_table(path.with_name("t.csv"), labelled=True))
    assert graph.links.toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert graph.degree.tolist() == [1, 2, 1]
    assert (graph.pairs, graph.unknown) == (6, 1)
    assert graph.mean_of_linked(np.array([0.0, 0.5, 1.0])).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "says"), [("a\nx\n", "two columns"), ("a,b\nx,y\n", "names two users"), ("", "is empty")]
)
def test_bad_edges_are_refused(three: Callable[[str], Path], text: str, says: str) -> None:
    path = three(text)
    with pytest.raises(TableError, match=says):
        read_edges(path, read_table(path.with_name("t.csv"), labelled=True))
