"""The sidecar file of a closed segment: its part, mapped. Written whole or not at all, checked as it is read.

    0   "HtIx" u32 version  u32 length of the head  u32 CRC-32 of the head
    16  head (JSON): `PartHead`, and name, type, place, count and CRC-32 of each column
        columns, each at a multiple of 64 bytes

A column is checked when it is first looked at. A file that is damaged, cut short, of another version or of another
segment is as good as none.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import numpy as np

from hutong.calls.index.part import PartHead, sealed_columns
from hutong.kernel.errors import StateError
from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.calls.index.part import MemoryPart, Rows

VERSION = 1
SUFFIX = ".idx"
_MAGIC = b"HtIx"
_START = struct.Struct("<4sIII")
_ALIGNED = 64
_MOST_HEAD = 16 << 20
_NEAR = 64
_KEPT, _MOST_KEPT_ROWS = 8, 10_000


class SidecarError(StateError):
    """A sidecar file cannot be used; it is deleted and made again."""


class _Column(msgspec.Struct, frozen=True, array_like=True):
    type: str
    at: int
    count: int
    crc: int


class _Directory(msgspec.Struct, frozen=True):
    part: PartHead
    columns: dict[str, _Column]


def write_sidecar(path: Path, part: MemoryPart) -> None:
    """Keep a complete part in a file that appears whole. Raises OSError where there is no room for it."""
    columns = sealed_columns(part)
    places: dict[str, _Column] = {}
    at = 0
    for name, values in columns.items():
        places[name] = _Column(values.dtype.str, at, values.size, crc32(np.ascontiguousarray(values).data))
        at = _aligned(at + values.nbytes)
    # Places count from the first column, so that the head's own length does not matter to them.
    head = msgspec.json.encode(_Directory(part.head, places))
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with fresh.open("wb") as file:
            file.write(_START.pack(_MAGIC, VERSION, len(head), crc32(head)))
            file.write(head)
            start = _aligned(_START.size + len(head))
            for name, values in columns.items():
                file.seek(start + places[name].at)
                file.write(np.ascontiguousarray(values).data)
            file.truncate(start + at)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _aligned(at: int) -> int:
    return -(-at // _ALIGNED) * _ALIGNED


class SidecarPart:
    """A part in a sidecar file. The head is read at once, the file is mapped while it is used (`release`).

    Raises:
        SidecarError: the file is damaged, cut short or of another version.
        FileNotFoundError: there is none.
    """

    sealed = True

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            start = file.read(_START.size)
            if len(start) < _START.size:
                raise self._damaged("it is cut short")
            magic, version, length, crc = _START.unpack(start)
            if magic != _MAGIC or version != VERSION or length > _MOST_HEAD:
                raise self._damaged("it is of another version")
            head = file.read(length)
            if len(head) != length or crc32(head) != crc:
                raise self._damaged("its head is damaged")
            try:
                directory = msgspec.json.decode(head, type=_Directory)
            except UNREADABLE as error:
                raise self._damaged(f"its head cannot be read: {error}") from error
            self._start = _aligned(_START.size + length)
            ends = [it.at + it.count * np.dtype(it.type).itemsize for it in directory.columns.values()]
            if os.fstat(file.fileno()).st_size < self._start + max(ends, default=0):
                raise self._damaged("it is cut short")
        self.head = directory.part
        self._places = directory.columns
        self._checked: set[str] = set()
        self._latest: dict[tuple[str, int], Rows] = {}  # a page about a number asks for its rows several times
        self._map: mmap.mmap | None = None

    def _damaged(self, why: str) -> SidecarError:
        return SidecarError(f"The index of a journal segment cannot be used: {why}.", where=str(self._path))

    def release(self) -> None:
        """Let go of the map; columns handed out stay readable."""
        self._map = None
        self._latest.clear()

    def check(self) -> None:
        """Look at every column.

        Raises:
            SidecarError: one is damaged.
        """
        for name in self._places:
            self.column(name)

    def column(self, name: str) -> NDArray[Any]:
        """See `Part.column`.

        Raises:
            SidecarError: it is damaged, or the file is gone.
        """
        place, mapped = self._places[name], self._map
        if place.count == 0:
            return np.zeros(0, dtype=place.type)
        if mapped is None:
            mapped = self._map = self._mapped()
        try:
            values = np.frombuffer(mapped, dtype=place.type, count=place.count, offset=self._start + place.at)
        except ValueError:
            raise self._damaged("it is cut short") from None
        if name not in self._checked:
            if crc32(values.data) != place.crc:
                raise self._damaged(f"column {name} is damaged")
            self._checked.add(name)
        return values

    def _mapped(self) -> mmap.mmap:
        try:
            with self._path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise self._damaged(str(error)) from error

    def equal(self, name: str, value: int) -> Rows:
        """See `Part.equal`: two binary searches through the sorted order."""
        latest = self._latest.get((name, value))
        if latest is not None:
            return latest
        values, order = self.column(name), self.column(f"by_{name}")
        wanted = values.dtype.type(value)
        low = np.searchsorted(values, wanted, "left", sorter=order)
        # A number has few rows of many: the end is looked for nearby first.
        near = order[low : low + _NEAR]
        same = int(np.searchsorted(values[near] != wanted, True))  # noqa: FBT003  # the value that is looked for
        rows: Rows = near[:same].astype(np.intp)
        if same == _NEAR:
            rows = order[low : np.searchsorted(values, wanted, "right", sorter=order)].astype(np.intp)
        if rows.size <= _MOST_KEPT_ROWS:
            if len(self._latest) >= _KEPT:
                self._latest.clear()
            self._latest[name, value] = rows
        return rows

    def fired(self, rule: int) -> Rows:
        """See `Part.fired`."""
        starts = self.column("fired_starts")
        return self.column("fired_rows")[starts[rule] : starts[rule + 1]].astype(np.intp)

    def fired_among(self, rows: Rows) -> NDArray[np.int64]:
        """See `Part.fired_among`."""
        marks = np.zeros(self.head.rows, dtype=np.bool_)
        marks[rows] = True
        hits = np.concatenate([[0], np.cumsum(marks[self.column("fired_rows")])])
        starts = self.column("fired_starts")
        counts: NDArray[np.int64] = np.diff(hits[starts])
        return counts
