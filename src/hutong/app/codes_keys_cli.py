"""`hutong codes keys`: signing keys of codes made, rotated, listed; the key set that verifiers keep."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_records import machine_user, open_records
from hutong.app.codes_work import key_ring
from hutong.app.config import load_config
from hutong.codes.rotation import AHEAD_MS, DAY_MS, State
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError

app = App(name="keys", help="码的签名密钥:生成、轮换、列出、导出密钥表 / Signing keys of codes, and the key set")

_NS_IN_MS: Final = 1_000_000
_PIPE_WIDTH: Final = 1000
_STATES: Final[dict[State, str]] = {"next": "待用", "signing": "在签", "kept": "保留", "over": "已过"}

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
Out = Annotated[Path | None, Parameter(help="文件,缺省标准输出 / file; default: standard output")]


class _Told(msgspec.Struct, frozen=True):
    kid: str
    algorithm: str
    state: State
    begins_ms: int
    signs_until_ms: int
    kept_until_ms: int


@app.command
def make(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """生成第一把密钥,立即可签 / Make the first key; it signs at once."""
    settings = load_config(config, data=data)
    ring, now_ms = key_ring(settings), _now_ms()
    if ring.terms(now_ms):
        raise StateError("There are keys already.", fix="`hutong codes keys rotate` makes the next one.")
    with open_records(settings, existing=False) as database:
        ring.upkeep(now_ms)
        kid = ring.terms(now_ms)[0].public().kid.hex()
        Trail(database).record(machine_user(), "local", "codes.key_make", kid, now_ms=now_ms)
    sys.stdout.write(f"{kid}\n")


@app.command
def rotate(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """生成下一把密钥:先公布三天,再启用 / Make the next key: published for three days before it signs."""
    settings = load_config(config, data=data)
    ring, now_ms = key_ring(settings), _now_ms()
    with open_records(settings, existing=False) as database:
        known = {it.public().kid for it in ring.terms(now_ms)}
        term = ring.rotate(now_ms)
        kid = term.public().kid
        if kid not in known:
            Trail(database).record(machine_user(), "local", "codes.key_rotate", kid.hex(), now_ms=now_ms)
    begins = show_moment(term.record.begins_ms)
    sys.stdout.write(f"{kid.hex()}  {_STATES[term.state]} {term.state}  {begins} 起签发 signs from then on\n")


@app.command
def withdraw(
    kid: Annotated[str, Parameter(name="KEY", help="密钥编号 / id of the key")],
    /,
    *,
    why: Annotated[str, Parameter(help="原因 / why")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """撤下泄露的密钥,它签的码全部失效 / Take out a key that others may know; all that it signed is void."""
    settings = load_config(config, data=data)
    ring, now_ms = key_ring(settings), _now_ms()
    try:
        wanted = bytes.fromhex(kid)
    except ValueError:
        raise StateError(f"{kid[:40]!r} is no id of a key.", fix="`hutong codes keys list` shows all.") from None
    with open_records(settings, existing=False) as database:
        ring.withdraw(wanted, now_ms)
        Trail(database).record(machine_user(), "local", "codes.key_withdraw", kid, purpose=why, now_ms=now_ms)
    sys.stdout.write(f"{ring.signing_key(now_ms).kid.hex()}  在签 signing；请分发新密钥表 hand out the new key set\n")


@app.command(name="list")
def keys(
    *,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出密钥及其期限 / The keys and their terms."""
    now_ms = _now_ms()
    rows = [
        _Told(
            it.public().kid.hex(),
            it.record.algorithm,
            it.state,
            it.record.begins_ms,
            it.signs_until_ms,
            it.kept_until_ms,
        )
        for it in key_ring(load_config(config, data=data)).terms(now_ms)
    ]
    if json:
        sys.stdout.writelines(msgspec.json.encode(row).decode() + "\n" for row in rows)
        return
    table = Table(box=None, pad_edge=False)
    for heading in (
        "密钥 key",
        "算法 algorithm",
        "状态 state",
        "启用 begins",
        "签发至 signs until",
        "保留至 kept until",
    ):
        table.add_column(heading)
    for row in rows:
        moments = map(show_moment, (row.begins_ms, row.signs_until_ms, row.kept_until_ms))
        table.add_row(row.kid, row.algorithm, f"{_STATES[row.state]} {row.state}", *moments)
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)
    days = AHEAD_MS // DAY_MS
    sys.stdout.write(f"{len(rows)} 把 keys；换用前公布 published {days} 天 days ahead\n")


@app.command
def export(*, out: Out = None, config: ConfigFile = None, data: DataFolder = None) -> None:
    """导出签名的密钥表,供核验端离线使用 / Write the signed key set that verifiers keep."""
    found = key_ring(load_config(config, data=data)).key_set(_now_ms())
    write_out(out, found.document)
    if out is not None:
        sys.stdout.write(f"{out}: {len(found.keys)} 把 keys, {show_moment(found.made_ms)}\n")


def write_out(out: Path | None, content: bytes) -> None:
    """Bytes to a file, whole or not at all, or to standard output.

    Raises:
        StateError: the file cannot be written.
    """
    if out is None:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), content)
        return
    draft = out.with_name(f"{out.name}.new")
    try:
        draft.write_bytes(content)
        draft.replace(out)
    except OSError as error:
        raise StateError(f"The file cannot be written: {error.strerror}.", where=str(out)) from error


def _now_ms() -> int:
    return SystemClock().wall() // _NS_IN_MS
