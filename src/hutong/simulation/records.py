"""Writes a province down: call records for those who judge, the truth beside them for those who check.

`calls-YYYY-MM-DD` has only what signalling shows, in the layout of docs/records.md. `truth` has a row for each call in
the same order, `numbers` one for each number. A folder appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Literal, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from hutong.kernel.errors import HutongError
from hutong.simulation.rows import CLASSES, PLUS, PLUS_86, ROAMING, TRUNKS, WITHHELD, Calls
from hutong.simulation.texts import write_texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.simulation.province import Province

Format = Literal["parquet", "csv"]

_MAKING = ".making"
_ID_DIGITS = 11
_FIRST_ID = 10**_ID_DIGITS  # an id is P and eleven digits, those of its place in the order of starts
_COMPRESSION = "zstd"


class RecordsError(HutongError):
    """The folder cannot take a province's records."""


class Records:
    """Takes calls in their order; a context manager.

    Args:
        folder: where to; new or empty.
        province: whose calls they are.
        form: parquet or csv.

    Raises:
        RecordsError: on entry: the folder has something in it, or cannot be made.
    """

    def __init__(self, folder: Path, province: Province, form: Format) -> None:
        self._folder, self._making = folder, folder / _MAKING
        self._province, self._form = province, form
        self._names = pa.array(province.campaign_names())
        self._calls: _Table | None = None
        self._day = ""
        self._truth: _Table | None = None
        self.written = self.fraud = 0

    def __enter__(self) -> Self:
        """Begin; whatever an earlier attempt left half made is removed."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._making, ignore_errors=True)
            if any(self._folder.iterdir()):
                raise RecordsError("The folder is not empty.", where=str(self._folder), fix="Name a new one.")
            self._making.mkdir()
        except OSError as error:
            raise RecordsError(f"Cannot be written: {error.strerror}.", where=str(self._folder)) from None
        self._truth = _Table(self._making / f"truth.{self._form}", self._form)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish; after an error nothing stays behind."""
        try:
            if kind is None:
                self._finish()
        finally:
            for table in (self._calls, self._truth):
                if table is not None:
                    with contextlib.suppress(OSError):
                        table.close()
            shutil.rmtree(self._making, ignore_errors=True)

    def take(self, calls: Calls) -> None:
        """Write calls down; they begin after those taken before.

        Raises:
            RecordsError: the disk refuses them.
        """
        if not len(calls) or self._truth is None:
            return
        days = self._province.days
        try:
            ids = _ids(self.written, len(calls))
            day = str(days.date(days.day_of(int(calls["start"][0]))))
            if day != self._day:
                if self._calls is not None:
                    self._calls.close()
                self._calls, self._day = _Table(self._making / f"calls-{day}.{self._form}", self._form), day
            if self._calls is not None:
                self._calls.write(call_table(calls, ids, text_times=self._form == "csv"))
            self._truth.write(self._truth_table(calls, ids))
        except OSError as error:
            raise RecordsError(f"Cannot be written: {error.strerror}.", where=str(self._folder)) from None
        self.written += len(calls)
        self.fraud += int(np.count_nonzero(calls["campaign"]))

    def _truth_table(self, calls: Calls, ids: pa.Array) -> pa.Table:
        campaign = calls["campaign"].astype(np.int32)
        return pa.table(
            {
                "call_id": ids,
                "fraud": pa.array((campaign > 0).astype(np.int8)),
                "campaign": self._names.take(pa.array(campaign)),
                "caller_class": _named(calls["caller_class"], CLASSES),
                "callee_class": _named(calls["callee_class"], CLASSES),
            }
        )

    def _finish(self) -> None:
        numbers = _Table(self._making / f"numbers.{self._form}", self._form)
        numbers.write(number_table(self._province))
        numbers.close()
        for table in (self._calls, self._truth):
            if table is not None:
                table.close()
        self._calls = self._truth = None
        write_node_files(self._making, self._province)
        (self._making / "province.json").write_bytes(self._summary())
        for file in sorted(self._making.iterdir()):
            file.rename(self._folder / file.name)

    def _summary(self) -> bytes:
        province = self._province
        found = {
            "seed": province.seed,
            "asked": msgspec.to_builtins(province.size),
            "calls": self.written,
            "fraud": self.fraud,
            "campaigns": province.campaign_names()[1:],
            "parameters": msgspec.to_builtins(province.parameters),
        }
        return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


class _Table:
    """One file, written part by part."""

    def __init__(self, file: Path, form: Format) -> None:
        self._file, self._form = file, form
        self._writer: pq.ParquetWriter | pacsv.CSVWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._writer is None and self._form == "parquet":
            self._writer = pq.ParquetWriter(self._file, table.schema, compression=_COMPRESSION)
        elif self._writer is None:
            self._writer = pacsv.CSVWriter(self._file, table.schema, write_options=_csv_options())
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _csv_options() -> pacsv.WriteOptions:
    return pacsv.WriteOptions(quoting_style="needed")


def call_table(calls: Calls, ids: pa.Array, *, text_times: bool = False) -> pa.Table:
    """Call records: what signalling shows of calls, and nothing else.

    Args:
        calls: rows.
        ids: their texts.
        text_times: start as RFC 3339 text rather than as a timestamp.
    """
    start = pa.array(calls["start"], pa.int64()).cast(pa.timestamp("ms", "UTC"))
    if text_times:
        start = pc.binary_join_element_wise(pc.strftime(start, format="%Y-%m-%dT%H:%M:%S"), "Z", "")
    return pa.table(
        {
            "call_id": ids,
            "start": start,
            "trunk": _named(calls["trunk"], TRUNKS),
            "caller": _texts(calls["caller"], calls["caller_form"]),
            "callee": _texts(calls["callee"], calls["callee_form"]),
            "answered": pa.array(calls["answered"].astype(np.int8)),
            "ring_ms": pa.array(calls["ring_ms"].astype(np.int32)),
            "talk_ms": pa.array(calls["talk_ms"].astype(np.int32)),
            "release": pa.array(calls["release"].astype(np.int16)),
            "imei": _optional(calls["imei"]),
            "imsi": _optional(calls["imsi"]),
            "cell": _optional(calls["cell"]),
            "roaming": _named(calls["roaming"], ROAMING),
            "anonymous": pa.array((calls["caller_form"] == WITHHELD).astype(np.int8)),
        }
    )


def number_table(province: Province) -> pa.Table:
    """Every number that took part, in E.164: does fraud own it, did fraud show it, its class and home area."""
    directory = province.scene.directory
    seen = np.flatnonzero(directory.seen)
    here = directory.owner[seen] >= 0
    values = [directory.value[seen]]
    foreign = [directory.form[seen] == PLUS]
    fraud = [np.zeros(len(seen), np.int8)]
    klass = [directory.klass[seen]]
    area = [np.where(here, directory.area[seen] + 1, 0).astype(np.uint8)]  # 0 is none
    for run in province.campaigns:
        if run.callers is None:
            continue
        used = np.flatnonzero(run.used)
        values.append(run.callers.value[used])
        foreign.append(run.callers.form[used] == PLUS)
        fraud.append(run.callers.owned[used].astype(np.int8))
        klass.append(np.full(len(used), CLASSES.index(run.kind), np.uint8))
        area.append(np.zeros(len(used), np.uint8))
    names = ["", *(f"0{code}" for code in province.scene.stock.areas)]
    columns = [np.concatenate(parts) for parts in (values, foreign, fraud, klass, area)]
    return _one_row_each(names, *columns)


def _one_row_each(
    area_names: Sequence[str],
    values: NDArray[np.int64],
    foreign: NDArray[np.bool_],
    fraud: NDArray[np.int8],
    klass: NDArray[np.uint8],
    area: NDArray[np.uint8],
) -> pa.Table:
    """The first row of each number stands; what fraud showed of others' numbers is noted there."""
    shown = klass >= CLASSES.index("spoofed-police")
    key = values * 2 + foreign
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    by_fraud = np.zeros(len(first), np.int8)
    by_fraud[group[shown]] = 1
    return pa.table(
        {
            "number": _texts(values[first], np.where(foreign[first], PLUS, PLUS_86).astype(np.uint8)),
            "fraud": pa.array(fraud[first]),
            "shown_by_fraud": pa.array(by_fraud),
            "class": _named(klass[first], CLASSES),
            "area": _named(area[first], area_names),
        }
    )


def trunk_network(trunk: int) -> str:
    """The loopback network that a trunk's live calls come from."""
    return f"127.0.{20 + trunk}.0/24"


def node_settings(province: Province) -> str:
    """Settings of a node that judges these records: home area, and trunks with what the enterprises own."""
    trunks = [
        f'[[trunks]]\nname = "{name}"\nkind = "{name}"\nnetworks = ["{trunk_network(at)}"]\n'
        + (f'ranges = ["{province.scene.stock.enterprise_range}"]\n' if name == "enterprise" else "")
        for at, name in enumerate(TRUNKS)
    ]
    return "\n".join([f'[calls]\nhome_area = "0{province.scene.stock.areas[0]}"\n', *trunks])


def write_node_files(folder: Path, province: Province) -> None:
    """What a node that judges these calls is told beforehand: its settings, and who roams (`hutong roaming import`)."""
    (folder / "hutong.toml").write_text(node_settings(province), encoding="utf-8")
    values = province.scene.directory.value[province.scene.people.roamers()]
    lines = ["number,until", *(f"{value},400d" for value in values)]
    (folder / "roaming.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _ids(first: int, count: int) -> pa.Array:
    digits, offsets = write_texts(
        np.arange(first, first + count, dtype=np.int64) + _FIRST_ID, np.zeros(count, np.uint8)
    )
    data = digits.reshape(count, _ID_DIGITS + 1).copy()
    data[:, 0] = ord("P")
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data.tobytes()))


def _texts(values: NDArray[np.int64], forms: NDArray[np.uint8]) -> pa.Array:
    data, offsets = write_texts(np.ascontiguousarray(values), np.ascontiguousarray(forms))
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(data.tobytes()))


def _optional(values: NDArray[np.int64]) -> pa.Array:
    data, offsets = write_texts(np.ascontiguousarray(values), np.zeros(len(values), np.uint8))
    known = np.packbits(values != 0, bitorder="little")
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(offsets), pa.py_buffer(data.tobytes()), pa.py_buffer(known.tobytes()), -1
    )


def _named(codes: NDArray[np.uint8], names: Sequence[str]) -> pa.Array:
    return pa.array(names).take(pa.array(codes.astype(np.int32)))
