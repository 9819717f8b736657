"""Batches as files of JSON lines, which a device without a network hands over: written, and read line by line. Pure.

The first line of a batch says whose it is and what the device's clock showed; then a line for each scan. Whatever line
cannot be read is refused by its number, and the rest is taken: a file that was cut loses the line where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.model import Batch, Refusal, Scan, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_LINE: Final = 1_000


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Source
    clock_ms: int


_head: Final = msgspec.json.Decoder(_Head)
_scan: Final = msgspec.json.Decoder(Scan)


def write_batch(batch: Batch) -> Iterator[str]:
    """The lines of a batch."""
    for value in (_Head(batch.source, batch.clock_ms), *batch.scans):
        yield msgspec.json.encode(value).decode() + "\n"


def read_batches(lines: Iterable[str], most: int) -> Iterator[tuple[Batch, tuple[Refusal, ...]]]:
    """Batches of at most so many scans, each with the lines that could not be read.

    Raises:
        ScanRefused: "device": the first line is not the head of a batch.
    """
    head: _Head | None = None
    scans: list[Scan] = []
    bad: list[Refusal] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if '"source"' in line[:_LONGEST_LINE]:
            if head is not None and (scans or bad):
                yield _made(head, scans, bad)
            head, scans, bad = _read_head(line, number), [], []
            continue
        if head is None:
            raise ScanRefused("device", "The file does not say whose scans these are.", where=f"line {number}")
        try:
            scans.append(_scan.decode(line if len(line) <= _LONGEST_LINE else ""))
        except (msgspec.DecodeError, ValueError) as error:
            bad.append(Refusal(number, "scan", f"This is no scan: {error}."))
        if len(scans) + len(bad) >= most:
            yield _made(head, scans, bad)
            scans, bad = [], []
    if head is not None and (scans or bad):
        yield _made(head, scans, bad)


def _read_head(line: str, number: int) -> _Head:
    try:
        return _head.decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        what = f"The head of a batch cannot be read: {error}."
        raise ScanRefused("device", what, where=f"line {number}", fix="Write the file again.") from error


def _made(head: _Head, scans: list[Scan], bad: list[Refusal]) -> tuple[Batch, tuple[Refusal, ...]]:
    return Batch(head.source, head.clock_ms, tuple(scans), live=False), tuple(bad)
