"""Columns of a file to rows of `columns.SCHEMA`: units, codes and checks, all a column at once.

A row that something is wrong with gets the code of its first fault (`faults`); nothing is guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hutong.calls.features import ROAMING
from hutong.calls.model import FLAG_FAIL_OPEN, FLAG_MIRRORED, FLAG_NAMES
from hutong.calls.records.columns import DURATIONS, MAX_TEXT, ORDERS, SCHEMA, TEXTS
from hutong.calls.records.faults import CallFileError, code_of
from hutong.calls.records.layout import ANY_TRUNK
from hutong.calls.records.times import TimeReader, tolerant, whole_numbers
from hutong.calls.replay.batch import ASK, BY_TIME, DERIVE, NEVER, UNKNOWN
from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hutong.calls.records.layout import Layout

    Columns = Mapping[str, pa.Array]

_EARLIEST: Final = 946_684_800_000  # 2000-01-01
_LATEST: Final = 4_102_444_800_000  # 2100-01-01
_LONGEST: Final = 366 * 86_400_000
_LARGEST_RELEASE: Final = 999
_LARGEST_ORDER: Final = 1 << 62
_MS_PER_S: Final = 1000
#: What the archive writes of a verdict's flags; the others are made by judging again.
_KEPT_FLAGS: Final = {
    "": 0,
    **{FLAG_NAMES[one]: one for one in (FLAG_FAIL_OPEN, FLAG_MIRRORED)},
    f"{FLAG_NAMES[FLAG_FAIL_OPEN]};{FLAG_NAMES[FLAG_MIRRORED]}": FLAG_FAIL_OPEN | FLAG_MIRRORED,
}


class Converted(NamedTuple):
    """Rows in `columns.SCHEMA`, bad ones included, and for each the code of its first fault, 0 = good."""

    rows: pa.RecordBatch
    faults: NDArray[np.uint8]


class _Sheet:
    """One batch while it is being read: columns by our names, results, faults."""

    def __init__(self, columns: Columns, rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self.faults = np.zeros(rows, dtype=np.uint8)
        self.done: dict[str, pa.Array | NDArray[np.generic]] = {}

    def blame(self, bad: NDArray[np.bool_], column: str, en: str) -> None:
        """Mark rows, but for those that are at fault already."""
        if bad.any():
            self.faults[bad & (self.faults == 0)] = code_of(column, en)

    def has(self, *names: str) -> bool:
        return any(name in self.columns for name in names)


class Converter:
    """Converts the batches of one file.

    Args:
        layout: the file's.
        trunks: names of all trunks; a place is the trunk's index.
        where: the layout's file, for errors.
        own: our own archive: sources that no trunk claims (place 0) are known, and nobody need be named.

    Raises:
        ConfigError: the layout names a trunk that is none.
    """

    def __init__(self, layout: Layout, trunks: Sequence[str], where: str = "", *, own: bool = False) -> None:
        self._layout, self._own = layout, own
        self._times = TimeReader(layout.time, where)
        places = {name: place for place, name in enumerate(trunks) if place or own}
        named = layout.trunks or {name: name for name in places}
        for theirs, ours in named.items():
            if ours not in places:
                raise ConfigError(
                    f"{theirs!r} is said to be trunk {ours!r}, which is none.",
                    where=f"{where} [trunks]",
                    fix=f"Known: {', '.join(places)}. Further ones come with --config.",
                )
        known = {theirs: places[ours] for theirs, ours in named.items() if theirs != ANY_TRUNK}
        self._trunk_names = pa.array([name.encode() for name in known], pa.binary())
        self._trunk_places = np.array([*known.values(), places.get(named.get(ANY_TRUNK, ""), -1)], dtype=np.int32)

    def convert(self, columns: Columns, first: int, rows: int) -> Converted:
        """Convert a batch.

        Args:
            columns: by our names; texts as binary (CSV), or as a Parquet file types them.
            first: the first row's number among the replay's good and bad rows. rows: how many.
        """
        sheet = _Sheet(columns, rows)
        sheet.done["row"] = np.arange(first, first + rows, dtype=np.int64)
        self._texts(sheet)
        self._start(sheet)
        self._trunk(sheet)
        self._outcome(sheet)
        _exact(sheet)
        arrays = [pa.array(sheet.done[field.name]).cast(field.type) for field in SCHEMA]
        return Converted(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA), sheet.faults)

    def _texts(self, sheet: _Sheet) -> None:
        lengths = {}
        for name in TEXTS:
            column = sheet.columns.get(name)
            if column is None:
                sheet.done[name] = _empty_texts(sheet.rows)
                continue
            sheet.done[name] = text = as_text(column, name)
            lengths[name] = length = np.asarray(pc.binary_length(text))
            sheet.blame(length > MAX_TEXT, name, "is longer than 2,048 bytes")
        _, bad = tolerant(lambda part: part.cast(pa.string()), sheet.done["call_id"])
        sheet.blame(bad, "", "is not UTF-8")
        sheet.blame(lengths["call_id"] == 0, "call_id", "is empty")
        nobody = (lengths["caller"] == 0) & (lengths["callee"] == 0)
        sheet.blame(nobody & (not self._own), "caller", "is empty, and so is callee")

    def _start(self, sheet: _Sheet) -> None:
        start, bad = self._times.read(_time_column(sheet.columns["start"], "start"))
        sheet.blame(bad, "start", "cannot be read as a time")
        beyond = (start < _EARLIEST) | (start >= _LATEST)
        sheet.blame(beyond, "start", "is not between 2000 and 2099 (milliseconds? seconds?)")
        sheet.done["start"] = start

    def _trunk(self, sheet: _Sheet) -> None:
        text, which = _distinct(sheet.columns["trunk"], "trunk")
        found = np.asarray(pc.index_in(text, value_set=self._trunk_names).fill_null(-1))
        sheet.done["trunk"] = place = self._trunk_places[found[which]]
        sheet.blame(place < 0, "trunk", "is no known trunk")

    def _outcome(self, sheet: _Sheet) -> None:
        """What became of the calls; what the file does not say follows from what it does, where it can."""
        at = {name: self._moment(sheet, name) for name in ("answered_at", "ended_at")}
        seen = (at["answered_at"] != DERIVE) | (at["ended_at"] != DERIVE)
        lasted = {name: self._duration(sheet, name) for name in DURATIONS}
        if sheet.has("answered"):
            answered = self._answered(sheet)
        elif sheet.has("answered_at"):
            answered = np.where(at["answered_at"] != DERIVE, 1, np.where(at["ended_at"] != DERIVE, 0, UNKNOWN))
        elif sheet.has("talk_ms"):
            answered = (lasted["talk_ms"] > 0).astype(np.int8)
        else:
            answered = np.full(sheet.rows, UNKNOWN, dtype=np.int8)
        start = np.asarray(sheet.done["start"])
        answer, end = at["answered_at"], at["ended_at"]
        if not sheet.has("ring_ms"):
            until = np.where(answer != DERIVE, answer, end)
            lasted["ring_ms"] = np.where(until != DERIVE, until - start, 0)
        if not sheet.has("talk_ms"):
            lasted["talk_ms"] = np.where((answer != DERIVE) & (end != DERIVE), end - answer, 0)
        for name, value in lasted.items():
            sheet.blame(value < 0, name, "is negative")
            sheet.blame(value > _LONGEST, name, "is longer than 366 days")
        sheet.done |= lasted
        sheet.done |= {name: np.where(seen & (when == DERIVE), NEVER, when) for name, when in at.items()}
        sheet.done["answered"] = answered
        release, bad = _number(sheet, "release", 0)
        sheet.blame(bad | (release < 0) | (release > _LARGEST_RELEASE), "release", "is no whole number from 0 to 999")
        sheet.done["release"] = np.clip(release, 0, _LARGEST_RELEASE)

    def _moment(self, sheet: _Sheet, name: str) -> NDArray[np.int64]:
        if not sheet.has(name):
            return np.full(sheet.rows, DERIVE, dtype=np.int64)
        column = _time_column(sheet.columns[name], name)
        moment, bad = self._times.read(column)
        missing = _is_empty(column)
        beyond = (moment < _EARLIEST) | (moment >= _LATEST)
        sheet.blame((bad | beyond) & ~missing, name, "cannot be read as a time")
        return np.where(missing, DERIVE, moment)

    def _duration(self, sheet: _Sheet, name: str) -> NDArray[np.int64]:
        """Milliseconds; 0 where the file does not say."""
        if getattr(self._layout.units, name) == "ms" or not sheet.has(name):
            value, bad = _number(sheet, name, 0)
        else:
            value, bad = _seconds(sheet.columns[name])
        sheet.blame(bad, name, "is no whole number")
        return value

    def _answered(self, sheet: _Sheet) -> NDArray[np.int8]:
        column, layout = sheet.columns["answered"], self._layout.answered
        if pa.types.is_boolean(column.type):
            return np.asarray(column.cast(pa.int8()).fill_null(UNKNOWN))
        text, which = _distinct(column, "answered")
        yes, no = (
            np.asarray(pc.is_in(text, value_set=pa.array([one.encode() for one in words], pa.binary())))
            for words in (layout.yes, layout.no)
        )
        wrong = ~(yes | no | _is_empty(text))
        if wrong.any():
            sheet.blame(wrong[which], "answered", "is not 0 or 1")
        answered: NDArray[np.int8] = np.where(yes, 1, np.where(no, 0, UNKNOWN)).astype(np.int8)[which]
        return answered


def _exact(sheet: _Sheet) -> None:
    """What only our own archive says of a call."""
    for name in ("anonymous", "lost"):
        value, bad = _number(sheet, name, 0)
        sheet.blame(bad | (value < 0) | (value > 1), name, "is not 0 or 1")
        sheet.done[name] = np.clip(value, 0, 1).astype(np.uint8)
    sheet.done["roaming"] = _coded(sheet, "roaming", {"": ASK, **{name: code for code, name in enumerate(ROAMING)}})
    sheet.done["flags"] = _coded(sheet, "flags", _KEPT_FLAGS)
    for name in ORDERS:
        value, bad = _number(sheet, name, BY_TIME)
        given = value != BY_TIME
        sheet.blame(bad | (given & ((value < 1) | (value > _LARGEST_ORDER))), name, "is no positive whole number")
        sheet.done[name] = value


def _coded(sheet: _Sheet, name: str, codes: Mapping[str, int]) -> NDArray[np.int64]:
    if not sheet.has(name):
        return np.full(sheet.rows, codes[""], dtype=np.int64)
    words = pa.array([word.encode() for word in codes], pa.binary())
    place = np.asarray(pc.index_in(as_text(sheet.columns[name], name), value_set=words).fill_null(-1))
    sheet.blame(place < 0, name, "is no known value")
    coded: NDArray[np.int64] = np.take([*codes.values(), codes[""]], place)
    return coded


def _number(sheet: _Sheet, name: str, missing: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Whole numbers of a column, and which are none; empty fields are `missing`, and so is the whole column."""
    column = sheet.columns.get(name)
    if column is None:
        return np.full(sheet.rows, missing, dtype=np.int64), np.zeros(sheet.rows, dtype=np.bool_)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not _is_numeric(column.type) and not _is_textual(column.type):
        raise _wrong_type(name, column.type, "whole numbers")
    number, bad = whole_numbers(column)
    empty = _is_empty(column)
    return np.where(empty, missing, number), bad & ~empty


def _seconds(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Seconds with or without a fraction as milliseconds."""
    text = column.cast(pa.string()) if pa.types.is_binary(column.type) else column
    cast, bad = tolerant(lambda part: part.cast(pa.float64()), text)
    value = np.asarray(cast.fill_null(0.0))
    unreal = ~np.isfinite(value) | (np.abs(value) > _LARGEST_ORDER / _MS_PER_S)
    empty = _is_empty(column)
    return np.rint(np.where(unreal, 0.0, value) * _MS_PER_S).astype(np.int64), (bad | unreal) & ~empty


def as_text(column: pa.Array, name: str) -> pa.BinaryArray:
    """A column as binary without nulls; whole numbers are written out.

    Raises:
        CallFileError: it holds neither texts nor whole numbers.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if not _is_textual(column.type):
        raise _wrong_type(name, column.type, "texts")
    text = column.cast(pa.binary())
    return text.fill_null(b"") if text.null_count else text


def _distinct(column: pa.Array, name: str) -> tuple[pa.BinaryArray, NDArray[np.integer[Any]]]:
    """The texts of a column (`as_text`), each once, and which of them each row has: of few texts there is little to do.

    Raises:
        CallFileError: see `as_text`.
    """
    as_text(column.slice(0, 0), name)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    texts = as_text(coded.dictionary, name)
    which = np.asarray(coded.indices.fill_null(len(texts)))
    return pa.concat_arrays([texts, pa.array([b""], pa.binary())]), which


def _time_column(column: pa.Array, name: str) -> pa.Array:
    if not (_is_textual(column.type) or pa.types.is_integer(column.type) or pa.types.is_timestamp(column.type)):
        raise _wrong_type(name, column.type, "timestamps, texts or whole milliseconds since 1970")
    return column


def _is_empty(column: pa.Array) -> NDArray[np.bool_]:
    if not _is_textual(column.type) or pa.types.is_null(column.type):
        return np.asarray(column.is_null())
    return np.asarray(pc.equal(pc.binary_length(column).fill_null(0), 0))


def _is_textual(kind: pa.DataType) -> bool:
    of = pa.types
    return any(
        test(kind)
        for test in (of.is_string, of.is_binary, of.is_large_string, of.is_large_binary, of.is_string_view, of.is_null)
    )


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _wrong_type(name: str, kind: pa.DataType, wanted: str) -> CallFileError:
    return CallFileError(
        f"column {name} holds {kind}.", fix=f"It must hold {wanted}; docs/records.md lists the types of all columns."
    )


def _empty_texts(rows: int) -> pa.BinaryArray:
    offsets = pa.py_buffer(np.zeros(rows + 1, dtype=np.int32))
    return pa.BinaryArray.from_buffers(pa.binary(), rows, [None, offsets, pa.py_buffer(b"")])
