"""Cells and files that go to spreadsheets and come from them: no formula goes out, two encodings come in."""

from __future__ import annotations

from typing import Final

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
