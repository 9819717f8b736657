"""`hutong cases`: lists, one case with its story, registers, what is wrong with types; and doing something with a case.

What is done here is on the trail like everything else: who is the user of this machine, the address is "local".
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import date  # noqa: TC003  # cyclopts reads the annotation
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cases_work import TYPES, open_cases
from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.attachments import Attachments
from hutong.kernel.cases.calendar import end_of_day, show_moment
from hutong.kernel.cases.errors import CaseError
from hutong.kernel.cases.lint import lint as lint_types
from hutong.kernel.cases.model import OPEN_STATES, Action, Actor, Finding, Part, Proof, ProofKind, Request, State
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.registers import AssignRule, Registers
from hutong.kernel.cases.table import MOVES, STATE_TITLES
from hutong.kernel.cases.types import SHIPPED, TypesError, read_types, type_sources
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import mask_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hutong.kernel.cases.model import Case
    from hutong.kernel.cases.store import Answer, Cases
    from hutong.kernel.records import Database

app = App(name="cases", help="案件与台账:查看、办理、导入、核对 / Cases and registers")

_PIPE_WIDTH = 1000
_NS_IN_MS = 1_000_000
_DIFFERENT = 1

CaseId = Annotated[str, Parameter(name="CASE", help="案件编号 / id of the case")]
RegisterId = Annotated[str, Parameter(name="REGISTER", help="台账编号 / id of the register")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


class _Desk:
    """The open records, the time, and whoever sits here."""

    def __init__(self, database: Database, cases: Cases, data: Path) -> None:
        self.database, self.cases = database, cases
        self.registers, self.attachments = Registers(database, cases), Attachments(data, database)
        self.now_ms = SystemClock().wall() // _NS_IN_MS
        self.actor = Actor(machine_user(), frozenset(PERMISSIONS))


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Desk]:
    settings = load_config(config, data=data)
    with open_records(settings, missing="There are no cases yet.") as database:
        yield _Desk(database, open_cases(settings, database), settings.data)


@app.command(name="list")
def list_(  # noqa: PLR0913  # a query's own parts, one option each
    text: Annotated[str, Parameter(name="TEXT", help="编号、号码开头或标题 / id, beginning of a number, title")] = "",
    /,
    *,
    state: Annotated[State | None, Parameter(help="状态 / state; default: open ones")] = None,
    unit: Annotated[str, Parameter(help="责任单位 / unit")] = "",
    owner: Annotated[str, Parameter(help="责任人 / account")] = "",
    register: Annotated[str, Parameter(help="台账 / register")] = "",
    late: Annotated[bool, Parameter(negative="", help="只列超期 / only late ones")] = False,
    limit: Annotated[int, Parameter(help="最多几件 / at most so many")] = 50,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出案件,先到期者在前 / Cases, what is due first stands first."""
    with _opened(config, data) as desk:
        query = CaseQuery(
            states=(state,) if state else (),
            unit=unit,
            owner=owner,
            register=register,
            late_ms=desk.now_ms if late else 0,
            text=text,
            beginnings=True,
            sort="due" if state is None or state in OPEN_STATES else "changed",
        )
        found, count = desk.cases.listing(query, limit)
    if json:
        _write_lines(found)
        return
    _print_cases(found, desk.now_ms)
    sys.stdout.write(f"{len(found)} / {count}\n")


def _print_cases(found: list[Case], now_ms: int) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("编号 id", "状态 state", "期限 due", "督办 level", "单位 unit", "责任人 owner", "标题 title"):
        table.add_column(heading)
    for case in found:
        due_ms = case.next_due_ms
        late = " 超期 late" if 0 < due_ms < now_ms else ""
        due = show_moment(due_ms) + late if due_ms else ""
        title = STATE_TITLES[case.state]["zh"]
        table.add_row(
            case.id, f"{title} {case.state}", due, str(case.level), case.unit, case.owner, mask_text(case.title)
        )
    _print(table)


@app.command
def show(
    case: CaseId,
    /,
    *,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """一件案件及其全部经过 / One case and its whole story."""
    with _opened(config, data) as desk:
        found, events = desk.cases.case(case), desk.cases.events(case)
    if json:
        _write_lines([found, *events])
        return
    _print_cases([found], desk.now_ms)
    for name, value in found.fields.items():
        sys.stdout.write(f"  {name}: {mask_text(str(value))}\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("序 no.", "时间 time", "谁 who", "动作 action", "说明 reason"):
        table.add_column(heading)
    for event in events:
        move = MOVES.get(event.action)
        action = f"{move.zh if move else '立案'} {event.action}"
        reason = mask_text(str(event.said.get("reason", "")))
        table.add_row(str(event.seq), show_moment(event.time_ms), event.who, action, reason)
    _print(table)


@app.command
def find(
    type_: Annotated[str, Parameter(name="TYPE", help="案件类型 / type of the case")],
    title: Annotated[str, Parameter(name="TITLE", help="标题 / title")],
    /,
    *,
    fields: Annotated[str, Parameter(help='字段 / fields, JSON: {"number": "…"}')] = "{}",
    key: Annotated[str, Parameter(help="请求键,重复无二次效果 / a repeated request with this key has one effect")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """立案 / Open a case."""
    with _opened(config, data) as desk:
        finding = Finding(type_, title, _decoded(fields))
        answer = desk.cases.find(finding, desk.actor, desk.now_ms, key=key)
    sys.stdout.write(f"{answer.case}\n")


def _decoded(fields: str) -> dict[str, str | int | float | bool]:
    try:
        return msgspec.json.decode(fields, type=dict[str, str | int | float | bool])
    except msgspec.DecodeError as error:
        raise CaseError(f"This is no JSON object of fields: {error}.", where="--fields") from error


@app.command
def do(  # noqa: PLR0913  # a request's own parts, one option each
    case: CaseId,
    action: Annotated[Action, Parameter(name="ACTION", help="动作 / action, see docs/cases.md")],
    /,
    *,
    reason: Annotated[str, Parameter(help="说明 / why")] = "",
    unit: Annotated[str, Parameter(help="责任单位 / unit")] = "",
    owner: Annotated[str, Parameter(help="责任人 / account")] = "",
    proof: Annotated[
        tuple[ProofKind, str] | None, Parameter(help="证据:类别与所指 / a proof: its kind and what it refers to")
    ] = None,
    attach: Annotated[Path | None, Parameter(help="附上此文件 / attach this file")] = None,
    into: Annotated[str, Parameter(help="并入的案件 / the case that it is merged into")] = "",
    until: Annotated[date | None, Parameter(help="风险暂受到哪一天 / last day of an accepted risk")] = None,
    part: Annotated[
        tuple[str, ...], Parameter(help="拆分的一部分:标题|单位 / a part of a split: TITLE|UNIT; repeated")
    ] = (),
    version: Annotated[int, Parameter(help="所见版本,0 为不论 / the version that was seen; 0 = any")] = 0,
    key: Annotated[str, Parameter(help="请求键 / key of the request")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """办理案件 / Do something with a case."""
    with _opened(config, data) as desk:
        proofs = () if proof is None else (Proof(proof[0], "" if proof[0] == "statement" else proof[1], proof[1]),)
        request = Request(
            action,
            reason,
            owner,
            unit,
            proofs=proofs,
            until_ms=0 if until is None else end_of_day(until),
            parts=tuple(_part(text) for text in part),
            into=into,
        )
        if attach is None:
            answer = desk.cases.do(case, request, desk.actor, desk.now_ms, version=version, key=key)
        else:
            answer = _with_file(desk, case, request, attach, version, key)
    sys.stdout.write(f"{answer.case} {STATE_TITLES[answer.state]['zh']} {answer.state}, v{answer.version}\n")
    for one in answer.parts:
        sys.stdout.write(f"{one}\n")


def _part(text: str) -> Part:
    title, _, unit = text.partition("|")
    return Part(title.strip(), unit=unit.strip())


def _with_file(desk: _Desk, case: str, request: Request, path: Path, version: int, key: str) -> Answer:
    """Attach a file and do what is asked; where either is refused, neither is done and nothing is kept."""

    def do(it: Request, version: int, key: str) -> Answer:
        return desk.cases.do(case, it, desk.actor, desk.now_ms, version=version, key=key)

    def done(sha256: str) -> Answer:
        if request.action == "attach":
            return do(msgspec.structs.replace(request, attachment=sha256), version, key)
        attached = do(Request("attach", attachment=sha256), version, f"{key}:file" if key else "")
        return do(request, attached.version if version else 0, key)

    try:
        with path.open("rb") as file:
            return desk.attachments.keep(file, path.name, desk.actor.name, desk.now_ms, done)[1]
    except OSError as error:
        raise CaseError(f"The file cannot be read: {error.strerror}.", where=str(path)) from error


@app.command
def registers(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """列出台账及其完成情况 / Registers and how far they are."""
    with _opened(config, data) as desk:
        table = Table(box=None, pad_edge=False)
        for heading in ("编号 id", "类型 type", "完成 done", "标题 title"):
            table.add_column(heading)
        for register in desk.registers.all():
            progress = desk.registers.progress(register.id)
            done = f"{progress.done}/{progress.items}"
            table.add_row(register.id, register.type, done, register.title)
    _print(table)


@app.command(name="import")
def import_(
    file: Annotated[Path, Parameter(name="FILE", help="CSV 文件 (UTF-8 或 GB18030) / CSV file")],
    /,
    *,
    register: Annotated[str, Parameter(help="已有台账的编号 / id of a register that there is")] = "",
    title: Annotated[str, Parameter(help="新台账的标题 / title of a new register")] = "",
    type_: Annotated[
        str, Parameter(name="--type", help="新台账的案件类型 / case type of a new register")
    ] = "rectification",
    assign: Annotated[
        tuple[str, ...], Parameter(help="派发规则:字段=值:单位,或 单位 / rules: FIELD=VALUE:UNIT, or UNIT")
    ] = (),
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """导入台账;错误行逐行列出,其余照收 / Take items in; wrong rows are told, the rest goes in."""
    if bool(register) == bool(title):
        raise CaseError("Name a register, or give a new one a title.", fix="--register ID, or --title TEXT.")
    with _opened(config, data) as desk:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CaseError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
        if title:
            rules = [_rule(text) for text in assign]
            register = desk.registers.make(title, type_, rules, desk.actor, desk.now_ms).id
        done = desk.registers.take_in(register, content, desk.actor, desk.now_ms)
    for error_ in done.errors:
        column = f" {error_.column}" if error_.column else ""
        sys.stderr.write(f"{file}:{error_.row}{column}: {error_.what}\n")
    refused = len(done.errors)
    sys.stdout.write(
        f"{register}: 已收 {done.taken} 行,错误 {refused} 行 / {done.taken} rows taken, {refused} refused\n"
    )
    return _DIFFERENT if refused else 0


def _rule(text: str) -> AssignRule:
    condition, colon, unit = text.rpartition(":")
    field, _, value = condition.partition("=")
    return AssignRule(unit, field, value) if colon else AssignRule(text)


@app.command
def export(register: RegisterId, /, *, config: ConfigFile = None, data: DataFolder = None) -> None:
    """导出台账为 CSV (标准输出) / Export a register as CSV to standard output."""
    with _opened(config, data) as desk:
        desk.registers.export(register, sys.stdout, desk.actor, desk.now_ms)


@app.command
def lint(
    *folders: Annotated[Path, Parameter(help="类型目录,缺省为随附类型 / folders of types; default: shipped")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """检查案件类型:列出全部问题 / Check case types and list everything found."""
    own = [folder for folder in folders if folder.resolve() != SHIPPED]
    if not folders and data is not None:
        own = [load_config(config, data=data).data / TYPES]
    drafts, findings = read_types(type_sources(SHIPPED, *own))
    findings += lint_types(drafts, PERMISSIONS)
    for finding in findings:
        if finding.severity == "warning":
            sys.stdout.write(f"{finding}\n")
    if any(finding.severity == "error" for finding in findings):
        raise TypesError(findings)
    sys.stdout.write(f"ok: {len(drafts)} 种类型 / types\n")


@app.command
def recount(
    *,
    repair: Annotated[bool, Parameter(negative="", help="改正计数 / put the counters right")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """由经过重算案件与计数,列出不符之处 / Make cases and counters anew from the events; list what differs."""
    with _opened(config, data) as desk:
        found = desk.cases.recount(repair=repair)
    for it in found:
        sys.stdout.write(f"{it.what}: {it.kept[:200]} ≠ {it.follows}\n")
    sys.stdout.write(f"不符 {len(found)} 处 / {len(found)} differences\n")
    return _DIFFERENT if found else 0


def _write_lines(values: Iterable[object]) -> None:
    for value in values:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _print(table: Table) -> None:
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)
