"""`hutong appeals`: lists, one appeal, deciding, and labels of what was found wrong; `hutong handoff`: the list.

What is done here is on the trail like everything else: who is the user of this machine, the address is "local".
"""

from __future__ import annotations

import csv
import os
import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_records import machine_user
from hutong.app.config import load_config
from hutong.app.services import Services
from hutong.appeals.model import AppealRefused
from hutong.appeals.store import AppealQuery, wrongly_blocked
from hutong.appeals.told import appeal_told
from hutong.calls.evidence.live import LABELS
from hutong.handoff.api import handoff_told
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.cases.model import Actor
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import make_folder
from hutong.kernel.numbering import digits_of
from hutong.kernel.records import RecordsError
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

app = App(name="appeals", help="误拦申诉:列出、查看、裁定、导出标注 / Appeals against blocks")
handoff = App(name="handoff", help="劝阻移交:列出 / Hand-offs to the dissuasion desk")

_NS_IN_MS: Final = 1_000_000
_PIPE_WIDTH: Final = 1000
_STATES: Final = {"open": "待裁定", "upheld": "维持", "lifted": "解除"}
_ANSWERS: Final = {
    "waiting": "未送达",
    "refused": "拒收",
    "delivered": "已送达",
    "accepted": "已接收",
    "reached": "已劝阻",
    "not-reached": "未联系上",
}
AppealId = Annotated[str, Parameter(name="ID", help="申诉编号 / id of the appeal")]
Json = Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")]
Limit = Annotated[int, Parameter(help="最多几件 / at most so many")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


class _Desk:
    """The open node, the time, and whoever sits here."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.now_ms = SystemClock().wall() // _NS_IN_MS
        self.actor = Actor(machine_user(), frozenset(PERMISSIONS))


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Desk]:
    settings = load_config(config, data=data)
    services = Services(settings, SystemClock(), Reporter("appeals", level="error"))
    database = services.database
    if database.is_sqlite and not os.path.exists(database.place):  # noqa: PTH110  # a text, not a path
        raise RecordsError("There are no records yet.", where=database.place, fix="Start the node, or check --data.")
    database.open()
    services.lists.open()
    try:
        yield _Desk(services)
    finally:
        services.close()


@app.command(name="list")
def list_(
    *,
    state: Annotated[Literal["", "open", "upheld", "lifted"], Parameter(help="状态 / state")] = "",
    late: Annotated[bool, Parameter(negative="", help="只列超期 / only late ones")] = False,
    limit: Limit = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出申诉,先到期者在前 / Appeals, what must be decided first stands first."""
    with _opened(config, data) as desk:
        appeals = desk.services.appeals
        query = AppealQuery(state, late_ms=desk.now_ms if late else 0)
        found, count = appeals.store.page(query, limit), appeals.store.count(query)
        told = [appeal_told(it, appeals.number(it)) for it in found]
    if json:
        sys.stdout.writelines(msgspec.json.encode(it).decode() + "\n" for it in told)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("编号 id", "状态 state", "号码 number", "期限 due", "裁定人 by", "原因 why"):
        table.add_column(heading)
    for it, shown in zip(found, told, strict=True):
        due = show_moment(it.due_ms) + (" 超期 late" if it.is_late(desk.now_ms) else "")
        why = "; ".join(block.title["zh"] for block in it.blocks)
        table.add_row(it.id, f"{_STATES[it.state]} {it.state}", shown.number, due, it.who, why)
    _print(table)
    sys.stdout.write(f"{len(found)} / {count}\n")


@app.command
def show(id_: AppealId, /, *, json: Json = False, config: ConfigFile = None, data: DataFolder = None) -> None:
    """一件申诉 / One appeal."""
    with _opened(config, data) as desk:
        appeal = desk.services.appeals.store.appeal(id_)
        told = appeal_told(appeal, desk.services.appeals.number(appeal))
        now = desk.services.appeals.now(appeal, desk.now_ms)
    if json:
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    lines = [
        f"{told.id}  {_STATES[told.state]} {told.state}  {told.number}",
        f"受理编号 receipt: {told.receipt}",
        f"期限 due: {show_moment(told.due_ms)}",
        *(
            f"拦截 block: {it.title['zh']} / {it.title['en']} ({it.basis['zh']} / {it.basis['en']}) {it.agency}"
            for it in told.blocks
        ),
        *(f"现在 now: {it.name}" for it in now),
        f"陈述 words: {told.words}",
        f"联系 contact: {told.contact or '-'}",
    ]
    if told.who:
        lines.append(f"裁定 decided: {told.who} {show_moment(told.decided_ms or 0)}: {told.reasons}")
    if told.effect_ms:
        lines.append(f"生效 in force: {show_moment(told.effect_ms)}")
    sys.stdout.write("\n".join(lines) + "\n")


@app.command
def decide(
    id_: AppealId,
    outcome: Annotated[Literal["upheld", "lifted"], Parameter(name="OUTCOME", help="维持 upheld 或解除 lifted")],
    /,
    *,
    reasons: Annotated[str, Parameter(help="理由,告知申诉人 / told to the appellant")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """裁定申诉;作出拦截的人不得裁定 / Decide an appeal; not for who made the block."""
    with _opened(config, data) as desk:
        decided = desk.services.appeals.decide(id_, outcome, reasons, desk.actor, desk.now_ms)
    in_force = "" if decided.state == "upheld" or decided.effect_ms else ",尚未生效 not in force yet"
    sys.stdout.write(f"{decided.id}: {_STATES[decided.state]} {decided.state}{in_force}\n")


@app.command
def labels(
    *,
    out: Annotated[Path | None, Parameter(help="文件,缺省 DATA/labels/appeals.csv / file")] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """导出误拦号码为标注,供回测与训练 / Write numbers that were blocked by mistake as labels, for rules and models."""
    with _opened(config, data) as desk:
        services = desk.services
        wrong = wrongly_blocked(services.database, services.refs)
        if not wrong:
            raise AppealRefused("no-appeal", "No block was found wrong yet, so there is no label.")
        file = out or services.config.data / LABELS / "appeals.csv"
        who, address = desk.actor.name, desk.actor.address
        services.trail.record(
            who, address, "appeals.labels", file.name, after={"labels": len(wrong)}, now_ms=desk.now_ms
        )
        _write(file, [(f"+{digits_of(key)}", "0", "", f"appeal:{it.id}") for key, it in sorted(wrong)])
    sys.stdout.write(f"{file}: {len(wrong)} 个号码 / numbers\n")


def _write(file: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """Whole or not at all, for its owner alone: the numbers are whole."""
    draft = file.with_name(f"{file.name}.new")
    try:
        make_folder(file.parent, 0o750)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerows([("number", "label", "class", "source"), *rows])
        draft.replace(file)
    except OSError as error:
        raise StateError(f"The labels cannot be written: {error.strerror}.", where=str(file)) from error


def _print(table: Table) -> None:
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)


@handoff.command(name="list")
def handoffs(
    *,
    answer: Annotated[
        Literal["", "none", "accepted", "reached", "not-reached"], Parameter(help="结果 / answer; none: without one")
    ] = "",
    limit: Limit = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出劝阻移交,新的在前 / Hand-offs, newest first; numbers masked."""
    with _opened(config, data) as desk:
        it = desk.services
        told = handoff_told(it.handoffs.page(answer, limit), it.handoffs, it.numbering)
        totals, count = it.handoffs.totals(), it.handoffs.count(answer)
    if json:
        sys.stdout.writelines(msgspec.json.encode(one).decode() + "\n" for one in told)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("编号 id", "时间 time", "被叫 person", "结果 outcome", "止损 saved", "已损失 lost", "原因 why"):
        table.add_column(heading)
    for one in told:
        state = f"{_ANSWERS[one.state]} {one.state}"
        money = (str(one.saved), str(one.lost))
        table.add_row(one.id, show_moment(one.found_ms), one.number, state, *money, one.why.get("zh", one.condition))
    _print(table)
    saved, lost = totals["saved"], totals["lost"]
    sys.stdout.write(f"{len(told)} / {count}  止损 saved {saved}  已损失 lost {lost}\n")
