"""`hutong report`: takes a report in, shows one by its receipt, lists them, takes in a file of them.

What is done here is on the trail like everything else: who is the user of this machine, the address is "local".
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.app.reports_work import open_reports
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import mask_text, rfc3339_ms
from hutong.reports.csv_batch import read_time, read_yuan, take_in
from hutong.reports.model import Kind, Origin, Told
from hutong.reports.public_pages import shown, standing
from hutong.reports.query import ReportQuery, ReportReader
from hutong.reports.receipts import read_receipt, show_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Database
    from hutong.reports.model import Matter, Report
    from hutong.reports.store import Reports

app = App(name="report", help="群众举报:受理、查看、导入、列表 / Reports from people")

_NS_IN_MS = 1_000_000
_SOME_WRONG = 1

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="JSON 输出 / as JSON")]


class _Desk:
    """The open records, the time, and whoever sits here."""

    def __init__(self, database: Database, reports: Reports, zone: str) -> None:
        self.database, self.reports, self.zone = database, reports, ZoneInfo(zone)
        self.who = machine_user()
        self.trail = Trail(database)

    def now_ms(self) -> int:
        """Ms since 1970."""
        return SystemClock().wall() // _NS_IN_MS


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Desk]:
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        yield _Desk(database, open_reports(settings, database), settings.calls.time_zone)


@app.command
def add(  # noqa: PLR0913  # a report's own parts, one option each
    kind: Annotated[Kind, Parameter(name="KIND", help="举报对象 / what: call, message, web")],
    /,
    *,
    number: Annotated[str, Parameter(help="对方号码或短信发送方 / the number, or who sent the message")] = "",
    name: Annotated[str, Parameter(help="网址 / web name or address")] = "",
    text: Annotated[str, Parameter(help="内容 / the message, or what happened")] = "",
    time: Annotated[str, Parameter(help="发生时间,缺省为现在 / when; now unless given")] = "",
    lost: Annotated[str, Parameter(help="损失(元) / loss in yuan")] = "",
    reporter: Annotated[str, Parameter(help="举报人号码,只存代号 / the reporter's number; only a code is kept")] = "",
    key: Annotated[str, Parameter(help="请求键:重复请求只受理一次 / key: a repeated request has one effect")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """受理一条举报 / Take a report in."""
    with _opened(config, data) as desk:
        told = Told(
            kind=kind,
            number=number,
            name=name,
            text=text,
            happened_ms=read_time(time, desk.zone),
            lost_fen=read_yuan(lost),
            reporter=reporter,
        )
        now_ms = desk.now_ms()
        origin = Origin(source="cli", taker=desk.who, key=f"cli:{key}" if key else "")
        with desk.database.write():
            taken = desk.reports.take(told, origin, now_ms)
            if not taken.again:
                desk.trail.record(desk.who, "local", "reports.take", taken.id, now_ms=now_ms)
        _say(f"受理编号 receipt: {show_receipt(taken.receipt)}")
        if taken.case:
            _say(f"案件 case: {taken.case}")
        desk.reports.publish(now_ms)


@app.command
def show(
    of: Annotated[str, Parameter(name="RECEIPT", help="受理编号或举报编号 / receipt number or id")],
    /,
    *,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """一条举报及其结果 / A report and what became of it."""
    with _opened(config, data) as desk:
        report, matter = desk.reports.report(read_receipt(of) or of)
        told = _line(report, matter, desk.reports) | {"text": mask_text(report.text), "names": list(report.names)}
        if json:
            _say(msgspec.json.encode(told).decode())
            return
        for name, value in told.items():
            _say(f"{name}: {value}")


@app.command(name="list")
def list_(  # a query's own parts, one option each
    text: Annotated[str, Parameter(name="TEXT", help="号码、网址或发送方的开头 / how the subject begins")] = "",
    /,
    *,
    kind: Annotated[Kind | None, Parameter(help="对象 / what")] = None,
    state: Annotated[str, Parameter(help="new, open, closed")] = "",
    limit: Annotated[int, Parameter(help="最多行数 / most rows")] = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """举报列表,最新在前 / Reports, the latest first."""
    with _opened(config, data) as desk:
        subject = desk.reports.numbering.read(text).digits if text else ""
        query = ReportQuery(kind=kind or "", state=state, text=subject or text)
        rows = [_line(*found, desk.reports) for found in ReportReader(desk.database).page(query, limit=max(limit, 1))]
        if json:
            _say(msgspec.json.encode(rows).decode())
            return
        table = Table(*(rows[0] if rows else ("receipt",)), box=None)
        for row in rows:
            table.add_row(*map(str, row.values()))
        Console(width=None if sys.stdout.isatty() else 1000).print(table)


@app.command(name="import")
def import_(
    file: Annotated[Path, Parameter(name="FILE", help="CSV 文件 (UTF-8 或 GB 18030) / CSV file")],
    /,
    *,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """导入一批举报;有误的行逐行说明,其余受理 / Take in a file; wrong rows are told, the rest goes in."""
    with _opened(config, data) as desk:
        done = take_in(desk.reports, file.read_bytes(), desk.who, desk.zone, desk.now_ms)
        said = {"taken": done.taken, "again": done.again, "refused": len(done.errors)}
        desk.trail.record(desk.who, "local", "reports.import", file.name, after=said, now_ms=desk.now_ms())
        if json:
            _say(msgspec.json.encode(done).decode())
        else:
            for error in done.errors:
                sys.stderr.write(f"{file}:{error.row}: {error.column}: {error.what}\n")
            _say(f"{done.taken} 受理 taken, {done.again} 重复 again, {len(done.errors)} 有误 refused ({done.encoding})")
        desk.reports.publish(desk.now_ms())
        return _SOME_WRONG if done.errors else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _line(report: Report, matter: Matter, reports: Reports) -> dict[str, object]:
    return {
        "receipt": show_receipt(report.receipt),
        "received": rfc3339_ms(report.received_ms),
        "kind": report.kind,
        "subject": shown(matter, reports),
        "source": report.source,
        "reporters": matter.reporters,
        "reports": matter.reports,
        "stands": standing(matter),
        "case": matter.case,
    }
