"""Tables of the console: which columns, which filters, what the address asks for, and links that say it again.

Belongs here: reading a query that may be nonsense, building links from it, pages of rows that are in memory, exports.
Not here: markup (`kit.html`), and where rows come from.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar.response import Stream

from hutong.kernel.spreadsheet import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from zoneinfo import ZoneInfo

Row = TypeVar("Row")

LONGEST_VALUE: Final = 200
"""Characters of a filter that are read; the rest is cut off."""
_LARGEST_PAGE: Final = 1_000_000
_MOST_OTHERS: Final = 16
_CSV_ROWS_AT_ONCE: Final = 500


class Column(msgspec.Struct, frozen=True):
    """A column. `text` is the key of its heading; `number` aligns it right."""

    key: str
    text: str
    sortable: bool = True
    number: bool = False


class Filter(msgspec.Struct, frozen=True):
    """A filter.

    Attributes:
        choices: (value, text key or, where no such key exists, the text itself). A text filter suggests them.
    """

    key: str
    text: str
    kind: Literal["text", "choice", "time"] = "text"
    choices: tuple[tuple[str, str], ...] = ()


class TableSpec(msgspec.Struct, frozen=True):
    """What a table has.

    Attributes:
        id: names its region in the page; unique there.
        sort: the key that it is sorted by where nobody asks; "" where rows come in an order of their own.
        sizes: rows in a page; the first counts where nobody asks.
        prefix: put before the names in the address, where a page has several tables.
    """

    id: str
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    sort: str = ""
    descending: bool = False
    sizes: tuple[int, ...] = (25, 50, 100)
    prefix: str = ""


class TableQuery(msgspec.Struct, frozen=True):
    """What is asked of a table, after nonsense fell away.

    Attributes:
        page: from 1.
        filters: only those that are set, by key.
        others: what else the address says; links keep it.
    """

    sort: str
    descending: bool
    page: int
    size: int
    filters: dict[str, str]
    others: tuple[tuple[str, str], ...] = ()

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.page - 1) * self.size

    def time_ms(self, key: str, zone: ZoneInfo) -> int | None:
        """A time filter as ms since 1970 UTC, read in the viewer's zone; None where it is not set."""
        text = self.filters.get(key)
        if text is None:
            return None
        try:
            return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None


def read_query(spec: TableSpec, params: Mapping[str, str]) -> TableQuery:
    """What the address asks of the table. Never fails: what makes no sense counts as not said.

    Args:
        spec: the table.
        params: the query parameters; of a repeated one, whichever the mapping gives.
    """
    own = {f"{spec.prefix}{name}": name for name in ("sort", "page", "size", "format")}
    own |= {f"{spec.prefix}{it.key}": it.key for it in spec.filters}
    said = {short: params[name][:LONGEST_VALUE].strip() for name, short in own.items() if name in params}
    sort, descending = _sort(spec, said.get("sort", ""))
    size = _whole(said.get("size", ""), 0)
    filters = {it.key: said[it.key] for it in spec.filters if _sensible(it, said.get(it.key, ""))}
    others = [(k, v) for k, v in params.items() if k not in own and len(k) <= LONGEST_VALUE and len(v) <= LONGEST_VALUE]
    return TableQuery(
        sort=sort,
        descending=descending,
        page=min(max(_whole(said.get("page", ""), 1), 1), _LARGEST_PAGE),
        size=size if size in spec.sizes else spec.sizes[0],
        filters=filters,
        others=tuple(others[:_MOST_OTHERS]),
    )


def _sort(spec: TableSpec, text: str) -> tuple[str, bool]:
    key = text.removeprefix("-")
    if any(it.key == key and it.sortable for it in spec.columns):
        return key, text.startswith("-")
    return spec.sort, spec.descending


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(_LARGEST_PAGE)) else otherwise


def _sensible(it: Filter, value: str) -> bool:
    if not value:
        return False
    if it.kind == "choice":
        return any(value == choice for choice, _ in it.choices)
    if it.kind == "time":
        try:
            return datetime.fromisoformat(value).tzinfo is None
        except ValueError:
            return False
    return True


class Chip(msgspec.Struct, frozen=True):
    """A filter that is set: its value as people read it (a choice by its text), and the link that takes it away."""

    filter: Filter
    text: str
    url: str


class TableView(Generic[Row]):
    """One page of a table, as `kit.html` draws it.

    Args:
        spec: the table.
        query: what was asked.
        rows: the rows of this page.
        total: rows in all pages; None where counting would take too long.
        more: whether another page follows.
    """

    def __init__(self, spec: TableSpec, query: TableQuery, rows: Sequence[Row], total: int | None, more: bool) -> None:  # noqa: FBT001  # it is a fact about the rows, named at every call
        self.spec = spec
        self.query = query
        self.rows = rows
        self.total = total
        self.more = more

    @property
    def first(self) -> int:
        """Number of the first row shown, from 1; 0 where there is none."""
        return self.query.offset + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return self.query.offset + len(self.rows)

    def name(self, name: str) -> str:
        """The name of a parameter in the address."""
        return f"{self.spec.prefix}{name}"

    def url(self, **changes: str | int | None) -> str:
        """A link to this table with some parameters changed; None takes one away."""
        query = self.query
        said: dict[str, str | int | None] = dict(query.filters)
        if (query.sort, query.descending) != (self.spec.sort, self.spec.descending):
            said["sort"] = f"-{query.sort}" if query.descending else query.sort
        if query.page > 1:
            said["page"] = query.page
        if query.size != self.spec.sizes[0]:
            said["size"] = query.size
        said |= changes
        own = [(self.name(name), value) for name, value in said.items() if value not in {None, ""}]
        return "?" + urlencode([*query.others, *own])

    def sort_url(self, key: str) -> str:
        """Sort by a column; by the one that already sorts, the other way round."""
        turned = key == self.query.sort and not self.query.descending
        return self.url(sort=f"-{key}" if turned else key, page=None)

    def page_url(self, page: int) -> str:
        """Another page."""
        return self.url(page=page if page > 1 else None)

    def size_url(self, size: int) -> str:
        """Another number of rows; begins at the first page."""
        return self.url(size=size if size != self.spec.sizes[0] else None, page=None)

    @property
    def bare_url(self) -> str:
        """No filter."""
        return self.url(page=None, **dict.fromkeys(self.query.filters))

    @property
    def export_url(self) -> str:
        """All rows that the filters leave, as CSV."""
        return self.url(page=None, size=None, format="csv")

    @property
    def chips(self) -> list[Chip]:
        """The filters that are set."""
        set_ = ((it, self.query.filters[it.key]) for it in self.spec.filters if it.key in self.query.filters)
        return [
            Chip(
                it,
                dict(it.choices).get(value, value.replace("T", " ") if it.kind == "time" else value),
                self.url(page=None, **{it.key: None}),
            )
            for it, value in set_
        ]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What the filter form sends besides its fields, so that it keeps the order and what is not this table's."""
        query = self.query
        own = []
        if (query.sort, query.descending) != (self.spec.sort, self.spec.descending):
            own.append((self.name("sort"), f"-{query.sort}" if query.descending else query.sort))
        if query.size != self.spec.sizes[0]:
            own.append((self.name("size"), str(query.size)))
        return [*query.others, *own]

    @property
    def pages(self) -> int | None:
        """How many pages there are, where the rows were counted."""
        return None if self.total is None else max(-(-self.total // self.query.size), 1)


def within(query: TableQuery, total: int) -> TableQuery:
    """What is asked of a table of so many rows: a page beyond the end gives the last one."""
    return msgspec.structs.replace(query, page=min(query.page, max(-(-total // query.size), 1)))


def page_of(
    spec: TableSpec, query: TableQuery, rows: Iterable[Row], key_of: Callable[[Row, str], Any]
) -> TableView[Row]:
    """A page of rows that are all in memory.

    Args:
        spec: the table.
        query: what was asked. A page beyond the end gives the last one.
        rows: all of them. Time filters are the caller's; text filters find a part, choices the whole value.
        key_of: the value of a row by the key of a column or filter: what it sorts by (None comes last) or is found by.
    """
    kept = list(chosen(spec, query, rows, key_of))
    query = within(query, len(kept))
    shown = kept[query.offset : query.offset + query.size]
    return TableView(spec, query, shown, total=len(kept), more=query.offset + len(shown) < len(kept))


def chosen(spec: TableSpec, query: TableQuery, rows: Iterable[Row], key_of: Callable[[Row, str], Any]) -> Iterator[Row]:
    """All rows in memory that the filters leave, in the order asked for: what an export holds."""
    asked = [(it, query.filters[it.key]) for it in spec.filters if it.key in query.filters and it.kind != "time"]
    kept = [row for row in rows if all(_fits(it, wanted, key_of(row, it.key)) for it, wanted in asked)]
    if query.sort:
        known = [row for row in kept if key_of(row, query.sort) is not None]
        known.sort(key=lambda row: key_of(row, query.sort), reverse=query.descending)
        kept = [*known, *(row for row in kept if key_of(row, query.sort) is None)]
    return iter(kept)


def _fits(it: Filter, wanted: str, value: object) -> bool:
    return str(value) == wanted if it.kind == "choice" else wanted.casefold() in str(value).casefold()


def wants_export(params: Mapping[str, str], prefix: str = "") -> bool:
    """Whether the address asks for the export rather than the page."""
    return params.get(f"{prefix}format") == "csv"


def export_csv(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Stream:
    """A download, streamed: CSV (RFC 4180) in UTF-8 with a byte order mark, as spreadsheets want it.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Figures stay figures.

    Args:
        name: of the file, without ending; ASCII.
        header: the headings.
        rows: may be a generator; it is read while the client takes it.
    """
    return Stream(
        _csv_parts(header, rows),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Cache-Control": "no-store",
        },
    )


def _csv_parts(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow([harmless(it) for it in header])
    for number, row in enumerate(rows, 1):
        writer.writerow([harmless(it) for it in row])
        if number % _CSV_ROWS_AT_ONCE == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def stamp(ms: int | None, zone: ZoneInfo) -> str:
    """A moment in an export: ISO 8601 in the reader's zone with its offset, so that nobody has to guess."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, zone).isoformat(timespec="seconds")
