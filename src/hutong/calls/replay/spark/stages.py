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
from hutong.calls.records.reading import converted, open_file
from hutong.calls.records.results import SCHEMA as RESULT_SCHEMA
from hutong.calls.records.results import Describing, as_string
from hutong.calls.replay.batch import CALLED
from hutong.calls.replay.shards import homes_of, unpacked
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.calls.replay.shards import Case, Shard

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
JUDGED: Final = pa.schema([("row", pa.int64()), *RESULT_SCHEMA])
_SQL: Final = {
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.string(): "string",
    pa.binary(): "binary",
}


def in_sql(schema: pa.Schema) -> str:
    """A schema as Spark writes it."""
    return ", ".join(f"`{field.name}` {_SQL[field.type]}" for field in schema)


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


def read(files: Files, packed: bytes, shards: int, file: int) -> Iterator[pa.RecordBatch]:
    """Rows in `SPOOL` of the file at this place: a call for each shard where one of its parties is at home."""
    path = Path(files.names[file])
    try:
        yield from _rows(files, unpacked(packed), shards, file, path)
    except HutongError as error:
        stopped = Stopped(error.what, error.where or str(path), error.fix)
        yield _bad(file, [BadRow(0, STOPPED, msgspec.json.encode(stopped).decode())])


def _rows(files: Files, case: Case, shards: int, file: int, path: Path) -> Iterator[pa.RecordBatch]:
    reader = open_file(path, files.layout)
    own = isinstance(reader, ArchiveFolder)
    converter = Converter(Layout() if own else files.layout, files.trunks, "" if own else files.layout_file, own=own)
    first = file << FILE_SHIFT
    for piece in reader.pieces():
        good, bad = converted(piece, converter, first)
        first += len(piece.rows)
        if bad:
            yield _bad(file, bad)
        if good.num_rows:
            homes = homes_of(call_batch(good), case.consulted, shards)
            yield _spooled(good, file, homes.caller)
            elsewhere = homes.callee != homes.caller
            if elsewhere.any():
                yield _spooled(_called(good.filter(pa.array(elsewhere))), file, homes.callee[elsewhere])


def _called(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The same calls for where only their callees are at home: nobody there reads their Call-IDs."""
    flags = rows.column("flags").to_numpy() | np.uint16(CALLED)
    texts = pa.array([b""], rows.schema.field("call_id").type).take(pa.array(np.zeros(rows.num_rows, dtype=np.int32)))
    named = {**dict(zip(rows.schema.names, rows.columns, strict=True)), "flags": pa.array(flags), "call_id": texts}
    return pa.RecordBatch.from_arrays(list(named.values()), schema=rows.schema)


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


def judge(packed: bytes, *, counted: bool, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.StructArray]:
    """Verdicts (`JUDGED`) on good rows, which come shard after shard, each in order; null where a row is not judged."""
    case = unpacked(packed)
    describing, current = Describing([rule.id for rule in case.ruleset.rules]), -1
    replay: Shard | None = None
    for batch in rows:
        shard = batch.column("shard").to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(shard)) + 1).tolist(), len(shard)]
        found = []
        for begin, end in pairwise(cuts):
            if begin == end:
                continue
            if replay is None or shard[begin] != current:
                if replay is not None:
                    replay.finish()
                replay, current = case.shard(), int(shard[begin])
            taken = _taken(batch.slice(begin, end - begin))
            judged = replay.feed(call_batch(taken if counted else uncounted(taken)))
            called = (taken.column("flags").to_numpy() & np.uint16(CALLED)) != 0
            columns = {"row": taken.column("row"), "call_id": as_string(taken.column("call_id"))}
            columns = {name: column.filter(pa.array(~called)) for name, column in columns.items()}
            columns |= describing.columns(judged)
            verdicts = pa.StructArray.from_arrays(
                [columns[it.name].cast(it.type) for it in JUDGED], fields=list(JUDGED)
            )
            found.append(verdicts.take(pa.array(np.cumsum(~called) - 1, mask=called)))
        yield pa.concat_arrays(found) if found else pa.array([], pa.struct(list(JUDGED)))


def _taken(rows: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([rows.column(field.name).cast(field.type) for field in SCHEMA], schema=SCHEMA)
