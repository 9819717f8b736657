"""`hutong people`: accounts, for whoever administers the machine; the way back in when nobody can sign in any more.

What is done here is in the trail like everything else: who is the user of this machine, the address is "local".
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.kernel.access.agencies import KIND_TITLES, Agencies, Agency, Kind, facts_of
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import ROLE_TITLES, Role
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.access.account import Account
    from hutong.kernel.records import Database

app = App(name="people", help="账号:查看、新增、改角色、停用、重置口令 / Accounts of the console")

_ADDRESS = "local"
_PIPE_WIDTH = 1000
_NS_IN_MS = 1_000_000

Name = Annotated[str, Parameter(name="NAME", help="账号名 / name of the account")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


class _Desk:
    """Open records, the time, and whoever sits here."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.people, self.agencies = People(database), Agencies(database)
        self.now_ms = SystemClock().wall() // _NS_IN_MS

    def record(self, deed: str, target: str, before: object = None, after: object = None) -> None:
        Trail(self.database).record(machine_user(), _ADDRESS, deed, target, before, after, now_ms=self.now_ms)


@contextmanager
def _opened(config: Path | None, data: Path | None, *, existing: bool = True) -> Iterator[_Desk]:
    with open_records(
        load_config(config, data=data), missing="There are no accounts yet.", existing=existing
    ) as database:
        yield _Desk(database)


@app.command(name="list")
def list_(
    *,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出所有账号 / Every account."""
    with _opened(config, data) as desk:
        accounts = desk.people.all()
    if json:
        for account in accounts:
            sys.stdout.write(msgspec.json.encode(account).decode() + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("账号 name", "姓名 person", "角色 role", "协作单位 agency", "状态 state", "最近登录 signed in"):
        table.add_column(heading)
    for account in accounts:
        signed_in = "" if account.signed_in_ms is None else rfc3339(account.signed_in_ms * _NS_IN_MS)[:19] + "Z"
        table.add_row(account.name, account.title, _role(account.role), account.agency, _state(account), signed_in)
    _print(table)


@app.command
def add(
    name: Name,
    /,
    *,
    title: Annotated[str, Parameter(help="姓名 / the person's name")],
    role: Annotated[Role, Parameter(help="角色 / role")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """新增账号,显示一次性口令 / Add an account; prints its one-time password."""
    with _opened(config, data, existing=False) as desk:
        fresh = desk.people.one_time()
        with desk.database.write():
            password = desk.people.add(name, title, role, desk.now_ms, fresh)
            account = desk.people.account(name)
            desk.record("people.add", account.name, after={"title": account.title, "role": role})
    _hand_over(account.name, password)


@app.command(name="reset-password")
def reset_password(name: Name, /, *, config: ConfigFile = None, data: DataFolder = None) -> None:
    """重置口令,结束其所有会话,显示一次性口令 / Give a one-time password and end the account's sessions."""
    with _opened(config, data) as desk:
        fresh = desk.people.one_time()
        with desk.database.write():
            password = desk.people.reset_password(name, desk.now_ms, fresh)
            account = desk.people.account(name)
            desk.record("people.reset", account.name)
    _hand_over(account.name, password)


@app.command(name="set-role")
def set_role(
    name: Name,
    role: Annotated[Role, Parameter(name="ROLE", help="角色 / role")],
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """改角色,结束其所有会话 / Give another role and end the account's sessions."""
    with _opened(config, data) as desk, desk.database.write():
        before = desk.people.account(name)
        account = desk.people.set_role(name, role)
        desk.record("people.role", account.name, before.role, account.role)
    sys.stdout.write(f"{account.name}: {_role(before.role)} → {_role(account.role)}\n")


@app.command(name="set-agency")
def set_agency(
    name: Name,
    agency: Annotated[str, Parameter(name="AGENCY", help="协作单位代号,空为不限 / id of an agency; empty = none")] = "",
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """把账号绑定到协作单位,只见其案件 / Bind an account to an agency: it sees that agency's cases only."""
    with _opened(config, data) as desk, desk.database.write():
        before = desk.people.account(name)
        account = desk.people.set_agency(name, agency)
        desk.record("people.agency", account.name, before.agency, account.agency)
    sys.stdout.write(f"{account.name}: {before.agency or '–'} → {account.agency or '–'}\n")


@app.command
def disable(name: Name, /, *, config: ConfigFile = None, data: DataFolder = None) -> None:
    """停用账号,结束其会话,吊销其令牌 / Disable an account, end its sessions, revoke its tokens."""
    with _opened(config, data) as desk, desk.database.write():
        before = desk.people.account(name)
        account = desk.people.set_disabled(name, disabled=True, now_ms=desk.now_ms)
        desk.record("people.disable", account.name, before.disabled, account.disabled)
    sys.stdout.write(f"{account.name}: 已停用 / disabled\n")


agency_app = App(name="agency", help="协作单位:查看、新增、停用 / Partner agencies")
app.command(agency_app)


@agency_app.command(name="list")
def list_agencies(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """列出协作单位 / Every partner agency."""
    with _opened(config, data) as desk:
        agencies = desk.agencies.all()
    table = Table(box=None, pad_edge=False)
    for heading in ("代号 id", "名称 name", "类别 kind", "责任单位 units", "联系方式 contact", "状态 state"):
        table.add_column(heading)
    for it in agencies:
        kind = f"{KIND_TITLES[it.kind]['zh']} {it.kind}"
        state = "停用 disabled" if it.disabled else ""
        table.add_row(it.id, f"{it.zh} {it.en}", kind, ", ".join(it.units), it.contact, state)
    _print(table)


@agency_app.command(name="add")
def add_agency(
    agency: Annotated[str, Parameter(name="ID", help="代号 / id")],
    /,
    *,
    zh: Annotated[str, Parameter(help="中文名称 / Chinese name")],
    en: Annotated[str, Parameter(help="英文名称 / English name")],
    kind: Annotated[Kind, Parameter(help="类别 / kind")],
    unit: Annotated[tuple[str, ...], Parameter(help="责任单位,可多次 / unit, may be repeated")],
    contact: Annotated[str, Parameter(help="联系方式 / contact")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """新增协作单位 / Add a partner agency."""
    with _opened(config, data) as desk, desk.database.write():
        made = desk.agencies.add(Agency(agency, zh, en, kind, unit, contact), desk.now_ms)
        desk.record("people.agency_add", made.id, after=facts_of(made))
    sys.stdout.write(f"{made.id}: {', '.join(made.units)}\n")


@agency_app.command(name="disable")
def disable_agency(
    agency: Annotated[str, Parameter(name="ID", help="代号 / id")],
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """停用协作单位,其账号和令牌看不到任何案件 / Disable an agency: its accounts and tokens see no case."""
    with _opened(config, data) as desk, desk.database.write():
        made = desk.agencies.set_disabled(agency, disabled=True)
        desk.record("people.agency_disable", made.id)
    sys.stdout.write(f"{made.id}: 已停用 / disabled\n")


def _hand_over(name: str, password: str) -> None:
    sys.stdout.write(f"{name}: 一次性口令 / one-time password: {password}\n")
    sys.stderr.write("只显示这一次,首次登录后须更换 / Shown this once; to be changed at the first sign-in.\n")


def _print(table: Table) -> None:
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)


def _role(role: Role) -> str:
    return f"{ROLE_TITLES[role]['zh']} {role}"


def _state(account: Account) -> str:
    states = (
        (account.disabled, "停用 disabled"),
        (account.external, "外部 external"),
        (account.must_change, "一次性口令 one-time password"),
    )
    return ", ".join(text for holds, text in states if holds)
