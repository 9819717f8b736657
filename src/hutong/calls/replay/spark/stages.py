"""What runs in Spark's Python processes: files to rows, and a shard's rows to verdicts. No Spark is imported here.

Spark has no unsigned integers, so columns cross it in wider types (`SPOOL`) and are taken back to `columns.SCHEMA`
before they are judged. What stops a file crosses as a row too: an error raised there would come back as Java's.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from hutong.calls.records.archive_folder import ArchiveFolder
from hutong.calls.records.columns import SCHEMA, call_batch
from hutong.calls.records.convert import Converter
from hutong.calls.records.layout import Layout
from hutong.calls.records.order import uncounted
from hutong.calls.records.piece import BadRow
from hutong.calls.records.reading import open_file
from hutong.calls.records.results import SCHEMA as RESULT_SCHEMA
from hutong.calls.records.results import Describing, as_string
from hutong.calls.replay.shards import shards_of, unpacked
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.calls.records.piece import Piece
    from hutong.calls.replay.shards import Case

#: A row's place among all: its file's place, and its own in that file.
FILE_SHIFT: Final = 40
#: `fault` of a row that says why a file cannot be read at all; `text` is then a `Stopped`.
STOPPED: Final = -1
_WIDER: Final = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32()}
#: Rows between reading and judging. A bad row has only `file`, `line` (its number in the file), `fault` and `text`.
SPOOL: Final = pa.schema(
    [
        *((field.name, _WIDER.get(field.type, field.type)) for field in SCHEMA),
        *(("shard", pa.int32()), ("file", pa.int32()), ("line", pa.int64())),
        *(("fault", pa.int16()), ("text", pa.binary())),
    ]
)
JUDGED: Final = pa.schema([("file", pa.int32()), ("row", pa.int64()), *RESULT_SCHEMA])


class Stopped(msgspec.Struct, frozen=True):
    """An error as data: what, where, what to do."""

    what: str
    where: str
    fix: str


class Files(NamedTuple):
    """How the files are read; see `records.reading.Source`."""

    names: Sequence[str]
    trunks: Sequence[str]
    layout: Layout
    layout_file: str


def read(files: Files, packed: bytes, shards: int, which: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows in `SPOOL` of the files whose places come in column 0."""
    case = unpacked(packed)
    for batch in which:
        for file in batch.column(0).to_pylist():
            path = Path(files.names[file])
            try:
                yield from _rows(files, case, shards, file, path)
            except HutongError as error:
                stopped = Stopped(error.what, error.where or str(path), error.fix)
                yield _bad(file, [BadRow(0, STOPPED, msgspec.json.encode(stopped).decode())])


def _rows(files: Files, case: Case, shards: int, file: int, path: Path) -> Iterator[pa.RecordBatch]:
    reader = open_file(path, files.layout)
    own = isinstance(reader, ArchiveFolder)
    converter = Converter(Layout() if own else files.layout, files.trunks, "" if own else files.layout_file, own=own)
    first = file << FILE_SHIFT
    for piece in reader.pieces():
        good, bad = _converted(piece, converter, first)
        first += len(piece.rows)
        if bad:
            yield _bad(file, bad)
        if good.num_rows:
            shard = shards_of(call_batch(good), case.consulted, shards)
            yield _spooled(good, file, shard)


def _converted(piece: Piece, converter: Converter, first: int) -> tuple[pa.RecordBatch, list[BadRow]]:
    rows, faults = converter.convert(piece.columns, first, len(piece.rows))
    if piece.faults is not None:
        faults = np.where(piece.faults > 0, piece.faults, faults)
    wrong = np.flatnonzero(faults).tolist()
    bad = [*piece.bad, *(BadRow(int(piece.rows[at]), int(faults[at]), piece.text(at)) for at in wrong)]
    return rows.filter(pa.array(faults == 0)) if wrong else rows, sorted(bad)


def _spooled(rows: pa.RecordBatch, file: int, shard: np.ndarray) -> pa.RecordBatch:
    n = rows.num_rows
    columns = [rows.column(field.name).cast(SPOOL.field(field.name).type) for field in SCHEMA]
    columns += [pa.array(shard, pa.int32()), pa.array(np.full(n, file, dtype=np.int32)), pa.nulls(n, pa.int64())]
    columns += [pa.array(np.zeros(n, dtype=np.int16)), pa.nulls(n, pa.binary())]
    return pa.RecordBatch.from_arrays(columns, schema=SPOOL)


def _bad(file: int, bad: Sequence[BadRow]) -> pa.RecordBatch:
    n = len(bad)
    columns = [pa.nulls(n, field.type) for field in SPOOL][: len(SCHEMA) + 1]
    columns += [
        pa.array([file] * n, pa.int32()),
        pa.array([one.row for one in bad], pa.int64()),
        pa.array([one.fault for one in bad], pa.int16()),
        pa.array([one.text.encode(errors="replace") for one in bad], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SPOOL)


def judge(packed: bytes, *, counted: bool, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Verdicts in `JUDGED` on good rows, which come shard after shard, each in order; each shard has one replay."""
    case = unpacked(packed)
    describing, replay, current = Describing([rule.id for rule in case.ruleset.rules]), case.replay(), -1
    for batch in rows:
        shard = batch.column("shard").to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(shard)) + 1).tolist(), len(shard)]
        for begin, end in pairwise(cuts):
            if begin == end:
                continue
            if shard[begin] != current:
                replay.finish()
                replay, current = case.replay(), int(shard[begin])
            some = batch.slice(begin, end - begin)
            taken = _taken(some)
            judged = replay.feed(call_batch(taken if counted else uncounted(taken)))
            columns = {"file": some.column("file"), "row": some.column("row")}
            columns |= {"call_id": as_string(taken.column("call_id")), **describing.columns(judged)}
            arrays = [columns[field.name].cast(field.type) for field in JUDGED]
            yield pa.RecordBatch.from_arrays(arrays, schema=JUDGED)


def _taken(rows: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([rows.column(field.name).cast(field.type) for field in SCHEMA], schema=SCHEMA)
