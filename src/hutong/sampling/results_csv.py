"""A laboratory's file of results: CSV in UTF-8 or GB 18030; wrong rows are told one by one, the rest goes in.

Each row is one event whose id is made from what the row says, so that a file that was interrupted, or comes again, or
overlaps another, has each result once. A result of a tube that no station has merged yet is kept and waits for it.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.spreadsheet import SheetError, decode, rows_of
from hutong.sampling import machine
from hutong.sampling.conflicts import conflict_rules
from hutong.sampling.errors import SamplingError, SamplingRefused
from hutong.sampling.fold import fold
from hutong.sampling.model import Event, Kept, Report, Result
from hutong.sampling.store import Taking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from hutong.sampling.store import Sampling

LARGEST: Final = 50_000_000
MOST_ROWS: Final = 200_000
_AT_ONCE: Final = 500
COLUMNS: Final = {
    "tube": "tube",
    "试管": "tube",
    "试管编号": "tube",
    "管号": "tube",
    "条码": "tube",
    "result": "result",
    "结果": "result",
    "检测结果": "result",
    "tested": "tested",
    "检测时间": "tested",
    "检测日期": "tested",
    "laboratory": "laboratory",
    "检测机构": "laboratory",
    "实验室": "laboratory",
}
_WORDS: Final[dict[str, Result]] = {
    "negative": "negative",
    "阴性": "negative",
    "阴": "negative",
    "未检出": "negative",
    "positive": "positive",
    "阳性": "positive",
    "阳": "positive",
    "检出": "positive",
    "inconclusive": "inconclusive",
    "可疑": "inconclusive",
    "灰区": "inconclusive",
    "invalid": "invalid",
    "无效": "invalid",
}
_NEEDED: Final = ("tube", "result", "tested")
_DAY_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHORT: Final = re.compile(r"(?<=\d)(?P<before>[- ])(?P<digit>\d)(?=[-: ]|$)")


class RowNote(msgspec.Struct, frozen=True):
    """What is to be said of a row (the header is 1).

    Attributes:
        reason: one of `errors.REASONS`; where the row went in all the same (`taken`) a rule of conflicts.
    """

    row: int
    column: str
    reason: str
    what: str
    taken: bool = False


class Imported(msgspec.Struct, frozen=True):
    """What an import did; `again`: results that were there already, or stand twice in the file."""

    rows: int
    taken: int
    again: int
    refused: int
    encoding: str
    notes: tuple[RowNote, ...]


class _Row(msgspec.Struct, frozen=True):
    line: int
    event: Event
    begins_ms: int  # the earliest that "tested" can mean


def take_in(sampling: Sampling, content: bytes, laboratory: str, zone: ZoneInfo, now_ms: int) -> Imported:
    """Take a file's results in, some hundred to a transaction.

    Args:
        laboratory: short name of whose file it is; lower-case letters, digits and dashes.
        zone: of times that name none. now_ms: ms since 1970.

    Raises:
        SamplingError: the file is too large, in no encoding that is read, or its header is wrong: nothing was taken.
    """
    if len(content) > LARGEST:
        raise SamplingError(f"The file is larger than {LARGEST // 1_000_000} MB.", where="file")
    read = decode(content)
    if read is None:
        raise SamplingError("The file is neither UTF-8 nor GB 18030.", where="file", fix="Save it as UTF-8.")
    text, encoding = read
    notes: list[RowNote] = []
    taken = again = 0
    waiting: list[_Row] = []
    for line, values in _cells(text, notes):
        try:
            waiting.append(_row(line, values, laboratory, zone))
        except SamplingRefused as wrong:
            notes.append(RowNote(line, wrong.where, wrong.reason, wrong.what))
        if len(waiting) >= _AT_ONCE:
            new, old = _take(sampling, waiting, notes, now_ms)
            taken, again, waiting = taken + new, again + old, []
    new, old = _take(sampling, waiting, notes, now_ms)
    taken, again = taken + new, again + old
    refused = sum(not it.taken for it in notes)
    ordered = tuple(sorted(notes, key=lambda it: (it.row, it.column)))
    return Imported(taken + again + refused, taken, again, refused, encoding, ordered)


def _take(sampling: Sampling, rows: Sequence[_Row], notes: list[RowNote], now_ms: int) -> tuple[int, int]:
    """Take rows in one transaction; gives how many are new, and how many were there."""
    sound = []
    known = sampling.histories({it.event.deed.tube for it in rows})
    for it in rows:
        deed = it.event.deed
        held = known.setdefault(deed.tube, [])
        try:
            machine.check_tested(fold(deed.tube, held).tubes, it.begins_ms, it.event.at_ms, now_ms)
        except SamplingRefused as wrong:
            notes.append(RowNote(it.line, wrong.where, wrong.reason, wrong.what))
            continue
        sound.append(it)
        if all(other.event.id != it.event.id for other in held):
            held.append(Kept(it.event, 0, now_ms))
            notes += _doubts(it, held)
    if not sound:
        return 0, 0
    outcomes = sampling.take([Taking(it.event, judged=False) for it in sound], now_ms)
    for it, outcome in zip(sound, outcomes, strict=True):
        if outcome.refusal is not None:
            notes.append(RowNote(it.line, "", outcome.refusal.reason, outcome.refusal.what))
    accepted = [it for it in outcomes if it.refusal is None]
    again = sum(it.again for it in accepted)
    return len(accepted) - again, again


def _doubts(it: _Row, held: Sequence[Kept]) -> Iterator[RowNote]:
    """What a row that goes in makes doubtful."""
    story = fold(it.event.deed.tube, held)
    if not story.tubes:
        yield _doubt(it, "tube", "unknown-tube")
    latest = max((tube.round for tube in story.tubes), default=0)
    tubes = [tube for tube in story.tubes if tube.round == latest]
    if any(tube.result == "contradicting" for tube in tubes):
        yield _doubt(it, "result", "contradicting-results")
    elif any(tube.contested for tube in tubes):
        yield _doubt(it, "tube", "tube-at-two-stations")


def _doubt(it: _Row, column: str, rule: str) -> RowNote:
    return RowNote(it.line, column, rule, conflict_rules()[rule].en, taken=True)


def _row(line: int, given: dict[str, str], laboratory: str, zone: ZoneInfo) -> _Row:
    result = _WORDS.get(given["result"].lower())
    if result is None:
        known = ", ".join(_WORDS)
        raise SamplingRefused("field", f"The result is none of: {known}.", where="result")
    begins_ms, tested_ms = read_tested(given["tested"], zone)
    tube = given["tube"].upper()
    deed = Report(tube=tube, result=result, tested_ms=tested_ms, laboratory=given.get("laboratory", "") or laboratory)
    digest = hashlib.sha256(msgspec.json.encode([laboratory, deed])).hexdigest()[:32]
    event = Event(id=f"{laboratory}.0.{digest}", station=laboratory, at_ms=tested_ms, deed=deed)
    machine.check_form(event)
    return _Row(line, event, begins_ms)


def read_tested(text: str, zone: ZoneInfo) -> tuple[int, int]:
    """The earliest and the latest that a time such as 2026-03-01 10:20 means, ms since 1970; a day alone is all of it.

    Raises:
        SamplingRefused: "date": it is none.
    """
    plain = _SHORT.sub(r"\g<before>0\g<digit>", text.strip().replace("/", "-"))
    try:
        moment = datetime.fromisoformat(plain)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        begins = int(moment.timestamp() * 1000)
        if not _DAY_ONLY.fullmatch(plain):
            return begins, begins
        return begins, int((moment + timedelta(days=1)).timestamp() * 1000) - 1
    except (ValueError, OverflowError):
        raise SamplingRefused("date", "The time is not one such as 2026-03-01 10:20.", where="tested") from None


def _cells(text: str, notes: list[RowNote]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        for line, values in rows_of(text, COLUMNS, _NEEDED, MOST_ROWS):
            if isinstance(values, str):
                notes.append(RowNote(line, "", "field", values))
            else:
                yield line, values
    except SheetError as error:
        raise SamplingError(error.what, where=error.where, fix=error.fix) from error
