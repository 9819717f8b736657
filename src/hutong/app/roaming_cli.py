"""`hutong roaming`: who is known to roam abroad, and until when."""

from __future__ import annotations

import csv
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from hutong.app.lists_cli import read_expiry
from hutong.calls.roaming import RoamingTable
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import HutongError, ListError
from hutong.kernel.lists.csv_file import detect_encoding, show_time
from hutong.kernel.lists.targets import read_target
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from collections.abc import Iterator

app = App(name="roaming", help="漫游表 / The table of roaming subscribers")

_NS = 1_000_000_000
_BATCH = 5000
_COLUMNS = {"number", "until"}
_SHOWN_ERRORS = 20

DataFolder = Annotated[Path, Parameter(help="数据目录 / data folder")]
Who = Annotated[str, Parameter(help="经办人或系统 / person or system")]
_UNTIL = "漫游至：30d、12h 或时刻 / until: 30d, 12h or RFC 3339"


@contextmanager
def _opened(data: Path) -> Iterator[RoamingTable]:
    table = RoamingTable(data / "roaming")
    table.open()
    try:
        yield table
    finally:
        table.close()


def _now() -> int:
    return SystemClock().wall() // _NS


def _roaming(number: str, until: str, now: int) -> tuple[int, int]:
    target = read_target(number)
    if target.kind != "number":
        raise ListError("Only single numbers roam.", where="number", fix="Write one number, without * or range.")
    expires = read_expiry(until, now)
    if not expires:
        raise ListError("The time is missing.", where="until", fix="Write 30d, 12h or an RFC 3339 time.")
    return target.key, expires


@app.command
def add(
    number: Annotated[str, Parameter(name="NUMBER", help="号码 / number")],
    /,
    *,
    until: Annotated[str, Parameter(help=_UNTIL)],
    who: Who = "",
    data: DataFolder = Path("var"),
) -> None:
    """登记一个漫游用户 / Note one roaming subscriber."""
    now = _now()
    with _opened(data) as table:
        table.put([_roaming(number, until, now)], now, who)


@app.command(name="import")
def import_csv(
    file: Annotated[Path, Parameter(name="FILE", help="CSV：number,until")],
    /,
    *,
    who: Who = "",
    data: DataFolder = Path("var"),
) -> int:
    """导入 CSV（number,until），错误行跳过并列出 / Import CSV (number,until); bad rows are passed over and listed."""
    now = _now()
    done = bad = 0
    batch: list[tuple[int, int]] = []
    with _opened(data) as table:
        for line, row in _rows(file):
            try:
                batch.append(_roaming(row["number"], row["until"], now))
            except HutongError as error:
                bad += 1
                if bad <= _SHOWN_ERRORS:
                    sys.stderr.write(f"{file}:{line}: {error}\n")
                continue
            if len(batch) == _BATCH:
                done += table.put(batch, now, who)
                batch.clear()
        done += table.put(batch, now, who)
    sys.stdout.write(f"已收 {done} 行，错误 {bad} 行 / {done} rows applied, {bad} bad\n")
    return int(bad > 0)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding=detect_encoding(file), newline="") as text:
            reader = csv.DictReader(text, restval="")
            if not set(reader.fieldnames or ()) >= _COLUMNS:
                raise ListError("The header lacks number or until.", where=f"{file}:1", fix="Begin with: number,until")
            for row in reader:
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        raise ListError(f"The file cannot be read: {error}.", where=str(file)) from error


@app.command
def show(
    number: Annotated[str, Parameter(name="NUMBER", help="号码，缺省全部 / number; default: all")] = "",
    /,
    *,
    data: DataFolder = Path("var"),
) -> None:
    """谁在漫游，至何时 / Who roams, and until when."""
    numbering = Numbering()
    wanted = read_target(number).key if number else 0
    with _opened(data) as table:
        for entry in table.entries():
            if wanted in {0, entry.key}:
                sys.stdout.write(f"{numbering.show(entry.key)},{show_time(entry.expires)}\n")
