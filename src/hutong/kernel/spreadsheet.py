"""Cells and files that go to spreadsheets and come from them: no formula goes out, two encodings come in."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: What a cell begins with that is calculated, in letters of full width too (OWASP, CSV Injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: In this order: what is UTF-8 is hardly ever GB 18030 by chance.
ENCODINGS: Final = ("utf-8-sig", "gb18030")


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before what looks like one."""
    if cell is None:
        return ""
    if isinstance(cell, bool | int | float):
        return cell
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def bare(text: str) -> str:
    """A text as it was before `harmless`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def decode(content: bytes) -> tuple[str, str] | None:
    """A file's text and the encoding that it was read with: UTF-8, otherwise GB 18030; None where it is in neither."""
    for encoding in ENCODINGS:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return None


class SheetError(HutongError):
    """A file is no CSV, or its header is not as it must be."""


def rows_of(
    text: str | Iterable[str], known: Mapping[str, str], needed: Sequence[str], most: int
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Each row of a CSV file with its line (the header is 1): its cells by column, or what is wrong with the row.

    Args:
        text: the whole of it, or its lines as they are read.
        known: what columns are called in files, in small letters, and what they are. needed: those that must be there.
        most: rows beyond so many are not read, which is said.

    Raises:
        SheetError: nothing can be read.
    """
    reader = csv.reader(io.StringIO(text, newline="") if isinstance(text, str) else text)
    try:
        columns = _header(next(reader, []), known, needed)
    except csv.Error as error:
        raise SheetError(f"The file is no CSV: {error}.", where="line 1") from error
    count = 0
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"this is no CSV row: {error}"
            continue
        if not any(value.strip() for value in values):
            continue
        count += 1
        if count > most:
            yield reader.line_num, f"only the first {most} rows are taken: split the file"
            return
        if len(values) != len(columns):
            yield reader.line_num, f"the row has {len(values)} cells, the header {len(columns)}"
            continue
        yield reader.line_num, dict(zip(columns, (bare(value.strip()) for value in values), strict=True))


def _header(names: Sequence[str], known: Mapping[str, str], needed: Sequence[str]) -> list[str]:
    columns: list[str] = []
    for at, name in enumerate(names):
        column = known.get(name.strip().lower())
        if column is None or column in columns:
            what = "stands twice" if column else "is unknown"
            all_known = ", ".join(dict.fromkeys(known.values()))
            raise SheetError(f"The column {name!r} {what}.", where=f"column {at + 1}", fix=f"Known: {all_known}.")
        columns.append(column)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise SheetError(f"The header lacks {', '.join(missing)}.", where="line 1")
    return columns
