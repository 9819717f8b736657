"""The file of keyed hashes that `FileCheck` looks into, made from an operator's own table, however long it is.

Hashes are sorted in parts beside the file to be written, which are merged; the file is there whole or as it was before.
"""

from __future__ import annotations

import heapq
import os
import sys
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.codes.people.documents import KIND_TITLES, read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.holders import NUMBER_BYTES, Holder, holder_line
from hutong.codes.people.store import checked_name
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import give_to_owner
from hutong.kernel.numbering.keys import KIND_NUMBER, digits_of, key_kind
from hutong.kernel.spreadsheet import ENCODINGS, SheetError, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hutong.codes.people.documents import DocumentKind
    from hutong.kernel.numbering import Numbering

#: Lines that are sorted at once: 0.6 GB while they are.
AT_ONCE: Final = 2_000_000
_COLUMNS: Final = {
    **dict.fromkeys(("number", "号码", "手机号", "手机号码"), "number"),
    **dict.fromkeys(("kind", "证件类型", "证件种类"), "kind"),
    **dict.fromkeys(("document", "证件号", "证件号码"), "document"),
    **dict.fromkeys(("name", "姓名"), "name"),
}
_NEEDED: Final = ("number", "kind", "document", "name")
_KINDS: Final[dict[str, DocumentKind]] = {
    word: kind for kind, titles in KIND_TITLES.items() for word in (kind, *titles.values())
}
_PIECE: Final = 1 << 20


class WrongRow(NamedTuple):
    """A row that was left out: its line (the header is 1), its number masked, and what is wrong with it."""

    line: int
    number: str
    what: str


class Written(NamedTuple):
    """How many numbers the file has, and how many rows a later one of the same number took the place of."""

    numbers: int
    replaced: int


def read_holders(file: Path, numbering: Numbering, wrong: Callable[[WrongRow], None]) -> Iterator[Holder]:
    """The holders of a CSV file in UTF-8 or GB 18030, row by row.

    Args:
        file: with the columns number, kind, document and name; it is read twice.
        wrong: is told of each row that is left out.

    Raises:
        SheetError: it cannot be read, or its header is not as it must be.
    """
    try:
        with file.open(encoding=_encoding(file), newline="") as text:
            for line, cells in rows_of(text, _COLUMNS, _NEEDED, sys.maxsize):
                if isinstance(cells, str):
                    wrong(WrongRow(line, "", cells))
                    continue
                try:
                    yield _holder(cells, numbering)
                except PersonRefused as refused:
                    key = numbering.read(cells["number"]).key
                    wrong(WrongRow(line, numbering.mask(key, cells["number"]), str(refused)))
    except OSError as error:
        raise SheetError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error


def _encoding(file: Path) -> str:
    for encoding in ENCODINGS:
        try:
            with file.open(encoding=encoding, newline="") as text:
                while text.read(_PIECE):
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise SheetError("The file is neither in UTF-8 nor in GB 18030.", where=str(file))


def _holder(cells: dict[str, str], numbering: Numbering) -> Holder:
    number = numbering.read(cells["number"])
    if key_kind(number.key) != KIND_NUMBER or number.klass != "mobile":
        raise PersonRefused("phone", "This is no mobile number.", where="number")
    kind = _KINDS.get(cells["kind"].lower())
    if kind is None:
        fix = f"Known: {', '.join(KIND_TITLES)}."
        raise PersonRefused("document", "There is no such kind of document.", where="kind", fix=fix)
    return Holder(read_document(kind, cells["document"]), checked_name(cells["name"]), digits_of(number.key))


def write_holders(key: bytes, holders: Iterable[Holder], file: Path) -> Written:
    """Write the file of hashes, in order, one holder for a number: the last of `holders`. Its owner alone may read it.

    Raises:
        StateError: it cannot be written, or nobody is to be in it: an empty file would know no number.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as name:
            folder, taken, numbers = Path(name), 0, 0
            parts: list[Path] = []
            lines = (holder_line(key, it) for it in holders)
            while some := list(islice(lines, AT_ONCE)):
                some.sort(key=_number)  # the last one of a number stays behind those before it
                parts.append(folder / str(len(parts)))
                with parts[-1].open("wb") as out:
                    out.writelines(some)
                taken += len(some)
            if not parts:
                raise StateError("Nobody would be in the file; it was not written.", where=str(file))
            fresh = folder / "fresh"
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                give_to_owner(out.fileno(), file.parent)
                for line in _merged(parts):
                    out.write(line)
                    numbers += 1
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(file)
    except OSError as error:
        raise StateError(f"The file cannot be written: {error.strerror}.", where=str(file)) from error
    return Written(numbers, taken - numbers)


def _number(line: bytes) -> bytes:
    return line[:NUMBER_BYTES]


def _merged(parts: list[Path]) -> Iterator[bytes]:
    """The lines of sorted parts in order, of each number the last."""
    with ExitStack() as stack:
        last = b""
        for line in heapq.merge(*(stack.enter_context(it.open("rb")) for it in parts), key=_number):
            if last and _number(last) != _number(line):
                yield last
            last = line
        yield last
