"""Lists come and go as CSV: encodings, bad rows, the stop limit."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from hutong.kernel.errors import ListError
from hutong.kernel.lists.csv_file import Imported, export_entries, import_file, read_time
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import describe
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_700_000_000
HEADER = "list,target,role,reason,source,who,expires,respond\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ListStore]:
    made = ListStore(tmp_path / "lists")
    made.open()
    yield made
    made.close()


def load(
    store: ListStore, folder: Path, text: str | bytes, encoding: str = "", stop_at: float = 0.1, name: str = "in.csv"
) -> Imported:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    errors = folder / "bad.csv"
    return import_file(store, file, numbering=Numbering(), now=NOW, errors=errors, encoding=encoding, stop_at=stop_at)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_files_are_read_in_the_encodings_people_save_them_in(store: ListStore, tmp_path: Path, encoding: str) -> None:
    row = "block,13800138000,caller,群众举报,12321,值班员,2030-01-01T00:00:00+08:00,603\r\n"
    assert load(store, tmp_path, (HEADER + row).encode(encoding))[:4] == (1, 1, 0, 0)
    (entry,) = store.entries()
    assert (entry.reason, entry.who, entry.respond, entry.expires) == ("群众举报", "值班员", 603, 1_893_427_200)
    assert not (tmp_path / "bad.csv").exists()


def test_columns_come_in_any_order_and_most_may_be_missing(store: ListStore, tmp_path: Path) -> None:
    assert load(store, tmp_path, 'Who,reason,target\n\nw,r,+44*\nw,"a, b\nc",95*\n').applied == 2
    first, second = store.entries()
    assert (first.list, first.role, first.respond, describe(first)) == ("block", "caller", 608, "+44*")
    assert second.reason == "a, b\nc"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("target,reason,who,colour\n", "'colour' is unknown"),
        ("target,reason,who,target\n", "'target' appears twice"),
        ("target,reason\n", "lacks who"),
        ("\n", "lacks target"),
    ],
)
def test_a_wrong_header_is_refused_before_anything_is_applied(
    store: ListStore, tmp_path: Path, header: str, says: str
) -> None:
    with pytest.raises(ListError, match=says):
        load(store, tmp_path, header + "13800138000,r,w,x\n")
    assert store.count() == 0


BAD_ROWS = [
    ("grey,13800138000,,r,,w,,", "list"),
    ("block,nobody,,r,,w,,", "target"),
    ("block,13800138000,both,r,,w,,", "role"),
    ("block,13800138000,,,,w,,", "reason"),
    ("block,13800138000,,r,,,,", "who"),
    ("block,13800138000,,r,,w,tomorrow,", "expires"),
    ("block,13800138000,,r,,w,2030-01-01T00:00:00,", "expires"),
    ("block,13800138000,,r,,w,,200", "respond"),
    ("block,13800138000,,r,,w,,many", "respond"),
    ("block,110,callee,r,,w,,", "target"),
    ("block,13800138000,r", "row"),
]


def test_bad_rows_are_set_aside_with_place_and_remedy(store: ListStore, tmp_path: Path) -> None:
    done = load(store, tmp_path, HEADER + "\n".join(row for row, _ in BAD_ROWS) + "\nblock,95*,,r,,w,,\n", stop_at=1)
    assert done[:4] == (12, 1, 11, 0)
    rows = list(csv.DictReader((tmp_path / "bad.csv").read_text().splitlines()))
    assert [row["error_column"] for row in rows] == [column for _, column in BAD_ROWS]
    assert [int(row["error_row"]) for row in rows] == list(range(2, 13))
    assert all(row["error"] and row["error_fix"] for row in rows)
    assert rows[1]["target"] == "nobody"


def test_a_repaired_dead_letter_file_can_be_imported(store: ListStore, tmp_path: Path) -> None:
    load(store, tmp_path, HEADER + "block,nobody,,r,,w,,\n")
    repaired = (tmp_path / "bad.csv").read_text().replace("nobody,", "13800138000,")
    assert load(store, tmp_path, repaired, name="again.csv")[:3] == (1, 1, 0)


def test_too_many_bad_rows_stop_the_run_before_their_batch(store: ListStore, tmp_path: Path) -> None:
    good = "".join(f"block,138{n:08d},,r,,w,,\n" for n in range(5000))
    bad = "block,x,,r,,w,,\n" * 2000
    done = load(store, tmp_path, HEADER + good + bad)
    assert done[:4] == (7000, 5000, 2000, 7001)
    assert store.count() == 5000
    assert load(store, tmp_path, HEADER + bad).applied == 0


def test_bytes_outside_the_encoding_cost_their_row(store: ListStore, tmp_path: Path) -> None:
    rows = (HEADER + "block,95*,,r,,w,,\nblock,96*,,").encode() + "原因".encode("gb18030") + b",,w,,\n"
    done = load(store, tmp_path, rows, encoding="utf-8", stop_at=1)
    assert (done.applied, done.bad) == (1, 1)


def test_what_is_no_text_and_what_is_not_there_is_said(store: ListStore, tmp_path: Path) -> None:
    with pytest.raises(ListError, match="neither UTF-8 nor GB 18030"):
        load(store, tmp_path, b"\xff\xfe\xff\xff" * 10)
    with pytest.raises(ListError, match="no encoding 'klingon'"):
        load(store, tmp_path, HEADER, encoding="klingon")
    with pytest.raises(ListError, match="cannot be read"):
        import_file(store, tmp_path / "none.csv", numbering=Numbering(), now=NOW, errors=tmp_path / "bad.csv")
    with pytest.raises(ListError, match="overwrite the input"):
        load(store, tmp_path, HEADER, name="bad.csv")


def test_a_monstrous_field_does_not_stop_the_file(store: ListStore, tmp_path: Path) -> None:
    rows = HEADER + f'block,95*,,"{"x" * 200_000}",,w,,\nblock,96*,,r,,w,,\n'
    done = load(store, tmp_path, rows, stop_at=1)
    assert (done.applied, done.bad) == (1, 1)


def test_an_export_can_be_imported(store: ListStore, tmp_path: Path) -> None:
    load(store, tmp_path, HEADER + 'allow,010*,any,"q""uote",s,w,2030-01-01T00:00:00Z,607\n')
    out = io.StringIO()
    assert export_entries(store.entries(), out) == 1
    assert out.getvalue() == (HEADER + 'allow,+861000000000-+861099999999,any,"q""uote",s,w,2030-01-01T00:00:00Z,607\n')


def test_times_need_their_offset() -> None:
    assert read_time(" ") == 0
    assert read_time("1970-01-01T08:00:01+08:00") == 1
    for wrong in ("x", "2030-01-01", "1960-01-01T00:00:00Z", "9999-01-01T00:00:00Z"):
        with pytest.raises(ListError):
            read_time(wrong)
