"""Tables: any address gives a page, links say what they mean, exports are harmless to spreadsheets."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.spreadsheet import harmless
from hutong.kernel.web.tables import (
    LONGEST_VALUE,
    Column,
    Filter,
    TableSpec,
    TableView,
    chosen,
    export_csv,
    page_of,
    read_query,
    stamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.web.tables import TableQuery

SPEC = TableSpec(
    id="calls",
    columns=(Column("name", "Name"), Column("size", "Size", number=True), Column("deeds", "Deeds", sortable=False)),
    filters=(
        Filter("name", "Name"),
        Filter("kind", "Kind", "choice", (("a", "A"), ("b", "B"))),
        Filter("since", "Since", "time"),
    ),
    sort="name",
)
PREFIXED = TableSpec("second", SPEC.columns, SPEC.filters, "size", descending=True, prefix="s.")
ROWS = [{"name": f"row {n:03}", "size": n % 7 if n % 5 else None, "kind": "ab"[n % 2]} for n in range(137)]

nonsense = st.text(max_size=250)
params = st.dictionaries(
    st.sampled_from(["sort", "page", "size", "format", "name", "kind", "since", "lang", "s.sort", "s.page", "s.kind"])
    | nonsense,
    nonsense
    | st.sampled_from(["name", "-name", "size", "-size", "deeds", "0", "1", "3", "50", "100", "-1", "١٢", "a", "b"])
    | st.sampled_from(["2026-01-01T10:00", "2026-13-01", "2026-01-01T10:00+08:00", "9999-12-31T23:59", "0001-01-01"]),
    max_size=12,
)


def key_of(row: dict[str, Any], key: str) -> Any:  # noqa: ANN401  # whatever the row holds
    return row[key]


def followed(url: str, spec: TableSpec) -> TableQuery:
    return read_query(spec, dict(parse_qsl(url.removeprefix("?"), keep_blank_values=True)))


@given(params, st.sampled_from([SPEC, PREFIXED]))
def test_any_address_gives_a_page(said: dict[str, str], spec: TableSpec) -> None:
    query = read_query(spec, said)
    view = page_of(spec, query, ROWS, key_of)
    assert view.query.size in spec.sizes
    assert len(view.rows) <= view.query.size
    assert 1 <= view.query.page <= (view.pages or 1)
    assert all(len(value) <= LONGEST_VALUE for value in view.query.filters.values())
    query.time_ms("since", ZoneInfo("Asia/Shanghai"))


@given(params, st.sampled_from([SPEC, PREFIXED]))
def test_a_link_to_the_same_page_asks_for_the_same(said: dict[str, str], spec: TableSpec) -> None:
    query = read_query(spec, said)
    view: TableView[object] = TableView(spec, query, [], total=None, more=False)
    again = followed(view.url(), spec)
    assert (again.sort, again.descending, again.page, again.size, again.filters) == (
        query.sort, query.descending, query.page, query.size, query.filters,
    )  # fmt: skip
    assert dict(again.others) == dict(query.others)


@given(params)
def test_links_change_one_thing(said: dict[str, str]) -> None:
    query = read_query(SPEC, said)
    view: TableView[object] = TableView(SPEC, query, [], total=None, more=True)
    assert followed(view.page_url(query.page + 1), SPEC).page == query.page + 1
    assert followed(view.size_url(100), SPEC).size == 100
    turned = followed(view.sort_url(query.sort), SPEC)
    assert (turned.sort, turned.descending, turned.page) == (query.sort, not query.descending, 1)
    assert not followed(view.bare_url, SPEC).filters
    for chip in view.chips:
        left = followed(chip.url, SPEC).filters
        assert left == {key: value for key, value in query.filters.items() if key != chip.filter.key}
    assert followed(view.export_url, SPEC).filters == query.filters


def test_what_is_not_this_tables_stays_in_the_links_and_in_the_form() -> None:
    view: TableView[object] = TableView(SPEC, read_query(SPEC, {"lang": "en", "s.page": "3"}), [], total=0, more=False)
    assert dict(parse_qsl(view.sort_url("size")[1:])) == {"lang": "en", "s.page": "3", "sort": "size"}
    assert view.hidden == [("lang", "en"), ("s.page", "3")]


def test_a_page_beyond_the_end_is_the_last() -> None:
    view = page_of(SPEC, read_query(SPEC, {"page": "99"}), ROWS, key_of)
    assert (view.query.page, view.first, view.last, view.total, view.more) == (6, 126, 137, 137, False)


def test_what_has_no_value_comes_last_either_way() -> None:
    for sort in ("size", "-size"):
        view = page_of(SPEC, read_query(SPEC, {"sort": sort, "size": "100", "page": "2"}), ROWS, key_of)
        assert view.rows[-1]["size"] is None
    first = page_of(SPEC, read_query(SPEC, {"sort": "-size"}), ROWS, key_of).rows[0]
    assert first["size"] == 6


def test_text_filters_find_parts_and_choices_the_whole() -> None:
    query = read_query(SPEC, {"name": "ROW 00", "kind": "b"})
    assert [row["name"] for row in chosen(SPEC, query, ROWS, key_of)] == ["row 001", "row 003", "row 005", "row 007",
                                                                         "row 009"]  # fmt: skip
    assert read_query(SPEC, {"kind": "c"}).filters == {}


def test_times_are_read_in_the_viewers_zone() -> None:
    query = read_query(SPEC, {"since": "2026-01-01T08:00"})
    assert query.time_ms("since", ZoneInfo("Asia/Shanghai")) == 1_767_225_600_000
    assert query.time_ms("since", ZoneInfo("UTC")) == 1_767_254_400_000
    assert stamp(1_767_225_600_000, ZoneInfo("Asia/Shanghai")) == "2026-01-01T08:00:00+08:00"
    assert stamp(None, ZoneInfo("UTC")) == ""


@pytest.mark.parametrize(
    "cell", ["=1+1", "+8613900000000", "-2", "@SUM(A1)", "\tx", "\rx", "\n=1", "\uff1d1+1", "=cmd|' /C calc'!A0"]
)
def test_formulas_are_harmless(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@given(st.lists(st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=20), min_size=2, max_size=2)))
def test_an_export_reads_back_and_no_cell_is_a_formula(rows: list[list[object]]) -> None:
    stream = export_csv("calls", ["Name", "=Size"], rows)
    content = b"".join(stream.iterator)  # type: ignore[arg-type]
    assert content.startswith(b"\xef\xbb\xbf")
    read = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert read == [["Name", "'=Size"], *([str(harmless(cell)) for cell in row] for row in rows)]
    for row in rows:
        assert not any(isinstance(cell, str) and str(harmless(cell)).startswith(("=", "+", "-", "@")) for cell in row)


def test_an_export_is_streamed() -> None:
    taken = 0

    def rows() -> Iterator[tuple[int]]:
        nonlocal taken
        for number in range(5000):
            taken = number
            yield (number,)

    parts = iter(export_csv("calls", ["n"], rows()).iterator)  # type: ignore[arg-type]
    next(parts)
    assert taken < 1000
