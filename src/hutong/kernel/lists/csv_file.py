"""Lists as CSV files, coming and going. A bad row never stops a file by itself; too many of them do.

Columns (header required, any order): target, reason and who must be there; list, role, source, expires and respond may.
An import adds and replaces, it never removes. Bad rows go to a dead-letter file with the same columns and four more
that say what was wrong; when they are repaired, that file can itself be imported.
"""

from __future__ import annotations

import codecs
import csv
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from hutong.kernel.errors import ListError
from hutong.kernel.lists.entries import LAST_SECOND, Entry
from hutong.kernel.lists.targets import describe, draft

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import TextIOWrapper
    from pathlib import Path

    from hutong.kernel.numbering import Numbering

COLUMNS = ("list", "target", "role", "reason", "source", "who", "expires", "respond")
REQUIRED = ("target", "reason", "who")
ERROR_COLUMNS = ("error_row", "error_column", "error", "error_fix")
ENCODINGS = ("utf-8-sig", "gb18030")

_BATCH = 5000  # rows in one transaction
_BLOCK = 1 << 20
_SURE_AFTER = 20  # rows; a share of fewer than these says little


class Taker(Protocol):
    """What takes entries in: a `ListStore`, or nothing at all where a file is only looked through."""

    def add(self, entries: Sequence[Entry], now: int) -> object:
        """Add entries as of second `now`."""


class Imported(NamedTuple):
    """What an import did. `stopped` is the row at which too many rows were bad; 0 where the file was read to its end.

    `applied` counts rows whose entries are now in the store, `bad` those in the dead-letter file.
    """

    rows: int
    applied: int
    bad: int
    stopped: int
    encoding: str


def detect_encoding(path: Path) -> str:
    """The encoding of a whole file: UTF-8 (with or without byte order mark), otherwise GB 18030.

    Raises:
        ListError: it is neither.
    """
    for encoding in ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        with path.open("rb") as file:
            try:
                while block := file.read(_BLOCK):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                continue
            return encoding
    raise ListError(
        "This file is neither UTF-8 nor GB 18030.", where=str(path), fix="Save it as UTF-8, or give --encoding."
    )


def read_time(text: str, column: str = "expires") -> int:
    """Seconds since 1970 of an RFC 3339 time such as 2026-03-01T00:00:00+08:00; 0 for an empty text.

    Raises:
        ListError: it is no such time, or lacks its offset from UTC.
    """
    if not text.strip():
        return 0
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  # refused below for the offset it lacks
    if moment.tzinfo is None or not 0 < moment.timestamp() <= LAST_SECOND:
        raise ListError(
            f"{text!r} is no time with its offset.", where=column, fix="Write it like 2026-03-01T00:00:00+08:00."
        )
    return int(moment.timestamp())


def show_time(second: int) -> str:
    """RFC 3339 in UTC; empty for 0."""
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z") if second else ""


def export_entries(entries: Iterable[Entry], out: TextIO) -> int:
    """Write entries as CSV; returns how many."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for entry in entries:
        expires = show_time(entry.expires)
        writer.writerow(
            (entry.list, describe(entry), entry.role, entry.reason, entry.source, entry.who, expires, entry.respond)
        )
        count += 1
    return count


def _lines(file: TextIOWrapper, progress: Callable[[int], None]) -> Iterator[str]:
    """The file's lines; every so often `progress` hears how many bytes were read."""
    for count, line in enumerate(file):
        if count % _BATCH == 0:
            progress(os.lseek(file.fileno(), 0, os.SEEK_CUR))
        yield line


class _DeadLetters:
    """The file of bad rows; made when the first one comes."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = columns
        self._file: TextIO | None = None
        self.count = 0

    def put(self, row: int, values: Sequence[str], error: ListError) -> None:
        """Keep one bad row with its error."""
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow((*self._columns, *ERROR_COLUMNS))
        width = len(self._columns)
        kept = [*values[:width], *[""] * (width - len(values))]
        csv.writer(self._file).writerow((*kept, row, error.where, error.what, error.fix))
        self.count += 1

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._file is not None:
            self._file.close()


def _read_header(header: list[str], path: Path) -> list[str]:
    names = [name.strip().lower() for name in header]
    known = (*COLUMNS, *ERROR_COLUMNS)
    for at, name in enumerate(names):
        if name not in known or names.count(name) > 1:
            what = "appears twice" if name in known else "is unknown"
            raise ListError(
                f"Column {name!r} {what}.", where=f"{path}:1, column {at + 1}", fix=f"Columns: {', '.join(COLUMNS)}."
            )
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise ListError(
            f"The header lacks {', '.join(missing)}.",
            where=f"{path}:1",
            fix=f"The first line names the columns: {','.join(COLUMNS)}",
        )
    return names


def _read_row(names: list[str], values: list[str], numbering: Numbering) -> Entry:
    if len(values) != len(names):
        raise ListError(
            f"The row has {len(values)} fields, the header {len(names)}.",
            where="row",
            fix="Put fields that hold a comma or a line end in double quotes.",
        )
    fields = {name: value.strip() for name, value in zip(names, values, strict=True) if name in COLUMNS}
    if any("\ufffd" in value for value in fields.values()):
        raise ListError("Bytes that the encoding does not know.", where="row", fix="Give the right --encoding.")
    respond = fields.pop("respond", "") or "608"
    if not respond.isdecimal():
        raise ListError(f"{respond!r} is no SIP status.", where="respond", fix="603, 607 or 608.")
    return draft(
        fields["target"],
        numbering=numbering,
        list=fields.get("list") or "block",
        role=fields.get("role", ""),
        reason=fields["reason"],
        who=fields["who"],
        source=fields.get("source", ""),
        expires=read_time(fields.get("expires", "")),
        respond=int(respond),
    )


class _Import:
    """Takes rows in, one transaction for each batch of them."""

    def __init__(
        self, store: Taker, names: list[str], dead: _DeadLetters, numbering: Numbering, now: int, stop_at: float
    ) -> None:
        self._store = store
        self._names = names
        self._dead = dead
        self._numbering = numbering
        self._now = now
        self._stop_at = stop_at
        self._batch: list[Entry] = []
        self._rows = 0
        self._applied = 0

    def run(self, reader: Reader) -> Imported:
        """Every row, or as far as the share of bad ones allows."""
        while True:
            try:
                values = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                self._rows += 1
                self._dead.put(reader.line_num, [], ListError(f"This is no CSV row: {error}.", where="row"))
                continue
            if not values:
                continue  # an empty line
            self._rows += 1
            try:
                self._batch.append(_read_row(self._names, values, self._numbering))
            except ListError as error:
                self._dead.put(reader.line_num, values, error)
            if self._rows % _BATCH == 0 and not self._apply():
                return self._done(reader.line_num)
        return self._done(0 if self._apply() else reader.line_num)

    def _apply(self) -> bool:
        """Add the batch unless too many rows are bad."""
        if self._rows >= _SURE_AFTER and self._dead.count > self._stop_at * self._rows:
            return False
        self._store.add(self._batch, self._now)
        self._applied += len(self._batch)
        self._batch.clear()
        return True

    def _done(self, stopped: int) -> Imported:
        return Imported(self._rows, self._applied, self._dead.count, stopped, "")


def import_file(
    store: Taker,
    path: Path,
    *,
    numbering: Numbering,
    now: int,
    errors: Path,
    encoding: str = "",
    stop_at: float = 0.1,
    progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Add the entries of a CSV file of any size, batch by batch.

    Args:
        store: an open store, or whoever takes the entries.
        path: the file.
        numbering: reads targets.
        now: the entries' time of creation, in seconds.
        errors: where bad rows are written; made only if there are any.
        encoding: empty = detect.
        stop_at: share of bad rows so far above which a batch is not applied and the import ends.
        progress: told the bytes read so far.

    Raises:
        ListError: the file cannot be read at all, or its header is wrong; nothing was applied.
    """
    if errors.resolve() == path.resolve():
        raise ListError("The file of bad rows would overwrite the input.", where=str(errors), fix="Name another.")
    try:
        encoding = codecs.lookup(encoding).name if encoding else detect_encoding(path)
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            reader = csv.reader(_lines(file, progress))
            names = _read_header(next(reader, []), path)
            dead = _DeadLetters(errors, [name for name in names if name in COLUMNS])
            try:
                batches = _Import(store, names, dead, numbering, now, stop_at)
                return batches.run(reader)._replace(encoding=encoding)
            finally:
                dead.close()
    except OSError as error:
        raise ListError(f"The file cannot be read: {error.strerror}.", where=str(error.filename or path)) from error
    except LookupError as error:
        raise ListError(f"There is no encoding {encoding!r}.", fix="Write utf-8 or gb18030.") from error
