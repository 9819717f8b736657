"""Call records in CSV (RFC 4180), of any size, a few MiB at a time. What fields mean is `convert`'s business.

Text is UTF-8 with or without byte order mark, or what the layout says. Fields are cut and made columns by pyarrow; rows
that it refuses are set aside with their text, and reading goes on with the next line.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from hutong.calls.records.columns import READ, REQUIRED
from hutong.calls.records.faults import COLUMNS_DIFFER, NOT_UTF8, OPEN_QUOTE, TOO_LONG, CallFileError
from hutong.calls.records.lines import split_rows
from hutong.calls.records.piece import BadRow, Piece

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.calls.records.layout import Layout

#: Most bytes and rows of a piece; a longer row is a bad one.
PIECE_BYTES: Final = 8 << 20
PIECE_ROWS: Final = 65_536
MOST_COLUMNS: Final = 1_000
_SAMPLE: Final = 1 << 20
_SHOWN: Final = 4_096
_SEPARATORS: Final = ",;\t|"
_REPLACED: Final = "\ufffd".encode()
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LF: Final = 10


class CsvFile:
    """One CSV file.

    Args:
        path: the file.
        layout: how it is written.
        piece_bytes: most bytes of a piece.
    """

    def __init__(self, path: Path, layout: Layout, piece_bytes: int = PIECE_BYTES) -> None:
        self.name = str(path)
        self.size = self.position = 0
        self._path, self._layout = path, layout
        self._separator = layout.file.separator
        self._decoder: codecs.IncrementalDecoder | None = None
        self._buffer = np.zeros(piece_bytes + 1, dtype=np.uint8)  # one more, for a last line end
        self._starts = np.zeros(PIECE_ROWS, dtype=np.int64)
        self._held = self._row = 0

    def pieces(self) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        try:
            with self._path.open("rb") as file:
                self.size = self._path.stat().st_size
                yield from self._pieces(file)
        except OSError as error:
            raise CallFileError(f"The file cannot be read: {error.strerror}.", where=self.name) from error

    def _pieces(self, file: BinaryIO) -> Iterator[Piece]:
        self._begin(file)
        names: list[str] = []
        ended = False
        while True:
            ended = self._fill(file) or ended
            if not ended and not self._separator:
                continue
            found = split_rows(self._buffer, self._held, ord(self._separator), self._starts)
            if found.rows:
                starts, skip = self._starts[: found.rows], 0
                if not names:
                    names, skip = self._header(starts, found.end)
                yield from self._parse(starts[skip:], found.end, names)
                self._drop(found.end)
            elif found.end:
                self._drop(found.end)  # empty lines
            elif self._held == self._buffer.size - 1 or (ended and self._held):
                if not names:
                    raise self._no_header()
                yield self._unreadable(file, quoted=bool(found.quoted))
            elif ended:
                break
        if not names:
            raise CallFileError(
                "The file holds no row.", where=self.name, fix="Its first row must name the columns; check the export."
            )

    # Bytes

    def _begin(self, file: BinaryIO) -> None:
        """Look at the beginning: encoding and separator."""
        sample = file.read(_SAMPLE)
        if not sample:
            raise CallFileError("The file is empty.", where=self.name, fix="Check the export, or leave the file out.")
        encoding = codecs.lookup(self._layout.file.encoding).name
        if encoding in {"utf-8", "utf-8-sig"}:
            self._refuse_other(sample, whole=len(sample) < _SAMPLE)
            file.seek(len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0)
        else:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
            sample = codecs.getincrementaldecoder(encoding)("replace").decode(sample).encode()
            file.seek(0)
        self._held = self._row = 0
        self._separator = self._layout.file.separator or _separator_of(sample)

    def _refuse_other(self, sample: bytes, *, whole: bool) -> None:
        fix = "Save it as UTF-8, or say its encoding in a layout (--layout)."
        if sample.startswith(_WIDE):
            raise CallFileError("The file is UTF-16, not UTF-8.", where=self.name, fix=fix)
        try:
            codecs.getincrementaldecoder("utf-8")().decode(sample, final=whole)
        except UnicodeDecodeError as error:
            line = sample[: error.start].count(b"\n") + 1
            try:
                codecs.getincrementaldecoder("gb18030")().decode(sample, final=whole)
            except UnicodeDecodeError:
                if line > 1:
                    return  # a damaged row; it is set aside when its turn comes
                raise CallFileError(
                    "The file is no UTF-8 text.", where=f"{self.name}:1", fix="Is it CSV? " + fix
                ) from None
            raise CallFileError(
                "The file is GB 18030 (GBK), not UTF-8.",
                where=f"{self.name}:{line}",
                fix='Save it as UTF-8, or give a layout (--layout) with encoding = "gb18030" under [file].',
            ) from None

    def _fill(self, file: BinaryIO) -> bool:
        """Read on into the buffer; True at the file's end, where a last line end is made up."""
        room = self._buffer.size - 1 - self._held
        # Some characters take up to twice as many bytes in UTF-8.
        data = file.read(room // 2 if self._decoder else room)
        self.position = file.tell()
        ended = not data and room > 0
        if self._decoder is not None:
            data = self._decoder.decode(data, final=ended).encode()
        self._buffer[self._held : self._held + len(data)] = np.frombuffer(data, dtype=np.uint8)
        self._held += len(data)
        if ended and self._held and self._buffer[self._held - 1] != _LF:
            self._buffer[self._held] = _LF
            self._held += 1
        return ended

    def _drop(self, end: int) -> None:
        rest = self._held - end
        self._buffer[:rest] = self._buffer[end : self._held].copy()
        self._held = rest

    # Rows

    def _header(self, starts: NDArray[np.int64], end: int) -> tuple[list[str], int]:
        """The names of all columns, and how many rows they take: 1, or 0 where the layout counts columns instead."""
        stop = int(starts[1]) if len(starts) > 1 else end
        fields = self._fields(bytes(self._buffer[:stop]))
        if len(fields) > MOST_COLUMNS:
            raise CallFileError(
                f"The first row has {len(fields):,} fields.",
                where=f"{self.name}:1",
                fix=f"Call records have at most {MOST_COLUMNS:,} columns. Is this the right file and separator?",
            )
        if self._layout.file.header:
            self._row = 1
            names = [name.strip() for name in fields]
        else:
            names = [str(place) for place in range(1, len(fields) + 1)]
        self._check_names(names)
        return names, int(self._layout.file.header)

    def _check_names(self, names: list[str]) -> None:
        wanted = {column: self._layout.name_of(column) for column in READ}
        missing = [wanted[column] for column in REQUIRED if wanted[column] not in names]
        if missing:
            raise CallFileError(
                f"There is no column {', '.join(missing)}.",
                where=f"{self.name}:1",
                fix=f"The first row names {', '.join(names[:20])}. Rename columns, or map them with --layout "
                "(docs/records.md).",
            )
        twice = [name for name in wanted.values() if name and names.count(name) > 1]
        if twice:
            raise CallFileError(f"Column {twice[0]} is there twice.", where=f"{self.name}:1", fix="Remove one.")

    def _fields(self, line: bytes) -> list[str]:
        text = line.decode("utf-8", "replace")
        # The limit is the whole process's: other readers of CSV rely on theirs.
        limit = csv.field_size_limit(max(len(text), csv.field_size_limit()))
        try:
            return next(csv.reader([text], delimiter=self._separator), [])
        finally:
            csv.field_size_limit(limit)

    def _parse(self, starts: NDArray[np.int64], end: int, names: Sequence[str]) -> Iterator[Piece]:
        if not len(starts):
            return
        begin, first, count = int(starts[0]), self._row + 1, len(starts)
        self._row += count
        text = self._buffer[begin:end]
        ends = np.append(starts[1:], end)
        valid = self._decoder is None and _is_utf8(text)
        refused: list[int] = []
        table = _read(text if valid else _repaired(text), self._separator, names, refused)
        kept = np.ones(count, dtype=np.bool_)
        kept[np.array(refused, dtype=np.int64) - 1] = False
        places = np.flatnonzero(kept)
        if len(places) != table.num_rows:
            raise CallFileError(
                "Rows cannot be told apart here.",
                where=f"{self.name}: rows {first} to {first + count - 1}",
                fix="Write each row on a line, and quotes within a quoted field twice (RFC 4180).",
            )

        def shown(place: int) -> str:
            at, stop = int(starts[place]), int(ends[place])
            return bytes(self._buffer[at : min(stop, at + _SHOWN)]).decode("utf-8", "replace").rstrip("\r\n")

        arrays = {name: table.column(place).combine_chunks() for place, name in enumerate(names)}
        yield Piece(
            columns={ours: arrays[theirs] for ours in READ if (theirs := self._layout.name_of(ours)) in arrays},
            rows=first + places,
            text=lambda place: shown(int(places[place])),
            bad=[BadRow(first + row - 1, COLUMNS_DIFFER, shown(row - 1)) for row in refused],
            faults=None if valid else _replaced(list(arrays.values()), table.num_rows),
        )

    def _unreadable(self, file: BinaryIO, *, quoted: bool) -> Piece:
        """Set aside what no row end can be found for: its first line, or all of it where it has none."""
        self._row += 1
        line_ends = np.flatnonzero(self._buffer[: self._held] == _LF)
        text = bytes(self._buffer[: min(self._held, _SHOWN)]).partition(b"\n")[0].decode("utf-8", "replace")
        if len(line_ends):
            self._drop(int(line_ends[0]) + 1)
            fault = OPEN_QUOTE if quoted else TOO_LONG
        else:
            fault = TOO_LONG
            while not len(line_ends):
                self._held = 0
                if self._fill(file):
                    break
                line_ends = np.flatnonzero(self._buffer[: self._held] == _LF)
            self._drop(int(line_ends[0]) + 1 if len(line_ends) else self._held)
        none = np.zeros(0, dtype=np.int64)
        return Piece({}, none, lambda _place: "", [BadRow(self._row, fault, text.rstrip("\r"))])

    def _no_header(self) -> CallFileError:
        return CallFileError(
            f"The first row does not end within {PIECE_BYTES >> 20} MiB.",
            where=f"{self.name}:1",
            fix="Is it CSV? Its first row must name the columns.",
        )


def _separator_of(sample: bytes) -> str:
    """What separates the names in the first row: the one of the usual characters that is there most often."""
    first = sample.lstrip(b"\r\n").partition(b"\n")[0].decode("utf-8", "replace")
    counts = Counter(character for character in first if character in _SEPARATORS)
    return max(_SEPARATORS, key=lambda one: counts[one])


def _is_utf8(text: NDArray[np.uint8]) -> bool:
    offsets = pa.py_buffer(np.array([0, text.size], dtype=np.int32))
    whole = pa.BinaryArray.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(text)])
    try:
        whole.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _repaired(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.frombuffer(text.tobytes().decode("utf-8", "replace").encode(), dtype=np.uint8)


def _read(text: NDArray[np.uint8], separator: str, names: Sequence[str], refused: list[int]) -> pa.Table:
    """Cut text into columns of bytes; numbers (from 1) of rows with another number of fields go to `refused`."""

    def refuse(row: pa_csv.InvalidRow) -> str:
        refused.append(row.number)
        return "skip"

    places = [str(place) for place in range(len(names))]
    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(text)),
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=text.size + 1, column_names=places),
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(places, pa.binary()), check_utf8=False),
    )


def _replaced(columns: Sequence[pa.Array], rows: int) -> NDArray[np.uint8]:
    """Rows that hold what stands for bytes of no character."""
    import pyarrow.compute as pc  # noqa: PLC0415  # damaged text only

    bad = np.zeros(rows, dtype=np.bool_)
    for column in columns:
        bad |= np.asarray(pc.match_substring(column, _REPLACED))
    return np.where(bad, NOT_UTF8, 0).astype(np.uint8)
