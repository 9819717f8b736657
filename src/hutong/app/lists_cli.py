"""`hutong lists`: put numbers on the block and allow lists, take them off, see why a number is on one."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ListError
from hutong.kernel.lists.csv_file import Imported, export_entries, import_file, read_time, show_time
from hutong.kernel.lists.entries import ROLES, Entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import describe, draft, read_target
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

app = App(name="lists", help="名单：拦截与放行 / Lists: block and allow numbers")

_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})([mhd])")
_NS = 1_000_000_000
_PIPE_WIDTH = 1000
_STOPPED = 1

DataFolder = Annotated[Path, Parameter(help="数据目录 / data folder")]
TargetText = Annotated[
    str, Parameter(name="TARGET", help="号码、前缀(0755*)或号段(首-末) / number, prefix (0755*) or range (first-last)")
]
ListName = Annotated[Literal["block", "allow"], Parameter(name="--list", help="名单 / which list")]
Role = Annotated[
    Literal["caller", "callee", "any"] | None,
    Parameter(help="作主叫、被叫或任一；缺省 block 为主叫，allow 为任一 / role; default: caller, for allow any"),
]


def _now() -> int:
    return SystemClock().wall() // _NS


@contextmanager
def _opened(data: Path, *, existing: bool = False) -> Iterator[ListStore]:
    folder = data / "lists"
    if existing and not (folder / "data.mdb").exists():
        raise ListError("There are no lists yet.", where=str(folder), fix="Add an entry first, or check --data.")
    store = ListStore(folder)
    store.open()
    try:
        yield store
    finally:
        store.close()


def read_expiry(text: str, now: int) -> int:
    """Seconds since 1970 of "30d", "12h", "90m" from `now`, or of an RFC 3339 time; 0 for an empty text.

    Raises:
        ListError: it is neither, or already over.
    """
    span = _SPAN.fullmatch(text.strip())
    expires = now + int(span[1]) * _SECONDS[span[2]] if span else read_time(text, "--expires")
    if 0 < expires <= now:
        raise ListError(f"{text} is already over.", where="--expires", fix="Give a time to come, or none for never.")
    return expires


@app.command
def add(  # noqa: PLR0913  # an entry's own fields, one option each
    target: TargetText,
    /,
    *,
    reason: Annotated[str, Parameter(help="原因 / why")],
    who: Annotated[str, Parameter(help="经办人或系统 / person or system")],
    list_: ListName = "block",
    role: Role = None,
    expires: Annotated[str, Parameter(help="有效期，如 30d；缺省永久 / 30d, 12h or RFC 3339; default: never")] = "",
    respond: Annotated[Literal[603, 607, 608], Parameter(help="拦截应答码 / answer to a blocked call")] = 608,
    source: Annotated[str, Parameter(help="线索来源 / where the lead came from")] = "",
    data: DataFolder = Path("var"),
) -> None:
    """列入名单；一秒内对所有进程生效 / Put on a list; every process heeds it within a second."""
    now = _now()
    entry = draft(
        target,
        list=list_,
        role=role or "",
        reason=reason,
        who=who,
        source=source,
        expires=read_expiry(expires, now),
        respond=respond,
    )
    with _opened(data) as store:
        (stored,) = store.add([entry], now)
    sys.stdout.write(f"#{stored.id} {stored.list} {describe(stored)} ({stored.role})\n")


@app.command
def remove(
    target: TargetText,
    /,
    *,
    who: Annotated[str, Parameter(help="经办人 / who decides")],
    why: Annotated[str, Parameter(help="移出原因 / why")],
    list_: ListName = "block",
    role: Role = None,
    data: DataFolder = Path("var"),
) -> None:
    """移出名单，留下经办人与原因；不指定角色则全部移出 / Take off a list, on record; without a role, for all roles."""
    if not who.strip() or not why.strip():
        raise ListError("A removal needs who and why.", fix="Give --who and --why.")
    meant = read_target(target)
    wanted = Entry(
        list=list_, kind=meant.kind, key=meant.key, last=meant.last, role=role or ROLES[0], reason=why, who=who
    )
    with _opened(data, existing=True) as store:
        gone = store.remove(wanted, _now(), who=who.strip(), why=why.strip(), any_role=role is None)
    if not gone:
        raise ListError(
            f"{describe(meant)} itself is not on the {list_} list.",
            fix=f"`hutong lists show '{target}'` shows which entries cover it.",
        )
    for entry in gone:
        sys.stdout.write(f"#{entry.id} {entry.list} {describe(entry)} ({entry.role}) 已移出 / removed\n")


@app.command
def show(
    target: Annotated[str, Parameter(name="TARGET", help="号码 / a number")] = "",
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="全部条目 / every entry")] = False,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    data: DataFolder = Path("var"),
) -> None:
    """哪些条目涉及该号码，因何列入 / Which entries are about a number, and why."""
    if bool(target) == all_:
        raise ListError("Name one number, or ask for --all.", fix="For example: hutong lists show 13800138000")
    with _opened(data, existing=True) as store:
        found: Iterable[Entry] = store.entries() if all_ else _about(store, target)
        if json:
            for entry in found:
                sys.stdout.write(_as_json(entry) + "\n")
        else:
            _print_table(found, _now())


def _about(store: ListStore, target: str) -> list[Entry]:
    meant = read_target(target)
    if meant.kind == "number":
        return store.matching(meant.key)
    same = (meant.kind, meant.key, meant.last)
    return [entry for entry in store.entries() if (entry.kind, entry.key, entry.last) == same]


def _as_json(entry: Entry) -> str:
    fields = msgspec.to_builtins(entry)
    for name in ("key", "last", "removed", "removed_by", "removed_why"):
        del fields[name]
    fields |= {"target": describe(entry), "created": show_time(entry.created), "expires": show_time(entry.expires)}
    return msgspec.json.encode(fields).decode()


def _print_table(entries: Iterable[Entry], now: int) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in (
        "编号 id",
        "名单 list",
        "对象 target",
        "角色 role",
        "原因 reason",
        "来源 source",
        "经办 who",
        "到期 expires",
    ):
        table.add_column(heading)
    numbering = Numbering()
    for entry in entries:
        over = " (已过期 / over)" if 0 < entry.expires <= now else ""
        target = numbering.show(entry.key) if entry.kind == "number" else describe(entry)
        texts = (entry.list, target, entry.role, entry.reason, entry.source, entry.who)
        table.add_row(str(entry.id), *texts, show_time(entry.expires) + over)
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False)
    if table.row_count:
        console.print(table)
    else:
        sys.stdout.write("没有条目 / no entries\n")


@app.command(name="import")
def import_csv(
    file: Annotated[Path, Parameter(name="FILE", help="CSV 文件 / CSV file")],
    /,
    *,
    encoding: Annotated[str, Parameter(help="编码，缺省自动识别 / encoding; default: detected")] = "",
    errors: Annotated[Path | None, Parameter(help="错误行写入此文件 / where bad rows go")] = None,
    stop_at: Annotated[float, Parameter(help="错误行占比上限 / share of bad rows at which to stop")] = 0.1,
    data: DataFolder = Path("var"),
) -> int:
    """导入 CSV；错误行另存，其余照收；不删除任何条目 / Import CSV; bad rows are set aside, nothing is removed."""
    dead = errors or file.with_name(f"{file.stem}.errors.csv")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with (
        _opened(data) as store,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(file.name, total=file.stat().st_size if file.exists() else None)
        done = import_file(
            store,
            file,
            numbering=Numbering(),
            now=_now(),
            errors=dead,
            encoding=encoding,
            stop_at=stop_at,
            progress=lambda position: bar.update(task, completed=position),
        )
    return _report(done, dead, stop_at)


def _report(done: Imported, dead: Path, stop_at: float) -> int:
    sys.stdout.write(f"已收 {done.applied} 行，错误 {done.bad} 行 / {done.applied} rows applied, {done.bad} bad\n")
    if done.bad:
        sys.stdout.write(f"错误行见 / bad rows are in: {dead}\n")
    if not done.stopped:
        return 0
    sys.stderr.write(
        f"在第 {done.stopped} 行停止：错误行超过 {stop_at:.0%}。已收的 {done.applied} 行有效，其后未收；"
        "改正后可重新导入全文件。\n"
        f"Stopped at line {done.stopped}: more than {stop_at:.0%} of the rows are bad. The {done.applied} rows applied "
        "stay in effect, nothing after them was; correct the file and import all of it again.\n"
    )
    return _STOPPED


@app.command
def export(
    file: Annotated[
        str, Parameter(name="FILE", allow_leading_hyphen=True, help="CSV 文件，- 为标准输出 / CSV file, - for stdout")
    ],
    /,
    *,
    data: DataFolder = Path("var"),
) -> None:
    """导出全部条目 / Export every entry."""
    with _opened(data, existing=True) as store:
        if file == "-":
            export_entries(store.entries(), sys.stdout)
            return
        try:
            with Path(file).open("w", encoding="utf-8", newline="") as out:
                count = export_entries(store.entries(), out)
        except OSError as error:
            raise ListError(f"The file cannot be written: {error.strerror}.", where=file) from error
    sys.stdout.write(f"{count} 条 / entries\n")
