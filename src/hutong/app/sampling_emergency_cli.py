"""`hutong sampling emergency`: emergency orders of districts, by two persons."""

from __future__ import annotations

import sys
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.app.sampling_station_cli import now_ms
from hutong.app.sampling_work import open_emergencies
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.reporter import rfc3339_ms
from hutong.sampling.emergency.model import STATE_TITLES, Actor, Wish
from hutong.sampling.errors import SamplingError

if TYPE_CHECKING:
    from hutong.kernel.records import Database
    from hutong.sampling.emergency.model import EmergencyAction

app = App(name="emergency", help="应急采样指令:申请、批准、解除 / Emergency sampling of a district")

OrderId = Annotated[str, Parameter(name="ORDER", help="指令编号 / id of the order")]
By = Annotated[str, Parameter(help="以此账号办理 / account whose deed it is")]
Why = Annotated[str, Parameter(help="理由 / why")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


def who(database: Database, by: str) -> Actor:
    """The person with this account, who sits at this machine.

    Raises:
        SamplingError: there is none, or it is disabled.
    """
    try:
        account = People(database).account(by)
    except AccessError:
        account = None
    if account is None or account.disabled:
        raise SamplingError(
            f"There is no account {by!r} that works.", where="--by", fix="`hutong people list` shows all."
        )
    return Actor(account.name, permissions_of(account.role), machine_user())


@app.command
def request(  # noqa: PLR0913  # an order's own parts, one option each
    district: Annotated[str, Parameter(name="DISTRICT", help="行政区划代码 / code of the district, six digits")],
    preset: Annotated[str, Parameter(name="PRESET", help="city-wide, district, close-contacts (docs/sampling.md)")],
    /,
    *,
    hours: Annotated[int, Parameter(help="期限,小时 / term in hours")],
    agency: Annotated[str, Parameter(help="发文机关 / whose order")],
    document: Annotated[str, Parameter(help="文号 / number of its document")],
    reason: Why,
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """申请应急采样;须由另一人批准 / Ask for emergency sampling; another person must approve it."""
    settings = load_config(config, data=data)
    wish = Wish(district=district, preset=preset, term_h=hours, agency=agency, document=document, reason=reason)
    with open_records(settings) as database:
        order = open_emergencies(settings, database).request(wish, who(database, by), now_ms())
    _say(order.id)


@app.command
def approve(order: OrderId, /, *, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """批准他人的申请,即时生效 / Approve what another person requested; it is in force at once."""
    _do(order, "approve", "", by, config, data)


@app.command
def decline(order: OrderId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """驳回他人的申请 / Decline what another person requested."""
    _do(order, "decline", reason, by, config, data)


@app.command
def lift(order: OrderId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """提前解除 / Lift an order early."""
    _do(order, "lift", reason, by, config, data)


@app.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="最多几件 / at most so many")] = 50,
    json: Annotated[bool, Parameter(negative="", help="JSON 输出 / as JSON")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """应急采样指令,最近变动者在前 / Emergency orders, what changed last stands first."""
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        orders = open_emergencies(settings, database).listing(limit)
    if json:
        _say(msgspec.json.encode(orders).decode())
        return
    for it in orders:
        ends = rfc3339_ms(it.ends_ms) if it.ends_ms else "—"
        _say(f"{it.id} {it.district} {it.preset} {STATE_TITLES[it.state]['zh']} {it.state} → {ends}")


def _do(order: str, action: EmergencyAction, reason: str, by: str, config: Path | None, data: Path | None) -> None:
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        after = open_emergencies(settings, database).do(order, action, who(database, by), now_ms(), reason)
    _say(f"{after.id} {STATE_TITLES[after.state]['zh']} {after.state}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
