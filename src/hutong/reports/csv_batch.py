"""Reports out of a CSV file, in UTF-8 or GB 18030: wrong rows are told with line and reason, the rest goes in.

Each row is taken by itself and known by the file and its line: a file that was taken in half, because somebody pulled
the plug, is taken in again, and what was there already is not taken twice.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.spreadsheet import SheetError, decode, rows_of
from hutong.reports.errors import ReportError
from hutong.reports.model import MOST_LOST_FEN, Origin, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from hutong.reports.store import Reports

MOST_ROWS: Final = 100_000
LARGEST: Final = 50_000_000
COLUMNS: Final = {
    "kind": "kind",
    "类型": "kind",
    "number": "number",
    "号码": "number",
    "被举报号码": "number",
    "name": "name",
    "网址": "name",
    "text": "text",
    "内容": "text",
    "time": "time",
    "时间": "time",
    "lost": "lost",
    "损失": "lost",
    "损失(元)": "lost",
    "reporter": "reporter",
    "举报人": "reporter",
    "举报人号码": "reporter",
}
_KINDS: Final = {"电话": "call", "来电": "call", "短信": "message", "网址": "web", "网站": "web"}
_FEN: Final = 100
#: Days, months and hours of one digit, as spreadsheets write them: 2026-3-1 9:05.
_SHORT: Final = re.compile(r"(?<=\d)(?P<before>[- ])(?P<digit>\d)(?=[-: ]|$)")


class RowError(msgspec.Struct, frozen=True):
    """A row that was not taken: its line in the file (the header is 1), the column, what was wrong."""

    row: int
    column: str
    what: str


class Imported(msgspec.Struct, frozen=True):
    """What an import did; `again` were taken by an earlier import of the same file."""

    rows: int
    taken: int
    again: int
    encoding: str
    errors: tuple[RowError, ...]


def take_in(reports: Reports, content: bytes, taker: str, zone: ZoneInfo, clock: Callable[[], int]) -> Imported:
    """Take a file's reports in.

    Args:
        reports: where to. taker: the account. zone: of times that name none. clock: ms since 1970.

    Raises:
        ReportError: the file is too large, in no encoding that is read, or its header is wrong: nothing was taken.
    """
    if len(content) > LARGEST:
        raise ReportError("file", f"The file is larger than {LARGEST // 1_000_000} MB.", where="file")
    read = decode(content)
    if read is None:
        raise ReportError("file", "The file is neither UTF-8 nor GB 18030.", where="file", fix="Save it as UTF-8.")
    text, encoding = read
    mark = hashlib.sha256(content).hexdigest()[:32]
    errors: list[RowError] = []
    taken = again = 0
    for line, values in _cells(text, errors):
        try:
            kind = values["kind"].lower()
            told = told_from(values | {"kind": _KINDS.get(kind, kind)}, zone)
            done = reports.take(told, Origin(source="csv", taker=taker, key=f"csv:{mark}:{line}"), clock())
        except ReportError as wrong:
            errors.append(RowError(line, wrong.where, wrong.what))
            continue
        taken, again = taken + (not done.again), again + done.again
    rows = taken + again + len(errors)
    return Imported(rows, taken, again, encoding, tuple(sorted(errors, key=lambda it: it.row)))


def _cells(text: str, errors: list[RowError]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        for line, values in rows_of(text, COLUMNS, ("kind",), MOST_ROWS):
            if isinstance(values, str):
                errors.append(RowError(line, "", values))
            else:
                yield line, values
    except SheetError as error:
        raise ReportError("file", error.what, where=error.where, fix=error.fix) from error


def told_from(given: Mapping[str, str], zone: ZoneInfo) -> Told:
    """A report out of fields as people write them.

    Raises:
        ReportError: the time or the loss is none.
    """
    return Told(
        kind=given.get("kind", ""),  # type: ignore[arg-type]  # checked where it is taken
        number=given.get("number", ""),
        name=given.get("name", ""),
        text=given.get("text", ""),
        happened_ms=read_time(given.get("time", ""), zone),
        lost_fen=read_yuan(given.get("lost", "")),
        reporter=given.get("reporter", ""),
    )


def read_time(text: str, zone: ZoneInfo) -> int:
    """Ms since 1970 of a time such as 2026-03-01 10:20; 0 for an empty text.

    Raises:
        ReportError: it is none.
    """
    if not text.strip():
        return 0
    try:
        moment = datetime.fromisoformat(_SHORT.sub(r"\g<before>0\g<digit>", text.strip().replace("/", "-")))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ReportError("time", "The time is not one such as 2026-03-01 10:20.", where="time") from None


def read_yuan(text: str) -> int:
    """Fen of an amount in yuan, such as 12,000.50; 0 for an empty text.

    Raises:
        ReportError: it is none.
    """
    plain = text.strip().replace(",", "").replace("，", "").removesuffix("元").strip()
    if not plain:
        return 0
    try:
        fen = round(float(plain) * _FEN)
    except (ValueError, OverflowError):
        fen = -1
    if not 0 <= fen <= MOST_LOST_FEN:
        raise ReportError("lost", "The loss is no amount in yuan.", where="lost")
    return fen
