"""Files to Arrow tables: CSV (also .gz) and Parquet, bounded before they are read. What columns mean is `table`'s work.

Text files are read as text, cell for cell, so that whatever is wrong can be named by its row. A row's number is that
of a spreadsheet: the header is row 1.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from hutong.risk.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path

MAX_COLUMNS: Final = 4096
MAX_ROWS: Final = 5_000_000
MAX_CELLS: Final = 200_000_000
MAX_BYTES: Final = 2 << 30
MAX_HEADER_BYTES: Final = 1 << 20

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_BLOCK = 1 << 20
_HINT = "Give a CSV file (also gzipped) or a Parquet file."
_ENCODINGS = ("utf-8-sig", "gb18030")


class Source(NamedTuple):
    """A file that was read: its columns, and the SHA-256 of its content (after decompression) in hex."""

    name: str
    columns: pa.Table
    digest: str


def read_source(path: Path, *, max_columns: int = MAX_COLUMNS, max_rows: int = MAX_ROWS) -> Source:
    """Read a whole table; every cell of a text file as text.

    Raises:
        TableError: there is no such file, it is no table, or it is larger than the limits.
    """
    try:
        with path.open("rb") as file:
            first = file.read(4)
        if first == _PARQUET:
            return _read_parquet(path, max_columns, max_rows)
        content = _content(path, zipped=first[:2] == _GZIP)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError("The file is damaged: it cannot be unzipped.", where=str(path), fix="Make it anew.") from error
    except OSError as error:
        raise TableError(f"The file cannot be read: {error.strerror}.", where=str(path), fix=_HINT) from error
    if content[:4] == _PARQUET:
        raise TableError("This is a zipped Parquet file.", where=str(path), fix="Unzip it: Parquet compresses itself.")
    return Source(str(path), _read_csv(path, content, max_columns, max_rows), hashlib.sha256(content).hexdigest())


def _content(path: Path, *, zipped: bool) -> bytes:
    with gzip.open(path, "rb") if zipped else path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TableError(f"The file holds more than {MAX_BYTES >> 30} GiB.", where=str(path), fix="Split it.")
    return content


def _decoded(path: Path, content: bytes) -> bytes:
    """The content as UTF-8 without byte order mark, whichever of the two encodings it came in."""
    if b"\x00" in content[:_BLOCK]:
        raise TableError("This is no text file.", where=str(path), fix=_HINT)
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            if encoding == "gb18030":
                return content.decode(encoding).encode()
            for at in range(0, len(content), _BLOCK):
                decoder.decode(content[at : at + _BLOCK])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return content.removeprefix(codecs.BOM_UTF8)
    raise TableError("This file is neither UTF-8 nor GB 18030.", where=str(path), fix="Save it as UTF-8.")


def _header(path: Path, content: bytes, max_columns: int) -> list[str]:
    if not content.strip():
        raise TableError("The file is empty.", where=str(path), fix="Its first row names the columns.")
    head = content[: MAX_HEADER_BYTES + 1]
    line, found, _ = head.partition(b"\n")
    if not found and len(head) > MAX_HEADER_BYTES:
        raise TableError(
            f"The first row is longer than {MAX_HEADER_BYTES >> 20} MiB.",
            where=f"{path}:1",
            fix=f"A table has at most {max_columns} columns.",
        )
    names = [name.strip() for name in next(csv.reader([line.decode("utf-8", "replace").rstrip("\r")]), [])]
    _check_names(path, names, max_columns)
    return names


def _check_names(path: Path, names: list[str], max_columns: int) -> None:
    if len(names) > max_columns:
        raise TableError(
            f"The table has {len(names):,} columns; at most {max_columns:,} are taken.",
            where=f"{path}:1",
            fix="Leave out what says nothing about a user.",
        )
    seen: set[str] = set()
    for at, name in enumerate(names, start=1):
        if not name:
            raise TableError("A column has no name.", where=f"{path}:1, column {at}", fix="Name it, or leave it out.")
        if name in seen:
            raise TableError(
                f"Two columns are named {name!r}.", where=f"{path}:1, column {at}", fix="Rename or drop one."
            )
        seen.add(name)


def _read_csv(path: Path, raw: bytes, max_columns: int, max_rows: int) -> pa.Table:
    content = _decoded(path, raw).lstrip(b"\r\n")
    names = _header(path, content, max_columns)
    wrong: list[pa_csv.InvalidRow] = []

    def note(row: pa_csv.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    try:
        table = pa_csv.read_csv(
            io.BytesIO(content),
            read_options=pa_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1, block_size=8 << 20),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        if wrong:
            row = wrong[0]
            raise TableError(
                f"The row has {row.actual_columns} fields, the header {row.expected_columns}.",
                where=f"{path}:{row.number}",
                fix="Put fields that hold a comma or a line end in double quotes.",
            ) from error
        if content.count(b"\n", 0, -1) == 0:
            return pa.table({name: pa.array([], pa.string()) for name in names})
        raise TableError("This is no CSV file.", where=str(path), fix=_HINT) from error
    _check_size(path, table.num_rows, table.num_columns, max_rows)
    return table


def _read_parquet(path: Path, max_columns: int, max_rows: int) -> Source:
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        _check_names(path, list(file.schema_arrow.names), max_columns)
        _check_size(path, file.metadata.num_rows, len(file.schema_arrow.names), max_rows)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise TableError("The Parquet file is damaged.", where=str(path), fix="Write it anew.") from error
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        while block := raw.read(_BLOCK):
            digest.update(block)
    return Source(str(path), table, digest.hexdigest())


def _check_size(path: Path, rows: int, columns: int, max_rows: int) -> None:
    if rows > max_rows or rows * columns > MAX_CELLS:
        raise TableError(
            f"The table has {rows:,} rows of {columns:,} columns; at most {max_rows:,} rows and {MAX_CELLS:,} cells "
            "are taken.",
            where=str(path),
            fix="Score it in parts; to learn, a sample is enough.",
        )
