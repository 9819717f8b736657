"""Label files: what people know about numbers and calls after the fact. CSV or Parquet in, keyed arrays out.

Columns: `number` or `call_id` (or both; a call's own label counts before its caller's), `label` (1 fraud,
0 legitimate), optionally `class` (hospital, school, …) and `source`. A number is the caller's.
"""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hutong.calls.evidence.numbers import keys_of
from hutong.calls.replay.batch import texts_of
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.numbering import Numbering

UNLABELLED: Final = -1
LEGITIMATE: Final = 0
FRAUD: Final = 1
NO_CLASS: Final = ""
_KINDS: Final = {"1": FRAUD, "0": LEGITIMATE}
_NAMED_ERRORS: Final = 5
_LONGEST_CLASS: Final = 64
#: What others call a class of ours.
_ALIASES: Final = {"emergency-line": "emergency", "clinic": "hospital"}
#: Rows after which a share of bad ones ends the reading at once.
_JUDGED_AFTER: Final = 1_000


class LabelError(HutongError):
    """A label file cannot be used."""


class BadLabel(NamedTuple):
    """A row that says nothing usable: number in the file (the first below the header is 2), column, why."""

    row: int
    column: str
    zh: str
    en: str


class Labels(NamedTuple):
    """What is known.

    Attributes:
        keys: int64[n], number keys, ascending. kinds: int8[n], FRAUD or LEGITIMATE. classes: int16[n], index in names.
        calls: the same by Call-ID. names: of the classes; the first is none.
        digest: of the file's content. bad: rows set aside.
    """

    keys: NDArray[np.int64]
    kinds: NDArray[np.int8]
    classes: NDArray[np.int16]
    calls: dict[bytes, tuple[int, int]]
    names: tuple[str, ...]
    digest: str
    bad: tuple[BadLabel, ...]

    def of_numbers(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
        """Kind (UNLABELLED where nothing is known) and class of each number."""
        if not len(self.keys):
            return np.full(len(keys), UNLABELLED, dtype=np.int8), np.zeros(len(keys), dtype=np.int16)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[at] == keys
        kinds = np.where(known, self.kinds[at], np.int8(UNLABELLED)).astype(np.int8)
        return kinds, np.where(known, self.classes[at], np.int16(0)).astype(np.int16)

    def of_calls(
        self, call_ids: Sequence[bytes], keys: NDArray[np.int64]
    ) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
        """Kind and class of each call: its own label, else its caller's."""
        kinds, classes = self.of_numbers(keys)
        if self.calls:
            for at, call_id in enumerate(call_ids):
                if (label := self.calls.get(call_id)) is not None:
                    kinds[at], classes[at] = label
        return kinds, classes

    def count(self, kind: int) -> int:
        """Numbers and calls that are labelled so."""
        return int((self.kinds == kind).sum()) + sum(label[0] == kind for label in self.calls.values())


class _Row(NamedTuple):
    row: int
    number: str
    call_id: str
    label: str
    class_: str


def read_labels(path: Path, numbering: Numbering, stop_share: float = 0.01) -> Labels:
    """The labels of a file.

    Raises:
        LabelError: it cannot be read, lacks a column, has no row, or more than `stop_share` of its rows are bad: then
            the first of these are told.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabelError(f"The labels cannot be read: {error.strerror}.", where=str(path)) from error
    rows = _parquet_rows(path) if content[:4] == b"PAR1" else _csv_rows(path, content)
    taken = _Taken(path, stop_share)
    for row in rows:
        taken.take(row)
    taken.check(final=True)
    return taken.labels(numbering, hashlib.blake2b(content, digest_size=8).hexdigest())


class _Taken:
    """Rows as they come: bad ones aside, good ones by number and by call."""

    def __init__(self, path: Path, stop_share: float) -> None:
        self._path, self._share = path, stop_share
        self._names = {NO_CLASS: 0}
        self._numbers: list[str] = []
        self._said: list[tuple[int, int]] = []
        self._rows: list[int] = []
        self._calls: dict[bytes, tuple[int, int]] = {}
        self._bad: list[BadLabel] = []
        self._count = 0

    def take(self, row: _Row) -> None:
        self._count += 1
        kind = _KINDS.get(row.label.strip())
        class_ = row.class_.strip().lower()
        class_ = _ALIASES.get(class_, class_)
        if kind is None:
            self._set_aside(row.row, "label", "不是 0 或 1", "is not 0 or 1")
        elif len(class_) > _LONGEST_CLASS:
            self._set_aside(row.row, "class", "超过 64 个字符", "is longer than 64 characters")
        elif row.call_id.strip():
            label = (kind, self._names.setdefault(class_, len(self._names)))
            if self._calls.setdefault(row.call_id.strip().encode(), label)[0] != kind:
                self._set_aside(row.row, "label", "与前面的行矛盾", "contradicts an earlier row")
        elif row.number.strip():
            self._numbers.append(row.number.strip())
            self._said.append((kind, self._names.setdefault(class_, len(self._names))))
            self._rows.append(row.row)
        else:
            self._set_aside(row.row, "number", "为空", "is empty, and so is call_id")

    def _set_aside(self, row: int, column: str, zh: str, en: str) -> None:
        self._bad.append(BadLabel(row, column, zh, en))
        self.check(final=False)

    def check(self, *, final: bool) -> None:
        if final and not self._count:
            raise LabelError("There is not one label.", where=str(self._path), fix="Check the export.")
        if len(self._bad) <= self._share * self._count or not (final or self._count >= _JUDGED_AFTER):
            return
        first = "; ".join(f"row {it.row}: {it.column} {it.en} ({it.zh})" for it in self._bad[:_NAMED_ERRORS])
        raise LabelError(
            f"{len(self._bad):,} of {self._count:,} labels are bad, more than {self._share:.2%}: {first}.",
            where=str(self._path),
            fix="Repair them, or allow more with --stop-share.",
        )

    def labels(self, numbering: Numbering, digest: str) -> Labels:
        texts = texts_of([number.encode("utf-8", "surrogatepass") for number in self._numbers])
        keys = keys_of(numbering.arrays, texts, np.zeros(len(self._numbers), dtype=np.uint8))
        said = np.array(self._said, dtype=np.int16).reshape(-1, 2)
        order = np.argsort(keys, kind="stable")
        keys, said = keys[order], said[order]
        same = np.flatnonzero(keys[1:] == keys[:-1]) + 1
        for at in same.tolist():
            if said[at, 0] != said[at - 1, 0]:
                self._set_aside(self._rows[order[at]], "label", "与前面的行矛盾", "contradicts an earlier row")
            # What was said first stands; a class that it did not name may come later.
            said[at] = said[at - 1, 0], said[at - 1, 1] or said[at, 1]
        self.check(final=True)
        last = np.append(keys[1:] != keys[:-1], [True]) if len(keys) else np.zeros(0, dtype=bool)
        return Labels(
            keys=keys[last],
            kinds=said[last, 0].astype(np.int8),
            classes=said[last, 1].astype(np.int16),
            calls=self._calls,
            names=tuple(self._names),
            digest=digest,
            bad=tuple(self._bad),
        )


def _csv_rows(path: Path, content: bytes) -> Iterator[_Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError("The labels are not UTF-8.", where=str(path), fix="Save the file as UTF-8.") from error
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        _check_columns(path, [name.strip().lower() for name in reader.fieldnames or ()])
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for fields in reader:
            yield _row(reader.line_num, fields)
    except csv.Error as error:
        raise LabelError(f"This is no CSV: {error}.", where=str(path)) from error


def _parquet_rows(path: Path) -> Iterator[_Row]:
    import pyarrow as pa  # noqa: PLC0415  # only such files need it
    import pyarrow.parquet as pq  # noqa: PLC0415  # as above

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            _check_columns(path, file.schema_arrow.names)
            wanted = [name for name in ("number", "call_id", "label", "class") if name in file.schema_arrow.names]
            row = 1
            for batch in file.iter_batches(columns=wanted):
                for fields in batch.to_pylist():
                    row += 1
                    yield _row(row, fields)
    except (pa.ArrowException, OSError) as error:
        raise LabelError(f"The labels cannot be read: {error}.", where=str(path)) from error


def _row(row: int, fields: dict[str, Any]) -> _Row:
    def text(name: str) -> str:
        value = fields.get(name)
        if value is None:
            return ""
        # Whole numbers come as 1, True or 1.0, whatever wrote the file.
        return str(int(value)) if isinstance(value, bool | float) and value == int(value) else str(value)

    return _Row(row, text("number"), text("call_id"), text("label"), text("class"))


def _check_columns(path: Path, names: Sequence[str]) -> None:
    if "label" not in names or not {"number", "call_id"} & set(names):
        raise LabelError(
            f"The labels have the columns {', '.join(names) or 'none'}.",
            where=str(path),
            fix="The first row names number or call_id, and label; class and source may follow.",
        )
