"""`hutong bulletin` and `hutong losses`: bulletins made, listed, signed; days counted; losses taken in."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.bulletin_desk import bulletin_desk, daily_calls
from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.bulletins.desk import MEDIA, Doer, name_of
from hutong.bulletins.errors import BulletinError
from hutong.bulletins.losses import Losses
from hutong.bulletins.periods import read_period
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.clock import SystemClock
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config
    from hutong.kernel.records import Database

app = App(name="bulletin", help="通报:拟写、列出、签发 / Bulletins: make, list, sign them")
losses = App(name="losses", help="案件与损失:导入、列出 / Fraud cases and losses that agencies gave")

_NS_IN_MS: Final = 1_000_000
_PIPE_WIDTH: Final = 1000
_WRONG_ROWS: Final = 1

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
BulletinId = Annotated[str, Parameter(name="BULLETIN", help="通报编号,如 2026-11.1 / id, such as 2026-11.1")]


class _Sitting(msgspec.Struct, frozen=True):
    """Settings and open records, the time, and whoever sits here."""

    config: Config
    database: Database
    now_ms: int
    doer: Doer


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Sitting]:
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        yield _Sitting(settings, database, SystemClock().wall() // _NS_IN_MS, Doer(machine_user()))


@app.command
def make(
    *,
    period: Annotated[str, Parameter(help="周期 / 2026-11, 2026-W47 or 2026-11-20")],
    out: Annotated[Path | None, Parameter(help="文件写入此目录 / folder for the documents")] = None,
    reason: Annotated[str, Parameter(help="更正原因 / why a signed one is corrected")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """拟一期通报:先补计各日呼叫,再写出中英文 HTML、Word、PDF / Make a draft, and its documents in both languages."""
    wanted = read_period(period)
    with _opened(config, data) as it:
        desk = bulletin_desk(it.config, it.database)
        if not desk.counted(wanted):
            daily_calls(it.config, it.database).count_again(desk.uncounted(wanted), it.now_ms)
        kept = desk.make(wanted, it.doer, it.now_ms, reason)
        sys.stdout.write(f"{kept.id} {kept.digest}\n")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            for lang in LANGUAGES:
                for form in MEDIA:
                    _write(out / name_of(kept.id, lang, form), desk.file(kept.id, lang, form))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BulletinError(f"The document cannot be written: {error.strerror}.", where=str(path)) from error
    sys.stdout.write(f"{path}\n")


@app.command(name="list")
def list_(
    *,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出通报 / Bulletins, newest period first."""
    with _opened(config, data) as it:
        found = bulletin_desk(it.config, it.database).store.all()
    if json:
        sys.stdout.writelines(msgspec.json.encode(one).decode() + "\n" for one in found)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("编号 id", "周期 period", "状态 state", "拟写 made", "签发 signed", "更正 corrects"):
        table.add_column(heading)
    for one in found:
        signed = "" if one.signed_ms is None else f"{show_moment(one.signed_ms)} {one.signed_by}"
        state = "草稿 draft" if one.signed_ms is None else "已签发 signed"
        state = "未完 provisional" if one.provisional else state
        table.add_row(one.id, one.period, state, show_moment(one.made_ms), signed, one.corrects)
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)


@app.command
def sign(
    bulletin: BulletinId,
    /,
    *,
    digest: Annotated[str, Parameter(help="所见内容的 SHA-256 / of what was seen; default: any")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """签发;此后不再改动 / Sign a bulletin, which then never changes."""
    with _opened(config, data) as it:
        desk = bulletin_desk(it.config, it.database)
        kept, _ = desk.store.get(bulletin)
        hashes = desk.sign(bulletin, digest or kept.digest, it.doer, it.now_ms)
    sys.stdout.writelines(f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items()))


@app.command
def count(
    first: Annotated[str, Parameter(name="FIRST", help="首日 / first day, 2026-11-20")],
    last: Annotated[str, Parameter(name="LAST", help="末日 / last day; default: the first")] = "",
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """从归档重新统计各日呼叫 / Count the calls of days anew from the archive."""
    days = _days(first, last or first)
    with _opened(config, data) as it:
        done = daily_calls(it.config, it.database).count_again(days, it.now_ms)
    sys.stdout.write(f"{done} / {len(days)}\n")


def _days(first: str, last: str) -> list[date]:
    periods = [read_period(text) for text in (first, last)]
    if any(it.kind != "day" for it in periods) or periods[1] < periods[0]:
        raise BulletinError("These are not a first and a last day.", fix="Write 2026-11-20 2026-11-30.")
    ordinals = range(periods[0].first.toordinal(), periods[1].first.toordinal() + 1)
    return [date.fromordinal(it) for it in ordinals]


@losses.command(name="import")
def import_(
    file: Annotated[Path, Parameter(name="FILE", help="CSV 文件 (UTF-8 或 GB18030) / CSV file")],
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """导入各单位所报案件与损失;错误行逐行列出 / Take in what agencies gave; wrong rows are told."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BulletinError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
    with _opened(config, data) as it:
        store = Losses(it.database, Trail(it.database))
        done = store.take_file(content, it.doer.name, it.doer.address, it.now_ms)
    for error_ in done.errors:
        sys.stderr.write(f"{file}:{error_.row} {error_.column}: {error_.what}\n")
    refused = len(done.errors)
    sys.stdout.write(f"已收 {done.taken} 行,错误 {refused} 行 / {done.taken} rows taken, {refused} refused\n")
    return _WRONG_ROWS if refused else 0


@losses.command(name="list")
def list_losses(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """列出已有数据,每行一个 JSON / What was given, one JSON object a line."""
    with _opened(config, data) as it:
        found = Losses(it.database, Trail(it.database)).all()
    sys.stdout.writelines(msgspec.json.encode(one).decode() + "\n" for one in found)
